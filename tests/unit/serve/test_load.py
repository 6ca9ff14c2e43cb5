"""A connection that asks, waits for the whole answer and asks again."""

import asyncio
from collections.abc import Callable
from itertools import repeat
from typing import Any

import pytest

from bucle.serve.load import AskingConnection, Tally

ASKED = b"question"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
MOVED = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://evil\r\ncontent-length: 0\r\n\r\n"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n3;x=1\r\nyou\r\n0\r\nx-trailer: 1\r\n\r\n"
)
LAST = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


class Wire:
    """Holds what was sent and how it was closed."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.state = "open"

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"


def connected(story: Callable[[AskingConnection, Wire, Tally], object]) -> Tally:
    async def run() -> Tally:
        tally, wire = Tally(), Wire()
        tally.begin()
        connection = AskingConnection(tally, repeat(ASKED))
        transport: Any = wire
        connection.connection_made(transport)
        assert wire.sent == [ASKED]
        story(connection, wire, tally)
        return tally

    return asyncio.run(run())


@pytest.mark.parametrize("answer", [OK, CHUNKED, REFUSED, MOVED, EMPTY, GO_ON + OK, LAST])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_answer_is_one_wherever_it_is_cut(answer: bytes, size: int) -> None:
    def story(connection: AskingConnection, wire: Wire, tally: Tally) -> None:
        pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
        for piece in pieces[:-1]:
            connection.data_received(piece)
            assert not tally.statuses
        connection.data_received(pieces[-1])
        assert wire.state == ("closed" if answer is LAST else "open")
        assert len(wire.sent) == (1 if answer is LAST else 2)

    status = int(answer.removeprefix(GO_ON)[9:12])
    tally = connected(story)
    assert dict(tally.statuses) == {status: 1}
    assert len(tally.taken) == (1 if status == 200 else 0)
    assert tally.errors == 0


def test_it_asks_again_and_stops_when_it_is_over() -> None:
    def story(connection: AskingConnection, wire: Wire, tally: Tally) -> None:
        for answer in (OK, REFUSED, CHUNKED, EMPTY, OK):
            connection.data_received(answer)
        assert wire.sent == [ASKED] * 6
        tally.is_over = True
        connection.data_received(OK)
        assert wire.state == "closed"
        assert wire.sent == [ASKED] * 6
        connection.connection_lost(None)
        assert connection.ended.result() is False

    tally = connected(story)
    assert dict(tally.statuses) == {200: 4, 503: 1, 204: 1}
    assert (tally.errors, tally.unanswered) == (0, 0)


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\x01\x02\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        OK + OK,
        OK + b"rubbish",
    ],
)
def test_what_is_no_answer_breaks_the_connection_and_counts_once(said: bytes) -> None:
    def story(connection: AskingConnection, wire: Wire, tally: Tally) -> None:
        connection.data_received(said)
        if wire.state == "open":
            # An answer was whole: only what came after it is wrong.
            connection.data_received(b"\r\n\r\nmore")
        assert wire.state == "aborted"
        connection.connection_lost(None)
        assert connection.ended.result() is True

    assert connected(story).errors == 1


def test_an_answer_that_nobody_asked_for_is_none() -> None:
    def story(connection: AskingConnection, wire: Wire, tally: Tally) -> None:
        tally.is_over = True
        connection.data_received(OK)
        connection.data_received(OK)
        assert wire.state == "aborted"

    tally = connected(story)
    assert (dict(tally.statuses), tally.errors) == ({200: 1}, 1)


@pytest.mark.parametrize("before", [b"", OK[:30], OK[:-1]])
def test_an_end_before_the_answer_is_an_error(before: bytes) -> None:
    def story(connection: AskingConnection, wire: Wire, tally: Tally) -> None:
        if before:
            connection.data_received(before)
        connection.connection_lost(ConnectionResetError())
        assert connection.ended.result() is True

    tally = connected(story)
    assert (dict(tally.statuses), tally.errors) == ({}, 1)


def test_what_is_waited_for_in_vain_is_no_error_of_a_connection() -> None:
    def story(connection: AskingConnection, wire: Wire, tally: Tally) -> None:
        connection.give_up()
        assert wire.state == "aborted"
        connection.connection_lost(None)
        assert connection.ended.result() is False

    tally = connected(story)
    assert (tally.errors, tally.unanswered) == (0, 1)


def test_what_was_asked_while_warming_up_does_not_count() -> None:
    def story(connection: AskingConnection, wire: Wire, tally: Tally) -> None:
        connection.data_received(REFUSED)
        tally.begin()
        connection.data_received(OK)
        assert not tally.statuses
        connection.data_received(OK)

    assert dict(connected(story).statuses) == {200: 1}
