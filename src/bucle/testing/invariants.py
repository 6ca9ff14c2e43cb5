"""What must hold after every event of a life of the loop, whatever happens to it.

Must not be imported by anything but tests.
"""

from datetime import datetime
from typing import Any

import msgspec

from bucle.clock import from_iso
from bucle.loop.decide import Action, Promote, Retrain, Wait, decide
from bucle.loop.events import Fact
from bucle.loop.policy import Policy
from bucle.loop.spans import Span
from bucle.loop.state import Fold, State, fold, state_bytes
from bucle.models.registry import champion
from bucle.store.chain import ZERO_HASH, check
from bucle.testing.ledger import Ledger
from bucle.testing.options import Options
from bucle.testing.people import PERSON
from bucle.types import Event, Log

__all__ = ["BrokenInvariantError", "Invariants"]

_LONG = 400


class BrokenInvariantError(AssertionError):
    """Something that must always hold did not."""


class Invariants:
    """Watches the log, every action and every state that the controller acts on.

    Args:
        options: What the seed stands for.
    """

    def __init__(self, options: Options) -> None:
        self.ledger = Ledger()
        self._rules: Policy = options.rules
        self._is_timely = options.faults.jumps == 0
        self._fold = Fold()
        self._asked: dict[str, tuple[Action, tuple[Fact, ...]]] = {}
        self._bodies: dict[tuple[str, str], dict[str, Any]] = {}
        self._fired: dict[str, str] = {}
        self._sighted: set[tuple[str, str]] = set()
        self._last = State()

    # ---- after every event ---------------------------------------------------

    def see(self, event: Event) -> None:
        """Check an event that was acknowledged: its place, its cause, and what it makes true."""
        ledger = self.ledger
        previous = ledger.hashes[-1] if ledger.hashes else ZERO_HASH
        position = len(ledger.hashes) + 1
        _require(check(event, position=position, previous=previous), "the chain is broken")
        is_person = event.actor == PERSON
        if not is_person:
            self._check_cause(event)
        if not is_person and event.kind == "promoted" and event.body["action"] not in ledger.acted:
            self._check_promotion(event)
        if not is_person and event.kind == "rolled_back":
            _fail("the loop rolled back, which nobody decided")
        ledger.enter(event)
        if event.kind in {"window_judged", "drift_measured"}:
            self._sighted.add((event.kind, event.body["model"]))
        self._fold.apply(event)
        open_tenures = [one.model for one in self._fold.tenures if one.until is None]
        _expect(open_tenures, [ledger.champion] if ledger.champion else [], "champions")
        _expect(self._fold.acted, ledger.acted, "actions that count as done")

    def _check_cause(self, event: Event) -> None:
        """Check that somebody decided what the loop did, and that it had no second effect."""
        action = str(event.body.get("action", ""))
        decided = {"verdict_given", "refitted", "promoted", "run_finished"}
        if event.kind in decided and action not in self._asked:
            _fail(f"a fact {event.kind!r} that no action asked for")
        if action:
            known = self._bodies.setdefault((action, event.kind), event.body)
            _expect(event.body, known, f"effect of {action}")
            effect = [msgspec.to_builtins(fact) for fact in self._asked[action][1]]
            if _plain(event.body) not in [_plain(one) for one in effect]:
                _fail(f"the log says of {action} what was not its effect")

    def _check_promotion(self, event: Event) -> None:
        """Check that what ships was asked for, tested, and let through."""
        ledger, body = self.ledger, event.body
        action = self._asked[body["action"]][0]
        if not isinstance(action, Promote):
            _fail(f"{body['model']} was promoted by an action {action.name}")
            return
        _expect(body["model"], action.model, "promoted model")
        _expect(action.previous, ledger.champion, "champion that is replaced")
        tested = ledger.tested.get(action.run)
        refit = ledger.refits.get(action.run)
        is_good_refit = refit == (tested, action.model, "pass")
        if tested is None or not (action.model == tested or is_good_refit):
            _fail(f"{action.model} ships: neither tested nor a refit as good as its twin")
            return
        if self._rules.gate != "none":
            rulings = ledger.rulings.get((action.run, tested), [])
            passed = [one for one in rulings if one.outcome == "pass"]
            if ledger.champion not in [one.champion for one in passed]:
                _fail(f"{action.model} ships without a passed gate against {ledger.champion}")
        if ledger.begun[action.run][1] is not None:
            _fail(f"{action.model} ships from a look at an earlier moment")
        if self._rules.promote == "ask":
            _fail(f"{action.model} ships though a person was to be asked")
        for name in (action.model, tested):
            if ledger.was_left(name):
                _fail(f"{action.model} ships again after {name} was rolled back from")

    # ---- whenever the controller acts ----------------------------------------

    def acted(self, action: Action, state: State, now: datetime, effect: tuple[Fact, ...]) -> None:
        """Check an action: decided by `decide` alone, new, and the same effect as before."""
        self._check_state(state)
        for _ in range(2):
            _expect(decide(state, self._rules, now), (action,), "decision, taken again")
        if action.id in state.acted:
            _fail(f"{action.name} was asked for again after its effect was on record")
        known = self._asked.setdefault(action.id, (action, effect))
        if isinstance(action, Promote) and isinstance(known[0], Promote):
            _expect(action.model, known[0].model, "model that is promoted, asked again")
            self._asked[action.id] = (action, effect)
        else:
            _expect(effect, known[1], f"effect of {action.name} {action.id}, done again")
        if isinstance(action, Retrain) and action.id not in self._fired:
            self._check_trigger(action, state, now)

    def _check_trigger(self, action: Retrain, state: State, now: datetime) -> None:
        """Check that nothing seen starts two retrains, and that the calendar is not early."""
        reigning = champion(state.tenures)
        seen = state.observed.get(reigning.model) if reigning else None
        facts = {
            "a new model would": seen.gain[1] if seen and seen.gain else None,
            "inputs moved": seen.drift[1] if seen and seen.drift else None,
            "against what": seen.window[1] if seen and seen.window else None,
        }
        what = next((str(fact) for words, fact in facts.items() if words in action.why), "")
        if what and what in self._fired.values():
            _fail(f"one observation started two retrains: {what}")
        self._fired[action.id] = what
        is_current = state.position == len(self.ledger.hashes)
        if not what and is_current and self._is_timely and self.ledger.last_begun_at:
            span = _shortest(self._rules)
            if span.after(from_iso(self.ledger.last_begun_at)) > now:
                _fail(f"the calendar fired before {span.text} had passed")

    def _check_state(self, state: State) -> None:
        """Check that a controller believes what the ledger says, and forgets no record."""
        lasting = [one.model for one in state.tenures if one.until is None]
        if len(lasting) > 1:
            _fail(f"several champions at once: {lasting}")
        if state.position == len(self.ledger.hashes):
            reigning = champion(state.tenures)
            _expect(reigning.model if reigning else None, self.ledger.champion, "champion")
            _expect(state.acted, self.ledger.acted, "actions that count as done")
            _expect(len(state.tenures), len(self.ledger.reigns), "tenures")
            _expect(set(state.models), self.ledger.models, "models")
            while self._sighted:
                kind, model = self._sighted.pop()
                seen = state.observed[model]
                found = seen.window if kind == "window_judged" else seen.drift
                end = self.ledger.window_ends[kind, model]
                _expect(found[1].end if found else "", end, f"{kind} that was seen of {model}")
        if state.position >= self._last.position:
            self._check_records(self._last, state)
            self._last = state

    @staticmethod
    def _check_records(earlier: State, later: State) -> None:
        for name, before in earlier.models.items():
            after = later.models.get(name)
            if after is before:
                continue
            if (
                after is None
                or after.runs[: len(before.runs)] != before.runs
                or after.verdicts[: len(before.verdicts)] != before.verdicts
                or (after.at, after.digest) != (before.at, before.digest)
            ):
                _fail(f"the record of {name} was {before} and became {after}")
        for name, run in earlier.runs.items():
            if run.finished is not None and later.runs[name] != run:
                _fail(f"the run {name} ended and changed afterwards")

    # ---- from time to time ---------------------------------------------------

    def restarted(self, state: State) -> None:
        """Check that a process that begins anew finds what the others know."""
        if state != self._fold.state():
            _fail("a restart found another state than the events had led to")

    def settled(self, state: State, now: datetime) -> None:
        """Check that a quiet look left nothing in hand: no run, no challenger."""
        (action,) = decide(state, self._rules, now)
        if not isinstance(action, Wait):
            _fail(f"a look ended and left {action.name} undone")
        if self.ledger.unfinished():
            _fail(f"runs that were asked for never ended: {sorted(self.ledger.unfinished())}")

    def finish(self, log: Log) -> None:
        """Check the whole log: intact, nothing acknowledged lost, one state however folded."""
        seen = log.verify()
        _require(seen.reason, "the log is damaged")
        events = list(log.read())
        kept = [event.hash for event in events]
        if kept != self.ledger.hashes:
            _fail(f"{len(self.ledger.hashes)} events were acknowledged, {len(kept)} are kept")
        whole = state_bytes(self._fold.state())
        _expect(state_bytes(fold(events)), whole, "state, folded from the beginning")
        twice = [again for event in events for again in (event, event)]
        _expect(state_bytes(fold(twice)), whole, "state, every event delivered twice")


def _shortest(rules: Policy) -> Span:
    spans = [Span(count=int(one.amount), unit=one.unit) for one in rules.triggers if one.unit]
    return min(spans, key=lambda span: span.days)


def _plain(value: object) -> object:
    """Return a value as it comes back from the log."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        _fail(f"{what}: {_short(found)} instead of {_short(wanted)}")


def _require(reason: str, what: str) -> None:
    if reason:
        _fail(f"{what}: {reason}")


def _short(value: object) -> str:
    text = str(sorted(value) if isinstance(value, (set, frozenset)) else value)
    return text if len(text) <= _LONG else f"{text[:_LONG]} …"


def _fail(what: str) -> None:
    raise BrokenInvariantError(what)
