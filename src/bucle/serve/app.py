"""The one ASGI app: who may ask is checked first, then a route is found, then it answers.

Paths are compared as they came, never decoded and never turned into files. An answer is built from
one set of slots that was taken once, so that it never mixes models. Imports nothing heavy.
"""

import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol

from msgspec import Struct

from bucle.errors import BucleError, OutsideError
from bucle.serve.counts import Counts
from bucle.serve.guard import Guard, Headers
from bucle.serve.problems import MEDIA_TYPE, ProblemError, problem_body

__all__ = [
    "App",
    "Handler",
    "Later",
    "Leaver",
    "Limits",
    "Quick",
    "QuickHandler",
    "Receive",
    "Reply",
    "Request",
    "Scope",
    "Send",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_OK = 200
_JSON = b"application/json"
# Clients of the Open Inference Protocol read `error`, and only in plain JSON.
_PLAIN = b"/v2"
_BODILESS = frozenset({"GET", "HEAD"})
_TOGETHER = 8
"""Long requests that are worked on together: more would hold too much, and keep others waiting."""


class Request(Struct, frozen=True):
    """What a handler gets of a request: its headers, its body and its query, all as bytes."""

    headers: Headers
    body: bytes
    query: bytes


class Reply(Struct, frozen=True):
    """An answer: its body, the type of that, and the status."""

    body: bytes
    kind: bytes = _JSON
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


_BETWEEN_COMPLAINTS_S = 1.0

Handler = Callable[[Request], Awaitable[Reply]]


class Later(Protocol):
    """An answer that is there once it was put on record."""

    def take(self) -> Reply:
        """Return it.

        Raises:
            ProblemError: There is none, and why.
        """
        ...


QuickHandler = Callable[[Request], Reply | Later | None]
"""Answers at once, or returns None without having done anything, and is asked the long way.

Its answers leave the connection open.
"""


class Leaver(Protocol):
    """A connection with an answer that waits to leave."""

    def leave(self, reply: Reply, *, keeps_open: bool) -> None:
        """Send an answer."""
        ...


class Quick(Struct, frozen=True, kw_only=True):
    """What may answer a POST without waiting for anything, by path.

    `keep` puts on record what was answered since it was called last, all of it or nothing; no
    answer leaves before, and those that come later are there then.
    """

    handlers: Mapping[bytes, QuickHandler] = {}
    keep: Callable[[], None] = lambda: None


class Limits(Struct, frozen=True, kw_only=True):
    """How much a worker takes: bytes of a body, requests that may be under way at once."""

    body_bytes: int = 10_000_000
    under_way: int = 4096


class App:
    """Answers HTTP requests.

    Args:
        routes: Path → method → handler.
        guard: Says who may ask.
        counts: Where answers are counted.
        limits: How much it takes.
        quick: What may answer at once.
        complain: Told of failures inside, which clients learn nothing of; at most one a second.
    """

    def __init__(
        self,
        routes: Mapping[bytes, Mapping[str, Handler]],
        guard: Guard,
        counts: Counts,
        limits: Limits | None = None,
        *,
        quick: Quick | None = None,
        complain: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.routes = routes
        quick = quick or Quick()
        self.quick, self._keep = quick.handlers, quick.keep
        self._leaving: list[tuple[Leaver, bytes, Reply | Later, float, bool]] = []
        self._later = 0
        self._guard = guard
        self._counts = counts
        self._limits = limits or Limits()
        self._under_way = 0
        self._complain = complain
        self._complained_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is answered here, {scope['type']!r} is not")
        began = time.perf_counter()
        path: bytes = scope["raw_path"]
        self._under_way += 1
        try:
            try:
                reply = await self._answer(scope, path, receive)
            except ProblemError as problem:
                reply = self._refuse(problem, path)
            except Exception as error:  # noqa: BLE001  (a client must never see a traceback)
                reply = _refused(self._failed(error), path)
        finally:
            self._under_way -= 1
        known = path if path in self.routes else b"other"
        self._counts.answered(known.decode(), reply.status, time.perf_counter() - began)
        await _send(send, reply, with_body=scope["method"] != "HEAD")

    def admits(self, headers: Headers, *, address: str) -> bool:
        """Tell whether a request may be put to `answer_now`; all others go the long way."""
        return self._guard.admits(headers, address=address)

    @property
    def is_full(self) -> bool:
        """Whether so many answers wait that `settle` is to be called before the next is read."""
        return self._later >= _TOGETHER

    def answer_now(
        self, path: bytes, request: Request, *, to: Leaver, keeps_open: bool
    ) -> bool | None:
        """Answer a POST that was admitted; None where that has to wait for something.

        The answer leaves with `settle`, which has to be called in this turn of the event loop
        where True is returned, and was announced before where False is.
        """
        limits = self._limits
        if self._under_way >= limits.under_way or len(request.body) > limits.body_bytes:
            return None
        began = time.perf_counter()
        try:
            reply = self.quick[path](request)
        except ProblemError as problem:
            reply = self._refuse(problem, path)
        except Exception as error:  # noqa: BLE001  (as for a call)
            reply = _refused(self._failed(error), path)
        if reply is None:
            return None
        self._leaving.append((to, path, reply, began, keeps_open))
        self._later += not isinstance(reply, Reply)
        return len(self._leaving) == 1

    def settle(self) -> None:
        """Put on record what was answered at once, then let the answers leave."""
        leaving, self._leaving, self._later = self._leaving, [], 0
        if not leaving:
            return
        failure = None
        try:
            self._keep()
        except Exception as error:  # noqa: BLE001  (as for a call)
            failure = error
        now = time.perf_counter()
        for to, path, reply, began, keeps_open in leaving:
            said = reply if isinstance(reply, Reply) else self._taken(reply, path)
            if failure is not None and said.status == _OK:
                said = _refused(self._failed(failure), path)
            self._counts.answered(path.decode(), said.status, now - began)
            to.leave(said, keeps_open=keeps_open)

    def _taken(self, later: Later, path: bytes) -> Reply:
        try:
            return later.take()
        except ProblemError as problem:
            return self._refuse(problem, path)
        except Exception as error:  # noqa: BLE001  (as for a call)
            return _refused(self._failed(error), path)

    async def _answer(self, scope: Scope, path: bytes, receive: Receive) -> Reply:
        server = scope["server"]
        headers = self._guard.check(scope["headers"], address=server[0] if server else "")
        if scope["http_version"] != "1.1" or b"transfer-encoding" in headers:
            _require_one_reading(headers, scope["http_version"])
        try:
            methods = self.routes[path]
        except KeyError:
            raise _nothing_here() from None
        method: str = scope["method"]
        handler = methods.get(method)
        if handler is None:
            raise ProblemError(
                405,
                f"Cannot {method[:20]} this",
                headers={b"allow": ", ".join(methods).encode()},
                code="bucle-337",
            )
        if self._under_way > self._limits.under_way:
            raise _busy()
        body = b"" if method in _BODILESS else await self._read(headers, receive)
        return await handler(Request(headers, body, scope["query_string"]))

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        """Return a body, or refuse it before it has taken more memory than allowed."""
        most = self._limits.body_bytes
        if b"content-encoding" in headers:
            _require_plain(headers[b"content-encoding"])
        announced = headers.get(b"content-length", b"")
        if len(announced) > 15 or int(announced or b"0") > most:  # noqa: PLR2004  (digits)
            raise _too_large(most)
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            _require_whole(message)
            if len(body) > most:
                raise _too_large(most)
            return body
        parts, size = [body], len(body)
        while message.get("more_body", False):
            if size > most:
                raise _too_large(most)
            message = await receive()
            _require_whole(message)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if size > most:
            raise _too_large(most)
        return b"".join(parts)

    def _refuse(self, problem: ProblemError, path: bytes) -> Reply:
        """Return the answer that refuses, and count the rows it refuses."""
        for one in problem.errors:
            # A name that a client has made up is no label of a metric.
            column = "" if one.reason == "unknown field" else one.field
            self._counts.refused(one.reason, column)
        if problem.code == "bucle-334":
            self._counts.refused("model", "")
        return _refused(problem, path)

    def _failed(self, error: Exception) -> ProblemError:
        """Return what a client learns of a failure inside: that there was one."""
        if isinstance(error, OutsideError):
            # The prediction log takes no more: what is not on record is not answered.
            self._counts.noted("refused for the disk")
            return ProblemError(503, error.what, headers={b"retry-after": b"5"}, code=error.code)
        self._counts.noted("failure")
        now = time.monotonic()
        if now - self._complained_at >= _BETWEEN_COMPLAINTS_S:
            self._complained_at = now
            self._complain("".join(traceback.format_exception(error)).rstrip())
        if isinstance(error, BucleError):
            return ProblemError(500, error.what, code=error.code)
        return ProblemError(500, "The server failed", code="bucle-338")


async def _send(send: Send, reply: Reply, *, with_body: bool) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": reply.status,
            "headers": [
                (b"content-type", reply.kind),
                (b"content-length", b"%d" % len(reply.body)),
                (b"x-content-type-options", b"nosniff"),
                *reply.headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": reply.body if with_body else b""})


def _refused(problem: ProblemError, path: bytes) -> Reply:
    headers = problem.headers
    if path.startswith(_PLAIN):
        return Reply(problem_body(problem, named=True), _JSON, problem.status, headers)
    return Reply(problem_body(problem), MEDIA_TYPE, problem.status, headers)


def _require_whole(message: MutableMapping[str, Any]) -> None:
    if message["type"] == "http.disconnect":
        raise ProblemError(400, "The client hung up before its request was whole", code="bucle-332")


def _require_one_reading(headers: Headers, version: str) -> None:
    """Refuse what another server on the way may read as two requests, or as half of one."""
    coding = headers.get(b"transfer-encoding")
    if version not in {"1.1", "1.0"} or (
        coding is not None and (coding.lower() != b"chunked" or version == "1.0")
    ):
        raise ProblemError(
            400,
            "Cannot read a request that is coded like this",
            headers={b"connection": b"close"},
            attempt="Content-Length, or Transfer-Encoding: chunked and no other, over HTTP/1.1",
            code="bucle-358",
        )


def _require_plain(coding: bytes) -> None:
    """Refuse a compressed body: a small one may unpack to any size."""
    if coding.strip().lower() not in {b"", b"identity"}:
        raise ProblemError(
            415,
            "Cannot read a compressed body",
            cause=f"Content-Encoding is {coding.decode('latin-1')[:60]!r}",
            headers={b"accept-encoding": b"identity"},
            attempt="the same body as it is",
            code="bucle-360",
        )


def _too_large(most: int) -> ProblemError:
    return ProblemError(
        413,
        f"The request is larger than {most:,} bytes",
        headers={b"connection": b"close"},
        attempt="fewer rows in a request, or max_body_mb in [serve] of bucle.toml",
        code="bucle-332",
    )


def _nothing_here() -> ProblemError:
    return ProblemError(404, "There is nothing here", attempt="GET /docs", code="bucle-337")


def _busy() -> ProblemError:
    return ProblemError(
        503,
        "Cannot answer now: too many requests are under way",
        headers={b"retry-after": b"1"},
        attempt="once more in a second, or more workers: bucle serve --workers 2",
        code="bucle-333",
    )
