"""Every door of `bucle serve`: route × method × token × Host × Origin, and what it never tells."""

import base64
import contextlib
import itertools
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from serving import Server, serve

KNOWN = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "QUERY")
UNKNOWN = ("CONNECT", "get", "Post", "FETCH", "")
NOWHERE = (
    "/",
    "/none",
    "/predict/",
    "//predict",
    "/Predict",
    "/.bucle/serve/token",
    "/favicon.ico",
)
EVIL_ORIGINS = (
    "null",
    "http://evil.com",
    "http://localhost.evil.com",
    "http://evil-localhost",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "chrome-extension://a",
)


@pytest.fixture(scope="module")
def server(champions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("doors") / "shop"
    shutil.copytree(champions, folder, symlinks=True)
    with serve(folder) as found:
        yield found


@pytest.fixture(scope="module")
def routes(server: Server) -> dict[str, frozenset[str]]:
    with server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert {"/predict", "/feedback", "/model", "/metrics", "/healthz", "/docs"} <= set(paths)
    return {
        path: frozenset(name.upper() for name in methods)
        | ({"HEAD"} if "get" in methods else frozenset())
        for path, methods in paths.items()
    }


class Told(NamedTuple):
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """One connection that is used again and again, and anew once the server has closed it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: socket.socket | None = None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def ask(self, method: str, path: str, *headers: tuple[str, str]) -> Told:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._server.port), timeout=30)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        found = b""
        while b"\r\n\r\n" not in found:
            piece = self._socket.recv(65_536)
            assert piece, f"no answer to {lines}"
            found += piece
        top, _, body = found.partition(b"\r\n\r\n")
        first, *rest = top.decode().split("\r\n")
        told = dict(line.lower().split(": ", 1) for line in rest)
        size = 0 if method == "HEAD" else int(told["content-length"])
        while len(body) < size:
            body += self._socket.recv(65_536)
        assert len(body) == size
        if told.get("connection") == "close":
            self.close()
        return Told(int(first.split(" ")[1]), told, body)


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    with contextlib.closing(Line(server)) as found:
        yield found


def tokens_of(server: Server) -> dict[str, tuple[bool, list[tuple[str, str]]]]:
    """Return ways to show a token, right or not."""
    token = server.token
    basic = base64.b64encode(f"anybody:{token}".encode()).decode()
    ways = {
        "bearer": (True, f"Bearer {token}"),
        "lower case": (True, f"bearer {token}"),
        "upper case": (True, f"BEARER {token}"),
        "basic": (True, f"Basic {basic}"),
        "wrong": (False, "Bearer no"),
        "shorter": (False, f"Bearer {token[:-1]}"),
        "longer": (False, f"Bearer {token}a"),
        "other case": (False, f"Bearer {token.swapcase()}"),
        "bare": (False, token),
        "other scheme": (False, f"Digest {token}"),
        "empty": (False, ""),
    }
    found = {name: (fits, [("Authorization", value)]) for name, (fits, value) in ways.items()}
    found["none"] = (False, [])
    found["cookie"] = (False, [("Cookie", f"token={token}; Authorization=Bearer {token}")])
    found["another header"] = (False, [("X-Authorization", f"Bearer {token}")])
    return found


def hosts_of(server: Server) -> dict[str, tuple[bool, list[tuple[str, str]]]]:
    """Return ways to name the host, this one or not."""
    ours = (
        f"127.0.0.1:{server.port}",
        "127.0.0.1",
        "localhost",
        f"LOCALHOST:{server.port}",
        "localhost.",
        f"[::1]:{server.port}",
        "127.0.0.1:1",
    )
    evil = (
        "evil.com",
        f"evil.com:{server.port}",
        "localhost.evil.com",
        "evil-localhost",
        "localhost@evil.com",
        "127.0.0.1.nip.io",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "",
    )
    found = {one: (True, [("Host", one)]) for one in ours}
    found |= {one: (False, [("Host", one)]) for one in evil}
    found["none"] = (False, [])
    found["forwarded"] = (False, [("Host", "evil.com"), ("X-Forwarded-Host", "localhost")])
    return found


def expected(
    method: str, path: str, routes: dict[str, frozenset[str]], *, host: bool, token: bool
) -> set[int]:
    """Return the statuses that are right: the first rule that is broken decides."""
    if method in UNKNOWN:
        return {400}
    if not host:
        return {421}
    if not token:
        return {401, 429}
    if path not in routes:
        return {404}
    if method not in routes[path]:
        return {405}
    # A POST has neither a type nor a body here.
    return {400, 415, 422} if method == "POST" else {200}


def require(told: Told, statuses: set[int], server: Server, *what: object) -> None:
    assert told.status in statuses, (what, told.status, told.body[:300])
    assert server.token.encode() not in told.body, what
    assert "location" not in told.headers
    assert not any(name.startswith("access-control-") for name in told.headers)
    assert "set-cookie" not in told.headers
    assert "server" not in told.headers
    assert told.headers["x-content-type-options"] == "nosniff"
    if told.status != 200 and told.body:
        # Other protocols have their own form of a refusal; all are JSON that no browser renders.
        assert told.headers["content-type"] in {"application/problem+json", "application/json"}
        assert b"Traceback" not in told.body


def test_nothing_is_open_that_is_not_on_a_list(
    server: Server, routes: dict[str, frozenset[str]], line: Line
) -> None:
    tokens = tokens_of(server)
    hosts = hosts_of(server)
    few = {name: hosts[name] for name in (f"127.0.0.1:{server.port}", "evil.com", "none")}
    asked = 0
    for path, method in itertools.product((*routes, *NOWHERE), KNOWN + UNKNOWN):
        for (way, (is_right, shown)), (host, (is_ours, named)) in itertools.product(
            tokens.items(), few.items()
        ):
            told = line.ask(method, path, *named, *shown)
            statuses = expected(method, path, routes, host=is_ours, token=is_right)
            require(told, statuses, server, method, path, way, host)
            asked += 1
    assert asked > 5000


def test_every_name_and_origin_is_ours_or_refused(server: Server, line: Line) -> None:
    tokens = {name: tokens_of(server)[name] for name in ("bearer", "wrong", "none")}
    sites = {None: True, "none": True, "same-origin": True}
    sites |= dict.fromkeys(("cross-site", "same-site", "SAME-ORIGIN", ""), False)
    asked = 0
    for host, (is_ours, named) in hosts_of(server).items():
        for origin in (None, f"http://{host}", *EVIL_ORIGINS):
            for (site, is_own), (is_right, shown) in itertools.product(
                sites.items(), tokens.values()
            ):
                headers = [*named, *shown]
                headers += [] if origin is None else [("Origin", origin)]
                headers += [] if site is None else [("Sec-Fetch-Site", site)]
                told = line.ask("GET", "/readyz", *headers)
                is_same = origin is None or (origin == f"http://{host}" and host != "none")
                if not is_ours:
                    statuses = {421}
                elif not (is_own and is_same):
                    statuses = {403}
                else:
                    statuses = {200} if is_right else {401, 429}
                require(told, statuses, server, host, origin, site)
                asked += 1
    assert asked > 2000


@pytest.mark.parametrize(
    "name",
    ["Host", "Authorization", "Origin", "Sec-Fetch-Site", "Content-Type", "Content-Encoding"],
)
def test_a_header_that_is_there_twice_is_nobodys(server: Server, line: Line, name: str) -> None:
    here = f"127.0.0.1:{server.port}"
    headers = {
        "Host": here,
        "Authorization": f"Bearer {server.token}",
        "Origin": f"http://{here}",
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": "application/json",
        "Content-Encoding": "identity",
    }
    good = list(headers.items())
    assert line.ask("GET", "/readyz", *good).status == 200
    for value in (headers[name], "evil"):
        assert line.ask("GET", "/readyz", *good, (name, value)).status == 400
        assert line.ask("GET", "/readyz", (name.lower(), value), *good).status == 400


@pytest.mark.parametrize("name", ["token", "access_token", "authorization", "key", "api_key"])
def test_a_token_in_an_address_opens_nothing(
    server: Server, line: Line, routes: dict[str, frozenset[str]], name: str
) -> None:
    for path in routes:
        told = line.ask("GET", f"{path}?{name}={server.token}", ("Host", "localhost"))
        assert told.status == 401


PATHS = (
    *(
        "/%2e%2e%2fmodel",
        "/%252e%252e/model",
        "/..%2fmodel",
        "/..;/model",
        "/./model",
        "/x/../model",
    ),
    *("//model", "///model", "/model/", "/model;x", "/model%00", "/model%20", "/%6dodel", "/MODEL"),
    *("/model/..", "/..\\model", "/%c0%ae%c0%ae/model", "/model%3fa", "/model%23", "/?/model"),
    *("/../../../../etc/passwd", "//etc/passwd", "/file:///etc/passwd", "/proc/self/environ"),
    *("/static/../../etc/passwd", "/docs/../.bucle/serve/token", "/.git/config", "/bucle.toml"),
    *("/docs/%2e%2e/%2e%2e/log.db", "/http:///%23/../../etc/", "/model?next=//evil/../predict#"),
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_never_becomes_another_or_a_file(server: Server, line: Line, path: str) -> None:
    told = line.ask("GET", path, ("Host", "localhost"), *tokens_of(server)["bearer"][1])
    assert told.status == (400 if "#" in path else 404)
    assert b"root:" not in told.body


def test_what_an_address_asks_for_leads_nowhere(server: Server, line: Line) -> None:
    for query in ("next=//evil.com", "url=http://169.254.169.254/", "redirect=javascript:alert(1)"):
        told = line.ask(
            "GET", f"/docs?{query}", ("Host", "localhost"), *tokens_of(server)["bearer"][1]
        )
        require(told, {200}, server, query)
        assert query.partition("=")[2].encode() not in told.body


def test_ten_thousand_wrong_tokens_cost_little_and_lock_nobody_out(
    server: Server, line: Line
) -> None:
    here = ("Host", "localhost")
    seen = {
        line.ask("GET", "/model", here, ("Authorization", f"Bearer {number:043}")).status
        for number in range(10_000)
    }
    assert seen <= {401, 429}
    assert 429 in seen
    assert line.ask("GET", "/model", here, *tokens_of(server)["bearer"][1]).status == 200
    assert (server.folder / "serve.err").read_text() == ""


def test_it_listens_at_one_door_of_this_machine_only(server: Server) -> None:
    owned = set()
    for process in (server.process.pid, *server.parts()):
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                owned.add(entry.readlink().name)
    doors = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for entry in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = entry.split()
            is_listening = words[3] == "0A" or table.startswith("udp")
            if is_listening and f"socket:[{words[9]}]" in owned:
                doors.add((table, words[1]))
    assert doors == {("tcp", f"0100007F:{server.port:04X}")}


def test_the_token_is_in_its_file_and_nowhere_else(server: Server) -> None:
    token = server.token.encode()
    assert len(token) >= 43
    line = Line(server)
    line.ask("GET", f"/model?token={server.token}", ("Host", "localhost"))
    line.ask("GET", f"/{server.token}", ("Host", server.token))
    line.close()
    with server.client() as client:
        client.post("/predict", json={"size": 1, "id": "x"})
        assert client.post("/predict", json={server.token: 1}).status_code == 422
        assert server.token not in client.get("/metrics").text
    for process in (server.process.pid, *server.parts()):
        for name in ("cmdline", "environ"):
            assert token not in Path(f"/proc/{process}/{name}").read_bytes()
    holders = [
        path for path in server.folder.rglob("*") if path.is_file() and token in path.read_bytes()
    ]
    assert holders == [server.folder / ".bucle" / "serve" / "token"]
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(holders[0].parent.stat().st_mode) == 0o700


@pytest.mark.thorough
def test_two_installs_have_two_tokens_and_an_old_one_opens_nothing(
    server: Server, champions: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(champions, folder, symlinks=True)
    trials = Path(".bucle", "serve", "trials")
    shutil.copytree(server.folder / trials, folder / trials)
    before = os.umask(0)
    try:
        with serve(folder) as own:
            first = own.token
            assert first != server.token
            with own.client() as client:
                assert client.get("/readyz").status_code == 200
                client.post("/predict", json={"size": 1})
            place = folder / ".bucle" / "serve"
            assert stat.S_IMODE((place / "token").stat().st_mode) == 0o600
            # What people sent is nobody else's to read, whatever the umask.
            kept = [one for one in (place / "log").iterdir() if one.stat().st_size]
            assert kept
            assert all(stat.S_IMODE(one.stat().st_mode) & 0o077 == 0 for one in kept)
            assert own.stop() == 0
        (place / "token").unlink()
        with serve(folder) as own:
            assert own.token not in {first, server.token}
            for token, status in ((first, 401), (server.token, 401), (own.token, 200)):
                headers: dict[str, Any] = {"authorization": f"Bearer {token}"}
                found = httpx.get(f"{own.address}/readyz", headers=headers, timeout=30)
                assert found.status_code == status
    finally:
        os.umask(before)


@pytest.mark.thorough
def test_one_large_request_keeps_nobody_waiting(server: Server) -> None:
    with server.client() as client:
        rows = [{"size": 1.0}] * 10_000
        answers = client.post("/predict", json=rows)
        assert answers.status_code == 200
        assert len({one["id"] for one in answers.json()}) == len(rows)
        refused = client.post("/predict", json=[*rows, rows[0]])
        assert (refused.status_code, refused.json()["code"]) == (413, "bucle-352")
        label = b'{"id":"p-%032d","label":1}' % 0
        kind = {"content-type": "application/json"}
        for count, status in ((20_000, 202), (1_000_000, 413)):
            body = b"[" + b",".join([label] * count) + b"]"
            told = client.post("/feedback", content=body, headers=kind)
            assert (told.status_code, len(told.content) < 1000) == (status, True)
        assert client.get("/readyz").status_code == 200
