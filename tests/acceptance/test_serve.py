"""`bucle serve`: answers, refusals, swaps and sudden ends, seen from outside."""

import html
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from calls import bucle, kill, start
from serving import Server, await_that, is_alive, serve, table
from shop import write_shop

from bucle.loop.serving.routes import make_routes
from bucle.models.package import Package, open_package
from bucle.serve.counts import Counts
from bucle.serve.predictions import Predictor

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
CLOSE = "Connection: close"
SIZES = [0.0, 0.1, 3.5, 19.99, 1e6]


@pytest.fixture(scope="module")
def server(champions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served") / "shop"
    shutil.copytree(champions, folder, symlinks=True)
    with serve(folder) as found:
        yield found


@pytest.fixture
def shop(server: Server, shop: Path) -> Path:
    """Return a shop of this test's own, whose packages have been tried before."""
    trials = Path(".bucle", "serve", "trials")
    shutil.copytree(server.folder / trials, shop / trials)
    return shop


def the_other(folder: Path, model: str) -> str:
    """Return the model that is not the champion."""
    names = {one.name for one in (folder / ".bucle" / "packages").glob("m-*")}
    (found,) = names - {model}
    return found


def package(folder: Path, model: str) -> Package:
    return open_package(folder / ".bucle" / "packages", model, project=folder)


def expected(folder: Path, model: str, sizes: list[float]) -> list[float]:
    found: list[float] = package(folder, model).predict(pl.DataFrame({"size": sizes})).tolist()
    return found


def ask(client: httpx.Client, size: float = 3.5) -> dict[str, Any]:
    answer = client.post("/predict", json={"size": size})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def raw(server: Server, content: bytes) -> bytes:
    """Send bytes, and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(content)
        found = b""
        with suppress(ConnectionResetError):
            while piece := connection.recv(65_536):
                found += piece
        return found


def head(server: Server, line: str, *more: str) -> bytes:
    lines = [line, f"Host: 127.0.0.1:{server.port}", f"Authorization: Bearer {server.token}", *more]
    return "".join(f"{one}\r\n" for one in [*lines, ""]).encode()


def test_answers_are_those_of_the_package(server: Server) -> None:
    with server.client() as client:
        answers = client.post("/predict", json=[{"size": size} for size in SIZES]).json()
        model = client.get("/readyz").json()["model"]
        single = [ask(client, size) for size in SIZES]
    assert {one["model"] for one in answers + single} == {model}
    wanted = expected(server.folder, model, SIZES)
    assert [one["prediction"] for one in answers] == wanted
    assert [one["prediction"] for one in single] == wanted
    low, high = package(server.folder, model).interval(pl.DataFrame({"size": SIZES}))
    assert [one["interval"] for one in answers] == [
        list(ends) for ends in zip(low, high, strict=True)
    ]
    assert len({one["id"] for one in answers + single}) == 2 * len(SIZES)


def test_the_model_says_what_it_takes(server: Server) -> None:
    with server.client() as client:
        found = client.get("/model").json()
    assert found["signature"]["features"] == [{"name": "size", "dtype": "Float64"}]
    assert found["keys"] == ["id"]
    assert found["card"].startswith("# Model card")


def test_metrics_count_what_was_asked(server: Server) -> None:
    with server.client() as client:
        before = client.get("/metrics").text
        ask(client)
        after = client.get("/metrics").text

    def count(text: str) -> float:
        name = 'bucle_requests_total{route="/predict",status="200"} '
        return sum(float(line[len(name) :]) for line in text.splitlines() if line.startswith(name))

    assert count(after) == count(before) + 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "Cannot read"),
        (b"{}", 422, "'size' is missing"),
        (b"[]", 422, "no row"),
        (b"null", 422, "Cannot read"),
        (b'{"size":1,"colour":"red"}', 422, "'colour' is not a field"),
        (b'{"size":"1"}', 422, "got text"),
        (b'{"size":true}', 422, "got true or false"),
        (b'{"size":NaN}', 422, "'size': expected a finite number (is NaN)"),
        (b'{"size":1e400}', 422, "out of range"),
        (b'{"size":1,"size":2}', 422, "is there twice"),
        (b'[{"size":1},{"size":[]}]', 422, "row 1"),
        (b'{"\xff":1}', 400, "Cannot read"),
        (b"[" * 100_000, 400, "Cannot read"),
    ],
)
def test_a_bad_body_is_refused_in_words(
    server: Server, body: bytes, status: int, said: str
) -> None:
    with server.client() as client:
        answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["title"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
def test_another_content_type_is_refused(server: Server, kind: str) -> None:
    with server.client() as client:
        answer = client.post("/predict", content=b'{"size":1}', headers={"content-type": kind})
    assert answer.status_code == 415


def test_a_compressed_body_is_not_unpacked(server: Server) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    with server.client() as client:
        answer = client.post("/predict", content=b"\x1f\x8b" + bytes(1000), headers=headers)
    assert answer.status_code in {400, 415}


@pytest.mark.parametrize(
    ("label", "status"),
    [
        ({"id": "p-" + "0" * 32, "label": 1.5}, 202),
        ([{"id": "p-" + "0" * 32, "label": 1.5}] * 2, 202),
        ({"id": "p-../../x", "label": 1}, 422),
        ({"id": "p-" + "0" * 32, "label": None}, 422),
        ({"id": "p-" + "0" * 32}, 422),
        ({"id": "p-" + "0" * 32, "label": 1, "label_time": "1970-01-01T00:00:00Z"}, 422),
        ({"id": "p-" + "0" * 32, "label": 1, "label_time": "2100-01-01T00:00:00Z"}, 422),
        ([], 422),
    ],
)
def test_feedback_is_kept_or_refused_as_a_whole(server: Server, label: Any, status: int) -> None:
    with server.client() as client:
        answer = client.post("/feedback", json=label)
    assert answer.status_code == status, answer.text


def test_every_route_asks_for_token_and_host_before_anything_else(server: Server) -> None:
    nothing: Any = None
    routes = make_routes(
        Predictor(nothing, nothing, Counts(), nothing),
        nothing,
        Counts(),
        nothing,
        folder=Path(),
        worker=0,
        name="shop",
        ask=nothing,
    )
    assert {b"/predict", b"/feedback", b"/model", b"/metrics", b"/healthz"} <= set(routes)
    asked = {path.decode(): set(methods) for path, methods in routes.items()}
    asked |= {"/": set(), "/none": set(), "/predict/": set(), "/.bucle/serve/token": set()}
    tokens = {"missing": None, "wrong": "Bearer no", "right": f"Bearer {server.token}"}
    hosts = {"good": f"127.0.0.1:{server.port}", "evil": "evil.com"}
    with httpx.Client(base_url=server.address, timeout=30) as client:
        for path, allowed in asked.items():
            for method in METHODS:
                for token, shown in tokens.items():
                    for host, name in hosts.items():
                        headers = {"host": name} | ({"authorization": shown} if shown else {})
                        answer = client.request(method, path, headers=headers)
                        where = f"{method} {path} with {token} token at {host} host"
                        if host == "evil":
                            fits = answer.status_code == 421
                        elif token != "right":
                            # Many wrong tokens in a second are answered more shortly.
                            fits = answer.status_code in (
                                {401} if token == "missing" else {401, 429}
                            )
                        elif method in allowed:
                            fits = answer.status_code in ({400, 415} if method == "POST" else {200})
                        else:
                            fits = answer.status_code == (405 if allowed else 404)
                        assert fits, f"{where}: {answer.status_code}"
                        assert server.token not in answer.text


def test_a_token_in_the_address_is_none(server: Server) -> None:
    answer = httpx.get(f"{server.address}/model", params={"token": server.token})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path", ["/%2e%2e%2fmodel", "/..;/model", "//model", "/%6dodel", "/model/"]
)
def test_a_path_is_never_made_into_another(server: Server, path: str) -> None:
    assert raw(server, head(server, f"GET {path} HTTP/1.1", CLOSE)).startswith(b"HTTP/1.1 404 ")


def test_a_form_of_another_site_is_refused(server: Server) -> None:
    headers = {"origin": "http://evil.com", "sec-fetch-site": "cross-site"}
    with server.client() as client:
        assert client.post("/predict", data={"size": "1"}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "more",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: -5"],
        ["Content-Length: 5x"],
        ["Transfer-Encoding: chunked, identity"],
        ["X: a\rb"],
        ["X : a"],
        ["Host: evil.com"],
    ],
)
def test_a_request_that_two_servers_read_differently_is_refused(
    server: Server, more: list[str]
) -> None:
    body = b"0\r\n\r\nGET /model HTTP/1.1\r\n\r\n"
    answer = raw(server, head(server, "POST /predict HTTP/1.1", *more, CLOSE) + body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "content",
    [
        "X: " + "a" * 40_000,
        "\r\n".join(f"X{number}: {number}" for number in range(10_000)),
    ],
)
def test_headers_that_are_too_large_are_refused(server: Server, content: str) -> None:
    answer = raw(server, head(server, "GET /healthz HTTP/1.1", content))
    assert answer[:13] in {b"HTTP/1.1 431 ", b""}
    with server.client() as client:
        assert client.get("/healthz").status_code == 200


def test_a_path_that_is_too_long_is_refused(server: Server) -> None:
    answer = raw(server, head(server, f"GET /{'a' * 65_536} HTTP/1.1"))
    assert answer[:13] in {b"HTTP/1.1 431 ", b""}


def test_trailers_that_never_end_are_not_kept(server: Server) -> None:
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head(server, "POST /predict HTTP/1.1", *lines) + b"0\r\n")
        sent = 0
        with suppress(OSError):
            while sent < 50_000_000:
                sent += connection.send(b"a: b\r\n" * 1000)
    assert sent < 50_000_000


def test_a_body_without_end_is_cut_off(server: Server) -> None:
    lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head(server, "POST /predict HTTP/1.1", *lines))
        piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        sent = 0
        with suppress(OSError):
            while sent < 200_000_000:
                sent += connection.send(piece)
    assert sent < 200_000_000


def test_requests_in_one_piece_are_answered_in_their_order(server: Server) -> None:
    both = head(server, "GET /healthz HTTP/1.1") + head(server, "GET /readyz HTTP/1.1", CLOSE)
    answer = raw(server, both)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.index(b'"ok"') < answer.index(b'"ready"')


def test_what_is_no_http_is_refused(server: Server) -> None:
    for content in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100):
        assert raw(server, content).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_hangs_up_in_its_body_disturbs_nobody(server: Server) -> None:
    lines = ("Content-Type: application/json", "Content-Length: 100")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head(server, "POST /predict HTTP/1.1", *lines) + b'{"si')
    with server.client() as client:
        ask(client)


@pytest.mark.slow
def test_a_request_that_never_comes_to_its_end_is_closed(server: Server) -> None:
    begun = [b"", b"GET / HT", head(server, "POST /predict HTTP/1.1", "Content-Length: 10") + b"{"]
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in begun]
    for connection, content in zip(connections, begun, strict=True):
        connection.sendall(content)
    for connection in connections:
        while connection.recv(1000):
            pass
        connection.close()


@pytest.mark.thorough
def test_every_call_of_the_page_is_answered_as_it_stands(shop: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl is installed")
    with serve(shop) as server:
        with server.client() as client:
            page = client.get("/docs").text
        calls = [part.split("</pre>")[0] for part in page.split("<pre>")[1:]]
        calls = [html.unescape(one) for one in calls if one.startswith("curl ")]
        assert len(calls) > 15
        for call in calls:
            done = subprocess.run(
                ["bash", "-c", f"{call} -o /dev/null -w '%{{http_code}}'"],
                cwd=shop,
                capture_output=True,
                check=True,
                text=True,
            )
            assert done.stdout in {"200", "202"}, call


@pytest.mark.thorough
def test_a_second_server_leaves_the_numbers_of_the_first_alone(server: Server) -> None:
    def answered(one: Server) -> int:
        with one.client() as client:
            metrics = client.get("/metrics").text.splitlines()
        found = 'bucle_predictions_total{model="' + champion + '",role="champion"} '
        return sum(int(float(line.removeprefix(found))) for line in metrics if found in line)

    with server.client() as client:
        champion = client.get("/model").json()["model"]
        assert client.post("/predict", json=[{"size": 1.0}] * 7).status_code == 200
    first = answered(server)
    assert first >= 7
    with serve(server.folder) as second:
        assert answered(second) == 0
        with second.client() as client:
            assert client.post("/predict", json=[{"size": 1.0}] * 3).status_code == 200
        assert (answered(server), answered(second)) == (first, 3)
        status = bucle("status", "--json", at=server.folder).json
        assert len(status["servers"]) == 2
        assert status["waiting"] == []
    assert answered(server) == first


@pytest.mark.thorough
def test_a_server_says_what_it_loads_and_at_once_where_it_answers(shop: Path) -> None:
    process = start("serve", "--port", "0", at=shop, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        loading, serving = (process.stdout.readline().decode().split() for _ in range(2))
        assert loading[0] == "loading"
        assert loading[1].rstrip(",") == serving[1]
        assert loading[-1] == serving[3]
        with httpx.Client(base_url=serving[3]) as client:
            assert client.get("/healthz").status_code == 401
    finally:
        kill(process, [signal.SIGTERM])
        process.stdout.close()


def test_a_second_server_on_the_same_port_is_refused(server: Server) -> None:
    answer = bucle("serve", "--port", str(server.port), at=server.folder, code=3)
    assert f"Cannot listen on 127.0.0.1:{server.port}" in answer.err
    assert "Try: --port" in answer.err
    assert "Traceback" not in answer.all
    assert answer.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "without --public"),
        (["--host", "::"], "without --public"),
        (["--host", "evil.com"], "it is no address"),
        (["--host", ""], "it is no address"),
        (["--port", "65536"], "between 0 and 65535"),
        (["--port", "-1"], "between 0 and 65535"),
        (["--port", "ten"], "ten"),
        (["--workers", "0"], "between 1 and 256"),
        (["--workers", "1000000"], "between 1 and 256"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(server: Server, words: list[str], said: str) -> None:
    answer = bucle("serve", *words, at=server.folder, code=2)
    assert said in answer.err
    assert "Traceback" not in answer.all


@pytest.mark.thorough
def test_a_swap_and_its_rollback_under_load_lose_and_mix_nothing(shop: Path) -> None:
    answers: list[tuple[float, dict[str, Any]]] = []
    failures: list[str] = []
    done = threading.Event()

    def load(server: Server, number: int) -> None:
        with server.client() as client:
            size = float(number)
            while not done.is_set():
                try:
                    answers.append((size, ask(client, size)))
                except (AssertionError, httpx.HTTPError) as error:
                    failures.append(repr(error))
                size += 0.25 if size < 1000 else -990

    with serve(shop, "--workers", "2") as server, server.client() as client:
        new = client.get("/readyz").json()["model"]
        old = the_other(shop, new)
        threads = [threading.Thread(target=load, args=(server, number)) for number in range(2)]
        for thread in threads:
            thread.start()
        try:
            again = ["promote", new, "--because", "it was right"]
            for words, model in ((["rollback"], old), (again, new)):
                bucle(*words, at=shop)
                seen = len(answers)
                # All workers have changed once a long row of answers is by nobody else.
                await_that(
                    lambda model=model, seen=seen: (
                        len(answers) > seen + 80  # type: ignore[misc]
                        and {one["model"] for _, one in answers[-40:]} == {model}
                    ),
                    what=f"{model} answers",
                )
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert server.stop() == 0
    assert failures == []
    for model in (old, new):
        mine = [(size, one["prediction"]) for size, one in answers if one["model"] == model]
        assert [given for _, given in mine] == expected(shop, model, [size for size, _ in mine])
    assert {one["model"] for _, one in answers} == {old, new}
    kept = table(shop, "predictions")
    assert sorted(kept["id"]) == sorted(one["id"] for _, one in answers)


def test_what_was_answered_outlives_a_killed_worker(shop: Path) -> None:
    given: dict[str, float] = {}
    with serve(shop) as server:
        with server.client() as client:
            for size in range(20):
                answer = ask(client, float(size))
                given[answer["id"]] = answer["prediction"]
            label = client.post("/feedback", json={"id": next(iter(given)), "label": 7})
            assert label.status_code == 202
        (worker,) = server.parts("serving.worker")
        os.kill(worker, signal.SIGKILL)
        await_that(lambda: answers_again(server), what="the worker comes back")
        with server.client() as client:
            answer = ask(client)
            given[answer["id"]] = answer["prediction"]
        assert server.stop() == 0
    kept = table(shop, "predictions")
    assert dict(kept.select("id", "prediction").iter_rows()) == given
    assert kept.height == len(given)
    assert table(shop, "feedback")["label"].to_list() == ["7"]
    assert "Traceback" not in (shop / "serve.err").read_text()


def answers_again(server: Server) -> bool:
    try:
        with server.client() as client:
            return client.get("/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.thorough
def test_a_killed_server_leaves_no_process_and_loses_nothing(shop: Path) -> None:
    with serve(shop, "--workers", "2") as server:
        with server.client() as client:
            first = ask(client)["id"]
        parts = server.parts()
        assert len(parts) == 3
        kill(server.process)
        await_that(lambda: not any(map(is_alive, parts)), what="its processes end")
    with serve(shop) as server:
        with server.client() as client:
            second = ask(client)["id"]
        assert server.stop() == 0
    assert sorted(table(shop, "predictions")["id"]) == sorted([first, second])


def test_a_server_that_stops_finishes_what_is_under_way(shop: Path) -> None:
    body = b'{"size": 3.5}'
    length = f"Content-Length: {len(body)}"
    lines = ("Content-Type: application/json", length, "Expect: 100-continue")
    with serve(shop) as server:
        there = ("127.0.0.1", server.port)
        with (
            socket.create_connection(there, timeout=60) as idle,
            socket.create_connection(there, timeout=60) as busy,
        ):
            idle.sendall(head(server, "GET /healthz HTTP/1.1"))
            answer = b""
            while not answer.endswith(b'{"status":"ok"}'):
                answer += idle.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200 ")
            busy.sendall(
                head(server, "POST /predict HTTP/1.1", *lines, "Expect: 100-continue", CLOSE)
            )
            assert busy.recv(4096).startswith(b"HTTP/1.1 100 ")
            server.process.send_signal(signal.SIGTERM)
            # It has begun to stop once it has closed who asks for nothing.
            assert idle.recv(4096) == b""
            busy.sendall(body)
            answer = b""
            while piece := busy.recv(65_536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(60) == 0
    given = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert table(shop, "predictions")["id"].to_list() == [given["id"]]


@pytest.mark.slow
def test_without_a_champion_it_says_so_and_answers_once_there_is_one(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop")
    with serve(folder) as server, server.client() as client:
        assert client.get("/healthz").status_code == 200
        for answer in (client.get("/readyz"), client.post("/predict", json={"size": 1})):
            assert answer.status_code == 503
            assert "no champion" in answer.json()["title"]
        bucle("run", "--set", "model.bend=1.0", at=folder)
        await_that(lambda: client.get("/readyz").status_code == 200, what="the champion answers")
        ask(client)


@pytest.mark.thorough
def test_a_damaged_package_is_refused_and_another_answers_once_it_is_champion(
    server: Server, shop: Path
) -> None:
    with server.client() as client:
        model = client.get("/readyz").json()["model"]
    bucle("rollback", at=shop)
    old = shop / ".bucle" / "packages" / the_other(shop, model)
    for path in old.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    with serve(shop) as own, own.client() as client:
        assert client.get("/readyz").status_code == 503
        assert client.post("/predict", json={"size": 1}).status_code == 503
        told = (shop / "serve.err").read_text()
        assert old.name in told
        assert f"{old.name} does not answer in 1 worker yet" in told
        assert "Traceback" not in told
        bucle("promote", model, "--because", "the other is damaged", at=shop)
        await_that(lambda: client.get("/readyz").status_code == 200, what="another answers")
        assert ask(client)["model"] == model
