"""`bucle load`: a user's own endpoint, measured."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from calls import BUCLE, bucle, surroundings
from serving import Server, await_that, serve, table

from bucle.store.delta_tables import DeltaTables


@pytest.fixture(scope="module")
def loaded(champions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("loaded") / "shop"
    shutil.copytree(champions, folder, symlinks=True)
    with serve(folder) as found:
        yield found


def predictions(folder: Path) -> pl.DataFrame:
    # Its folder is there a moment before its first version.
    is_there = DeltaTables(folder / ".bucle" / "tables").version("predictions") is not None
    return table(folder, "predictions") if is_there else pl.DataFrame({"request": []})


@pytest.mark.thorough
def test_a_load_tells_how_much_and_how_fast_and_is_left_out_of_status(loaded: Server) -> None:
    with loaded.client() as client:
        ids = [
            client.post("/predict", json={"size": 2.0}, headers=headers).json()["id"]
            for headers in ({}, {"x-request-id": "order 7"})
        ]
    found = bucle("load", "--seconds", "0.5", "--rows", "3", "--json", at=loaded.folder).json
    assert found["address"] == loaded.address
    assert (found["workers"], found["connections"], found["rows"]) == (1, 16, 3)
    assert found["statuses"] == {"200": found["answers"]}
    assert (found["connection_errors"], found["unanswered"], found["stopped"]) == (0, 0, False)
    assert found["answers_per_second"] == pytest.approx(found["answers"] / found["seconds"])
    assert found["rows_per_second"] == pytest.approx(3 * found["answers_per_second"])
    latency = found["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert found["cpu"]["most_per_worker"] == pytest.approx(1000 / found["cpu"]["worker_ms"])
    # Those of the warm-up are on record, too.
    least = 3 * found["answers"]
    await_that(lambda: predictions(loaded.folder).height >= least + 2, what="every row on record")
    log = predictions(loaded.folder)
    requests = dict(zip(log["id"], log["request"], strict=True))
    assert [requests.pop(name) for name in ids] == ["", "order 7"]
    assert set(requests.values()) == {"bucle-load"}
    sizes = {json.loads(one)["size"] for one in log.filter(request="bucle-load")["features"]}
    assert len(sizes) == 2
    status = bucle("status", "--json", at=loaded.folder).json
    assert [one["rows"] for one in status["models"]] == [2]


@pytest.mark.thorough
def test_a_load_reads_well_on_a_narrow_terminal(loaded: Server) -> None:
    (loaded.folder / "rows.jsonl").write_text('{"size": 1.5}\n{"size": 7}\n')
    words = ("load", "--seconds", "0.2", "--file", "rows.jsonl", "--connections", "2")
    done = bucle(*words, "--address", loaded.address, at=loaded.folder, env={"COLUMNS": "80"})
    for what in ("2 connections, 1 row a request", "answers a second", "p99", "CPU a request"):
        assert what in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert done.err == ""


def test_ctrl_c_tells_what_it_has_and_a_terminal_shows_how_far_it_is(loaded: Server) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [BUCLE, "load", "--seconds", "50", "--row", '{"size": 3}', "--connections", "1", "--json"],
        cwd=loaded.folder,
        env=surroundings(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    deadline = time.monotonic() + 60
    while b" of 50 s" not in shown and time.monotonic() < deadline:
        if select.select([leader], [], [], 1)[0]:
            shown += os.read(leader, 65_536)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 130
    found = json.loads(out)
    assert found["stopped"] is True
    assert found["seconds"] < 50
    assert found["connection_errors"] == 0
    assert b"a second" in shown


@pytest.mark.thorough
def test_what_cannot_be_loaded_says_why(loaded: Server, champions: Path) -> None:
    for words, what in (
        (("--address", "http://0.0.0.0:8000"), "Code: bucle-365"),
        (("--address", "http://a@127.0.0.1@evil"), "Code: bucle-365"),
        (("--address", "https://127.0.0.1:8000"), "Code: bucle-365"),
        (("--seconds", "61"), "between 0.1 and 60"),
        (("--seconds", "nan"), "between 0.1 and 60"),
        (("--connections", "257"), "between 1 and 256"),
        (("--rows", "10001"), "between 1 and 10,000"),
        (("--rows", "0"), "between 1 and 10,000"),
        (("--row", "[1]"), "it is no JSON object"),
        (("--row", "{}", "--file", "x"), "--row and --file at once"),
        (("--row", '{"size": "large"}'), "answers 422"),
        (("--file", "nowhere.jsonl"), "nowhere.jsonl"),
    ):
        done = bucle("load", *words, at=loaded.folder, code=2)
        assert not done.out, words
        assert what in done.err, words
        assert "Traceback" not in done.err
    done = bucle("load", at=champions, code=2)
    assert "no server of this project is up" in done.err
    assert "Try: bucle serve" in done.err
    assert not (champions / ".bucle" / "serve" / "token").exists()
