"""Which triggers of a policy have fired, how far the others are, and what keeps one back.

Pure: no clock, no randomness, no disk. Imports nothing heavy.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from bucle.charter.policies import Trigger
from bucle.clock import from_iso, to_iso
from bucle.grammar import say_count
from bucle.loop.actions import action_id
from bucle.loop.observations import WindowJudged
from bucle.loop.policy import Policy
from bucle.loop.schedule import parse_schedule
from bucle.loop.spans import Span
from bucle.loop.state import Observed, RunRecord, State
from bucle.models.registry import champion

__all__ = ["Fired", "Standing", "explain_triggers", "find_triggers", "why_idle", "why_not_now"]


class Fired(Struct, frozen=True, kw_only=True):
    """A trigger that fired: what caused it, the same however often one looks, and the reason."""

    kind: str
    cause: tuple[str, ...]
    why: str


class Standing(Struct, frozen=True, kw_only=True):
    """Where one trigger of a policy stands: how it is written there, and what it waits for."""

    trigger: str
    why: str


class _Scene(Struct, frozen=True, kw_only=True):
    """What triggers are judged by: since when things count, and what was seen of the champion.

    `since` is when the last retrain began; `known` the same, empty where the clock ran ahead then.
    """

    state: State
    policy: Policy
    now: datetime
    since: str
    known: str
    run: RunRecord | None
    model: str
    seen: Observed

    @property
    def run_name(self) -> str:
        """The last run's id, empty before the first."""
        return self.run.started.run if self.run else ""


def find_triggers(state: State, policy: Policy, now: datetime) -> tuple[Fired, ...]:
    """Return the triggers of a policy that have fired since the last retrain, in its order.

    Only what was observed since then counts, so that one observation never starts two retrains.
    What a person asked for comes first.
    """
    scene = _scene(state, policy, now)
    found = [_JUDGES[trigger.kind](scene, trigger) for trigger in policy.triggers]
    fired = tuple(one for one in found if isinstance(one, Fired))
    asked = state.asked
    if asked is None:
        return fired
    why = asked[1].because or "a person asked for it"
    return (Fired(kind="person", cause=("person", asked[0]), why=why), *fired)


def why_idle(state: State, policy: Policy, now: datetime) -> str:
    """Say of each trigger how far it is from firing."""
    if not policy.triggers:
        return "the policy never retrains"
    return "; ".join(one.why for one in explain_triggers(state, policy, now))


def explain_triggers(state: State, policy: Policy, now: datetime) -> tuple[Standing, ...]:
    """Say of each trigger where it stands, by its name; in the order of the policy."""
    scene, found = _scene(state, policy, now), list[Standing]()
    for trigger in policy.triggers:
        why = _JUDGES[trigger.kind](scene, trigger)
        if isinstance(why, Fired):
            is_over = action_id("retrain", *why.cause) in state.acted
            why = f"{why.why}: it was acted on" if is_over else f"{why.why}: it has fired"
        found.append(Standing(trigger=trigger.text, why=why))
    return tuple(found)


def why_not_now(state: State, policy: Policy, fired: Fired, now: datetime) -> str:
    """Say what keeps a trigger that fired from starting a retrain; empty for nothing.

    Nothing keeps a person's word back.
    """
    if fired.kind == "person":
        return ""
    scene = _scene(state, policy, now)
    if policy.cooldown is not None and scene.since and scene.since <= to_iso(now):
        until = policy.cooldown.after(from_iso(scene.since))
        if until > now:
            return f"the last retrain is younger than {policy.cooldown.text}"
    if policy.most_per_month is not None:
        month = to_iso(now)[:7]
        begun = [one.at for one in state.runs.values() if one.started.asked]
        spent = sum(at[:7] == month for at in begun)
        if spent >= policy.most_per_month:
            return f"this month's budget of {say_count(policy.most_per_month, 'retrain')} is spent"
    return ""


def _scene(state: State, policy: Policy, now: datetime) -> _Scene:
    run, reigning = state.last_run, champion(state.tenures)
    since = run.at if run is not None else (reigning.since if reigning else "")
    model = reigning.model if reigning else ""
    return _Scene(
        state=state,
        policy=policy,
        now=now,
        since=since,
        # After a clock that ran ahead nobody can say what came since; what has started a retrain
        # is known by its cause.
        known=since if since <= to_iso(now) else "",
        run=run,
        model=model,
        seen=state.observed.get(model) or Observed(),
    )


# ---- the calendar -----------------------------------------------------------------


def _every(scene: _Scene, trigger: Trigger) -> Fired | str:
    return _after(scene, trigger, scene.since, "since the last retrain")


def _age(scene: _Scene, trigger: Trigger) -> Fired | str:
    record = scene.state.models.get(scene.model)
    if record is None:
        return "there is no champion to grow old"
    # A retrain that gave no champion is given as much time again.
    return _after(scene, trigger, max(record.at, scene.since), "and no newer model")


def _after(scene: _Scene, trigger: Trigger, since: str, what: str) -> Fired | str:
    """Fire when a span has passed since a moment."""
    span = _span(trigger)
    cause = (trigger.kind, span.text, scene.run_name)
    if not since:
        return Fired(kind=trigger.kind, cause=cause, why="nothing was trained yet")
    begun = from_iso(since)
    if begun > span.after(scene.now):
        # Else a clock that once ran a year ahead would stop the calendar for a year.
        why = f"the last retrain is dated more than {span.text} ahead: a clock was wrong"
        return Fired(kind=trigger.kind, cause=cause, why=why)
    if span.after(begun) > scene.now:
        return f"the next is due in {say_count((span.after(begun) - scene.now).days, 'day')}"
    return Fired(kind=trigger.kind, cause=cause, why=f"{span.text} {what}")


def _cron(scene: _Scene, trigger: Trigger) -> Fired | str:
    schedule = parse_schedule(trigger.expression, zone=scene.policy.zone)
    due = schedule.last(scene.now)
    if due is not None and to_iso(due) > scene.known:
        when = f"{to_iso(due)[:16].replace('T', ' ')} UTC"
        cause = ("cron", trigger.expression, scene.policy.zone, to_iso(due))
        return Fired(kind="cron", cause=cause, why=f"it was due at {when}")
    following = schedule.next(scene.now)
    if following is None:
        return "the schedule has no more moments"
    return f"the next is due at {to_iso(following)[:16].replace('T', ' ')} UTC"


# ---- what was seen of the champion ------------------------------------------------


def _performance(scene: _Scene, trigger: Trigger) -> Fired | str:
    if scene.seen.window is None or scene.seen.window[1].end <= scene.known:
        return "no window with all its labels since the last retrain"
    judged = scene.seen.window[1]
    if _worse(judged) <= trigger.amount:
        return f"{judged.metric} {_worse(judged):+.0%}, not above +{trigger.amount:.0%}"
    why = f"{judged.metric} {_worse(judged):+.0%} against what the champion was validated at"
    cause = ("performance", scene.model, judged.start, judged.end)
    return Fired(kind="performance", cause=cause, why=why)


def _drift(scene: _Scene, trigger: Trigger) -> Fired | str:
    if scene.seen.drift is None or scene.seen.drift[1].end <= scene.known:
        return "no window of inputs since the last retrain"
    moved = scene.seen.drift[1]
    if moved.distance <= trigger.amount:
        return f"inputs moved by {moved.distance:.2f}, not above {trigger.amount:g}"
    why = f"inputs moved: {moved.column} by {moved.distance:.2f}"
    return Fired(kind="drift", cause=("drift", scene.model, moved.start, moved.end), why=why)


def _gain(scene: _Scene, trigger: Trigger) -> Fired | str:
    if scene.seen.gain is None or scene.seen.gain[0] <= scene.known:
        return "no new labels to estimate a gain on"
    gain, price = scene.seen.gain[1], scene.policy.price
    if gain.gain <= 0 or gain.saved <= price:
        return f"a new model would save {gain.saved:,.0f}, not above the price {price:,.0f}"
    numbers = (str(gain.rows), repr(gain.gain), repr(gain.saved))
    cause = (trigger.kind, scene.model, gain.challenger, *numbers)
    rows = f"{gain.rows} new labels"
    why = f"a new model would have saved {gain.gain:.0%} on {rows}"
    if trigger.kind == "regret":
        why = f"since the last retrain a new model would have saved {gain.saved:,.0f} on {rows}"
    return Fired(kind=trigger.kind, cause=cause, why=why)


def _harm(scene: _Scene, trigger: Trigger) -> Fired | str:
    del trigger
    raised = next((one for one in scene.state.alarms.values() if one.layer == "harm"), None)
    since = _back_since(scene)
    if raised is None and since is None:
        return "no alarm of harm is open"
    if scene.run is not None and scene.run.at == to_iso(scene.now):
        return "a retrain began at this very moment"
    if raised is None:
        # Going back ended the alarm, and nothing newer than the model of before is there.
        why = f"{scene.model}, an earlier champion, is back, and no model was made since"
        return Fired(kind="harm", cause=("harm", scene.model, "back", since or ""), why=why)
    # An alarm that a retrain did not end asks again, as often as the cool-down allows.
    cause = ("harm", scene.model, raised.name, raised.since, scene.run_name)
    return Fired(kind="harm", cause=cause, why=f"alarm: {raised.why}")


def _back_since(scene: _Scene) -> str | None:
    """Return since when an earlier champion is back, with new rows and no training since.

    What is made of the same rows as the model that was gone back from is the same again.
    """
    reigning = champion(scene.state.tenures)
    if reigning is None or reigning.how != "rollback" or reigning.since < scene.since:
        return None
    latest = [known.additions[-1].at for known in scene.state.datasets.values() if known.additions]
    return reigning.since if max(latest, default="") > reigning.since else None


# ---- what came -------------------------------------------------------------------


def _data(scene: _Scene, trigger: Trigger) -> Fired | str:
    if scene.run is None:
        return "nothing was trained yet"
    # A run that never came to begin has read nothing: what came since the one before is still new.
    runs = reversed(scene.state.runs.values())
    learned = next((one for one in runs if one.started.datasets), scene.run)
    grown, additions = 0.0, 0
    for name, fingerprint in learned.started.datasets.items():
        known = scene.state.datasets.get(name)
        if known is None:
            continue
        facts = [one.fact for one in known.additions]
        then = [at for at, fact in enumerate(facts) if fact.fingerprint == fingerprint]
        if then and facts[then[0]].rows:
            later = facts[then[0] + 1 :]
            came = sum(fact.added + fact.changed for fact in later)
            additions += len(later)
            grown = max(grown, came / facts[then[0]].rows)
    if grown <= trigger.amount:
        return f"data grew by {grown:.0%}, not above +{trigger.amount:.0%}"
    # What came to nothing is tried again when more has come, not again and again.
    again = () if learned is scene.run else (str(additions),)
    cause = ("data", trigger.text, learned.started.run, *again)
    return Fired(kind="data", cause=cause, why=f"data grew by {grown:.0%} since the last retrain")


def _code(scene: _Scene, trigger: Trigger) -> Fired | str:
    del trigger
    code, begun = scene.state.code, scene.state.last_begun
    if begun is None or not code or begun.started.code == code:
        return "the code is that of the last run"
    # Code that comes and goes is another reason each time it comes; what came to nothing is none.
    cause = ("code", code, begun.started.run)
    return Fired(kind="code", cause=cause, why="the project's code has changed")


def _span(trigger: Trigger) -> Span:
    return Span(count=int(trigger.amount), unit=trigger.unit or "d")


def _worse(judged: WindowJudged) -> float:
    return judged.error / judged.reference - 1.0 if judged.reference > 0 else 0.0


_JUDGES: Mapping[str, Callable[[_Scene, Trigger], Fired | str]] = {
    "age": _age,
    "code": _code,
    "cron": _cron,
    "data": _data,
    "drift": _drift,
    "every": _every,
    "gain": _gain,
    "harm": _harm,
    "performance": _performance,
    "regret": _gain,
}
