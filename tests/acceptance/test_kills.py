"""Kill -9 at any moment: what was acknowledged is there, and the next command goes on."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import bucle, kill, start
from shop import rows, write_rows, write_steps

pytestmark = pytest.mark.thorough


def _moments(longest: float, *, earliest: float = 0.0, seed: int = 11) -> Iterator[float]:
    """Yield moments of a command's life, spread evenly and drawn anew in each stretch."""
    drawn = random.Random(seed)
    while True:
        for stretch in drawn.sample(range(8), 8):
            share = (stretch + drawn.random()) / 8
            yield earliest + (longest - earliest) * share


def _killed(process: "subprocess.Popen[bytes]", after: float) -> int:
    """Let a command live for some seconds, then kill it; return its exit code."""
    try:
        return process.wait(after)
    except subprocess.TimeoutExpired:
        return kill(process)


def _assert_intact(folder: Path) -> None:
    assert bucle("log", "verify", "--json", at=folder).json["intact"]


def _rows(folder: Path) -> int:
    return int(bucle("data", "list", "--json", at=folder).json[0]["rows"])


def _champion(folder: Path) -> str:
    """Return the one champion; history and list must agree."""
    listed = [one["model"] for one in bucle("models", "--json", at=folder).json if one["champion"]]
    history = bucle("history", "--json", at=folder).json
    assert [one["model"] for one in history if one["to"] is None] == listed
    assert len(listed) == 1
    return str(listed[0])


def _kill_ingests(folder: Path, *, kills: int) -> None:
    count, added = 60, 0
    moments = _moments(0.9)
    bucle("data", "add", "sales", at=folder)
    while added < kills:
        batch = write_rows(folder / "batch.csv", rows(500, first=count))
        code = _killed(start("data", "add", "sales", batch, at=folder), next(moments))
        assert code in {0, -signal.SIGKILL}
        _assert_intact(folder)
        # The batch is there whole or not at all, and once however often it is added.
        seen = _rows(folder)
        assert seen in {count, count + 500}
        assert seen == count + 500 or code
        again = bucle("data", "add", "sales", batch, "--json", at=folder).json
        count += 500
        added += 1
        assert again["rows"] == count
        assert again["added"] + seen == count
    shown = bucle("data", "show", "sales", "--json", at=folder).json
    assert shown["rows"] == count
    assert [one["version"] for one in shown["versions"]] == list(range(1, kills + 2))


def test_a_killed_ingest_leaves_a_batch_whole_or_out(steps: Path) -> None:
    _kill_ingests(steps, kills=3)


@pytest.mark.slow
def test_sixty_killed_ingests_leave_each_batch_whole_or_out(steps: Path) -> None:
    _kill_ingests(steps, kills=60)


def _kill_runs(folder: Path, *, kills: int) -> None:
    moments = _moments(1.2, earliest=0.1)
    for number in range(kills):
        # Each round has something to do: a constant that `large` reaches.
        (folder / "sizes.py").write_text(
            f'"""Sizes."""\n\nHALF = {number}\n\n\ndef scale(size):\n    return size\n'
        )
        _killed(start("run", at=folder), next(moments))
        _assert_intact(folder)
        done = bucle("run", "--json", at=folder).json
        assert done["state"] == "done"
        assert [step["name"] for step in done["steps"]] == ["clean", "large", "total"]
        data = done["data"][0]
        assert (data["version"], data["rows"]) == (1, 60)
        again = bucle("run", "--json", at=folder).json
        assert {step["state"] for step in again["steps"]} == {"cached"}
        assert _results(again) == _results(done)
    fresh = write_steps(folder.with_name("fresh"))
    (fresh / "sizes.py").write_text((folder / "sizes.py").read_text())
    assert _results(bucle("run", "--json", at=fresh).json) == _results(done)


def _results(run: dict[str, list[dict[str, str]]]) -> list[str]:
    return [step["artifact"] for step in run["steps"]]


def test_a_killed_run_is_taken_up_by_the_next_one(steps: Path) -> None:
    _kill_runs(steps, kills=3)


@pytest.mark.slow
def test_forty_killed_runs_are_taken_up(steps: Path) -> None:
    _kill_runs(steps, kills=40)


def test_a_killed_run_keeps_what_had_finished_and_leaves_no_worker(steps: Path) -> None:
    (steps / "pipeline.py").write_text(
        '''"""A step that is done, and one that takes long the first time."""

import os
import time
from pathlib import Path

import polars as pl


def clean(sales: pl.DataFrame) -> pl.DataFrame:
    return sales.drop_nulls("price")


def slow(clean: pl.DataFrame) -> dict[str, int]:
    mark = Path("running")
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        time.sleep(600)
    return {"rows": clean.height}
'''
    )
    process = start("run", at=steps)
    worker = _wait_for(steps / "running")
    kill(process)
    _wait_until_gone(worker)
    done = bucle("run", "--json", at=steps).json
    assert {step["name"]: step["state"] for step in done["steps"]} == {
        "clean": "cached",
        "slow": "ran",
    }
    runs = bucle("runs", "--json", at=steps).json
    assert [run["state"] for run in runs] == ["unfinished", "done"]
    _assert_intact(steps)


def _wait_for(mark: Path) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if mark.exists() and mark.read_text():
            return int(mark.read_text())
        time.sleep(0.02)
    raise AssertionError(f"{mark.name} did not come")


def _wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + 20
    state = Path(f"/proc/{process}/stat")
    while time.monotonic() < deadline:
        # A zombie has gone as far as anybody but its parent is concerned.
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"process {process} is still there")


def _kill_promotions(folder: Path, *, kills: int) -> None:
    first, second = (one["model"] for one in bucle("models", "--json", at=folder).json)
    champion = _champion(folder)
    begun = time.monotonic()
    bucle("promote", first, "--because", "a drill", at=folder)
    took = time.monotonic() - begun
    assert _champion(folder) == first
    # The last stretch is where the deed is done; what comes before changes nothing.
    moments = _moments(took * 1.05, earliest=took * 0.5)
    champion, tenures, changed = first, len(bucle("history", "--json", at=folder).json), 0
    for _ in range(kills):
        wanted = second if champion == first else first
        code = _killed(start("promote", wanted, "--because", "a drill", at=folder), next(moments))
        _assert_intact(folder)
        now = _champion(folder)
        assert now in {champion, wanted}
        if code == 0:
            assert now == wanted
        changed += now != champion
        assert len(bucle("history", "--json", at=folder).json) == tenures + changed
        champion = now
    # Its challenger may lose against either: what counts is that the loop goes on.
    ended = bucle("run", "--json", at=folder, code=None)
    assert ended.code in {0, 1}
    assert ended.json["champion"] in {first, second}


def test_a_killed_promotion_leaves_the_old_or_the_new_champion(shop: Path) -> None:
    _kill_promotions(shop, kills=1)


@pytest.mark.slow
def test_forty_killed_promotions_leave_the_old_or_the_new_champion(shop: Path) -> None:
    _kill_promotions(shop, kills=40)


@pytest.mark.slow
def test_runs_that_would_promote_are_killed_at_any_moment(shop: Path) -> None:
    # What a passing run decides enters the log in one commit: run, verdict and promotion.
    moments = _moments(4.0, earliest=0.1)
    for number in range(25):
        write_rows(shop / "sales.csv", rows(630 + 30 * number))
        before = _champion(shop)
        _killed(start("run", "--set", f"model.bend={1 + 0.001 * number}", at=shop), next(moments))
        _assert_intact(shop)
        now = _champion(shop)
        promotions = [
            event["body"]
            for event in json.loads(bucle("log", "--kind", "promoted", "--json", at=shop).out)
        ]
        assert now == promotions[-1]["model"]
        if now != before:
            runs = bucle("runs", "--json", at=shop).json
            assert (runs[-1]["state"], runs[-1]["model"]) == ("done", now)
        done = bucle("run", "--json", at=shop, code=None)
        assert done.code in {0, 1}, done.all
        assert done.json["data"][0]["rows"] == 630 + 30 * number
