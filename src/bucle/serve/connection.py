"""Connections with limits: how many, how large their headers, how long for a request or an answer.

A thin layer on uvicorn's protocol; what it refuses never reaches the app. A request that is no
HTTP/1.1 costs its sender the connection and this server nothing but a count: no line is written,
so that nobody can fill a disk with them.
"""

import asyncio
import resource
from collections.abc import Iterable
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bucle.serve.problems import MEDIA_TYPE, ProblemError, problem_body

__all__ = [
    "MOST_HEADER_BYTES",
    "BoundedConnection",
    "allow_connections",
    "close_slow",
    "take_refused",
]

MOST_HEADER_BYTES = 32_768
_MOST_CONNECTIONS = 10_000
_OTHER_FILES = 128
_SLOWEST_BYTES_S = 100_000
_UPGRADES = frozenset({b"upgrade", b"http2-settings"})


def _whole_answer(line: bytes, problem: ProblemError) -> bytes:
    body = problem_body(problem)
    headers = [b"content-type: " + MEDIA_TYPE, b"content-length: %d" % len(body)]
    headers += [b"x-content-type-options: nosniff", b"connection: close"]
    headers += [name + b": " + value for name, value in problem.headers]
    return b"\r\n".join([b"HTTP/1.1 " + line, *headers, b"", body])


_NO_HTTP = _whole_answer(
    b"400 Bad Request",
    ProblemError(
        400,
        "Cannot read this as one request over HTTP",
        attempt="HTTP/1.1, a path that begins with /, one length, no # and no bare line end",
        code="bucle-358",
    ),
)
_LARGE = _whole_answer(
    b"431 Request Header Fields Too Large",
    ProblemError(
        431,
        f"The headers of a request are larger than {MOST_HEADER_BYTES:,} bytes",
        attempt="what is long belongs into the body",
        code="bucle-359",
    ),
)
_FULL = _whole_answer(
    b"503 Service Unavailable",
    ProblemError(
        503,
        "Cannot answer now: too many connections are open",
        headers={b"retry-after": b"1"},
        attempt="several requests over one connection",
        code="bucle-361",
    ),
)


class BoundedConnection(HttpToolsProtocol):
    """One connection; `began` is when the request that is being read began, 0 between requests.

    `quiet_since` is when it was last answered without a timer to close it, 0 where one runs;
    `taken_by` is until when the client has to have taken what it was answered, 0 where nothing
    waits for it. `most` and `refused` are those of the whole process: how many connections may be
    open, and how many requests were refused since somebody asked.
    """

    most: ClassVar[int] = _MOST_CONNECTIONS
    refused: ClassVar[int] = 0
    began = 0.0
    taken_by = 0.0
    quiet_since = 0.0
    _in_headers = True
    _header_bytes = 0
    _is_over = False
    _running: Any = None
    _offer: tuple[bytes, list[tuple[bytes, bytes]]] | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock of the first request: a connection that says nothing is closed too."""
        super().connection_made(transport)
        self.began = self.loop.time()
        if len(self.connections) > BoundedConnection.most:
            self._refuse(_FULL)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless its headers have grown too large."""
        if self._is_over:
            return
        self._header_bytes += len(data)
        if self._in_headers:
            if self._header_bytes > MOST_HEADER_BYTES and not self._is_body(data):
                self._refuse(_LARGE)
                return
            self._feed(data)
            return
        # What comes after the headers and is no body is trailers.
        self._feed(data)
        if self._header_bytes > MOST_HEADER_BYTES and not self._in_headers:
            self._refuse(_LARGE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request that is being answered know, even if others came after it."""
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        self.began = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Count no more: what follows is a body, which the app limits."""
        if self.url[:1] != b"/" or b"#" in self.url:
            # Of two hosts, or of two paths, somebody would have to choose.
            raise ValueError("no path")
        self._in_headers, self._header_bytes = False, 0
        if self.parser.should_upgrade():
            self._offer = (self.parser.get_method(), self.headers)
            return
        super().on_headers_complete()
        # Trailers must not pass for headers.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """Begin the count anew: this was no header."""
        self._header_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is here."""
        if self._offer is not None:
            return
        self.began, self._in_headers, self._header_bytes = 0.0, True, 0
        super().on_message_complete()

    def is_slow(self, now: float, *, seconds: float) -> bool:
        """Tell whether a request has been coming, or an answer has been taken, for too long.

        An answer has that time, and a second more for each hundred thousand bytes of it that wait.
        """
        waiting = self.transport.get_write_buffer_size()
        if not waiting:
            self.taken_by = 0.0
        elif not self.taken_by:
            self.taken_by = now + seconds + waiting / _SLOWEST_BYTES_S
        return (0.0 < self.taken_by < now) or (0.0 < self.began < now - seconds)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(_NO_HTTP)

    def _decline(self, rest: bytes) -> None:
        """Go on in HTTP/1.1 with a client that has offered another protocol.

        The parser has taken everything after the headers for that protocol, so another one reads
        the same request without the offer.
        """
        method, headers = self._offer or (b"CONNECT", [])
        self._offer = None
        if method == b"CONNECT":
            self._refuse(_NO_HTTP)
            return
        kept = [pair for pair in headers if pair[0] not in _UPGRADES]
        lines = [name + b": " + _without_offer(name, value) for name, value in kept]
        head = b"\r\n".join([method + b" " + self.url + b" HTTP/1.1", *lines, b"", b""])
        self.parser = httptools.HttpRequestParser(self)
        self._feed(head + rest)

    def _refuse(self, answer: bytes) -> None:
        """Close; what was asked for before is still answered, and nothing else is."""
        if self._is_over or self.transport.is_closing():
            return
        self._is_over = True
        BoundedConnection.refused += 1
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False
            return
        if not self.pipeline:
            self.transport.write(answer)
        self.transport.close()

    def _is_body(self, data: bytes) -> bool:
        """Tell whether headers end within the limit and only a body makes this piece long."""
        end = data.find(b"\r\n\r\n")
        return end >= 0 and self._header_bytes - len(data) + end <= MOST_HEADER_BYTES


def close_slow(connections: Iterable[Any], *, seconds: float) -> int:
    """Close connections that are slow to ask or slow to listen, or quiet; return how many are slow.

    What still waits to be sent to them is dropped: to wait for it is what they are closed for.
    """
    now = asyncio.get_running_loop().time()
    connections = [one for one in connections if isinstance(one, BoundedConnection)]
    for one in connections:
        if 0.0 < one.quiet_since < now - one.timeout_keep_alive:
            one.transport.close()
    slow = [one for one in connections if one.is_slow(now, seconds=seconds)]
    for one in slow:
        one.transport.abort()
    return len(slow)


def take_refused() -> int:
    """Return how many requests this process has refused unread since it was last asked."""
    count, BoundedConnection.refused = BoundedConnection.refused, 0
    return count


def allow_connections() -> int:
    """Let this process open as many files as the system allows, and connections so few less.

    Returns:
        How many connections may be open; the prediction log and the models find room beside them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)
    BoundedConnection.most = max(1, most - _OTHER_FILES)
    return BoundedConnection.most


def _without_offer(name: bytes, value: bytes) -> bytes:
    """Return a header's value, that of Connection without the words that offer something."""
    if name != b"connection":
        return value
    words = [word.strip().lower() for word in value.split(b",")]
    return b", ".join(word for word in words if word not in _UPGRADES)
