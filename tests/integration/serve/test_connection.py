"""Connections over real sockets: what is refused unread, who is too slow, and who is too many."""

import asyncio
import contextlib
import json
import logging
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from running import PATIENCE_S, Running, await_so, statuses, until_closed

from bucle.serve import connection
from bucle.serve.app import App, Limits, Quick, Reply, Request
from bucle.serve.connection import (
    MOST_HEADER_BYTES,
    BoundedConnection,
    allow_connections,
    take_refused,
)
from bucle.serve.counts import Counts
from bucle.serve.guard import Guard
from bucle.serve.quick import QuickConnection

TOKEN = "t" * 43
SLOW_S = 0.4
LARGE = b"x" * 20_000_000


class Story(Running):
    """An app that keeps what it is asked; `/wait` answers once `free` is set."""

    def __init__(self, http: type[Any] = BoundedConnection) -> None:
        self.seen: list[tuple[str, bytes, dict[bytes, bytes]]] = []
        self.free = threading.Event()
        self.free.set()
        routes: dict[bytes, Any] = {
            b"/keep": {"POST": self._keep, "GET": self._keep},
            b"/large": {"GET": self._large},
            b"/wait": {"POST": self._wait},
        }
        app = App(
            routes,
            Guard(TOKEN),
            Counts(),
            Limits(body_bytes=1_000_000),
            quick=Quick(handlers={b"/keep": self._keep_now}),
        )
        super().__init__(app, slow_s=SLOW_S, http=http)

    def __exit__(self, *_: object) -> None:
        self.free.set()
        super().__exit__()

    async def _keep(self, request: Request) -> Reply:
        return self._keep_now(request)

    def _keep_now(self, request: Request) -> Reply:
        self.seen.append(("keep", request.body, request.headers))
        return Reply(json.dumps({"kept": len(request.body)}).encode())

    async def _large(self, request: Request) -> Reply:
        del request
        return Reply(LARGE)

    async def _wait(self, request: Request) -> Reply:
        await asyncio.to_thread(self.free.wait, PATIENCE_S)
        return await self._keep(request)


def head(line: str, *more: str) -> bytes:
    lines = [line, "Host: localhost", f"Authorization: Bearer {TOKEN}", *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


@pytest.fixture(scope="module", params=[BoundedConnection, QuickConnection])
def shared(request: pytest.FixtureRequest) -> Iterator[Story]:
    with Story(request.param) as running:
        yield running


@pytest.fixture
def running(shared: Story) -> Story:
    shared.seen.clear()
    shared.closed = 0
    take_refused()
    return shared


@pytest.mark.parametrize(
    "line",
    [
        "GET http://evil.com/keep HTTP/1.1",
        "GET http://localhost/keep HTTP/1.1",
        "GET keep HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /keep#a HTTP/1.1",
        "GET /keep#/../large HTTP/1.1",
        "GET /k\xffep HTTP/1.1",
        "GET /k\0ep HTTP/1.1",
        "GET /k eep HTTP/1.1",
        "GET  /keep HTTP/1.1 ",
        "GET /keep HTTP/9.9",
        "CONNECT evil.com:80 HTTP/1.1",
        "CONNECT /keep HTTP/1.1",
        "get /keep HTTP/1.1",
        "FETCH /keep HTTP/1.1",
        "PRI * HTTP/2.0",
        "\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_path_over_http_is_refused_and_counted(running: Story, line: str) -> None:
    answer = running.ask(head(line, "Connection: close"))
    assert statuses(answer) == [400]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "bucle-358"
    assert running.seen == []
    assert take_refused() == 1


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9"])
def test_another_version_is_refused(running: Story, version: str) -> None:
    assert statuses(running.ask(head(f"GET /keep {version}"))) == [400]


def test_an_old_client_is_answered_and_closed(running: Story) -> None:
    answer = running.ask(head("GET /keep HTTP/1.0", "Connection: keep-alive"))
    assert statuses(answer) == [200]


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("POST /keep HTTP/1.1", ["Transfer-Encoding: gzip, chunked"]),
        ("POST /keep HTTP/1.1", ["Transfer-Encoding: identity, chunked"]),
        ("POST /keep HTTP/1.1", ["Transfer-Encoding: chunked, chunked"]),
        ("POST /keep HTTP/1.1", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]),
        ("POST /keep HTTP/1.1", ["Transfer-Encoding: xchunked"]),
        ("POST /keep HTTP/1.1", ["Transfer-Encoding: chunked", "Content-Length: 3"]),
        ("POST /keep HTTP/1.1", ["Content-Length: 3", "Transfer-Encoding: chunked"]),
        ("POST /keep HTTP/1.1", ["Content-Length: 3", "Content-Length: 3"]),
        ("POST /keep HTTP/1.1", ["Content-Length: 3, 3"]),
        ("POST /keep HTTP/1.1", ["Content-Length: +3"]),
        ("POST /keep HTTP/1.1", ["Content-Length: 0x3"]),
        ("POST /keep HTTP/1.1", ["Content-Length: 99999999999999999999999"]),
        ("POST /keep HTTP/1.1", ["Content-Length : 3"]),
        ("POST /keep HTTP/1.1", ["X: a\r\n Content-Length: 3"]),
        ("POST /keep HTTP/1.0", ["Transfer-Encoding: chunked"]),
    ],
)
def test_a_body_of_two_lengths_is_nobodys(running: Story, line: str, more: list[str]) -> None:
    answer = running.ask(head(line, *more) + b"3\r\nabc\r\n0\r\n\r\n" + head("GET /keep HTTP/1.1"))
    assert statuses(answer) == [400]
    assert running.seen == []


@pytest.mark.parametrize(
    "body", [b"3\r\nabcd\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"x\r\n", b"3\nabc\n0\n\n"]
)
def test_bad_chunks_are_refused(running: Story, body: bytes) -> None:
    answer = running.ask(head("POST /keep HTTP/1.1", "Transfer-Encoding: chunked") + body)
    assert statuses(answer) == [400]
    assert running.seen == []


def test_trailers_are_no_headers(running: Story) -> None:
    start = "POST /keep HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{}\r\n"
    trailers = f"3\r\nabc\r\n0\r\nAuthorization: Bearer {TOKEN}\r\nX-More: yes\r\n\r\n"
    unknown = running.ask((start.format("Connection: close\r\n") + trailers).encode())
    assert statuses(unknown) == [401]
    shown = f"Connection: close\r\nAuthorization: Bearer {TOKEN}\r\n"
    assert statuses(running.ask((start.format(shown) + trailers).encode())) == [200]
    ((_, body, headers),) = running.seen
    assert body == b"abc"
    assert b"x-more" not in headers


@pytest.mark.parametrize("offer", ["h2c", "websocket", "nonsense"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_client_that_offers_another_protocol_is_answered_in_http(
    running: Story, offer: str, in_pieces: bool
) -> None:
    more = [f"Upgrade: {offer}", "HTTP2-Settings: AAMAAABkAAQAAP__", "Content-Length: 7"]
    first = head("POST /keep HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", *more)
    second = head("POST /keep HTTP/1.1", "Content-Length: 2", "Connection: close") + b"{}"
    content = first + b'{"a":1}' + second
    with running.connect() as one:
        for piece in [content[:40], content[40:210], content[210:]] if in_pieces else [content]:
            one.sendall(piece)
            time.sleep(0.02 * in_pieces)
        assert statuses(until_closed(one)) == [200, 200]
    assert [body for _, body, _ in running.seen] == [b'{"a":1}', b"{}"]
    assert b"upgrade" not in running.seen[0][2]


def test_what_was_asked_before_a_fault_is_answered_first(running: Story) -> None:
    running.free.clear()
    with running.connect() as one:
        one.sendall(head("POST /wait HTTP/1.1", "Content-Length: 2") + b"ab")
        one.sendall(head("POST /keep HTTP/1.1", "Content-Length: 3") + b"abc" + b"\0\r\n\r\n")
        time.sleep(0.05)
        running.free.set()
        assert statuses(until_closed(one)) == [200, 200]
    assert [body for _, body, _ in running.seen] == [b"ab", b"abc"]


def test_a_fault_in_a_second_body_is_not_the_answer_of_the_first(
    running: Story, caplog: pytest.LogCaptureFixture
) -> None:
    running.free.clear()
    with running.connect() as one:
        one.sendall(head("POST /wait HTTP/1.1", "Content-Length: 2") + b"ab")
        one.sendall(head("POST /keep HTTP/1.1", "Transfer-Encoding: chunked") + b"x\r\n\r\n")
        assert statuses(until_closed(one)) == []
    with caplog.at_level(logging.WARNING):
        running.free.set()
        await_so(lambda: not running.server.server_state.tasks)
    assert not caplog.records


def test_headers_are_bounded_and_what_fits_is_taken(running: Story) -> None:
    fits = head("GET /keep HTTP/1.1", "X: " + "a" * (MOST_HEADER_BYTES - 200), "Connection: close")
    assert statuses(running.ask(fits)) == [200]
    large = running.ask(head("GET /keep HTTP/1.1", "X: " + "a" * MOST_HEADER_BYTES))
    assert statuses(large) in ([431], [])
    assert take_refused() == 1
    with running.connect() as one, suppress(ConnectionError):
        for _ in range(100_000):
            one.sendall(b"GET /keep HTTP/1.1\r\n" if _ == 0 else b"X: 1\r\n" * 100)
    assert take_refused() == 1


def test_who_asks_slowly_is_closed_wherever_the_request_stands(running: Story) -> None:
    begun = [
        b"",
        b"G",
        b"GET /keep HTTP/1.1\r\nHost: loc",
        head("POST /keep HTTP/1.1", "Content-Length: 10"),
        head("POST /keep HTTP/1.1", "Content-Length: 10") + b"{",
        head("POST /keep HTTP/1.1", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n",
        head("POST /keep HTTP/1.1", "Transfer-Encoding: chunked") + b"0\r\nX: 1\r\n",
        head("POST /keep HTTP/1.1", "Transfer-Encoding: chunked") + b"7fffffffffffffff\r\nabc",
        b"POST /keep HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n",
    ]
    ended = threading.Event()
    connections = [running.connect() for _ in begun]
    for one, content in zip(connections, begun, strict=True):
        one.sendall(content)

    def drip() -> None:
        while not ended.wait(0.05):
            # The first two say nothing more: any further letter would be no method.
            for one in connections[2:]:
                with suppress(OSError):
                    one.sendall(b"a")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        for one in connections:
            until_closed(one)
    finally:
        ended.set()
        dripping.join()
        for one in connections:
            one.close()
    assert running.seen == []
    assert running.closed == len(begun)


def test_who_listens_slowly_is_closed_and_who_listens_is_not(running: Story) -> None:
    with running.connect() as slow, running.connect() as quick:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for one in (slow, quick):
            one.sendall(head("GET /large HTTP/1.1", "Connection: close"))
        assert len(until_closed(quick)) > len(LARGE)
        # The time for so many bytes is longer than any test, so it is moved near.
        await_so(lambda: any(one.taken_by for one in running.server.server_state.connections))
        for one in list(running.server.server_state.connections):
            one.taken_by = min(one.taken_by, 1.0)
        await_so(lambda: running.closed == 1)
        taken = b""
        with suppress(ConnectionResetError):
            while piece := slow.recv(1):
                taken += piece
                if len(taken) > 1000:
                    break
        await_so(lambda: not running.server.server_state.connections)


def test_the_time_to_take_an_answer_grows_with_what_waits_and_ends_with_it() -> None:
    class Transport:
        waiting = 0

        def get_write_buffer_size(self) -> int:
            return self.waiting

    one: Any = BoundedConnection.__new__(BoundedConnection)
    one.transport = Transport()
    assert not one.is_slow(100.0, seconds=30)
    one.transport.waiting = 1_000_000
    assert not one.is_slow(100.0, seconds=30)
    assert not one.is_slow(139.0, seconds=30)
    assert one.is_slow(141.0, seconds=30)
    one.transport.waiting = 0
    assert not one.is_slow(141.0, seconds=30)
    one.transport.waiting = 1
    assert not one.is_slow(142.0, seconds=30)


def test_who_hangs_up_anywhere_leaves_nothing_behind(running: Story) -> None:
    for number in range(60):
        with running.connect() as one:
            # A close that throws away what has come, as a killed client does.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            one.sendall(
                [
                    head("GET /large HTTP/1.1"),
                    head("POST /keep HTTP/1.1", "Content-Length: 10") + b"{",
                    head("GET /keep HTTP/1.1"),
                ][number % 3]
            )
            if number % 2:
                one.recv(10) if number % 3 != 1 else None
    await_so(lambda: not running.server.server_state.connections)
    await_so(lambda: not running.server.server_state.tasks)


def test_connections_are_bounded_and_taken_again(
    running: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedConnection, "most", 5)
    await_so(lambda: not running.server.server_state.connections)
    with contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(running.connect()) for _ in range(5)]
        for one in open_ones:
            one.sendall(head("GET /keep HTTP/1.1"))
            assert statuses(one.recv(1000)) == [200]
        with running.connect() as further:
            answer = until_closed(further)
        assert statuses(answer) == [503]
        assert b"retry-after: 1" in answer
        open_ones[0].sendall(head("GET /keep HTTP/1.1"))
        assert statuses(open_ones[0].recv(1000)) == [200]
    await_so(lambda: not running.server.server_state.connections)
    assert statuses(running.ask(head("GET /keep HTTP/1.1", "Connection: close"))) == [200]


def test_a_process_keeps_files_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(BoundedConnection, "most", 0)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: asked.append(pair))
    for limits, most in (
        ((1024, 4096), 4096 - 128),
        ((1024, 1_000_000), 10_000),
        ((1024, resource.RLIM_INFINITY), 10_000),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 10_000),
        ((200, 200), 72),
        ((64, 64), 1),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        assert allow_connections() == most == BoundedConnection.most
    assert all(soft <= 10_128 for soft, _ in asked)


def test_nobody_can_fill_a_log(running: Story, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="uvicorn.error"):
        for _ in range(20):
            running.ask(b"\0\r\n\r\n")
            running.ask(head("GET /keep HTTP/1.1", "Connection: Upgrade, close", "Upgrade: h2c"))
            running.ask(head("POST /keep HTTP/1.1", "Connection: close", "Content-Length: x"))
    assert not [one for one in caplog.records if one.name == "uvicorn.error"]
    assert take_refused() == 40


def test_every_refusal_is_a_whole_answer() -> None:
    for name in ("_NO_HTTP", "_LARGE", "_FULL"):
        answer: bytes = getattr(connection, name)
        top, _, body = answer.partition(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        said = json.loads(body)
        assert lines[0].split(" ", 2)[1] == str(said["status"])
        assert f"content-length: {len(body)}" in lines
        assert "connection: close" in lines
