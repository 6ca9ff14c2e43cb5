"""What must hold whenever the loop retrains: a reason, the cool-down, the budget of the month.

Told from the ledger, in other words than those of the controller. Must not be imported by anything
but tests.
"""

from datetime import datetime

from bucle.clock import from_iso
from bucle.loop.decide import Action, Retrain
from bucle.loop.policy import Policy
from bucle.loop.spans import Span
from bucle.loop.state import State
from bucle.models.registry import champion
from bucle.testing.breach import fail
from bucle.testing.ledger import Ledger
from bucle.types import Event

__all__ = ["RetrainRules"]

_MONTH = len("2026-01")
_CALENDAR = {"every", "age"}


class RetrainRules:
    """Checks what starts a retrain, and when.

    Args:
        ledger: What is so until now.
        policy: What the loop follows.
        is_timely: The clock is never wrong.
    """

    def __init__(self, ledger: Ledger, policy: Policy, *, is_timely: bool) -> None:
        self._ledger = ledger
        self._policy = policy
        self._is_timely = is_timely
        self._fired: dict[str, str] = {}

    def check_action(self, action: Retrain, state: State, now: datetime) -> None:
        """Check that nothing seen starts two retrains, and that what started it is so."""
        if action.id in self._fired:
            return
        ledger, asked = self._ledger, [one.asked for one in self._ledger.begun.values()]
        if not action.trigger and action.id not in asked:
            fail("a retrain that nothing asks for")
        what = _observation(action, state)
        if what and what in self._fired.values():
            fail(f"one observation started two retrains: {what}")
        self._fired[action.id] = what
        if state.position != len(ledger.hashes):
            return
        if action.trigger == "person" and not ledger.asks:
            fail("nobody asked for a retrain")
        if action.trigger == "harm" and not (ledger.has_harm() or ledger.is_stopgap()):
            fail("no alarm of harm is open, and nobody went back")
        if action.trigger == "code" and self._last_code() == ledger.code:
            fail("the code is that of the last run")
        if action.trigger in _CALENDAR and self._is_timely and ledger.last_begun_at:
            span = _shortest(self._policy)
            if span.after(from_iso(ledger.last_begun_at)) > now:
                fail(f"the calendar fired before {span.text} had passed")

    def check_began(self, event: Event, action: Action | None) -> None:
        """Check a run that begins: nothing but a person's word goes over the limits."""
        ledger, policy = self._ledger, self._policy
        is_new = event.body["run"] not in ledger.begun
        if not isinstance(action, Retrain) or action.trigger == "person" or not is_new:
            return
        month = event.at[:_MONTH]
        begun = [one for one in ledger.begun.values() if one.asked and one.at[:_MONTH] == month]
        if policy.most_per_month is not None and len(begun) >= policy.most_per_month:
            fail(f"retrain number {len(begun) + 1} of {month}")
        if policy.cooldown is not None and self._is_timely and ledger.last_begun_at:
            until = policy.cooldown.after(from_iso(ledger.last_begun_at))
            if until > from_iso(event.at):
                fail(f"a retrain within {policy.cooldown.text} of the last")

    def _last_code(self) -> str:
        begun = reversed(self._ledger.begun.values())
        return next((one.code for one in begun if one.code), "")


def _observation(action: Retrain, state: State) -> str:
    """Return what was seen of the champion that started a retrain; empty for anything else."""
    reigning = champion(state.tenures)
    seen = state.observed.get(reigning.model) if reigning else None
    if seen is None:
        return ""
    facts = {
        "gain": seen.gain,
        "regret": seen.gain,
        "drift": seen.drift,
        "performance": seen.window,
    }
    found = facts.get(action.trigger)
    return str(found[1]) if found else ""


def _shortest(policy: Policy) -> Span:
    spans = [Span(count=int(one.amount), unit=one.unit) for one in policy.triggers if one.unit]
    return min(spans, key=lambda span: span.days)
