"""Tiny states made by hand: a log of facts, each at a moment of its own, folded."""

from datetime import UTC, datetime

from bucle.clock import FixedClock, from_iso
from bucle.loop.events import (
    AlarmRaised,
    AlarmResolved,
    Approved,
    ChallengerSeen,
    CodeSeen,
    DataAdded,
    Deployed,
    DriftMeasured,
    GainEstimated,
    Paused,
    Promoted,
    Refitted,
    Resumed,
    RetrainAsked,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    WindowJudged,
    Withdrawn,
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


def began(run="r-1", *, asked="", as_of=None, source="s", data=""):
    """Return the start of a run."""
    return RunStarted(
        run=run,
        source=source,
        code=source,
        environment="e",
        seed=0,
        parameters={},
        datasets={"sales": data} if data else {},
        asked=asked,
        as_of=as_of,
    )


def ended(run="r-1", model="m-1", *, state="done", action="", error="", cut=None, fit=""):
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
        cut=cut,
        fit=fit,
    )


def ran(run="r-1", model="m-1", *, cut=None, fit="", **fields):
    """Return the start and the end of a run."""
    return began(run, **fields), ended(run, model, cut=cut, fit=fit)


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


# ---- a loop that serves -------------------------------------------------------


def deployed(model="m-1", *, share=0.0, champion="m-0", run="r-1", action="", is_former=False):
    """Return that a model was put beside the champion."""
    return Deployed(
        model=model,
        share=share,
        champion=champion,
        because="so",
        run=run,
        action=action,
        is_former=is_former,
    )


def withdrawn(model="m-1", *, action=""):
    """Return that it was taken away."""
    return Withdrawn(model=model, because="so", action=action)


def seen(model="m-1", *, champion="m-0", share=0.0, baked_s=1000.0, **fields):
    """Return what was seen of a model beside the champion: enough, and nothing against it."""
    known = {"pairs": 500, "answers": 500, "slower": 1.0} | fields
    return ChallengerSeen(champion=champion, model=model, share=share, baked_s=baked_s, **known)


def alarm(subject="loss", *, layer="harm", since="2026-02-01"):
    """Return an alarm that was raised."""
    return AlarmRaised(layer=layer, subject=subject, since=day(since), why="wape is up")


def resolved(subject="loss", *, layer="harm"):
    """Return the end of an alarm."""
    return AlarmResolved(layer=layer, subject=subject, why="it is over")


def asked_for(because="a new season"):
    """Return that a person wants a retrain."""
    return RetrainAsked(because=because)


def approved(model="m-1", role="business"):
    """Return the word of a role."""
    return Approved(model=model, role=role, because="good")


def paused():
    """Return that a person paused the loop."""
    return Paused(because="stocktaking")


def resumed():
    """Return that a person resumed it."""
    return Resumed(because="it is over")


def coded(source="s2"):
    """Return that the project's code is another one."""
    return CodeSeen(source=source, code=source)


def came(version=1, *, added=100, changed=0, rows=100, dataset="sales"):
    """Return that rows came; the fingerprint is that of the version."""
    return DataAdded(
        dataset=dataset,
        data_version=version,
        table_version=version - 1,
        rows=rows,
        fingerprint=f"f{version}",
        read=added + changed,
        added=added,
        changed=changed,
        unchanged=0,
        quarantined=0,
    )
