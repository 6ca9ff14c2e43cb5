"""Days of a shop at work: a champion that answers, and labels that come later."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from bucle.loop.workspace import Workspace
from bucle.models.registry import champion
from bucle.serve.journal import Journal
from bucle.serve.records import Feedback, Prediction, PredictionIds

__all__ = ["HALF", "PER_DAY", "live", "microseconds", "start", "write"]

PER_DAY = 80
"""Answers a day."""

HALF = 3.29
"""Half an interval's width: labels scatter around answers by 2, so it holds nine in ten."""


def start(workspace: Workspace) -> datetime:
    reigning = champion(workspace.state().tenures)
    assert reigning is not None
    day = datetime.fromisoformat(reigning.since).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, 6, tzinfo=UTC)


def live(
    workspace: Workspace,
    *,
    days: int,
    size: Callable[[int], float] = lambda _: 1.0,
    wrong: Callable[[int], float] = lambda _: 1.0,
    delay: timedelta = timedelta(days=2),
) -> datetime:
    """Let a champion answer for some days, its labels coming later; return the end."""
    rng = np.random.default_rng(5)
    model = workspace.state().tenures[-1].model
    ids = PredictionIds()
    records: list[Prediction | Feedback] = []
    begin = start(workspace)
    for day in range(days):
        for number in range(PER_DAY):
            at = begin + timedelta(days=day, minutes=number)
            drawn = float(rng.uniform(1, 20) * size(day))
            (name,) = ids.take(now_ms=int(at.timestamp() * 1000))
            said = 10 + 3 * drawn
            records.append(
                Prediction(
                    id=name,
                    at=microseconds(at),
                    model=model,
                    role="champion",
                    prediction=said,
                    low=said - HALF,
                    high=said + HALF,
                    features=json.dumps({"size": drawn}).encode(),
                )
            )
            truth = said + float(rng.normal(0, 2)) * wrong(day)
            records.append(Feedback(id=name, at=microseconds(at + delay), label=json.dumps(truth)))
    with Journal(workspace.home / "serve" / "log", name="w0") as journal:
        journal.append_many(records)
    return begin + timedelta(days=days)


def microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def write(workspace: Workspace, *records: Prediction | Feedback) -> None:
    """Put records into the prediction log, as a worker of a later server would."""
    with Journal(workspace.home / "serve" / "log", name="later") as journal:
        journal.append_many(records)
