"""What the loop follows: when to retrain, on which window of the past, and who lets a model ship.

Pure: no clock, no randomness, no disk. Imports nothing heavy.
"""

from datetime import datetime
from typing import Literal, get_args

from msgspec import Struct

from bucle.charter.policies import Trigger, parse_policy
from bucle.clock import from_iso, to_iso
from bucle.errors import RequestError, nearest
from bucle.grammar import say_count
from bucle.loop.events import WindowJudged
from bucle.loop.spans import Span, parse_span
from bucle.loop.state import Observed, State
from bucle.models.registry import champion

__all__ = [
    "GATES",
    "Fired",
    "Gate",
    "Policy",
    "find_triggers",
    "make_policy",
    "why_idle",
    "window_span",
]

Gate = Literal["none", "referee", "referee+refit"]
GATES: tuple[str, ...] = get_args(Gate)
_EXPANDING = "expanding"
_LAST = "last:"


class Policy(Struct, frozen=True, kw_only=True):
    """One way to run the loop.

    `window` is `expanding` or `last:<span>`: how much of the past a model learns from. `price` is
    what a retrain costs, in the charter's currency. With `promote` at `ask` a model that passed
    waits for a person.
    """

    text: str
    triggers: tuple[Trigger, ...] = ()
    window: str = _EXPANDING
    gate: Gate = "referee"
    price: float = 0.0
    promote: Literal["auto", "ask"] = "auto"

    @property
    def name(self) -> str:
        """What people call it: the text, and what is not the simplest choice of the rest."""
        gate = "" if self.gate == "none" else f" {self.gate}"
        return self.text + gate + ("" if self.window == _EXPANDING else f" {self.window}")


class Fired(Struct, frozen=True, kw_only=True):
    """A trigger that fired: what caused it, the same however often one looks, and the reason."""

    kind: str
    cause: tuple[str, ...]
    why: str


def make_policy(
    text: str, *, gate: str = "referee", window: str = _EXPANDING, price: float = 0.0
) -> Policy:
    """Read a policy from the texts people write.

    Raises:
        CharterError: The text is none of the known triggers (bucle-119).
        RequestError: There is no such gate or window (bucle-250, bucle-251).

    Example:
        >>> make_policy("every:1mo", gate="referee+refit").name
        'every:1mo referee+refit'
    """
    if gate not in GATES:
        raise RequestError(
            f"There is no gate {gate!r}",
            cause=f"a replay knows {', '.join(GATES)}",
            did_you_mean=nearest(gate, list(GATES)),
            attempt="--gate referee",
            code="bucle-250",
        )
    window_span(window)
    found = parse_policy(text)
    chosen: Gate = "referee" if gate == "referee" else "none"
    if gate == "referee+refit":
        chosen = "referee+refit"
    return Policy(text=text, triggers=found.triggers, window=window, gate=chosen, price=price)


def window_span(window: str) -> Span | None:
    """Return how long the past is that a window keeps; None when it keeps all.

    Raises:
        RequestError: The window is none.
    """
    if window == _EXPANDING:
        return None
    if not window.startswith(_LAST):
        raise RequestError(
            f"There is no window {window!r}",
            cause="a window is expanding, or last:<n>d|w|mo|y",
            did_you_mean=nearest(window, [_EXPANDING, "last:1y", "last:6mo"]),
            attempt="--window last:2y",
            code="bucle-251",
        )
    return parse_span(window.removeprefix(_LAST))


def find_triggers(state: State, policy: Policy, now: datetime) -> tuple[Fired, ...]:
    """Return the triggers of a policy that have fired since the last retrain, in its order.

    Only what was observed since then counts, so that one observation never starts two retrains.
    """
    since, run = _last_retrain(state)
    reigning = champion(state.tenures)
    model = reigning.model if reigning else ""
    seen = state.observed.get(model) or Observed()
    # After a clock that ran ahead nobody can say what came since; what has started a retrain is
    # known by its cause.
    known = since if since <= to_iso(now) else ""
    found = (
        _calendar(trigger, since, run, now)
        if trigger.kind == "every"
        else _seen(seen, trigger, policy, model, known)
        for trigger in policy.triggers
    )
    return tuple(fired for fired in found if fired is not None)


def why_idle(state: State, policy: Policy, now: datetime) -> str:
    """Say of each trigger how far it is from firing."""
    if not policy.triggers:
        return "the policy never retrains"
    since, _ = _last_retrain(state)
    reigning = champion(state.tenures)
    seen = state.observed.get(reigning.model if reigning else "") or Observed()
    return "; ".join(_distance(trigger, policy, seen, since, now) for trigger in policy.triggers)


def _distance(trigger: Trigger, policy: Policy, seen: Observed, since: str, now: datetime) -> str:
    if trigger.kind == "every":
        left = _span(trigger).after(from_iso(since)) - now if since else None
        return (
            f"the next is due in {say_count(left.days, 'day')}"
            if left
            else "the calendar asks for nothing"
        )
    if trigger.kind == "performance":
        if seen.window is None or seen.window[1].end <= since:
            return "no window with all its labels since the last retrain"
        judged = seen.window[1]
        return f"{judged.metric} {_worse(judged):+.0%}, not above +{trigger.amount:.0%}"
    if trigger.kind == "drift":
        if seen.drift is None or seen.drift[1].end <= since:
            return "no window of inputs since the last retrain"
        moved = seen.drift[1]
        return f"inputs moved by {moved.distance:.2f}, not above {trigger.amount:g}"
    if seen.gain is None or seen.gain[0] <= since:
        return "no new labels to estimate a gain on"
    gain = seen.gain[1]
    return f"a new model would save {gain.saved:,.0f}, not above the price {policy.price:,.0f}"


def _last_retrain(state: State) -> tuple[str, str]:
    """Return when the last run began, or the champion's time without one, and its id."""
    run, reigning = state.last_run, champion(state.tenures)
    if run is not None:
        return run.at, run.started.run
    return (reigning.since if reigning else ""), ""


def _span(trigger: Trigger) -> Span:
    return Span(count=int(trigger.amount), unit=trigger.unit or "d")


def _worse(judged: WindowJudged) -> float:
    return judged.error / judged.reference - 1.0 if judged.reference > 0 else 0.0


def _calendar(trigger: Trigger, since: str, run: str, now: datetime) -> Fired | None:
    span = _span(trigger)
    cause = ("every", span.text, run)
    if not since:
        return Fired(kind="every", cause=cause, why="nothing was trained yet")
    begun = from_iso(since)
    if begun > span.after(now):
        # Else a clock that once ran a year ahead would stop the calendar for a year.
        why = f"the last retrain is dated more than {span.text} ahead: a clock was wrong"
        return Fired(kind="every", cause=cause, why=why)
    if span.after(begun) > now:
        return None
    return Fired(kind="every", cause=cause, why=f"{span.text} since the last retrain")


def _seen(seen: Observed, trigger: Trigger, policy: Policy, model: str, since: str) -> Fired | None:
    if trigger.kind == "performance" and seen.window and seen.window[1].end > since:
        judged = seen.window[1]
        if _worse(judged) > trigger.amount:
            why = (
                f"{judged.metric} {_worse(judged):+.0%} against what the champion was validated at"
            )
            cause = ("performance", model, judged.start, judged.end)
            return Fired(kind="performance", cause=cause, why=why)
    if trigger.kind == "drift" and seen.drift and seen.drift[1].end > since:
        drift = seen.drift[1]
        if drift.distance > trigger.amount:
            why = f"inputs moved: {drift.column} by {drift.distance:.2f}"
            return Fired(kind="drift", cause=("drift", model, drift.start, drift.end), why=why)
    if trigger.kind == "gain" and seen.gain and seen.gain[0] > since:
        gain = seen.gain[1]
        if gain.gain > 0 and gain.saved > policy.price:
            why = f"a new model would have saved {gain.gain:.0%} on {gain.rows} new labels"
            numbers = (str(gain.rows), repr(gain.gain), repr(gain.saved))
            return Fired(kind="gain", cause=("gain", model, gain.challenger, *numbers), why=why)
    return None
