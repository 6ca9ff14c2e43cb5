"""The app as a server drives it: a scope in, messages out."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import pytest

from bucle.errors import OutsideError, PackageError
from bucle.serve.app import App, Limits, Reply, Request
from bucle.serve.counts import Counts
from bucle.serve.guard import Guard
from bucle.serve.problems import ProblemError

TOKEN = "t" * 32
OURS = [(b"host", b"localhost"), (b"authorization", b"Bearer " + TOKEN.encode())]


class Got(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers[b"content-type"] == b"application/problem+json"
        found: dict[str, Any] = json.loads(self.body)
        assert found["status"] == self.status
        return found


async def echo(request: Request) -> Reply:
    return Reply(request.body + b"|" + request.query)


async def fixed(request: Request) -> Reply:
    del request
    return Reply(b"fixed", b"text/plain", headers=((b"x-extra", b"1"),))


def raising(error: Exception) -> Callable[[Request], Awaitable[Reply]]:
    async def handler(request: Request) -> Reply:
        del request
        raise error

    return handler


def make(
    limits: Limits | None = None, counts: Counts | None = None, **more: Mapping[str, Any]
) -> App:
    routes = {b"/echo": {"POST": echo}, b"/fixed": {"GET": fixed, "HEAD": fixed}}
    routes |= {f"/{name}".encode(): dict(methods) for name, methods in more.items()}
    return App(routes, Guard(TOKEN), counts or Counts(), limits)


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def ask(
    app: App,
    path: str = "/echo",
    *pieces: dict[str, Any],
    method: str = "POST",
    headers: list[tuple[bytes, bytes]] | None = None,
    query: bytes = b"",
    version: str = "1.1",
) -> Got:
    scope = {
        "type": "http",
        "http_version": version,
        "method": method,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": OURS if headers is None else headers,
        "server": ("127.0.0.1", 8000),
    }
    coming = iter(pieces or (piece(b""),))
    sent: list[Any] = []

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, end = sent
    headers_of = dict(start["headers"])
    twice = sum(name == b"www-authenticate" for name, _ in start["headers"]) == 2
    assert len(headers_of) == len(start["headers"]) - twice
    return Got(start["status"], headers_of, end["body"])


def got(app: App, path: str = "/echo", *pieces: dict[str, Any], **options: Any) -> Got:
    return asyncio.run(ask(app, path, *pieces, **options))


def test_a_handler_gets_body_and_query_and_its_answer_is_sent() -> None:
    answer = got(make(), "/echo", piece(b"abc"), query=b"a=1&b=%20")
    assert (answer.status, answer.body) == (200, b"abc|a=1&b=%20")
    assert answer.headers[b"content-length"] == b"13"
    assert answer.headers[b"x-content-type-options"] == b"nosniff"


def test_a_body_in_pieces_is_put_together() -> None:
    pieces = [piece(b"ab", more=True), piece(b"", more=True), piece(b"c", more=True), piece(b"")]
    assert got(make(), "/echo", *pieces).body == b"abc|"


def test_head_is_get_without_the_body() -> None:
    whole = got(make(), "/fixed", method="GET")
    head = got(make(), "/fixed", method="HEAD")
    assert (whole.body, head.body) == (b"fixed", b"")
    assert whole.headers == head.headers
    assert whole.headers[b"x-extra"] == b"1"
    missing = got(make(), "/none", method="HEAD")
    assert (missing.status, missing.body) == (404, b"")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/echo/",
        "//echo",
        "/Echo",
        "/echo%20",
        "/%65cho",
        "/../echo",
        "/..;/echo",
        "/echo\0",
    ],
)
def test_a_path_is_taken_as_it_is(path: str) -> None:
    assert got(make(), path).problem["code"] == "bucle-337"
    assert got(make(), path).status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "TRACE", "X" * 500])
def test_another_method_is_refused_with_those_that_are_allowed(method: str) -> None:
    answer = got(make(), method=method)
    assert answer.status == 405
    assert answer.headers[b"allow"] == b"POST"
    assert len(answer.body) < 300 or method == "HEAD"


def test_who_may_not_ask_does_not_learn_what_is_there() -> None:
    for path in ("/echo", "/none"):
        answer = got(make(), path, headers=[OURS[0]])
        assert answer.status == 401
        assert b"www-authenticate" in answer.headers


def test_a_body_that_is_announced_as_too_large_is_never_read() -> None:
    headers = [*OURS, (b"content-length", b"11")]
    answer = got(make(Limits(body_bytes=10)), "/echo", {"type": "unread"}, headers=headers)
    assert answer.status == 413
    assert answer.headers[b"connection"] == b"close"
    longer = [*OURS, (b"content-length", b"9" * 5000)]
    assert got(make(), "/echo", {"type": "unread"}, headers=longer).status == 413


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(b"a" * 11)],
        [piece(b"a" * 10, more=True), piece(b"a")],
        [piece(b"a" * 5, more=True), piece(b"a" * 6, more=True), {"type": "unread"}],
    ],
)
def test_a_body_that_grows_too_large_is_refused(pieces: list[dict[str, Any]]) -> None:
    assert got(make(Limits(body_bytes=10)), "/echo", *pieces).status == 413


def test_a_body_of_just_the_limit_is_read() -> None:
    assert got(make(Limits(body_bytes=10)), "/echo", piece(b"a" * 10)).status == 200


@pytest.mark.parametrize("pieces", [[], [piece(b"abc", more=True)]])
def test_a_client_that_hangs_up_is_not_answered_by_the_handler(pieces: list[Any]) -> None:
    called: list[Request] = []

    async def keep(request: Request) -> Reply:
        called.append(request)
        return Reply(b"")

    app = make(keep={"POST": keep})
    assert got(app, "/keep", *pieces, {"type": "http.disconnect"}).status == 400
    assert not called


def test_a_handlers_refusal_is_sent_with_its_headers() -> None:
    problem = ProblemError(418, "No", headers={b"retry-after": b"9"}, cause="why", code="bucle-1")
    answer = got(make(bad={"POST": raising(problem)}), "/bad")
    assert answer.headers[b"retry-after"] == b"9"
    assert answer.problem == {
        "type": "urn:bucle:bucle-1",
        "title": "No",
        "status": 418,
        "code": "bucle-1",
        "detail": "why",
    }


@pytest.mark.parametrize(
    "error",
    [ValueError("secret"), KeyError("secret"), MemoryError("secret"), RecursionError("secret")],
)
def test_a_handler_that_fails_gives_500_without_its_words(error: Exception) -> None:
    counts = Counts()
    answer = got(make(counts=counts, bad={"POST": raising(error)}), "/bad")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert answer.problem["code"] == "bucle-338"
    assert counts.events == {"failure": 1}


def test_an_error_of_ours_keeps_the_inside_to_itself() -> None:
    error = PackageError("It is damaged", cause="secret", where="/secret", code="bucle-160")
    answer = got(make(bad={"POST": raising(error)}), "/bad")
    assert (answer.status, answer.problem["title"]) == (500, "It is damaged")
    assert b"secret" not in answer.body


def test_a_full_disk_is_answered_with_503() -> None:
    counts = Counts()
    error = OutsideError("The disk is full", cause="secret", code="bucle-320")
    answer = got(make(counts=counts, bad={"POST": raising(error)}), "/bad")
    assert (answer.status, answer.headers[b"retry-after"]) == (503, b"5")
    assert b"secret" not in answer.body
    assert counts.events == {"refused for the disk": 1}


def test_more_requests_than_allowed_at_once_are_refused_and_then_taken_again() -> None:
    async def story() -> None:
        free = asyncio.Event()

        async def wait(request: Request) -> Reply:
            del request
            await free.wait()
            return Reply(b"done")

        app = make(Limits(under_way=2), wait={"POST": wait})
        under_way = [asyncio.create_task(ask(app, "/wait")) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await ask(app, "/echo")
        assert (refused.status, refused.headers[b"retry-after"]) == (503, b"1")
        free.set()
        assert [one.status for one in await asyncio.gather(*under_way)] == [200, 200]
        assert (await ask(app, "/echo")).status == 200

    asyncio.run(story())


def test_a_request_that_is_cancelled_is_no_longer_under_way() -> None:
    async def story() -> None:
        async def never(request: Request) -> Reply:
            del request
            await asyncio.Event().wait()
            raise AssertionError

        app = make(Limits(under_way=1), never={"POST": never})
        task = asyncio.create_task(ask(app, "/never"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await ask(app, "/echo")).status == 200

    asyncio.run(story())


def test_every_answer_is_counted_and_strange_paths_together() -> None:
    counts = Counts()
    app = make(counts=counts)
    for path in ("/echo", "/a", "/b", "/echo/"):
        got(app, path)
    got(app, "/echo", headers=[])
    assert counts.requests == {"/echo\t200": 1, "other\t404": 3, "/echo\t421": 1}
    assert sum(counts.buckets) == 5


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_http_is_not_taken(kind: str) -> None:
    async def unused(*_: Any) -> Any:
        raise AssertionError

    with pytest.raises(ValueError, match="only HTTP"):
        asyncio.run(make()({"type": kind}, unused, unused))


@pytest.mark.parametrize("version", ["2.0", "0.9", "3", ""])
def test_another_version_of_http_is_refused(version: str) -> None:
    answer = got(make(), version=version)
    assert (answer.status, answer.problem["code"]) == (400, "bucle-358")
    assert answer.headers[b"connection"] == b"close"


@pytest.mark.parametrize(
    "coding", [b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity", b"", b" chunked"]
)
def test_a_body_that_is_coded_otherwise_is_refused_before_it_is_read(coding: bytes) -> None:
    headers = [*OURS, (b"transfer-encoding", coding)]
    answer = got(make(), "/echo", {"type": "unread"}, headers=headers)
    assert (answer.status, answer.problem["code"]) == (400, "bucle-358")
    assert answer.headers[b"connection"] == b"close"


def test_chunks_are_for_the_version_that_has_them() -> None:
    headers = [*OURS, (b"transfer-encoding", b"Chunked")]
    assert got(make(), headers=headers).status == 200
    assert got(make(), headers=headers, version="1.0").status == 400


@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b"br", b"deflate", b"identity, gzip", b"x"])
def test_a_compressed_body_is_refused_before_it_is_read(coding: bytes) -> None:
    headers = [*OURS, (b"content-encoding", coding)]
    answer = got(make(), "/echo", {"type": "unread"}, headers=headers)
    assert (answer.status, answer.problem["code"]) == (415, "bucle-360")
    assert answer.headers[b"accept-encoding"] == b"identity"


@pytest.mark.parametrize("coding", [b"identity", b" Identity ", b""])
def test_a_body_that_is_as_it_is_is_read(coding: bytes) -> None:
    assert got(make(), headers=[*OURS, (b"content-encoding", coding)]).status == 200


def test_what_a_client_does_not_learn_is_told_to_who_runs_the_server() -> None:
    told: list[str] = []
    routes = {b"/bad": {"POST": raising(ZeroDivisionError("by nothing"))}}
    app = App(routes, Guard(TOKEN), Counts(), complain=told.append)

    async def story() -> None:
        for _ in range(20):
            assert (await ask(app, "/bad", piece(b""))).status == 500

    asyncio.run(story())
    # Many at once are told of once.
    assert len(told) == 1
    assert told[0].startswith("Traceback")
    assert told[0].endswith("ZeroDivisionError: by nothing")
