"""Replays in worlds that answer: exact regret, the same luck for all, nothing known beforehand."""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from calls import bucle, kill, start
from stall import write_stall

EXPLORE = ("--explore", "0", "--explore", "0.2")


def replay(folder: Path, *words: str):
    return bucle("replay", "--json", *words, at=folder).json


def by_name(document):
    return {one["policy"] + f" {one['exploration']:g}": one for one in document["policies"]}


def kept(folder: Path) -> int:
    """Count the results of tasks that are kept."""
    path = folder / ".bucle" / "cache" / "kept.db"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base:
            found = base.execute("SELECT count(*) FROM kept WHERE kind = 'entries'").fetchone()
    except sqlite3.OperationalError:
        return 0
    return int(found[0])


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A stall that was lived through once, and what was found."""
    folder = write_stall(tmp_path_factory.mktemp("living") / "stall")
    return folder, replay(folder, *EXPLORE)


@pytest.mark.thorough
def test_the_best_proposals_forgo_nothing_at_all(lived):
    folder, _ = lived
    found = replay(folder, "--policy", "never", "--set", "replay.world=world.py:Knowing")
    (best,) = found["policies"]
    assert (best["money"], best["regret"], best["share"]) == (0.0, 0.0, 1.0)
    assert found["oracle"]["money"] == 0.0


@pytest.mark.thorough
def test_regret_is_what_was_forgone_and_the_retrains(lived):
    found = by_name(lived[1])
    for one in found.values():
        spent = sum(tick["money"] + tick["upkeep"] for tick in one["timeline"])
        assert one["regret"] == pytest.approx(spent)
        assert sum(tick["upkeep"] for tick in one["timeline"]) == 3 * one["retrains"]
    assert found["every:2w 0"]["regret"] == found["never 0"]["regret"] + 3 * 3


def test_a_price_that_is_never_varied_teaches_nothing(lived):
    found = by_name(lived[1])
    same, moved = found["every:2w 0"], found["every:2w 0.2"]
    assert same["retrains"] == moved["retrains"] == 3
    assert same["promotions"] == 0
    assert same["plain_share"] == found["never 0"]["plain_share"]
    assert moved["plain_share"] > same["plain_share"] + 0.1
    assert lived[1]["recorded_share"] < same["share"]


def test_each_policy_learns_from_its_own_items(lived):
    found = by_name(lived[1])
    firsts = {one["timeline"][0]["champion"] for one in found.values()}
    assert len(firsts) == 1
    assert len({one["timeline"][-1]["champion"] for one in found.values()}) == 2
    assert [one["name"] for one in lived[1]["policies"]] == [
        "never",
        "every:2w",
        "every:2w explore 20%",
    ]


@pytest.mark.thorough
def test_a_day_does_not_depend_on_how_long_life_goes_on(lived):
    folder, long = lived
    short = replay(folder, *EXPLORE, "--to", "2026-03-30")
    assert short["periods"] == 6
    for one, other in zip(short["policies"], long["policies"], strict=True):
        assert one["timeline"] == other["timeline"][:6]


@pytest.mark.thorough
def test_what_comes_later_changes_nothing_before(lived, tmp_path):
    other = write_stall(tmp_path / "stall", later=3.0)
    changed = replay(other, *EXPLORE)
    for one, two in zip(lived[1]["policies"], changed["policies"], strict=True):
        assert one["timeline"][:4] == two["timeline"][:4]
        assert one["timeline"] != two["timeline"]


@pytest.mark.thorough
def test_a_second_replay_lives_through_new_policies_alone(lived):
    folder, _ = lived
    again = replay(folder, *EXPLORE, "--policy", "never", "--policy", "every:2w")
    assert again["trainings"]["trained"] == 0
    more = replay(folder, *EXPLORE, "--policy", "never", "--policy", "every:4w")
    assert 0 < more["trainings"]["trained"] < more["trainings"]["distinct"] + 4
    assert by_name(more)["never 0"] == by_name(lived[1])["never 0"]


@pytest.mark.slow
def test_changed_truth_is_lived_through_again(lived, tmp_path):
    folder = tmp_path / "stall"
    shutil.copytree(lived[0], folder)
    truth = folder / "truth.csv"
    truth.write_text(truth.read_text() + "T9999,2026-01-06,1,1,2\n")
    assert replay(folder, *EXPLORE)["trainings"]["trained"] > 0


@pytest.mark.thorough
def test_killed_it_goes_on_with_the_policies_that_are_left(lived, tmp_path):
    folder = write_stall(tmp_path / "stall")
    words = (*EXPLORE, "--set", "pipeline.workers=1")
    process = start("replay", *words, at=folder)
    deadline = time.monotonic() + 60
    # The survey and the first policy.
    while kept(folder) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    kill(process)
    assert 2 <= kept(folder) < 4
    after = replay(folder, *words)
    assert 0 < after["trainings"]["trained"] < 9
    for one, other in zip(after["policies"], lived[1]["policies"], strict=True):
        assert one == other


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--explore", "0.2", "--set", "replay.world=''"), "does not answer"),
        (("--explore", "1.5"), "between 0 and 1"),
        (("--explore", "some"), "--explore"),
        (("--fault", "labels-x9:2026-03..2026-03"), "recorded history"),
        (("--set", "replay.world=world.py:Silent"), "no propose and no outcomes and no worth"),
        pytest.param(
            ("--set", "replay.world=world.py:Forgetful"), "'left'", marks=pytest.mark.slow
        ),
        (("--set", "replay.world=world.py:Nobody"), "Nobody"),
        (("--set", "replay.world=../world.py:Stall"), "replay.world"),
    ],
)
def test_a_bad_request_is_answered_with_what_would_help(lived, words, said):
    answer = bucle("replay", *words, at=lived[0], code=None)
    assert answer.code in {1, 2}
    assert said in answer.err
    assert "Traceback" not in answer.all


@pytest.mark.slow
def test_history_as_it_was_can_still_be_replayed(lived):
    found = replay(lived[0], "--set", "replay.world=''", "--policy", "never")
    assert found["recorded_share"] is None
    assert found["policies"][0]["share"] is None


def test_the_table_says_what_was_earned(lived):
    answer = bucle("replay", *EXPLORE, at=lived[0])
    row = next(line for line in answer.out.splitlines() if line.startswith("every:2w explore"))
    assert "20%" in row
    assert "0.5167" in row
    assert "as it was recorded" in answer.out
    page = (lived[0] / ".bucle" / "reports" / "replay.html").read_text()
    assert "share<br>earned" in page
    assert "This world answers" in page
