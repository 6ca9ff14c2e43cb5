"""What jobs of a live project see and do, on a small project of its own, in this process."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shop import CHARTER, rows, write_rows, write_shop

from bucle.clock import FixedClock
from bucle.loop.actions import Deploy, Judge, Refit
from bucle.loop.again import judge_again, refit_again
from bucle.loop.beside import see_challenger
from bucle.loop.control import deployed_by
from bucle.loop.events import DataAdded, Deployed, RunFinished
from bucle.loop.live.deeds import carry_out
from bucle.loop.live.gains import see_gain
from bucle.loop.live.orders import Order, facts_of
from bucle.loop.live.rules import live_policy
from bucle.loop.live.windows import see_windows
from bucle.loop.observations import AlarmRaised, ChallengerSeen, DriftMeasured, WindowJudged
from bucle.loop.registry import promote_model, roll_back
from bucle.loop.training import run_project
from bucle.loop.workspace import Workspace, open_workspace
from bucle.models.registry import champion
from bucle.serve.journal import Journal
from bucle.serve.records import Feedback, Prediction

pytestmark = pytest.mark.thorough

BEGAN = datetime(2025, 8, 4, tzinfo=UTC)
FIELD = '{"size": %s}'


def opened(folder: Path, *, at: datetime = BEGAN, overrides: tuple[str, ...] = ()) -> Workspace:
    return open_workspace(folder, clock=FixedClock(at), actor="ana", overrides=overrides)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop with a champion that is bent and a better model that passed; do not touch."""
    charter = CHARTER + '\n[replay]\nperiod = "1w"\n'
    folder = write_shop(tmp_path_factory.mktemp("deeds") / "shop", charter=charter)
    run_project(opened(folder))
    code = folder / "pipeline.py"
    code.write_text(code.read_text().replace("bend: float = 0.7", "bend: float = 1.0"))
    done = run_project(opened(folder, overrides=('gates.promote="ask"',)))
    assert done.verdict is not None
    assert done.verdict.outcome == "pass"
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Path:
    # The run may still be letting go of what it kept for the next one, whenever it is collected.
    passing = shutil.ignore_patterns("kept.db-*")
    return Path(shutil.copytree(made, tmp_path / "shop", symlinks=True, ignore=passing))


@pytest.fixture
def told(shop: Path) -> Iterator[Callable[..., None]]:
    """Return what puts predictions, with their labels, into the project's log."""
    journal = Journal(shop / ".bucle" / "serve" / "log", name="w0")
    number = 0

    def tell(
        at: datetime,
        *,
        model: str,
        beside: str = "",
        count: int = 30,
        error: float = 1.0,
        other: float = 0.1,
        took_us: tuple[int, int] = (100, 100),
        label_after: timedelta | None = timedelta(hours=1),
    ) -> None:
        nonlocal number
        records: list[Prediction | Feedback] = []
        for _ in range(count):
            number += 1
            moment = int((at + timedelta(seconds=number)).timestamp() * 1_000_000)
            # An id says when it was given, as those of a server do.
            name, size = f"p-{moment // 1000:012x}{number:020x}", 1 + number % 19
            fields: dict[str, Any] = {"at": moment, "features": (FIELD % size).encode()}
            truth = 10 + 3 * size
            # Errors differ from row to row, and of those of two models on the same row.
            spread = 1 + (number % 7) / 10
            records.append(
                Prediction(
                    id=name,
                    model=model,
                    role="champion",
                    prediction=truth + error * spread,
                    latency_us=took_us[0],
                    **fields,
                )
            )
            if beside:
                records.append(
                    Prediction(
                        id=f"s-{number:032x}",
                        of=name,
                        model=beside,
                        role="shadow",
                        prediction=truth + other * spread,
                        latency_us=took_us[1],
                        **fields,
                    )
                )
            if label_after is not None:
                came = moment + int(label_after.total_seconds() * 1_000_000)
                records.append(Feedback(id=name, at=came, label=str(truth)))
        journal.append_many(records)

    yield tell
    journal.close()


def pair(workspace: Workspace) -> tuple[str, str]:
    """Return the champion and the other model."""
    state = workspace.state()
    reigning = champion(state.tenures)
    assert reigning is not None
    (other,) = set(state.models) - {reigning.model}
    return reigning.model, other


def deploy(workspace: Workspace, share: float = 0.0) -> Deployed:
    first, other = pair(workspace)
    run = workspace.state().ended or ""
    action = Deploy(id="a-1", why="so", run=run, model=other, champion=first, share=share)
    fact = deployed_by(action)
    workspace.record(fact)
    return fact


# ---- a model beside the champion ---------------------------------------------------------


def see(folder: Path, *, at: datetime) -> ChallengerSeen:
    workspace = opened(folder, at=at)
    seen = see_challenger(workspace, workspace.state(), baked_s=12.5)
    assert seen is not None
    return seen


def test_nothing_is_seen_where_nobody_is_deployed(shop: Path) -> None:
    workspace = opened(shop)
    assert see_challenger(workspace, workspace.state(), baked_s=0.0) is None
    deploy(workspace)
    seen = see(shop, at=BEGAN)
    assert (seen.pairs, seen.answers, seen.labelled, seen.slower) == (0, 0, 0, None)
    assert seen.baked_s == 12.5


def test_pairs_labels_gain_and_times_are_seen(shop: Path, told: Callable[..., None]) -> None:
    workspace = opened(shop)
    first, other = pair(workspace)
    told(BEGAN - timedelta(days=1), model=first, beside=other, count=50)
    deploy(workspace)
    day = BEGAN + timedelta(hours=1)
    told(day, model=first, beside=other, count=200, took_us=(6_000, 18_000))
    told(day, model=first, count=40)
    seen = see(shop, at=BEGAN + timedelta(days=2))
    # What was scored by both before the deployment began is no evidence for it.
    assert (seen.pairs, seen.answers, seen.labelled, seen.failures) == (200, 0, 200, 0)
    assert seen.slower == 3.0
    assert seen.low is not None
    assert seen.low > 0.5


def test_few_times_and_a_few_slow_requests_say_nothing_of_a_model(
    shop: Path, told: Callable[..., None]
) -> None:
    workspace = opened(shop)
    first, other = pair(workspace)
    deploy(workspace)
    day = BEGAN + timedelta(hours=1)
    told(day, model=first, beside=other, count=9, took_us=(6_000, 900_000))
    assert see(shop, at=BEGAN + timedelta(days=1)).slower is None
    told(day, model=first, beside=other, count=100, took_us=(6_000, 6_000))
    assert see(shop, at=BEGAN + timedelta(days=1)).slower == 1.0
    told(day, model=first, beside=other, count=150, took_us=(6_000, 30_000))
    assert see(shop, at=BEGAN + timedelta(days=1)).slower == 5.0


# ---- windows ------------------------------------------------------------------------------


def windows(folder: Path, *, at: datetime, kinds: tuple[str, ...]) -> tuple[Any, ...]:
    workspace = opened(folder, at=at)
    seen = see_windows(workspace, workspace.state(), kinds=kinds)
    workspace.record(*seen)
    return seen


def test_a_window_is_judged_once_when_its_labels_had_time(
    shop: Path, told: Callable[..., None]
) -> None:
    first, _ = pair(opened(shop))
    for week in range(3):
        told(BEGAN + timedelta(days=7 * week + 1), model=first, count=30, error=4.0)
    # The labels of the last week had time when the week after it ends.
    after = BEGAN + timedelta(days=29)
    assert windows(shop, at=BEGAN + timedelta(days=3), kinds=("performance",)) == ()
    (seen,) = windows(shop, at=after, kinds=("performance",))
    assert isinstance(seen, WindowJudged)
    assert (seen.rows, seen.labelled) == (90, 90)
    assert seen.start[:10] == "2025-08-04"
    assert seen.end[:10] == "2025-08-25"
    assert seen.error == pytest.approx(4 * 1.3, rel=0.05)
    assert windows(shop, at=after, kinds=("performance",)) == ()


def test_a_window_waits_for_labels_that_come_late(shop: Path, told: Callable[..., None]) -> None:
    first, _ = pair(opened(shop))
    late = timedelta(days=10)
    told(BEGAN + timedelta(days=1), model=first, label_after=late)
    told(BEGAN + timedelta(days=8), model=first, label_after=late)
    assert windows(shop, at=BEGAN + timedelta(days=19), kinds=("performance",)) == ()
    (seen,) = windows(shop, at=BEGAN + timedelta(days=22), kinds=("performance",))
    assert seen.end[:10] == "2025-08-11"
    assert seen.rows == 30


def test_too_few_labels_judge_nothing(shop: Path, told: Callable[..., None]) -> None:
    first, _ = pair(opened(shop))
    told(BEGAN + timedelta(days=1), model=first, count=12)
    told(BEGAN + timedelta(days=1), model=first, count=100, label_after=None)
    assert windows(shop, at=BEGAN + timedelta(days=22), kinds=("performance",)) == ()


def test_the_distance_of_inputs_is_measured_week_by_week(
    shop: Path, told: Callable[..., None]
) -> None:
    first, _ = pair(opened(shop))
    told(BEGAN + timedelta(days=1), model=first, count=100, label_after=None)
    (seen,) = windows(shop, at=BEGAN + timedelta(days=8), kinds=("drift",))
    assert isinstance(seen, DriftMeasured)
    assert (seen.column, seen.rows) == ("size", 100)
    assert windows(shop, at=BEGAN + timedelta(days=8), kinds=("drift",)) == ()


# ---- runs taken up again, and what a new one would save ------------------------------------


def test_an_earlier_model_is_judged_beside_the_champion_of_now(shop: Path) -> None:
    workspace = opened(shop)
    state = workspace.state()
    first, other = pair(workspace)
    run = state.ended or ""
    action = Judge(id="a-9", why="so", run=run, model=other, champion=first)
    given = judge_again(workspace, action)
    assert (given.action, given.run, given.verdict.outcome) == ("a-9", run, "pass")
    assert given.verdict.champion == first
    code = shop / "pipeline.py"
    code.write_text(code.read_text().replace("bend: float = 1.0", "bend: float = 0.9"))
    given = judge_again(opened(shop), action)
    assert given.verdict.outcome == "undecided"
    assert "Cannot take up the run" in given.verdict.checks[0].why


def test_an_earlier_model_is_learned_once_more_from_all_that_its_run_knew(shop: Path) -> None:
    workspace = opened(shop)
    _, other = pair(workspace)
    action = Refit(id="a-9", why="so", run=workspace.state().ended or "", model=other)
    found = refit_again(workspace, action)
    assert (found.action, found.tested, found.outcome) == ("a-9", other, "pass")
    assert found.model not in {None, other}


def test_what_a_new_model_would_save_is_estimated_on_new_labels(shop: Path) -> None:
    workspace = opened(shop)
    assert see_gain(workspace, workspace.state()) is None
    write_rows(shop / "more.csv", rows(300, first=600))
    order = Order(
        kind="ingest",
        root=str(shop),
        details={"dataset": "sales", "file": str(shop / "more.csv")},
    )
    answer = carry_out(order)
    assert answer.error == ""
    later = opened(shop, at=BEGAN + timedelta(days=120))
    seen = see_gain(later, later.state())
    assert seen is not None
    assert seen.champion == pair(later)[0]
    # Only rows that the new model has not learned from count.
    assert seen.rows == 180
    assert seen.gain > 0.5


def test_a_retrain_that_is_ordered_stands_in_the_log_when_it_is_done(shop: Path) -> None:
    workspace = opened(shop)
    policy = msgspec.to_builtins(live_policy(workspace.charter))
    order = Order(kind="retrain", root=str(shop), details={"action": "a-5", "policy": policy})
    before = workspace.log.head().position
    answer = carry_out(order)
    assert (answer.error, facts_of(answer)) == ("", ())
    kinds = [one.kind for one in workspace.log.read(after=before)]
    assert kinds[0] == "run_started"
    assert RunFinished.kind in kinds
    assert DataAdded.kind not in kinds


def test_alarms_of_a_champion_are_over_when_a_person_puts_another_in_its_place(shop: Path) -> None:
    workspace = opened(shop)
    first, other = pair(workspace)
    for change, layer in ((promote_model, "harm"), (roll_back, "inputs")):
        workspace.record(AlarmRaised(layer=layer, subject="size", since="2025-08-01", why="odd"))
        if change is promote_model:
            promote_model(workspace, other, because="I like it")
        else:
            roll_back(workspace)
        assert workspace.state().alarms == {}
    over = [one.body for one in workspace.log.read() if one.kind == "alarm_resolved"]
    assert [(one["layer"], one["why"]) for one in over] == [
        ("harm", f"{other} is champion now, and this was seen of {first}"),
        ("inputs", f"{first} is champion now, and this was seen of {other}"),
    ]
