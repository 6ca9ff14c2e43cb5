"""A label is joined right whenever it comes: the metric equals a recomputation by hand."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from calls import bucle
from shop_days import HALF, microseconds, start, write

from bucle.loop.watching.watched import HarmLayer
from bucle.loop.watching.watching import watch_project
from bucle.loop.workspace import Workspace, open_workspace
from bucle.serve.compactor import compact
from bucle.serve.records import Feedback, Prediction, PredictionIds

DAYS, PER_DAY = 6, 30
LATE = timedelta(days=100)
"""When everything has come, also what came after 90 days."""

Labels = list[Feedback]


@pytest.fixture
def workspace(shop: Path) -> Workspace:
    return open_workspace(shop)


def answers(workspace: Workspace, *, days: int = DAYS, seed: int = 1) -> list[Prediction]:
    """Return what the champion answers for some days after it came."""
    rng, ids, begin = np.random.default_rng(seed), PredictionIds(), start(workspace)
    model = workspace.state().tenures[-1].model
    made = []
    for day in range(days):
        for number in range(PER_DAY):
            at = begin + timedelta(days=day, minutes=number)
            (name,) = ids.take(now_ms=int(at.timestamp() * 1000))
            said = float(rng.uniform(10, 70))
            made.append(
                Prediction(
                    id=name,
                    at=microseconds(at),
                    model=model,
                    role="champion",
                    prediction=said,
                    low=said - HALF,
                    high=said + HALF,
                    features=json.dumps({"size": (said - 10) / 3}).encode(),
                )
            )
    return made


def label(one: Prediction, *, after: timedelta, off: float) -> Feedback:
    moment = one.at + after // timedelta(microseconds=1)
    return Feedback(id=one.id, at=moment, label=json.dumps(round(one.prediction + off, 6)))


def by_hand(said: list[Prediction], told: Labels) -> tuple[float, int]:
    """Return the mean absolute error of what has a label, and how many have: plain Python."""
    last: dict[str, tuple[int, int, float]] = {}
    for order, one in enumerate(told):
        last[one.id] = max(
            last.get(one.id, (-1, -1, 0.0)), (one.at, order, float(json.loads(one.label)))
        )
    errors = [abs(one.prediction - last[one.id][2]) for one in said if one.id in last]
    return sum(errors) / len(errors), len(errors)


def usual(said: list[Prediction]) -> Labels:
    """Return a label for nine in ten, a day later."""
    rng = np.random.default_rng(2)
    return [
        label(one, after=timedelta(days=1), off=float(rng.normal(0, 2)))
        for one in said
        if rng.random() < 0.9
    ]


def early(said: list[Prediction]) -> Labels:
    return [label(one, after=timedelta(seconds=-5), off=1.0) for one in said]


def at_once(said: list[Prediction]) -> Labels:
    return [label(one, after=timedelta(0), off=1.5) for one in said]


def after_ninety_days(said: list[Prediction]) -> Labels:
    return [*usual(said), *(label(one, after=timedelta(days=90), off=3.0) for one in said[:20])]


def twice_the_same(said: list[Prediction]) -> Labels:
    return [one for one in usual(said) for _ in range(2)]


def twice_different(said: list[Prediction]) -> Labels:
    return [
        *usual(said),
        *(label(one, after=timedelta(days=3), off=-4.0) for one in said[::5]),
        # Of two in the same microsecond the later one counts.
        *(label(one, after=timedelta(days=4), off=off) for one in said[:3] for off in (9.0, 1.0)),
    ]


def of_unknown_ids(said: list[Prediction]) -> Labels:
    strangers = [
        Feedback(id=f"p-{number:032x}", at=one.at, label="1e6")
        for number, one in enumerate(3 * said)
    ]
    return [*usual(said), *strangers]


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.parametrize(
    "labels",
    [
        early,
        at_once,
        after_ninety_days,
        twice_the_same,
        twice_different,
        of_unknown_ids,
    ],
)
def test_the_metric_is_that_of_a_recomputation(
    workspace: Workspace, labels: Callable[[list[Prediction]], Labels], *, is_compacted: bool
) -> None:
    said = answers(workspace)
    told = labels(said)
    # Labels may be written before their predictions, by another worker.
    write(workspace, *told)
    write(workspace, *said)
    if is_compacted:
        compact(workspace.home / "serve" / "log", workspace.tables)
    harm = look(workspace, start(workspace) + timedelta(days=DAYS) + LATE)
    error, labelled = by_hand(said, told)
    assert harm.labelled == labelled
    assert harm.alarm is None
    assert harm.error == pytest.approx(error, rel=1e-12)


def look(workspace: Workspace, now: datetime) -> HarmLayer:
    harm = watch_project(workspace, now).harm
    assert harm is not None
    return harm


def test_a_late_label_restates_its_day_and_that_is_shown(workspace: Workspace) -> None:
    said = answers(workspace)
    told = [label(one, after=timedelta(days=1), off=1.0) for one in said if one.id != said[0].id]
    write(workspace, *said, *told)
    now = start(workspace) + timedelta(days=DAYS + 1)
    assert look(workspace, now).restated == ()
    late = [
        label(said[0], after=timedelta(days=8), off=4.0),
        label(said[1], after=timedelta(days=8), off=2.5),
    ]
    write(workspace, *late)
    # Before they arrive nothing is known of them.
    assert look(workspace, now).restated == ()
    (found,) = look(workspace, now + timedelta(days=9)).restated
    assert found.date == str(start(workspace).date())
    assert (found.late, found.corrected) == (1, 1)
    assert found.before == pytest.approx(1.0)
    assert found.after == pytest.approx((28 * 1.0 + 4.0 + 2.5) / 30)
    assert found.judged == now.isoformat()
    # It stays visible at later looks, and is not stated a third time.
    assert look(workspace, now + timedelta(days=20)).restated == (found,)


def test_coverage_of_labels_is_shown_by_day(workspace: Workspace) -> None:
    said = answers(workspace)
    first = str(start(workspace).date())
    write(
        workspace,
        *said,
        *(label(one, after=timedelta(days=1), off=1.0) for one in said[: PER_DAY // 3]),
    )
    days = look(workspace, start(workspace) + timedelta(days=DAYS)).days
    assert [day.labelled for day in days] == [PER_DAY // 3, 0, 0, 0, 0, 0]
    assert days[0].date == first
    assert days[0].mature
    assert not days[-1].mature
    assert days[0].loss == pytest.approx(1.0)
    assert days[-1].loss is None


@pytest.mark.thorough
def test_labels_follow_their_model_through_a_rollback_and_a_retrain(workspace: Workspace) -> None:
    old = workspace.state().tenures[-1].model
    before = answers(workspace)
    told = [label(one, after=timedelta(days=1), off=1.0) for one in before]
    write(workspace, *before, *told)
    bucle("rollback", "--because", "test", at=workspace.root)
    again = open_workspace(workspace.root)
    new = again.state().tenures[-1].model
    assert new != old
    after = answers(again, seed=9)
    later = [label(one, after=timedelta(days=2), off=-2.0) for one in after]
    # The label of what the other one had said comes now, and is none of the present champion's.
    late = [label(one, after=timedelta(days=30), off=50.0) for one in before[:40]]
    write(again, *after, *later, *late)
    harm = look(again, start(again) + timedelta(days=DAYS) + LATE)
    assert harm.labelled == len(after)
    assert harm.error == pytest.approx(by_hand(after, [*later, *late])[0], rel=1e-12)


def test_what_was_kept_of_days_can_be_lost_or_damaged(workspace: Workspace) -> None:
    said = answers(workspace)
    write(workspace, *said, *(label(one, after=timedelta(days=1), off=1.0) for one in said))
    now = start(workspace) + timedelta(days=DAYS + 1)
    first = watch_project(workspace, now)
    kept = sorted((workspace.home / "watch").rglob("*.json"))
    assert {path.name for path in kept} > {"judged.json"}
    for damage in (b"", b"{", b'{"digest":"0","days":{}}'):
        for path in kept:
            path.write_bytes(damage)
        assert watch_project(workspace, now) == first
    for path in kept:
        path.unlink()
    assert watch_project(workspace, now) == first
