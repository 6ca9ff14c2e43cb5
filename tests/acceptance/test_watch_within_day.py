"""Harm that shows before its day is over, and looks that read what is new of the labels."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from shop_days import PER_DAY, live, microseconds, start, write

from bucle.clock import FixedClock
from bucle.loop.live.deeds import carry_out
from bucle.loop.live.orders import Order, facts_of
from bucle.loop.observations import AlarmRaised
from bucle.loop.watching.watched import HarmLayer
from bucle.loop.watching.watching import watch_project
from bucle.loop.workspace import Workspace, open_workspace
from bucle.serve.compactor import compact
from bucle.serve.records import Feedback, Prediction, PredictionIds

SOON = timedelta(minutes=5)
HOUR = timedelta(hours=1)
AN_HOUR = 600
CALM_DAYS = 2


@pytest.fixture
def workspace(shop: Path) -> Workspace:
    return open_workspace(shop)


def work(workspace: Workspace, begin: datetime, *, hours: int, wrong: float) -> None:
    """Let the champion answer for some hours, labels coming five minutes later."""
    rng, ids = np.random.default_rng(begin.hour), PredictionIds()
    model = workspace.state().tenures[-1].model
    records: list[Prediction | Feedback] = []
    for number in range(hours * AN_HOUR):
        at = begin + number * HOUR / AN_HOUR
        size = float(rng.uniform(1, 20))
        said = 10 + 3 * size
        (name,) = ids.take(now_ms=int(at.timestamp() * 1000))
        records.append(
            Prediction(
                id=name,
                at=microseconds(at),
                model=model,
                role="champion",
                prediction=said,
                low=said - 3.29,
                high=said + 3.29,
                features=json.dumps({"size": size}).encode(),
            )
        )
        truth = json.dumps(said + float(rng.normal(0, 2)) * wrong)
        records.append(Feedback(id=name, at=microseconds(at + SOON), label=truth))
    write(workspace, *records)


def harm_at(workspace: Workspace, now: datetime) -> HarmLayer:
    harm = watch_project(workspace, now).harm
    assert harm is not None
    return harm


def test_five_times_the_loss_is_told_at_the_next_look_of_the_loop(workspace: Workspace) -> None:
    today = live(workspace, days=CALM_DAYS, delay=SOON)
    work(workspace, today, hours=2, wrong=1.0)
    work(workspace, today + 2 * HOUR, hours=1, wrong=5.0)
    calm = harm_at(workspace, today + 2 * HOUR + SOON)
    assert (calm.alarm, calm.labelled) == (None, CALM_DAYS * PER_DAY)
    assert calm.running is not None
    assert calm.running.labelled == calm.running.rows == 2 * AN_HOUR
    # Half an hour of labels is enough, and the controller's next look raises the alarm.
    now = today + 2 * HOUR + timedelta(minutes=30) + SOON
    opened = open_workspace(workspace.root, clock=FixedClock(now))
    order = Order(kind="watch", root=str(workspace.root))
    raised = facts_of(carry_out(order, workspace=opened))
    told = [one for one in raised if isinstance(one, AlarmRaised) and one.layer == "harm"]
    assert [(one.subject, one.since) for one in told] == [("mae", str(today.date()))]
    assert told[0].examples
    # Whoever looks after the day is over sees the same.
    later = harm_at(workspace, now + timedelta(days=2))
    assert (later.alarm, later.since) == (str(today.date()), str(today.date()))
    assert later.running is None


def test_a_look_joins_only_the_days_that_something_is_new_of(workspace: Workspace) -> None:
    end = live(workspace, days=9, delay=timedelta(days=1))
    now = end + timedelta(hours=2)
    first = watch_project(workspace, now)
    folder = next((workspace.home / "watch").glob("*/labels"))
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.arrow")}
    assert len(before) >= 9
    # One label of the third day is corrected, and the tables are made of the files meanwhile.
    compact(workspace.home / "serve" / "log", workspace.tables)
    assert watch_project(workspace, now) == first
    settled = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.arrow")}
    third = start(workspace) + timedelta(days=2, minutes=7)
    rows = workspace.tables.read("predictions", version=workspace.tables.version("predictions"))
    name = rows.filter(rows["at"] == third)["id"][0]
    write(workspace, Feedback(id=name, at=microseconds(now), label="1000.0"))
    second = watch_project(workspace, now + timedelta(hours=1))
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.arrow")}
    assert {day for day in after if after[day] != settled[day]} == {f"{third.date()}.arrow"}
    assert second.harm is not None
    assert second.harm.corrected == 1
    assert [one.date for one in second.harm.restated] == [str(third.date())]
    # What is kept changes nothing of what is seen.
    shutil.rmtree(folder)
    assert watch_project(workspace, now + timedelta(hours=1)) == second
    (folder / f"{third.date()}.arrow").write_bytes(b"damaged")
    assert watch_project(workspace, now + timedelta(hours=1)) == second


def test_a_look_at_an_earlier_moment_sees_what_was_known_then(workspace: Workspace) -> None:
    end = live(workspace, days=6, delay=timedelta(days=1))
    early = end - timedelta(days=3)
    before = watch_project(workspace, early)
    whole = watch_project(workspace, end)
    assert whole.harm is not None
    assert before.harm is not None
    assert whole.harm.labelled > before.harm.labelled
    assert watch_project(workspace, early) == before
    assert watch_project(workspace, end) == whole
