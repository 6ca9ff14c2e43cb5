"""The real world: clock, tables, sources and people become facts, actions become processes.

Nothing here waits: what takes long is a job, and is looked after at every look. Imports nothing
heavy.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from bucle.errors import BucleError
from bucle.loop.actions import Action, Deploy, Judge, Promote, Refit, Retrain, RollBack, Withdraw
from bucle.loop.arrivals import Arrivals
from bucle.loop.beside import is_shunned
from bucle.loop.control import deployed_by, promoted
from bucle.loop.events import (
    Fact,
    Refitted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    Withdrawn,
)
from bucle.loop.live.intake import Intake
from bucle.loop.live.jobs import Jobs
from bucle.loop.live.orders import Answer, Order, facts_of
from bucle.loop.live.rounds import Rounds
from bucle.loop.observations import ChallengerSeen
from bucle.loop.policy import Policy
from bucle.loop.rollout import is_news
from bucle.loop.state import State
from bucle.loop.workspace import Workspace
from bucle.models.package_files import is_whole
from bucle.models.registry import Deployment, champion
from bucle.types import Check, Lease, Verdict

__all__ = ["LiveWorld", "Pace"]

_BY_TRIGGER: Mapping[str, set[str]] = {
    "windows": {"performance", "drift"},
    "gain": {"gain", "regret"},
    "code": {"code"},
}
_MOST_TRIES = 5
_PAUSE_S = 10.0


class Pace(Struct, frozen=True, kw_only=True):
    """How often the world is looked at, in seconds: by the kind of what is seen.

    `former_s` is for a champion of before, which waits for labels; `see_s` for a candidate.
    """

    see_s: float = 10.0
    former_s: float = 10.0
    watch_s: float = 3600.0
    arrivals_s: float = 2.0


class LiveWorld:
    """A project at work, as the controller sees it and acts on it.

    Args:
        workspace: The project.
        policy: Which observations are worth making.
        jobs: Does what takes long.
        arrivals: Looks for new data; None leaves data to people.
        lease: Returns the lease under which jobs write.
        pace: How often to look.
        say: Told what people should know, one line at a time.
    """

    def __init__(
        self,
        workspace: Workspace,
        policy: Policy,
        jobs: Jobs,
        *,
        arrivals: Arrivals | None = None,
        lease: Callable[[], Lease | None] = lambda: None,
        pace: Pace = Pace(),  # noqa: B008  (a frozen value)
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._workspace = workspace
        self._policy = policy
        self._jobs = jobs
        self._lease = lease
        self._pace = pace
        self._say = say
        self._rounds = Rounds(workspace.clock)
        self._baking = _Baking(workspace)
        self._intake = (
            None
            if arrivals is None
            else Intake(arrivals, jobs, self._rounds, every_s=pace.arrivals_s, say=say)
        )
        self._tries: dict[str, int] = {}
        self._failed: dict[str, Answer] = {}
        self._memory: dict[str, dict[str, Any]] = {}
        self._labours: dict[str, str] = {}
        self._asked: set[str] = set()

    # ---- what is seen ----------------------------------------------------------

    def observe(self, state: State, now: datetime) -> Sequence[Fact]:
        """Return what has become known since the last look; begin to find out more."""
        self._let_go(state)
        facts: list[Fact] = []
        if self._intake is not None:
            facts += self._intake.look(state, now, start=self._start)
        if state.deployment is not None:
            baked_s = self._baking.seconds(state.deployment, state.trial)
            facts += self._shunned(state, state.deployment, baked_s=baked_s)
            seen = self._seen(state.deployment, {"baked_s": baked_s})
            facts += [fact for fact in seen if self._is_news(state, fact, baked_s=baked_s)]
        if state.tenures:
            facts += self._round("watch", self._pace.watch_s, {})
        kinds = {one.kind for one in self._policy.triggers}
        for kind, wanted in _BY_TRIGGER.items():
            if wanted & kinds and state.tenures:
                details = {"kinds": sorted(wanted & kinds)}
                facts += self._round(kind, self._pace.watch_s, details)
        return facts

    def _shunned(
        self, state: State, deployed: Deployment, *, baked_s: float
    ) -> tuple[ChallengerSeen, ...]:
        """Tell at once of a model that workers let in no more; the rest of it was seen before.

        Nobody waits for a job to read the prediction log when workers have died.
        """
        known, reigning = state.trial, champion(state.tenures)
        if reigning is None or (known is not None and known.is_shunned):
            return ()
        if not is_shunned(self._workspace, deployed.model):
            return ()
        if known is None:
            known = ChallengerSeen(
                champion=reigning.model, model=deployed.model, share=deployed.share, baked_s=baked_s
            )
        return (msgspec.structs.replace(known, is_shunned=True),)

    def _is_news(self, state: State, seen: Fact, *, baked_s: float) -> bool:
        """Tell whether something seen is worth an event of its own.

        What says to have baked for longer than the present share lasts was begun at another one.
        """
        deployed, rollout = state.deployment, self._policy.rollout or self._policy.unled
        if deployed is None or not isinstance(seen, ChallengerSeen):
            return False
        return seen.baked_s <= baked_s and is_news(deployed, seen, state.trial, rollout)

    def _seen(self, deployed: Deployment, details: Mapping[str, object]) -> tuple[Fact, ...]:
        """Take what was seen of the model beside the champion; a candidate waits for no former."""
        if deployed.is_former:
            return self._round("see", self._pace.former_s, details, turn="see former")
        return self._round("see", self._pace.see_s, details)

    def _round(
        self, kind: str, every_s: float, details: Mapping[str, object], *, turn: str = ""
    ) -> tuple[Fact, ...]:
        """Take what a repeated job has found, and begin it again when its turn has come."""
        answer = self._jobs.take(kind)
        if answer is None:
            if not self._jobs.is_running(kind) and self._rounds.is_due(turn or kind, every_s):
                self._start(kind, kind, {**details, "memory": self._memory.get(kind, {})})
            return ()
        if answer.error:
            self._rounds.complain(kind, answer.error, self._say)
            return ()
        self._rounds.is_well(kind)
        self._memory[kind] = answer.memory
        return facts_of(answer)

    # ---- what is done ----------------------------------------------------------

    def perform(self, action: Action, state: State, now: datetime) -> Sequence[Fact] | None:
        """Do something and return its effect; None while it is under way."""
        del now
        match action:
            case Retrain() if self._is_training(action, state):
                return None
            case Retrain():
                policy = msgspec.to_builtins(self._policy)
                return self._labour(action, state, {"action": action.id, "policy": policy})
            case Judge() | Refit():
                return self._labour(action, state, {"action": msgspec.to_builtins(action)})
            case Deploy() if state.deployment is None or state.deployment.model != action.model:
                return self._labour(action, state, {"action": msgspec.to_builtins(action)})
        return self._note(action)

    def _note(self, action: Action) -> Sequence[Fact]:
        """Return the effect of an action that is nothing but its fact: workers follow the log."""
        match action:
            case Promote():
                return (promoted(action),)
            case Deploy():
                return (deployed_by(action),)
            case Withdraw():
                return (Withdrawn(action=action.id, model=action.model, because=action.why),)
            case RollBack():
                if not is_whole(self._workspace.packages, action.model):
                    # A model that cannot answer must not be champion, whatever is known of it.
                    why = f"its package is not whole, so it cannot come back ({action.why})"
                    return (Withdrawn(action=action.id, model=action.model, because=why),)
                back = RolledBack(
                    action=action.id,
                    model=action.model,
                    previous=action.previous,
                    because=action.why,
                )
                return (back,)
        return ()

    def _labour(
        self, action: Action, state: State, details: dict[str, object]
    ) -> Sequence[Fact] | None:
        """Do what takes long; what fails for reasons outside is tried again, with pauses."""
        name = action.id
        self._asked.add(name)
        failed = self._failed.pop(name, None)
        if failed is not None:
            # It ended and left no effect on record, or decide would not ask for it again.
            return _failure(action, state, failed)
        answer = self._jobs.take(name)
        if answer is None:
            if not self._jobs.is_running(name) and self._rounds.is_due(name, 0.0):
                self._say(f"{action.name}: {action.why}")
                self._start(name, action.name, details)
                self._labours[name] = action.name
            return None
        self._labours.pop(name, None)
        if answer.said:
            self._say(answer.said)
        if not answer.error:
            return facts_of(answer) or None
        self._say(f"{action.name}: {answer.error}")
        tries = self._tries[name] = self._tries.get(name, 0) + 1
        if answer.is_outside and tries < _MOST_TRIES:
            self._rounds.put_off(name, _PAUSE_S * 4 ** (tries - 1))
        else:
            self._failed[name] = answer
        return None

    def _is_training(self, action: Retrain, state: State) -> bool:
        """Tell whether another training has begun and its effect is not on record.

        Until a run says that it has begun, another reason may be found for the same training.
        """
        others = [
            name
            for name, kind in self._labours.items()
            if kind == action.name and name != action.id and name not in state.acted
        ]
        is_training = False
        for name in others:
            is_training |= self._jobs.is_running(name)
            # What it has written is read before the next decision.
            self._end(name)
        return is_training

    def _let_go(self, state: State) -> None:
        """Take the answers that nobody asks for any more: a process that ended must not stay."""
        for name, kind in list(self._labours.items()):
            is_over = name in state.acted if kind == "retrain" else name not in self._asked
            if is_over:
                self._end(name)
        self._asked.clear()

    def _end(self, name: str) -> None:
        """Forget what was begun, once it goes on no more."""
        if self._jobs.take(name) is not None or not self._jobs.is_running(name):
            del self._labours[name]

    def _start(self, name: str, kind: str, details: Mapping[str, object]) -> None:
        order = msgspec.convert(
            {
                "kind": kind,
                "root": str(self._workspace.root),
                "details": details,
                "overrides": self._workspace.overrides,
            },
            Order,
        )
        try:
            self._jobs.start(name, msgspec.structs.replace(order, fence=self._lease()))
        except BucleError as error:
            self._say(error.render())
            self._rounds.put_off(name, _PAUSE_S)


class _Baking:
    """For how long a deployed model was watched at its share, by a clock that never goes back."""

    def __init__(self, workspace: Workspace) -> None:
        self._clock = workspace.clock
        self._of: tuple[str, float, str] | None = None
        self._since = 0.0

    def seconds(self, deployed: Deployment, seen: ChallengerSeen | None) -> float:
        """Return the seconds; what was watched before this process began counts as recorded."""
        now, name = self._clock.monotonic(), (deployed.model, deployed.share, deployed.since)
        if name != self._of:
            self._of, self._since = name, now - (seen.baked_s if seen else 0.0)
        return now - self._since


def _failure(action: Action, state: State, answer: Answer) -> tuple[Fact, ...]:
    """Return the effect of an action that could not be done."""
    error = answer.error
    match action:
        case Retrain():
            begun = [one.started for one in state.runs.values() if one.started.asked == action.id]
            started = begun[-1] if begun and state.runs[begun[-1].run].finished is None else None
            run = started.run if started else f"r-{action.id}"
            ended = RunFinished(
                action=action.id, run=run, state="failed", steps=(), metrics={}, error=error
            )
            return (ended,) if started else (_unbegun(run, action.id), ended)
        case Judge():
            check = Check(name="evidence", outcome="undecided")
            verdict = Verdict(
                outcome="undecided",
                checks=(check,),
                rows=0,
                challenger=action.model,
                champion=action.champion,
            )
            given = VerdictGiven(
                action=action.id, run=action.run, verdict=verdict, evidence=action.id
            )
            return (given,)
        case Refit():
            refitted = Refitted(
                action=action.id,
                run=action.run,
                tested=action.model,
                model=None,
                outcome="undecided",
                why=error,
            )
            return (refitted,)
        case Deploy():
            why = f"it cannot be put beside the champion: {error}"
            return (Withdrawn(action=action.id, model=action.model, because=why),)
    return ()


def _unbegun(run: str, asked: str) -> RunStarted:
    """Return the start of a run whose process never came to begin it."""
    return RunStarted(
        run=run, source="", environment="", seed=0, parameters={}, datasets={}, asked=asked
    )
