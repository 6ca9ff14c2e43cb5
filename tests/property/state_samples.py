"""Tiny states made by hand: a log of facts, each at a moment of its own, folded."""

from datetime import UTC, datetime

from bucle.clock import FixedClock, from_iso
from bucle.loop.events import (
    DriftMeasured,
    GainEstimated,
    Promoted,
    Refitted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    WindowJudged,
    draft_fact,
)
from bucle.loop.state import fold
from bucle.store.memory_log import MemoryLog
from bucle.types import Check, Verdict

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def day(text):
    """Return a moment as the log writes it, from a date."""
    return f"{text}T00:00:00.000000Z"


def made(*facts, at="2026-01-10"):
    """Return the state after some facts; a fact beside a date has happened then."""
    log = MemoryLog()
    for item in facts:
        moment, fact = item if isinstance(item, tuple) else (at, item)
        clock = FixedClock(from_iso(moment))
        log.append([draft_fact(fact, clock=clock, actor="ana")])
    return fold(log.read())


def began(run="r-1", *, asked="", as_of=None):
    """Return the start of a run."""
    return RunStarted(
        run=run,
        source="s",
        environment="e",
        seed=0,
        parameters={},
        datasets={},
        asked=asked,
        as_of=as_of,
    )


def ended(run="r-1", model="m-1", *, state="done", action="", error=""):
    """Return the end of a run; without a model it has none to judge."""
    return RunFinished(
        run=run,
        state=state,
        steps=(),
        metrics={},
        model=model,
        tested=model,
        action=action,
        error=error,
    )


def ran(run="r-1", model="m-1", **fields):
    """Return the start and the end of a run."""
    return began(run, **fields), ended(run, model)


def judged(outcome="pass", *, run="r-1", model="m-1", champion=None, checks=(), action=""):
    """Return a verdict on a run's model."""
    verdict = Verdict(outcome=outcome, checks=checks, rows=9, challenger=model, champion=champion)
    return VerdictGiven(run=run, verdict=verdict, evidence=f"{run} {champion}", action=action)


def check(outcome, *, name="gain", needed=None):
    """Return one check of a verdict."""
    return Check(name=name, outcome=outcome, labels_needed=needed)


def refitted(outcome="pass", *, run="r-1", tested="m-1", model="m-1r"):
    """Return the refit of a run's model."""
    return Refitted(run=run, tested=tested, model=model, outcome=outcome, why="so")


def crowned(model="m-0", *, action="", previous=None):
    """Return a promotion."""
    return Promoted(model=model, because="so", action=action, previous=previous)


def left(model, *, to):
    """Return a rollback from one model to another."""
    return RolledBack(model=to, previous=model, because="odd")


def window(end="2026-02-20", *, start="2026-02-13", model="m-0", error=0.5, reference=0.4):
    """Return a window whose labels are in."""
    return WindowJudged(
        model=model,
        start=day(start),
        end=day(end),
        rows=9,
        labelled=9,
        metric="wape",
        error=error,
        reference=reference,
    )


def drift(end="2026-02-20", *, start="2026-02-13", model="m-0", distance=0.3):
    """Return how far the inputs of a window lie."""
    return DriftMeasured(
        model=model, start=day(start), end=day(end), rows=9, distance=distance, column="price"
    )


def gain(share=0.2, *, champion="m-0", challenger="m-would", saved=100.0):
    """Return what a new model would have saved."""
    return GainEstimated(champion=champion, challenger=challenger, rows=9, gain=share, saved=saved)
