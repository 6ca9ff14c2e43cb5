"""A request that is answered at once gets the very bytes that it gets on the long way."""

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from bucle.serve.app import App, Limits, Quick, Reply, Request
from bucle.serve.connection import BoundedConnection, close_slow
from bucle.serve.counts import Counts
from bucle.serve.guard import Guard
from bucle.serve.problems import ProblemError
from bucle.serve.quick import MOST_BODY_BYTES, QuickConnection

TOKEN = "t" * 32
DATED = [(b"date", b"Mon, 01 Jan 2024 00:00:00 GMT")]


class Desk:
    """Answers a body with itself, and remembers which way it came."""

    def __init__(self) -> None:
        self.ways: list[str] = []
        self.kept = 0
        self.counts = Counts()

    def app(self) -> App:
        return App(
            {b"/say": {"POST": self.say}, b"/other": {"GET": self.say}},
            Guard(TOKEN),
            self.counts,
            Limits(body_bytes=200_000),
            quick=Quick(handlers={b"/say": self.say_now}, keep=self.keep),
        )

    async def say(self, request: Request) -> Reply:
        self.ways.append("long")
        await asyncio.sleep(0)
        return self._reply(request)

    def keep(self) -> None:
        self.kept = len(self.ways)

    def say_now(self, request: Request) -> Reply | None:
        if request.body.startswith((b"wait", b"bye!")):
            return None
        self.ways.append("quick")
        return self._reply(request)

    def _reply(self, request: Request) -> Reply:
        match request.body[:4]:
            case b"bad!":
                raise ProblemError(422, "Cannot say this", code="bucle-334")
            case b"fail":
                raise RuntimeError("inside")
            case b"more":
                return Reply(b"", b"text/plain", 503, ((b"retry-after", b"1"),))
            case b"bye!":
                return Reply(b"", b"text/plain", 200, ((b"connection", b"close"),))
            case _:
                return Reply(request.body[::-1])


def post(body: bytes, *lines: str, path: str = "/say", length: bool = True) -> bytes:
    given = ["host: localhost", f"authorization: Bearer {TOKEN}", *lines]
    if length:
        given.append(f"content-length: {len(body)}")
    head = "\r\n".join([f"POST {path} HTTP/1.1", *given, "", ""])
    return head.encode() + body


LAST = post(b"the end", "connection: close")
SAID = {
    "good then garbage": post(b"good") + b"garbage\r\n\r\n",
    "last then more": post(b"good", "connection: close") + post(b"more"),
    "one": post(b"hello"),
    "empty": post(b""),
    "several": post(b"one") + post(b"two") + post(b"three"),
    "mixed": post(b"one") + post(b"wait") + post(b"three"),
    "waits": post(b"wait and see"),
    "refused": post(b"bad!") + post(b"good"),
    "failed": post(b"fail") + post(b"good"),
    "headers": post(b"more"),
    "closing": post(b"bye!"),
    "large": post(b"x" * MOST_BODY_BYTES) + post(b"x" * (MOST_BODY_BYTES + 1)),
    "too large": post(b"x" * 200_001),
    "endless length": post(b"x", "content-length: 1", length=False).replace(b": 1\r", b": 1" * 9),
    "wrong token": post(b"x").replace(b"ttt", b"tat") + post(b"good"),
    "no token": post(b"x").replace(b"authorization", b"x-nothing"),
    "wrong host": post(b"x").replace(b"localhost", b"evil.com"),
    "browser": post(b"x", "origin: http://localhost", "sec-fetch-site: same-origin"),
    "foreign page": post(b"x", "origin: http://evil.com"),
    "twice": post(b"x", "content-type: a/b", "content-type: application/json"),
    "chunks": post(b"5\r\nhello\r\n0\r\n\r\n", "transfer-encoding: chunked", length=False),
    "both lengths": post(b"5\r\nhello\r\n0\r\n\r\n", "transfer-encoding: chunked"),
    "no length": post(b"", length=False),
    "expects": post(b"hello", "expect: 100-continue"),
    "packed": post(b"hello", "content-encoding: gzip"),
    "upgrade": post(b"hello", "connection: upgrade", "upgrade: h2c"),
    "other path": post(b"x", path="/nothing") + post(b"x", path="/other"),
    "query": post(b"x", path="/say?a=1"),
    "fragment": post(b"x", path="/say#a"),
    "old": post(b"x").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "get": b"GET /other HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer "
    + TOKEN.encode()
    + b"\r\n\r\n",
    "method": post(b"x").replace(b"POST", b"PUT"),
    "no http": b"hello\r\n\r\n",
    "large head": post(b"x", "x-much: " + "y" * 40_000),
}


async def converse(kind: type[BoundedConnection], pieces: list[bytes]) -> tuple[bytes, Desk]:
    """Send pieces one by one to a server of that kind, and return all that it says."""
    desk = Desk()
    config = uvicorn.Config(
        desk.app(), ws="none", lifespan="off", proxy_headers=False, log_level="critical"
    )
    config.load()
    state = ServerState()
    state.default_headers = DATED
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: kind(config=config, server_state=state, app_state={}, _loop=loop), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.002)
            said = await asyncio.wait_for(reader.read(), 20)
        except ConnectionError:
            said = b""
        writer.close()
    return said, desk


def cut(raw: bytes, how: str) -> list[bytes]:
    match how:
        case "whole":
            return [raw]
        case "body apart":
            return [part + b"\r\n\r\n" for part in raw.split(b"\r\n\r\n")[:-1]] + [
                raw.split(b"\r\n\r\n")[-1]
            ]
        case _:
            size = max(len(raw) // 40, 7)
            return [raw[at : at + size] for at in range(0, len(raw), size)]


@pytest.mark.parametrize("how", ["whole", "body apart", "in pieces"])
@pytest.mark.parametrize("name", sorted(SAID))
def test_both_ways_say_the_same(name: str, how: str) -> None:
    pieces = cut(SAID[name] + LAST, how)

    async def both() -> Any:
        return await converse(BoundedConnection, pieces), await converse(QuickConnection, pieces)

    (wanted, slow), (found, quick) = asyncio.run(both())
    assert found == wanted
    assert len(quick.ways) == len(slow.ways)
    assert quick.counts.requests == slow.counts.requests
    assert quick.counts.events == slow.counts.events


def test_a_plain_request_is_answered_at_once() -> None:
    pieces = [post(b"one"), post(b"two"), post(b"wait"), LAST]
    said, desk = asyncio.run(converse(QuickConnection, pieces))
    assert desk.ways == ["quick", "quick", "long", "quick"]
    assert [part[-3:] for part in said.split(b"HTTP/1.1 200 OK")[1:3]] == [b"eno", b"owt"]


def test_of_requests_that_come_together_only_the_first_is() -> None:
    _, desk = asyncio.run(converse(QuickConnection, [post(b"one") + post(b"two") + LAST]))
    assert desk.ways == ["quick", "long", "long"]


def test_a_connection_that_was_answered_and_stays_quiet_is_closed() -> None:
    async def story() -> tuple[bytes, int]:
        config = uvicorn.Config(Desk().app(), lifespan="off", ws="none", proxy_headers=False)
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: QuickConnection(config=config, server_state=state, app_state={}, _loop=loop),
            "127.0.0.1",
            0,
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(post(b"hello"))
            await reader.readuntil(b"olleh")
            assert close_slow(state.connections, seconds=30) == 0
            assert not reader.at_eof()
            (connection,) = state.connections
            connection.timeout_keep_alive = 0
            await asyncio.sleep(0.01)
            slow = close_slow(state.connections, seconds=30)
            rest = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return rest, slow

    assert asyncio.run(story()) == (b"", 0)


def test_a_stop_waits_for_the_request_that_is_being_read() -> None:
    async def story() -> bytes:
        config = uvicorn.Config(Desk().app(), lifespan="off", ws="none", proxy_headers=False)
        config.load()
        state = ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: QuickConnection(config=config, server_state=state, app_state={}, _loop=loop),
            "127.0.0.1",
            0,
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            raw = post(b"hello")
            writer.write(raw[:-3])
            await asyncio.sleep(0.05)
            for connection in list(state.connections):
                connection.shutdown()
            writer.write(raw[-3:])
            said = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return said

    said = asyncio.run(story())
    assert said.startswith(b"HTTP/1.1 200")
    assert said.endswith(b"olleh")
