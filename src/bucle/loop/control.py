"""The controller: look at the world, decide, act, until nothing is left to do at this moment.

The same for every world: what is seen and done becomes facts in a log, and every decision is
taken by `decide` on the fold of that log. Reads no clock: whoever calls says what time it is.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from bucle.clock import FixedClock
from bucle.errors import RequestError
from bucle.loop.alarms.closing import alarms_ended_by
from bucle.loop.decide import Action, Deploy, Promote, Wait, decide
from bucle.loop.events import (
    ChallengerSeen,
    Decided,
    Deployed,
    Fact,
    Promoted,
    RolledBack,
    draft_fact,
)
from bucle.loop.policy import Policy
from bucle.loop.state import Fold, State
from bucle.types import Lease, Log

__all__ = ["Controller", "Look", "World", "deployed_by", "promoted"]

_MOST_ACTIONS = 20


class World(Protocol):
    """Where the loop runs: history that is replayed, a simulated store, the real one."""

    def observe(self, state: State, now: datetime) -> Sequence[Fact]:
        """Return what has become known since the last look."""
        ...

    def perform(self, action: Action, state: State, now: datetime) -> Sequence[Fact] | None:
        """Do something and return its effect; doing it again has the same effect.

        The last fact carries the action's id: with it the action counts as done. None says that it
        is under way: it is asked for again at the next look.
        """
        ...


class Look(Struct, frozen=True, kw_only=True):
    """What one look at the world led to: the actions, in their order, and why.

    `under_way` is the action that has been begun and is not done.
    """

    did: tuple[Action, ...]
    why: str
    under_way: Action | None = None


class Controller:
    """Drives one world by one policy; what happens goes to the log.

    It may be stopped between any two appends and made again on the same log: it then goes on
    with the action that was lost.

    Args:
        world: What is looked at and acted on.
        policy: What is followed.
        log: Where facts go; folded from its beginning.
        actor: Who acts, as it will stand in the log.
        fence: Returns the lease under which the log is written; None where nobody else leads.
    """

    def __init__(
        self,
        world: World,
        policy: Policy,
        log: Log,
        *,
        actor: str = "loop",
        fence: Callable[[], Lease | None] = lambda: None,
    ) -> None:
        self._fence = fence
        self._world = world
        self._policy = policy
        self._log = log
        self._actor = actor
        self._fold = Fold()
        self._state = self._fold.state()
        self._begun: set[str] = set()
        self._is_open = False
        self._catch_up()

    @property
    def state(self) -> State:
        """What is true now."""
        return self._state

    def look(self, now: datetime, *, is_noted: bool = True) -> Look:
        """Read what others wrote; observe, then decide and act until nothing is left to do.

        Args:
            now: The moment.
            is_noted: Whether the log is told of a look that did nothing, and why.

        Raises:
            RequestError: The world's effects never settle what was asked for (bucle-253).
            StalePositionError: Somebody else has written to the log since the look began; nothing
                of what did not get through counts, and the next look begins with what they wrote.
            FencedError: Another process leads by now.
        """
        self._catch_up()
        seen = self._world.observe(self._state, now)
        self._record(seen, now)
        # What a trigger looks at is answered by a decision on record, even if it is to do nothing.
        is_noted = is_noted or any(not isinstance(fact, ChallengerSeen) for fact in seen)
        did: list[Action] = []
        for _ in range(_MOST_ACTIONS):
            for action in decide(self._state, self._policy, now):
                if isinstance(action, Wait):
                    return self._conclude(did, action, now, is_noted=is_noted)
                effect = self._world.perform(action, self._state, now)
                if effect is None:
                    return self._pause(did, action, now)
                if action.id not in {done.id for done in did}:
                    did.append(action)
                self._record(self._whole(effect), now, cause=action.id)
        raise RequestError(
            f"Cannot settle {did[-1].name} under the policy {self._policy.name}",
            cause=f"it was asked for {_MOST_ACTIONS} times and its effect is not on record",
            code="bucle-253",
        )

    def _whole(self, effect: Sequence[Fact]) -> Sequence[Fact]:
        """Return an effect with what follows from it: a new champion begins without alarms."""
        over = [
            alarm
            for fact in effect
            if isinstance(fact, Promoted | RolledBack)
            for alarm in alarms_ended_by(self._state, fact.model)
        ]
        return [*effect, *over]

    def _conclude(self, did: list[Action], wait: Wait, now: datetime, *, is_noted: bool) -> Look:
        why = f"{did[0].why}; {wait.settled}" if did else wait.why
        if self._is_open and not did:
            # What a look had begun has ended since.
            why = f"{wait.settled}; {wait.why}" if wait.settled not in wait.why else wait.why
        if did or is_noted or self._is_open:
            settled = wait.settled if did or self._is_open else ""
            self._note(did, why, now, settled=settled)
        self._is_open = False
        return Look(did=tuple(did), why=why)

    def _pause(self, did: list[Action], action: Action, now: datetime) -> Look:
        """End a look at an action that takes longer than a look may."""
        if action.id not in self._begun:
            self._begun.add(action.id)
            did.append(action)
        if did:
            self._note(did, did[0].why, now)
        self._is_open = True
        why = f"{action.name} is under way: {action.why}"
        return Look(did=tuple(did), why=why, under_way=action)

    def _note(self, did: list[Action], why: str, now: datetime, *, settled: str = "") -> None:
        names = tuple(action.name for action in did)
        noted = Decided(policy=self._policy.name, did=names, why=why, settled=settled)
        self._record([noted], now)

    def _record(self, facts: Sequence[Fact], now: datetime, *, cause: str = "") -> None:
        if facts:
            clock = FixedClock(now)
            drafts = [
                draft_fact(fact, clock=clock, actor=self._actor, cause=cause) for fact in facts
            ]
            position, fence = self._state.position, self._fence()
            for event in self._log.append(drafts, expected=position, fence=fence):
                self._fold.apply(event)
            self._state = self._fold.state()

    def _catch_up(self) -> None:
        for event in self._log.read(after=self._fold.position):
            self._fold.apply(event)
        if self._fold.position > self._state.position:
            self._state = self._fold.state()


def promoted(action: Promote, *, because: str = "") -> Promoted:
    """Return the fact that a promotion was done; it is nothing but this fact.

    Args:
        action: What was decided.
        because: The reason on record; that of the decision by default.
    """
    return Promoted(
        action=action.id,
        model=action.model,
        because=because or action.why,
        verdict=action.verdict,
        previous=action.previous,
    )


def deployed_by(action: Deploy) -> Deployed:
    """Return the fact that a deployment was done; it is nothing but this fact."""
    return Deployed(
        action=action.id,
        model=action.model,
        share=action.share,
        champion=action.champion,
        because=action.why,
        run=action.run,
        is_former=not action.run,
    )
