"""Triggers, and what keeps one back, each seen in a live loop over real rows and real models."""

import shutil
from pathlib import Path

import pytest
from going import Living
from shop import CHARTER, rows, write_rows, write_shop

from bucle.loop.training import run_project
from bucle.types import Event

pytestmark = pytest.mark.thorough

DIRECT = "deploy.steps=[]"
EVER = 'retrain.cooldown="0d"'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop whose champion, of the 4th of August, is bent; do not touch."""
    folder = write_shop(tmp_path_factory.mktemp("triggers") / "shop", charter=CHARTER)
    with pytest.MonkeyPatch.context() as patch:
        run_project(Living(folder, patch).opened())
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    passing = shutil.ignore_patterns("kept.db-*")
    return Path(shutil.copytree(made, tmp_path / "shop", symlinks=True, ignore=passing))


def bend(folder: Path, value: float) -> None:
    """Let the model's code be another one; 1.0 is straight."""
    code = (folder / "pipeline.py").read_text()
    head, _, tail = code.partition("bend: float = ")
    (folder / "pipeline.py").write_text(f"{head}bend: float = {value}{tail[tail.index(')') :]}")


def runs(events: list[Event]) -> int:
    return sum(one.kind == "run_started" for one in events)


def whys(events: list[Event]) -> list[str]:
    return [one.body["why"] for one in events if one.kind == "decided"]


def test_age_fires_when_the_champion_is_so_old_and_gives_as_long_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Living(folder, monkeypatch, 'retrain.policy="age:30d"', EVER, DIRECT).begin()
    assert runs(loop.look(days=29)) == 0
    assert runs(loop.look(days=1)) == 1
    assert "retrain: 30d and no newer model" in loop.said
    assert runs(loop.look(days=29)) == 0
    assert runs(loop.look(days=1)) == 1


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ("gain", "a new model would have saved"),
        ("regret", "since the last retrain a new model would have saved"),
    ],
)
def test_a_new_model_that_would_have_saved_more_than_it_costs_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, policy: str, why: str
) -> None:
    settings = (f'retrain.policy="{policy}"', EVER, DIRECT)
    loop = Living(folder, monkeypatch, *settings, "charter.money.retrain=800").begin()
    bend(folder, 1.0)
    # The code alone would save; no label tells yet.
    assert runs(loop.look(days=1)) == 0
    write_rows(folder / "sales.csv", rows(680))
    came = loop.look(days=15)
    # So few labels, and a retrain costs more.
    (seen,) = (one for one in came if one.kind == "gain_estimated")
    assert 0 < seen.body["saved"] < 800
    assert runs(came) == 0
    assert "not above the price 800" in whys(came)[-1]
    write_rows(folder / "sales.csv", rows(900))
    came = loop.look(days=90)
    seen = next(one for one in came if one.kind == "gain_estimated")
    assert seen.body["saved"] > 800
    assert runs(came) == 1
    assert [one for one in loop.said if one.startswith(f"retrain: {why}")], loop.said
    assert "promoted" in [one.kind for one in came]
    assert runs(loop.look(days=1)) == 0


def test_a_cool_down_holds_what_fired_until_it_is_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cooldown = 'retrain.cooldown="5d"'
    loop = Living(folder, monkeypatch, 'retrain.policy="code"', cooldown, DIRECT).begin()
    bend(folder, 1.0)
    came = loop.look()
    assert runs(came) == 0
    assert whys(came) == ["the project's code has changed, but the last retrain is younger than 5d"]
    assert runs(loop.look(days=4)) == 0
    assert runs(loop.look(days=1)) == 1


def test_a_month_has_its_budget_and_the_next_one_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = "retrain.most_per_month=1"
    loop = Living(folder, monkeypatch, 'retrain.policy="code"', EVER, budget, DIRECT).begin()
    bend(folder, 0.9)
    assert runs(loop.look(days=1)) == 1
    bend(folder, 1.0)
    came = loop.look(days=1)
    assert runs(came) == 0
    assert whys(came) == [
        "the project's code has changed, but this month's budget of 1 retrain is spent"
    ]
    assert runs(loop.look(days=20)) == 0
    assert runs(loop.look(days=10)) == 1
