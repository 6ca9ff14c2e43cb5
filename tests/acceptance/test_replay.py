"""`bucle replay` as a user meets it: what it tells, what it keeps, and how it refuses."""

import csv
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from calls import Answer, bucle, kill, obey_permissions, start
from shop import CHARTER, rows, write_rows, write_shop

COUNT = 360
KEYED = CHARTER.replace('target = "price"', 'target = "price"\nkey = "id"')
GRID = ("--from", "2025-02-15", "--period", "1w")
POLICIES = ("--policy", "never", "--policy", "every:2w", "--gate", "none", "--gate", "referee")
ASKED = (*GRID, *POLICIES)
_MARKED = """\
    import os, time

    marks = os.environ.get("MARKS")
    if marks:
        time.sleep(0.1)
        with open(marks, "a") as stream:
            stream.write("one\\n")
    known = examples.drop_nulls("price")
"""


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def make(folder: Path, *, count: int = COUNT, charter: str = KEYED) -> Path:
    """Write a shop whose model step leaves a mark for each training where it is asked to."""
    write_shop(folder, count=count, charter=charter)
    edit(folder / "pipeline.py", '    known = examples.drop_nulls("price")\n', _MARKED)
    return folder


def replay(folder: Path, *words: str) -> Any:
    return bucle("replay", "--json", *words, at=folder).json


def found_in(document: dict[str, Any]) -> dict[str, Any]:
    """Return what was found, without what says how it came about."""
    return {name: part for name, part in document.items() if name not in {"trainings", "report"}}


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A shop that was replayed once and what was found; look, do not touch."""
    folder = make(tmp_path_factory.mktemp("replayed") / "shop")
    return folder, replay(folder, *ASKED)


@pytest.fixture
def again(replayed: tuple[Path, Any], tmp_path: Path) -> Path:
    """A copy of it, of this test's own."""
    return Path(shutil.copytree(replayed[0], tmp_path / "shop"))


# ---- what it tells ----------------------------------------------------------


def test_the_json_has_the_keys_that_programs_rely_on(replayed: tuple[Path, Any]) -> None:
    found = replayed[1]
    assert {"metric", "periods", "policies", "comparisons", "oracle"} <= set(found)
    assert (found["metric"], found["periods"]) == ("mae", 11)
    texts = {"policy", "window", "gate"}
    counts = {"retrains", "promotions", "bad_promotions", "alarms", "false_alarms"}
    for one in found["policies"]:
        assert texts | counts | {"error", "money", "regret", "timeline"} <= set(one)
        assert all(isinstance(one[name], int) for name in counts)
        assert len(one["timeline"]) == found["periods"]
        for tick in one["timeline"]:
            assert {"at", "rows", "error", "champion", "did", "why"} <= set(tick)
            assert tick["champion"].startswith("m-")
            assert set(tick["did"]) <= {"retrain", "judge", "refit", "promote"}
            assert tick["why"]
    for pair in found["comparisons"]:
        assert {"a", "b", "difference", "low", "high", "verdict"} <= set(pair)
        assert pair["verdict"] in {"a is better", "b is better", "cannot be told apart"}
    names = [one["name"] for one in found["policies"]]
    assert names == ["never", "every:2w", "every:2w referee"]
    assert len(found["comparisons"]) == 3
    assert {"money", "error", "retrains"} <= set(found["oracle"])
    cheapest = min(one["money"] for one in found["policies"])
    assert found["oracle"]["money"] <= cheapest + 1e-9
    assert "NaN" not in json.dumps(found)
    assert "Infinity" not in json.dumps(found)


@pytest.mark.thorough
def test_the_words_fit_80_columns_without_colour(again: Path) -> None:
    asked = ("--policy", "performance:+15%/every:1mo", "--policy", "never", "--window", "last:6w")
    answer = bucle(
        *("replay", *GRID, *asked, "--fault", "labels-x100:2025-03..2025-03"),
        at=again,
        env={"COLUMNS": "80"},
    )
    lines = answer.out.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "\x1b" not in answer.all
    assert "performance:+15%/every:1mo" in answer.out
    assert "best in hindsight" in answer.out
    assert lines[-1] == "report  .bucle/reports/replay.html"
    assert (again / ".bucle" / "reports" / "replay.html").stat().st_size > 1000


@pytest.mark.thorough
def test_progress_is_a_few_lines_of_counts(tmp_path: Path) -> None:
    answer = bucle("replay", *ASKED, at=make(tmp_path / "shop"))
    told = answer.err.splitlines()
    assert 5 < len(told) < 45
    assert all("/" in line for line in told)


def test_help_has_an_example_and_every_option(tmp_path: Path) -> None:
    answer = bucle("replay", "--help", at=tmp_path)
    assert "example:\n  bucle replay --from" in answer.out
    for option in ("--to", "--period", "--policy", "--gate", "--window", "--fault", "--report"):
        assert option in answer.out


@pytest.mark.slow
def test_labels_without_a_time_of_their_own_are_known_at_once(tmp_path: Path) -> None:
    charter = KEYED.replace('label_time = "paid_at"\n', "")
    found = replay(make(tmp_path / "shop", charter=charter), *ASKED)
    assert (found["periods"], found["labels_by"], found["warnings"]) == (11, 0.0, [])


def test_a_replay_leaves_the_log_as_it_was_but_for_new_rows(replayed: tuple[Path, Any]) -> None:
    log = bucle("log", "--json", at=replayed[0]).json
    assert [event["kind"] for event in log] == ["data_added"]
    assert bucle("models", "--json", at=replayed[0]).json == []


@pytest.mark.thorough
def test_rows_until_the_end_that_was_asked_for_are_no_strangers(again: Path) -> None:
    found = replay(again, *ASKED, "--to", "2025-04-12")
    assert (found["periods"], found["to"], found["warnings"]) == (8, "2025-04-12", [])


# ---- no look-ahead ----------------------------------------------------------


def poisoned(content: Sequence[tuple[Any, ...]], at: date) -> list[tuple[object, ...]]:
    """Change each label that arrives after a day and each row from it on; add and drop some."""
    drawn = random.Random(17)
    changed: list[tuple[object, ...]] = []
    for number, sold, paid, size, price in content:
        if sold >= at:
            if drawn.random() < 0.7:
                day = sold + timedelta(days=drawn.randrange(9))
                changed.append((number, day, day, f"{drawn.uniform(0, 900):.3f}", "-77.5"))
        elif paid > at:
            changed.append((number, sold, paid + timedelta(days=3), size, f"{drawn.random()}"))
        else:
            changed.append((number, sold, paid, size, price))
    last = at + timedelta(days=90)
    return [*changed, *((10_000 + n, last, last, "3.0", "1e6") for n in range(40))]


def seen_by(document: dict[str, Any], at: str, *, period: timedelta, delay: timedelta) -> str:
    """Return the part of the timelines that was settled by a day, as JSON."""
    settled = []
    for one in document["policies"]:
        for tick in one["timeline"]:
            if tick["at"] > at:
                continue
            ends = date.fromisoformat(tick["at"]) + period + delay
            unsettled = () if ends.isoformat() <= at else ("rows", "error", "money")
            kept = {name: value for name, value in tick.items() if name not in unsettled}
            settled.append([one["name"], kept])
    return json.dumps(settled)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param("2025-03-08", marks=pytest.mark.slow),
        "2025-03-20",
        pytest.param("2025-04-05", marks=pytest.mark.slow),
    ],
)
def test_a_poisoned_file_gives_a_bit_identical_prefix(
    at: str, replayed: tuple[Path, Any], tmp_path: Path
) -> None:
    folder = make(tmp_path / "shop")
    write_rows(folder / "sales.csv", poisoned(rows(COUNT), date.fromisoformat(at)))
    found = replay(folder, *ASKED)
    week, two_days = timedelta(days=7), timedelta(days=2)
    clean = seen_by(replayed[1], at, period=week, delay=two_days)
    assert seen_by(found, at, period=week, delay=two_days) == clean
    assert clean.count('"champion"') >= 9
    assert found_in(found)["policies"] != replayed[1]["policies"]


@pytest.mark.slow
def test_a_poisoned_copy_of_freight_gives_a_bit_identical_prefix(
    shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "scms_consignments.csv"
    folder = tmp_path / "freight"
    bucle("new", folder, "--template", "scms", "--data", source, at=tmp_path)
    clean = replay(folder, *FREIGHT)
    _poison_freight(folder / "data" / source.name)
    shutil.rmtree(folder / ".bucle")
    other = replay(folder, *FREIGHT)
    told = [
        [
            (one["name"], tick["at"], tick["champion"], tick["did"], tick["why"])
            for one in found["policies"]
            for tick in one["timeline"]
            if tick["at"] <= "2012-12-01"
        ]
        for found in (clean, other)
    ]
    assert told[0] == told[1]
    assert len(told[0]) == 12 * len(clean["policies"])
    assert clean["policies"] != other["policies"]


FREIGHT = (
    *("--from", "2012-01-01", "--to", "2013-07-01", "--gate", "none", "--gate", "referee"),
    *("--policy", "never", "--policy", "every:2mo", "--policy", "gain"),
)


def _poison_freight(path: Path) -> None:
    """Change what was recorded after 1 December 2012; drop and change lines requested from then."""
    drawn = random.Random(5)
    with path.open(encoding="latin-1", newline="") as stream:
        header, *content = list(csv.reader(stream))
    place = {name: number for number, name in enumerate(header)}
    changed = [header]
    for row in content:
        day, month, year = row[place["Delivery Recorded Date"]].split("-")
        if (int(year), _MONTHS.index(month) + 1, int(day)) > (12, 12, 1):
            row[place["Freight Cost (USD)"]] = f"{drawn.uniform(1, 1e6):.2f}"
            row[place["Weight (Kilograms)"]] = str(drawn.randrange(1, 10**6))
        if _requested(row, place) >= (12, 12, 1):
            if drawn.random() < 0.2:
                continue
            row[place["Line Item Quantity"]] = str(drawn.randrange(1, 10**5))
            row[place["Country"]] = drawn.choice(["Zambia", "Nowhere"])
        changed.append(row)
    with path.open("w", encoding="latin-1", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(changed)


def _requested(row: list[str], place: dict[str, int]) -> tuple[int, int, int]:
    """Return year, month and day of the first of quote and order; lines with neither are old."""
    found = []
    for name in ("PQ First Sent to Client Date", "PO Sent to Vendor Date"):
        month, *rest = row[place[name]].split("/")
        if len(rest) == 2:
            found.append((int(rest[1]), int(month), int(rest[0])))
    return min(found, default=(0, 0, 0))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# ---- what it keeps ----------------------------------------------------------


def test_the_same_replay_again_trains_nothing_and_finds_the_same(
    again: Path, replayed: tuple[Path, Any]
) -> None:
    found = replay(again, *ASKED)
    assert found["trainings"]["trained"] == 0
    assert replayed[1]["trainings"]["trained"] == replayed[1]["trainings"]["distinct"] > 10
    assert found_in(found) == found_in(replayed[1])


@pytest.mark.thorough
def test_one_more_policy_trains_nothing_that_was_trained_before(
    again: Path, replayed: tuple[Path, Any]
) -> None:
    found = replay(again, *ASKED, "--policy", "every:3w")
    grown = found["trainings"]["distinct"] - replayed[1]["trainings"]["distinct"]
    assert found["trainings"]["trained"] == grown > 0
    assert [one for one in found["policies"] if one["policy"] != "every:3w"] == replayed[1][
        "policies"
    ] or _apart_from_regret(found) == _apart_from_regret(replayed[1])


def _apart_from_regret(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The optimum may be better with more models to choose from."""
    return [
        {name: value for name, value in one.items() if name != "regret"}
        for one in document["policies"]
        if one["policy"] != "every:3w"
    ]


@pytest.mark.thorough
def test_new_rows_at_the_end_retrain_nothing_old(
    again: Path, replayed: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(again / "sales.csv", [*rows(COUNT), *rows(21, first=COUNT)])
    marks = again.parent / "marks"
    monkeypatch.setenv("MARKS", str(marks))
    found = replay(again, *ASKED)
    before = replayed[1]["trainings"]["distinct"]
    assert found["periods"] == replayed[1]["periods"] + 1
    made = len(marks.read_text().splitlines())
    assert found["trainings"]["trained"] == made == found["trainings"]["distinct"] - before
    for one, other in zip(found["policies"], replayed[1]["policies"], strict=True):
        # The last period that was there was not over.
        assert one["timeline"][:10] == other["timeline"][:10]


# ---- killed, stopped, doubled -----------------------------------------------


def _wait_for_marks(marks: Path, count: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while not marks.exists() or len(marks.read_text().splitlines()) < count:
        assert process.poll() is None, "it was over too soon"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "signals",
    [
        pytest.param((signal.SIGKILL,), id="kill"),
        pytest.param((signal.SIGINT,), id="ctrl-c", marks=pytest.mark.slow),
    ],
)
@pytest.mark.thorough
def test_a_replay_that_was_ended_goes_on_from_what_was_trained(
    signals: tuple[int, ...],
    replayed: tuple[Path, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, marks = make(tmp_path / "shop"), tmp_path / "marks"
    monkeypatch.setenv("MARKS", str(marks))
    process = start("replay", *ASKED, at=folder)
    _wait_for_marks(marks, 6, process)
    code = kill(process, signals)
    assert code == (130 if signals == (signal.SIGINT,) else -signal.SIGKILL)
    _wait_until_group_is_gone(process.pid)
    trained = len(marks.read_text().splitlines())
    assert bucle("log", "verify", "--json", at=folder).json["intact"]
    found = replay(folder, *ASKED)
    assert found_in(found) == found_in(replayed[1])
    distinct = replayed[1]["trainings"]["distinct"]
    assert found["trainings"]["trained"] < distinct
    # What two workers were at when they were ended is all that is made twice.
    assert len(marks.read_text().splitlines()) - trained == found["trainings"]["trained"]
    assert len(marks.read_text().splitlines()) <= distinct + 3


def _wait_until_group_is_gone(group: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        alive = [
            path
            for path in Path("/proc").glob("[0-9]*/stat")
            if _fields(path)[2:3] == [str(group)] and _fields(path)[0] != "Z"
        ]
        if not alive:
            return
        time.sleep(0.05)
    raise AssertionError(f"processes of the group {group} are left")


def _fields(path: Path) -> list[str]:
    """Return the state, the parent and the group of a process; nothing where it has gone."""
    try:
        return path.read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return [""]


@pytest.mark.thorough
def test_two_replays_at_once_are_both_right(replayed: tuple[Path, Any], tmp_path: Path) -> None:
    folder = make(tmp_path / "shop")
    both = [start("replay", "--json", *ASKED, at=folder, stdout=subprocess.PIPE) for _ in range(2)]
    answers = [process.communicate(timeout=200)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    for answer in answers:
        assert found_in(json.loads(answer)) == found_in(replayed[1])
    assert bucle("log", "verify", "--json", at=folder).json["intact"]


@pytest.mark.thorough
@pytest.mark.parametrize("largest", [512, 20_000])
def test_files_that_cannot_grow_end_a_replay_cleanly(
    largest: int, again: Path, replayed: tuple[Path, Any]
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    write_rows(again / "sales.csv", rows(COUNT + 300))
    answer = bucle("replay", *ASKED, at=again, code=None, preexec_fn=limit)
    assert answer.code in {2, 3}
    assert "Traceback" not in answer.all, answer.all
    assert "Code: bucle-" in answer.err
    assert bucle("log", "verify", "--json", at=again).json["intact"]
    write_rows(again / "sales.csv", rows(COUNT))
    assert replay(again, *ASKED)["metric"] == "mae"


# ---- how it refuses ---------------------------------------------------------


def refused(folder: Path, *words: str | Path, says: str, code: int = 2, **options: Any) -> Answer:
    answer = bucle("replay", *words, at=folder, code=code, **options)
    assert "Traceback" not in answer.all
    assert says in answer.err, answer.err
    told = [line for line in answer.err.splitlines() if not line.startswith("  ")]
    assert len(told) == 1, answer.err
    assert "Code: bucle-" in answer.err
    assert "bucle.loop" not in answer.err
    assert answer.out == ""
    assert not (folder / ".bucle" / "reports").exists()
    return answer


MISTAKES = {
    "policy": (["--policy", "sometimes"], "a policy is never, harm,"),
    "policy span": (["--policy", "every:1h"], "Did you mean: every:1w"),
    "policy share": (["--policy", "performance:15"], "Did you mean: performance:+15%"),
    "no policy": (["--policy", ""], "Cannot use the retrain policy ''"),
    "gate": (["--gate", "refere"], "Did you mean: referee"),
    "window": (["--window", "shrinking"], "a window is expanding"),
    "window span": (["--window", "last:0d"], "Cannot read the span '0d'"),
    "period": (["--period", "3h"], "Cannot read the span '3h'"),
    "period of nothing": (["--period", "0w"], "Cannot read the span '0w'"),
    "day": (["--from", "yesterday"], "Cannot read the date 'yesterday' of --from"),
    "no such day": (["--to", "2025-02-30"], "Cannot read the date '2025-02-30' of --to"),
    "fault": (["--fault", "rows-x2:2025-03..2025-04"], "a fault is labels-x"),
    "fault without a time": (["--fault", "labels-x100"], "a fault is labels-x"),
    "fault of one": (["--fault", "labels-x1:2025-03..2025-04"], "it would change nothing"),
    "fault backwards": (["--fault", "labels-x9:2025-04..2025-03"], "it would change nothing"),
    "fault in no month": (["--fault", "labels-x9:2025-13..2025-14"], "month must be in 1..12"),
    "exploring history": (["--explore", "0.1"], "does not answer"),
    "exploring too much": (["--explore", "1.5"], "between 0 and 1"),
    "option": (["--polcy", "never"], "Did you mean: --policy"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_on_the_command_line_is_one_helpful_line_and_starts_nothing(
    mistake: str, tmp_path: Path
) -> None:
    folder = make(tmp_path / "shop", count=90)
    words, says = MISTAKES[mistake]
    refused(folder, *words, says=says)
    assert not (folder / ".bucle" / "tables").exists()


OUTSIDE = {
    "before": (["--from", "2001-01-01"], "history runs from 2025-01-01 to 2025-04-30"),
    "after": (["--from", "2031-01-01"], "Try: --from 2025-01-"),
    "too early": (["--from", "2025-01-03"], "only 3 labels were known then"),
    "to before from": ([*GRID, "--to", "2025-02-01"], "it begins on 2025-02-15"),
    "to at from": ([*GRID, "--to", "2025-02-15"], "Try: --to 2025-04-30"),
    "one period": ([*GRID[:2], "--period", "1y"], "fewer than 2 periods of 1y"),
    "too late": (["--from", "2025-04-29", "--period", "1w"], "fewer than 2 periods"),
    "fault beside history": (
        [*ASKED, "--fault", "labels-x9:2031-01..2031-02"],
        "it changes no label of history",
    ),
}


@pytest.fixture(scope="module")
def unreported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("unreported") / "shop")


@pytest.mark.thorough
@pytest.mark.parametrize("mistake", OUTSIDE)
def test_a_time_that_history_does_not_hold_is_refused(mistake: str, unreported: Path) -> None:
    words, says = OUTSIDE[mistake]
    refused(unreported, *words, says=says)


def change_charter(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "bucle.toml", old, new)


def change_steps(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "pipeline.py", old, new)


FIT = 'return Line(bend=bend).fit(known, known["price"])'
PROJECTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a label before its event": (
        lambda folder: edit(folder / "sales.csv", "2025-02-20,2025-02-22", "2025-02-20,2025-02-19"),
        "in 3 of 360 rows the label was known before its event",
    ),
    "no event time": (
        change_charter('event_time = "sold_at"\n', ""),
        "the dataset has no event_time",
    ),
    "no model": (change_steps("def model(", "def other("), "the pipeline has no step 'model'"),
    "examples without time": (
        change_steps('.sort("sold_at", "id")', '.drop("sold_at")'),
        "the examples have no column 'sold_at'",
    ),
    "examples that are none": (
        change_steps('return sales.sort("sold_at", "id")', "return {}"),
        "gave a dict, no frame",
    ),
    "a model that is none": (change_steps(FIT, 'return {"a": 1}'), "cannot predict"),
    "a step that always fails": (
        change_steps(FIT, 'raise ValueError("too hot")'),
        "ValueError: too hot",
    ),
    "a key that is no column": (
        change_charter('target = "price"\nkey = "id"', 'target = "price"\nkey = "idd"'),
        "Did you mean: id",
    ),
    "a key that names many": (
        lambda folder: (
            change_charter('target = "price"\nkey = "id"', 'target = "price"\nkey = "week"')(
                folder
            ),
            change_steps(
                '.sort("sold_at", "id")',
                '.with_columns((pl.col("id") % 7).alias("week"))',
            )(folder),
        ),
        "rows share their name with another",
    ),
    "one class only": (
        lambda folder: (
            change_charter('target = "price"', 'target = "price"\nkind = "classification"')(folder),
            change_charter('metric = "mae"\ngoal = 2.0\nmust = 50.0', 'metric = "brier"')(folder),
            change_steps(
                '.sort("sold_at", "id")',
                '.with_columns(pl.when(pl.col("price").is_not_null()).then(pl.lit("yes"))'
                '.alias("price"))',
            )(folder),
            change_steps(
                FIT,
                "from sklearn.dummy import DummyClassifier\n\n"
                '    return DummyClassifier().fit(known.select("size"), known["price"].to_list())',
            )(folder),
        ),
        "the labels known then have 1 value (yes)",
    ),
    "few labels": (
        lambda folder: write_rows(folder / "sales.csv", rows(29)),
        "only 29 labels are known in all",
    ),
    "few days": (
        lambda folder: write_rows(folder / "sales.csv", rows(33)),
        "after the last row",
    ),
    "a model that refuses later rows": (
        lambda folder: edit(
            folder / "line.py",
            "        return self.base_",
            '        if (X["size"] > 19.5).any():\n            raise ValueError("too large")\n'
            "        return self.base_",
        ),
        "it refuses",
    ),
}


# These show only once models are trained.
LATE = {"a model that is none", "a step that always fails", "a model that refuses later rows"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=[pytest.mark.thorough] if fault in LATE else [])
        for fault in PROJECTS
    ],
)
def test_a_project_that_cannot_be_replayed_is_told_why(fault: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "shop")
    change, says = PROJECTS[fault]
    change(folder)
    few = fault in {"few labels", "few days"}
    refused(folder, *(POLICIES if few else ASKED), says=says)


@pytest.mark.thorough
def test_a_step_that_fails_at_some_moments_leaves_the_others(tmp_path: Path) -> None:
    folder = make(tmp_path / "shop")
    hot = 'if 150 < known.height < 185:\n        raise ValueError("too hot")\n    '
    edit(folder / "pipeline.py", FIT, hot + FIT)
    found = replay(folder, *ASKED)
    assert found["periods"] == 11
    (warning,) = found["warnings"]
    assert "failed, the first on 2025-0" in warning
    assert "ValueError: too hot" in warning
    often = found["policies"][1]
    assert 0 < often["promotions"] < often["retrains"]


@pytest.mark.parametrize("place", ["", "bucle.toml/report.html", "closed/report.html"])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_trained(
    place: str, tmp_path: Path
) -> None:
    folder = make(tmp_path / "shop", count=90)
    (folder / "closed").mkdir(mode=0o500)
    refused(
        *(folder, "--report", folder / place),
        says="Cannot write the report",
        code=3,
        preexec_fn=obey_permissions,
    )
    assert not (folder / ".bucle" / "blobs").exists()


def test_a_report_goes_where_it_is_wanted(again: Path) -> None:
    wanted = again.parent / "new" / "report.html"
    found = replay(again, *ASKED, "--report", os.fspath(wanted))
    assert found["report"] == str(wanted)
    assert wanted.read_text().startswith("<!")
