"""`bucle simulate`: a living project played forward, and its log told as a story."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from calls import bucle, start

PATIENCE_S = 600
MONTH = ("simulate", "--days", "30", "--json")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the demo's project, in which nothing ever ran."""
    folder = tmp_path_factory.mktemp("simulate")
    bucle("new", "shop", "--template", "consignment", at=folder)
    return folder / "shop"


@pytest.fixture(scope="module")
def month(store: Path) -> dict:
    """Return what a month in the store came to."""
    return bucle(*MONTH, at=store, timeout=PATIENCE_S).json


def of_simulations(word: str) -> list[int]:
    """Return the processes whose command line or surroundings name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environ = (path / "environ").read_bytes()
        except OSError:
            continue
        if word.encode() in environ:
            found.append(int(path.name))
    return found


@pytest.mark.thorough
def test_a_month_is_lived_in_a_copy_and_the_project_is_left_alone(store: Path, month: dict) -> None:
    assert month["days"] == 30
    assert month["events"]["promoted"] >= 1
    assert month["events"]["data_added"] >= 4
    assert 300 < month["takings"]["items"] < 800
    assert 0 < month["takings"]["earned"] < month["takings"]["best"]
    assert sorted(path.name for path in (store / ".bucle").iterdir()) == ["simulations"]
    copy = Path(month["folder"])
    assert bucle("log", "verify", "--json", at=copy).json["intact"] is True
    first, last = (bucle("log", "--json", at=copy).json[at]["at"] for at in (0, -1))
    assert month["start"] <= first[:10] <= last[:10] < "2025-10-06"
    kinds = [one["kind"] for one in month["mishaps"]]
    # Nobody has come after the first champion yet, so what waits for that has not happened.
    assert kinds == ["tastes-turn", "worker-killed", "no-labels", "labels-x100"]


@pytest.mark.thorough
def test_nothing_of_a_simulation_goes_on_after_its_end(month: dict) -> None:
    assert of_simulations(f"{month['folder']}/.bucle/clock") == []


@pytest.mark.thorough
def test_answers_and_labels_are_those_of_the_simulated_time(month: dict) -> None:
    # A killed worker's last words are on record like any other's: no item is without its answer.
    copy = Path(month["folder"])
    clock = {"BUCLE_CLOCK": str(copy / ".bucle" / "clock")}
    (answered,) = [
        one
        for one in bucle("status", "--json", at=copy, env=clock).json["models"]
        if one["role"] == "champion"
    ]
    assert answered["rows"] > 0


@pytest.mark.thorough
def test_the_log_is_told_in_words(month: dict) -> None:
    told = bucle("log", "--story", at=Path(month["folder"]), env={"COLUMNS": "80"}).out
    assert "A new model: it became champion" in told
    assert re.search(r"\d+ rows came in and \d+ changed since", told)
    assert max(map(len, told.splitlines())) <= 80
    later = bucle("log", "--story", "--since", "2025-09-20", at=Path(month["folder"])).out
    assert "it became champion" not in later


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--set", "replay.world=''"], "bucle-430"),
        (["--days", "4000"], "bucle-431"),
        (["--days", "0"], "bucle-431"),
        (["--from", "2023-02-01"], "bucle-431"),
        (["--fault", "no-label:1..2"], "bucle-431"),
        (["--fault", "no-labels:9..2"], "bucle-431"),
        (["--keep", "data"], "bucle-432"),
        (["--from", "soon"], "bucle-101"),
        (["--calm", "--fault", "no-labels:1"], "bucle-101"),
    ],
)
@pytest.mark.thorough
def test_what_cannot_be_simulated_is_said(store: Path, words: list[str], code: str) -> None:
    answer = bucle("simulate", *words, "--json", at=store, code=2)
    assert answer.json["code"] == code
    assert "Traceback" not in answer.all


def test_a_world_that_answers_is_what_a_simulation_needs(ran: Path) -> None:
    answer = bucle("simulate", at=ran, code=2)
    assert "bucle new shop --template consignment has one" in answer.err


@pytest.mark.thorough
def test_ctrl_c_leaves_no_process_behind(store: Path, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    process = start("simulate", "--days", "200", "--keep", keep, at=store)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and not (keep / ".bucle" / "serve" / "log").is_dir():
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert of_simulations(f"{keep}/.bucle/clock") == []
    assert bucle("log", "verify", "--json", at=keep).json["intact"] is True


@pytest.mark.slow
def test_the_same_simulation_decides_the_same(store: Path) -> None:
    found = [
        bucle("simulate", "--days", "75", "--json", at=store, timeout=PATIENCE_S).json
        for _ in range(2)
    ]
    assert found[0]["decisions"] == found[1]["decisions"]
    assert found[0]["takings"] == found[1]["takings"]
    assert found[0]["retrains"] >= 1


@pytest.mark.slow
def test_a_year_has_an_alarm_a_retrain_a_canary_and_a_rollback(store: Path) -> None:
    year = bucle("simulate", "--json", at=store, timeout=3 * PATIENCE_S).json
    copy = Path(year["folder"])
    events = bucle("log", "--json", at=copy).json
    struck, still = (
        next(one for one in year["mishaps"] if one["kind"] == kind)
        for kind in ("codes-mixed-up", "books-still")
    )
    struck, mended = struck["start"], still["end"]
    alarms = [one for one in events if one["kind"] == "alarm_raised"]
    assert [one for one in alarms if one["body"]["layer"] == "harm" and one["at"] > struck]
    assert year["retrains"] >= 3
    runs = [one for one in events if one["kind"] == "run_started"]
    assert all(one["body"]["asked"] for one in runs[1:])
    canaries = {
        one["body"]["model"]
        for one in events
        if one["kind"] == "deployed" and one["body"]["share"] > 0 and not one["body"]["is_former"]
    }
    promoted = [one for one in events if one["kind"] == "promoted"]
    assert canaries & {one["body"]["model"] for one in promoted[1:]}
    # What strikes waits for the first of them, and makes the second one worse than it.
    first, second = (one["body"]["model"] for one in promoted[1:3])
    assert promoted[1]["at"] < struck < promoted[2]["at"]
    back = [one for one in events if one["kind"] == "rolled_back"]
    assert (back[0]["body"]["previous"], back[0]["body"]["model"]) == (second, first)
    assert second in canaries
    assert back[0]["at"] < mended
    # A newer model comes in once the books are right again.
    assert promoted[-1]["at"] > mended
    takings = year["takings"]
    (setback,) = takings["setbacks"]
    assert (setback["model"], setback["former"]) == (second, first)
    assert setback["lost"] > 0
    assert takings["never"] < takings["earned"] < takings["best"]
    assert all(one["actor"] == "loop" for one in back)
    told = bucle("log", "--story", at=copy, env={"COLUMNS": "80"}).out
    for words in (
        "A retrain began",
        "as a canary",
        "it became champion",
        "Alarm (harm)",
        "Back to an earlier champion",
    ):
        assert words in told
    assert len(told.splitlines()) < 200
    assert max(map(len, told.splitlines())) <= 80
