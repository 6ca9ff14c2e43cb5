"""The one place where a decision is taken: what to do next, from what is true, or why nothing.

Pure: no clock, no randomness, no file, no socket; the same state, policy and moment give the same
actions. Live or replayed, whoever acts asks here.
"""

from datetime import datetime
from typing import ClassVar

import msgspec
from msgspec import Struct

from bucle.ids import digest_json
from bucle.loop.policy import Policy, find_triggers, why_idle
from bucle.loop.state import RunRecord, State, VerdictRecord
from bucle.models.registry import champion, was_rolled_back

__all__ = ["Action", "Judge", "Promote", "Refit", "Retrain", "Wait", "decide"]

_DIGITS = 16


class Action(Struct, frozen=True, kw_only=True):
    """Something to do, once: `id` comes from its cause, so that asking again asks for the same."""

    name: ClassVar[str] = ""

    id: str
    why: str


class Retrain(Action, frozen=True, kw_only=True):
    """Train a model on what is known now; `window` is how much of it.

    `trigger` is the kind of trigger that asked for it, empty for one that is taken up again.
    """

    name: ClassVar[str] = "retrain"

    window: str
    trigger: str = ""


class Judge(Action, frozen=True, kw_only=True):
    """Put a run's model before the referee, beside the champion."""

    name: ClassVar[str] = "judge"

    run: str
    model: str
    champion: str | None


class Refit(Action, frozen=True, kw_only=True):
    """Learn a tested model once more, from everything that is known."""

    name: ClassVar[str] = "refit"

    run: str
    model: str


class Promote(Action, frozen=True, kw_only=True):
    """Make a model the champion; `verdict` is the outcome it comes with, empty without a gate."""

    name: ClassVar[str] = "promote"

    run: str
    model: str
    previous: str | None
    verdict: str


class Wait(Action, frozen=True, kw_only=True):
    """Do nothing more now; `settled` says what became of the last run."""

    name: ClassVar[str] = "wait"

    id: str = ""
    settled: str = ""


def decide(state: State, policy: Policy, now: datetime) -> tuple[Action, ...]:
    """Return what to do next; a single `Wait` says why there is nothing.

    A run in hand is brought to its end before a new one is asked for. Perform what is returned,
    put its effect on record, and ask again. An action whose effect is on record is never returned
    again, and one that was lost on the way is, under the same id.

    Args:
        state: What is true, as the log says.
        policy: What to follow.
        now: The moment; used for what the calendar asks for, and for nothing else.
    """
    settling = _settle(state, policy)
    if not isinstance(settling, Wait):
        return (settling,)
    for fired in find_triggers(state, policy, now):
        action = _action_id("retrain", *fired.cause)
        if action not in state.acted:
            return (Retrain(id=action, why=fired.why, window=policy.window, trigger=fired.kind),)
    return (Wait(why=why_idle(state, policy, now), settled=settling.settled),)


def _settle(state: State, policy: Policy) -> Action:
    """Return the next action for the last run, or why it is done with."""
    asked = _last_asked(state)
    if asked is not None and asked.finished is None:
        return Retrain(id=asked.started.asked, why="it was not finished", window=policy.window)
    run = state.runs.get(state.ended or "")
    if run is None or run.finished is None:
        return _done("nothing was trained yet")
    model = run.finished.tested
    if run.finished.state != "done" or model is None:
        return _done(f"the run {run.finished.state}: {run.finished.error}".rstrip(": "))
    reigning = champion(state.tenures)
    current = reigning.model if reigning else None
    record = state.models.get(current or "")
    if current is not None and model in {current, record.twin if record else None}:
        if _action_id("promote", run.started.run, current) in state.acted:
            return _done("it was promoted")
        return _done("the same model as before: there is nothing to judge")
    if policy.gate == "none":
        return _ship(state, policy, run, model, current, "")
    return _judge(state, policy, run, model, current)


def _judge(state: State, policy: Policy, run: RunRecord, model: str, current: str | None) -> Action:
    """Return what a challenger needs on its way through the gate, or why it stays outside."""
    name = run.started.run
    judge = Judge(
        id=_action_id("judge", name, model, current or ""),
        why="it was trained",
        run=name,
        model=model,
        champion=current,
    )
    judged = _verdict_of(state, name, model, current)
    if judged is None:
        return judge
    outcome = judged.fact.verdict.outcome
    if outcome != "pass":
        return _done(_no(judged))
    shipping = _ship(state, policy, run, model, current, outcome)
    if not isinstance(shipping, Wait) and _is_beside_another(state, judged, current):
        return msgspec.structs.replace(judge, why="the champion has changed since it passed")
    return shipping


def _last_asked(state: State) -> RunRecord | None:
    """Return the last run that an action asked for; people may have begun others since."""
    return next((run for run in reversed(state.runs.values()) if run.started.asked), None)


def _ship(
    state: State, policy: Policy, run: RunRecord, model: str, current: str | None, outcome: str
) -> Action:
    """Return what brings a model that may ship into service, a refit first where one is asked."""
    name = run.started.run
    held = _held_back(state, policy, run, model)
    if held:
        return _done(held)
    if policy.gate == "referee+refit":
        refit = state.refits.get(name)
        if refit is None:
            again = _action_id("refit", name, model)
            return Refit(id=again, why="it passed", run=name, model=model)
        if refit.outcome == "pass" and refit.model is not None:
            model = refit.model
    action = _action_id("promote", name, model)
    if action in state.acted:
        return _done("it was promoted")
    why = f"the gate says {outcome}" if outcome else "no gate was asked for"
    return Promote(id=action, why=why, run=name, model=model, previous=current, verdict=outcome)


def _held_back(state: State, policy: Policy, run: RunRecord, model: str) -> str:
    """Say why a model that passed is not promoted by itself; empty when nothing is against it."""
    ask = f"bucle promote {model}"
    if policy.promote == "ask":
        return f"it waits for a person: {ask}"
    if run.started.as_of is not None:
        return f"a look at an earlier moment promotes nothing: {ask} would"
    twins = {model} | {name for name, known in state.models.items() if known.twin == model}
    if any(was_rolled_back(state.tenures, twin) for twin in twins):
        return f'it passed, but was rolled back from before: {ask} --because "..."'
    return ""


def _verdict_of(state: State, run: str, model: str, current: str | None) -> VerdictRecord | None:
    """Return the last verdict on a run's model beside the champion of now, or else its last."""
    record = state.models.get(model)
    known = [one for one in record.verdicts if one.fact.run == run] if record else []
    beside = [one for one in known if one.fact.verdict.champion == current]
    return next(reversed(beside or known), None)


def _is_beside_another(state: State, judged: VerdictRecord, current: str | None) -> bool:
    """Tell whether a verdict was given beside another champion than that of now.

    Beside a champion that no run has made nothing can be judged: the verdict stands.
    """
    is_known = current is None or current in state.models
    return is_known and judged.fact.verdict.champion != current


def _no(judged: VerdictRecord) -> str:
    """Say in one line which check kept a model from passing."""
    verdict = judged.fact.verdict
    against = [check for check in verdict.checks if check.outcome == verdict.outcome]
    first = f": {against[0].name}" if against else ""
    needed = against[0].labels_needed if against else None
    return f"{verdict.outcome}{first}" + (
        f", {needed:,} more labels would decide" if needed else ""
    )


def _done(why: str) -> Wait:
    return Wait(why=why, settled=why)


def _action_id(kind: str, *cause: str) -> str:
    return f"a-{digest_json([kind, *cause])[:_DIGITS]}"
