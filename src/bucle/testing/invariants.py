"""What must hold after every event of a life of the loop, whatever happens to it.

Must not be imported by anything but tests.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from bucle.loop.decide import Action, Deploy, Promote, Retrain, RollBack, Wait, Withdraw, decide
from bucle.loop.events import Fact
from bucle.loop.state import Fold, State, fold, state_bytes
from bucle.models.registry import champion
from bucle.store.chain import ZERO_HASH, check
from bucle.testing.breach import expect, fail, require
from bucle.testing.ledger import PERSON, Ledger
from bucle.testing.options import LONGEST_JOB, Options
from bucle.testing.retrain_rules import RetrainRules
from bucle.testing.shipping_rules import ShippingRules
from bucle.types import Event, Log

__all__ = ["Invariants"]

# What is nothing but its fact may be told in other words when it is asked for again.
_POINTERS = (Promote, Deploy, Withdraw, RollBack)
# What was seen is put on record when it says much more than before.
_LATE = 1.25
_DAY_S = 86400.0
_DECIDED = {
    "verdict_given",
    "refitted",
    "promoted",
    "run_finished",
    "deployed",
    "withdrawn",
    "rolled_back",
}


class Invariants:
    """Watches the log, every action and every state that the controller acts on.

    `leader` tells who may write for the loop, empty for anybody.

    Args:
        options: What the seed stands for.
        elapsed_s: Returns the true time in seconds.
        gain: Returns what part of a champion's loss a model really saves.
    """

    def __init__(
        self,
        options: Options,
        *,
        elapsed_s: Callable[[], float],
        gain: Callable[[str, str], float],
    ) -> None:
        self.ledger = Ledger(elapsed_s=elapsed_s)
        self.leader: Callable[[], str] = str
        self._rules = options.rules
        self._tick_s = options.tick * _DAY_S
        self._shipping = ShippingRules(self.ledger, self._rules, gain=gain)
        self._retrains = RetrainRules(self.ledger, self._rules, is_timely=options.faults.jumps == 0)
        self._fold = Fold()
        self._asked: dict[str, tuple[Action, tuple[Fact, ...]]] = {}
        self._bodies: dict[tuple[str, str], dict[str, Any]] = {}
        self._sighted: set[tuple[str, str]] = set()
        self._last = State()

    # ---- after every event ---------------------------------------------------

    def see(self, event: Event) -> None:
        """Check an event that was acknowledged: its place, its cause, and what it makes true."""
        ledger = self.ledger
        previous = ledger.hashes[-1] if ledger.hashes else ZERO_HASH
        position = len(ledger.hashes) + 1
        require(check(event, position=position, previous=previous), "the chain is broken")
        if event.actor != PERSON:
            leader = self.leader()
            if leader and event.actor != leader:
                fail(f"{event.actor} wrote {event.kind} while {leader} leads")
            self._check_cause(event)
            if not event.body.get("action") or event.body["action"] not in ledger.acted:
                self._check_rules(event)
        ledger.enter(event)
        if event.kind in {"window_judged", "drift_measured"}:
            self._sighted.add((event.kind, event.body["model"]))
        self._fold.apply(event)
        open_tenures = [one.model for one in self._fold.tenures if one.until is None]
        expect(open_tenures, [ledger.champion] if ledger.champion else [], "champions")
        expect(self._fold.acted, ledger.acted, "actions that count as done")
        self._check_beside()

    def _check_rules(self, event: Event) -> None:
        """Check a fact of the loop that counts for the first time."""
        cause = str(event.body.get("action") or event.body.get("asked") or "")
        action = self._asked[cause][0] if cause in self._asked else None
        if event.kind == "run_started":
            self._retrains.check_began(event, action)
        self._shipping.check(event, action)

    def _check_beside(self) -> None:
        """Check that there is at most one model beside the champion, and which."""
        found, beside = self._fold.deployment, self.ledger.beside
        expect(
            (found.model, found.share, found.run, found.is_former) if found else None,
            (beside.model, beside.share, beside.run, beside.is_former) if beside else None,
            "model beside the champion",
        )
        seen = self._fold.trial
        expect(
            seen.baked_s if seen else None,
            beside.seen["baked_s"] if beside and beside.seen else None,
            "what was seen of it last",
        )
        expect(
            (self._fold.paused is not None, len(self._fold.alarms)),
            (self.ledger.is_paused, len(self.ledger.alarms)),
            "whether it is paused, and open alarms",
        )

    def _check_cause(self, event: Event) -> None:
        """Check that somebody decided what the loop did, and that it had no second effect."""
        action = str(event.body.get("action", ""))
        if event.kind in _DECIDED and action not in self._asked:
            fail(f"a fact {event.kind!r} that no action asked for")
        if action:
            known = self._bodies.setdefault((action, event.kind), event.body)
            expect(event.body, known, f"effect of {action}")
            effect = [msgspec.to_builtins(fact) for fact in self._asked[action][1]]
            if _plain(event.body) not in [_plain(one) for one in effect]:
                fail(f"the log says of {action} what was not its effect")

    # ---- whenever the controller acts ----------------------------------------

    def acted(self, action: Action, state: State, now: datetime, effect: tuple[Fact, ...]) -> None:
        """Check an action: decided by `decide` alone, new, and the same effect as before."""
        self._check_state(state)
        for _ in range(2):
            expect(decide(state, self._rules, now), (action,), "decision, taken again")
        if action.id in state.acted:
            fail(f"{action.name} was asked for again after its effect was on record")
        known = self._asked.setdefault(action.id, (action, effect))
        if isinstance(action, _POINTERS) and isinstance(known[0], _POINTERS):
            expect(action.model, known[0].model, f"model of {action.name}, asked again")
            self._asked[action.id] = (action, effect)
        else:
            expect(effect, known[1], f"effect of {action.name} {action.id}, done again")
        if isinstance(action, Retrain):
            self._retrains.check_action(action, state, now)

    def _check_state(self, state: State) -> None:
        """Check that a controller believes what the ledger says, and forgets no record."""
        lasting = [one.model for one in state.tenures if one.until is None]
        if len(lasting) > 1:
            fail(f"several champions at once: {lasting}")
        if state.position == len(self.ledger.hashes):
            reigning = champion(state.tenures)
            expect(reigning.model if reigning else None, self.ledger.champion, "champion")
            expect(state.acted, self.ledger.acted, "actions that count as done")
            expect(len(state.tenures), len(self.ledger.reigns), "tenures")
            expect(set(state.models), set(self.ledger.models), "models")
            while self._sighted:
                kind, model = self._sighted.pop()
                seen = state.observed[model]
                found = seen.window if kind == "window_judged" else seen.drift
                end = self.ledger.window_ends[kind, model]
                expect(found[1].end if found else "", end, f"{kind} that was seen of {model}")
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
                fail(f"the record of {name} was {before} and became {after}")
        for name, run in earlier.runs.items():
            if run.finished is not None and later.runs[name] != run:
                fail(f"the run {name} ended and changed afterwards")

    # ---- from time to time ---------------------------------------------------

    def restarted(self, state: State) -> None:
        """Check that a process that begins anew finds what the others know."""
        if state != self._fold.state():
            fail("a restart found another state than the events had led to")

    def looked(self, state: State) -> None:
        """Check that a look that came to its end left nobody in harm's way."""
        if state.position == len(self.ledger.hashes):
            self._shipping.check_look()

    def settled(self, state: State, now: datetime) -> None:
        """Check that a quiet look left nothing in hand: no run, no challenger.

        Args:
            state: What the controller believes after its look.
            now: When it looked.
        """
        (action,) = decide(state, self._rules, now)
        if not isinstance(action, Wait):
            fail(f"a look ended and left {action.name} undone")
        if self.ledger.unfinished():
            fail(f"runs that were asked for never ended: {sorted(self.ledger.unfinished())}")

    def gets_on(self, *, since_s: float) -> None:
        """Check that nothing stays on its way for ever.

        Args:
            since_s: The true time at which the faults stopped.
        """
        beside, rollout = self.ledger.beside, self._rules.rollout
        if beside is None or rollout is None or beside.is_persons:
            return
        longest = rollout.probation_s if beside.is_former else rollout.deadline_s
        for_s = self.ledger.elapsed_s() - max(beside.at_s, since_s)
        if for_s > _LATE * longest + 2 * self._tick_s + LONGEST_JOB * _DAY_S:
            fail(f"{beside.model} stays at {beside.share:g} for {for_s:g} s and does not get on")

    def finish(self, log: Log) -> None:
        """Check the whole log: intact, nothing acknowledged lost, one state however folded."""
        seen = log.verify()
        require(seen.reason, "the log is damaged")
        events = list(log.read())
        kept = [event.hash for event in events]
        if kept != self.ledger.hashes:
            fail(f"{len(self.ledger.hashes)} events were acknowledged, {len(kept)} are kept")
        whole = state_bytes(self._fold.state())
        expect(state_bytes(fold(events)), whole, "state, folded from the beginning")
        twice = [again for event in events for again in (event, event)]
        expect(state_bytes(fold(twice)), whole, "state, every event delivered twice")


def _plain(value: object) -> object:
    """Return a value as it comes back from the log."""
    return msgspec.json.decode(msgspec.json.encode(value))
