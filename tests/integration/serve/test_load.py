"""A load on servers that answer as they should, badly, or not at all."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from bucle.errors import OutsideError, RequestError
from bucle.models.profile import profile_of
from bucle.models.signature import signature_of
from bucle.serve.cpu import Taken, cpu_of
from bucle.serve.load import Load, Progress, ask_once, measure
from bucle.serve.load_rows import typical_rows
from bucle.serve.loopback import Place
from bucle.serve.rows import RowReader

TOKEN = "a-token-of-this-test"
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def server(answering: Answering) -> Iterator[int]:
    """Let a server answer in a thread of its own, and give its port."""
    ready, ports = threading.Event(), []
    loops: list[Any] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await answering(reader, writer)
        writer.transport.abort()

    async def run() -> None:
        end = asyncio.Event()
        found = await asyncio.start_server(handle, "127.0.0.1", 0)
        ports.append(found.sockets[0].getsockname()[1])
        loops.append((asyncio.get_running_loop(), end))
        ready.set()
        await end.wait()
        found.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop, end = loops[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(10)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    (length,) = [
        int(line.split(":")[1])
        for line in head.splitlines()
        if line.lower().startswith("content-length")
    ]
    return head, await reader.readexactly(length)


def reply(status: str = "200 OK", body: bytes = b"{}") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def load(port: int, **changes: Any) -> Load:
    fields = {
        "place": Place(("127.0.0.1",), port),
        "token": TOKEN,
        "bodies": (b'{"x":1}', b'{"x":2}'),
        "connections": 4,
        "seconds": 0.2,
    }
    return Load(**(fields | changes))


def test_every_request_shows_token_and_name_and_all_bodies_have_their_turn() -> None:
    seen: list[tuple[str, bytes]] = []

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(reply())

    told: list[Progress] = []
    with server(answering) as port:
        asked = load(port)
        assert ask_once(asked) == "127.0.0.1"
        noted = measure(asked, address="127.0.0.1", tell=told.append)
    assert set(noted.statuses) == {200}
    assert noted.statuses[200] == len(noted.taken) <= len(seen)
    assert (noted.errors, noted.unanswered, noted.is_stopped) == (0, 0, False)
    assert noted.seconds >= 0.2
    assert all(taken > 0 for taken in noted.taken)
    assert [one.answers for one in told] == sorted(one.answers for one in told)
    assert told[-1].answers <= len(noted.taken)
    assert {body for _, body in seen} == {b'{"x":1}', b'{"x":2}'}
    for head, _ in seen:
        names = {line.split(":")[0].lower(): line for line in head.splitlines()[1:] if line}
        assert head.startswith("POST /predict HTTP/1.1\r\n")
        assert names["host"] == f"Host: 127.0.0.1:{port}"
        assert names["authorization"] == f"Authorization: Bearer {TOKEN}"
        assert names["x-request-id"] == "X-Request-ID: bucle-load"
        assert names["content-type"] == "Content-Type: application/json"


def test_a_redirect_is_an_answer_and_nobody_follows_it() -> None:
    asked_elsewhere: list[str] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_elsewhere.append((await read_request(reader))[0])

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            at = f"location: http://127.0.0.1:{other}/predict\r\n"
            writer.write(f"HTTP/1.1 307 Go\r\n{at}content-length: 0\r\n\r\n".encode())

    with server(elsewhere) as other, server(answering) as port:
        with pytest.raises(RequestError, match="answers 307") as caught:
            ask_once(load(port))
        noted = measure(load(port), address="127.0.0.1")
    assert caught.value.code == "bucle-366"
    assert set(noted.statuses) == {307}
    assert not noted.taken
    assert not asked_elsewhere


def test_connections_that_break_are_counted_and_opened_anew() -> None:
    opened: list[int] = []

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(1)
        await read_request(reader)
        writer.write(reply())
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nnot all")
        await writer.drain()

    with server(answering) as port:
        noted = measure(load(port, seconds=0.4), address="127.0.0.1")
    assert noted.errors >= 4
    assert noted.statuses[200] == len(noted.taken) > 0
    assert len(opened) > 8


def test_a_server_that_never_answers_is_left_after_a_while() -> None:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply())
        await reader.read()

    interrupts = iter([signal.SIGINT])

    def interrupt(progress: Progress) -> None:
        del progress
        for number in interrupts:
            os.kill(os.getpid(), number)

    # What was asked while it warmed up is waited for in vain, too.
    with server(answering) as port:
        noted = measure(load(port, seconds=30.0), address="127.0.0.1", tell=interrupt)
    assert noted.is_stopped
    assert noted.unanswered == 4
    assert not noted.taken


def test_nothing_that_listens_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(OutsideError, match="nothing answers there") as caught:
            ask_once(load(port))
        noted = measure(load(port), address="127.0.0.1")
    assert caught.value.code == "bucle-364"
    assert noted.errors > 0
    assert not noted.statuses


def test_a_refusal_of_the_first_request_is_passed_on() -> None:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply("422 No", b'{"title":"x is no number"}'))
        await writer.drain()

    with server(answering) as port, pytest.raises(RequestError, match="answers 422") as caught:
        ask_once(load(port))
    assert "x is no number" in caught.value.cause


def test_another_number_of_a_name_is_tried_where_the_first_does_not_answer() -> None:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply())
        await writer.drain()

    with server(answering) as port:
        place = Place(("127.0.0.2", "127.0.0.1"), port)
        assert ask_once(load(port, place=place)) == "127.0.0.1"


def test_typical_rows_are_what_a_server_takes_whatever_their_types() -> None:
    moment = datetime(2024, 1, 1, 3)  # noqa: DTZ001  (a moment without a zone is one kind)
    frame = pl.DataFrame(
        {
            "whole": [1, 2, 7],
            "number": [1.5, 2.5, None],
            "constant": ["a", "a", "a"],
            "word": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "flag": [True, True, False],
            "date": [moment.date()] * 3,
            "time": [time(1, 2, 3)] * 3,
            "moment": [moment] * 3,
            "zoned": [moment.replace(tzinfo=UTC)] * 3,
            "span": [timedelta(seconds=90)] * 3,
            "unknown": pl.Series([None] * 3, dtype=pl.Float64),
        }
    )
    signature = signature_of(frame, kind="regression", target="y")
    package: Any = SimpleNamespace(profile=profile_of(frame), signature=signature)
    reader = RowReader(signature)
    first, second = (reader.read(row)[0][0] for row in typical_rows(package))
    zoned = moment.replace(tzinfo=UTC)
    same = (moment.date(), time(1, 2, 3), moment, zoned, timedelta(seconds=90), None)
    assert tuple(reader.values(first)) == (1, 1.75, "a", "x", True, *same)
    assert tuple(reader.values(second)) == (4, 2.25, "a", "y", False, *same)


def test_cpu_is_that_of_a_process_and_its_descendants(tmp_path: Path) -> None:
    worker = "python\0-P\0-m\0bucle.loop.serving.worker\0"
    for number, parent, ticks, words in (
        (1, 0, 9999, "init\0"),
        (10, 1, 100, "bucle\0serve\0"),
        (11, 10, 300, worker),
        (12, 10, 50, "python\0-m\0bucle.loop.serving.compaction\0"),
        (13, 12, 20, "python\0"),
        (20, 1, 700, worker),
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        fields = ["S", parent, *[0] * 9, ticks - 10, 10, *[7] * 30]
        (folder / "stat").write_text(f"{number} (a ) b) {' '.join(map(str, fields))}\n")
        (folder / "cmdline").write_text(words)
    (tmp_path / "99").mkdir()
    (tmp_path / "98").mkdir()
    (tmp_path / "98" / "stat").write_text("rubbish")
    tick = os.sysconf("SC_CLK_TCK")
    assert cpu_of(10, proc=tmp_path) == {
        10: Taken(100 / tick, is_worker=False),
        11: Taken(300 / tick, is_worker=True),
        12: Taken(50 / tick, is_worker=False),
        13: Taken(20 / tick, is_worker=False),
    }
    assert cpu_of(10, proc=tmp_path / "nowhere") == {}
    assert os.getpid() in cpu_of(os.getpid())
