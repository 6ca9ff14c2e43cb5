"""People who act beside the loop: they promote, roll back, and run by hand, finished or not.

Where it serves they also deploy, withdraw, approve, pause, resume, and ask for a retrain.

Must not be imported by anything but tests.
"""

import contextlib
from datetime import datetime

from bucle.clock import FixedClock, to_iso
from bucle.errors import OutsideError
from bucle.ids import digest_json
from bucle.loop.events import (
    Approved,
    Deployed,
    Fact,
    Paused,
    Promoted,
    Resumed,
    RetrainAsked,
    RolledBack,
    VerdictGiven,
    Withdrawn,
    draft_fact,
)
from bucle.loop.state import Fold, State
from bucle.models.registry import champion, last_good
from bucle.testing.chance import chance
from bucle.testing.ledger import PERSON
from bucle.testing.simulated_log import SimulatedLog
from bucle.testing.simulated_world import SimulatedWorld
from bucle.testing.windows import moment_of

__all__ = ["People"]

_SHARES = (0.0, 0.05, 0.25, 0.5)


class People:
    """Whoever uses the command line while the loop runs; nobody kills them.

    Args:
        world: Where their runs take place.
        log: Where their acts are kept.
    """

    def __init__(self, world: SimulatedWorld, log: SimulatedLog) -> None:
        self._world = world
        self._log = log
        self._fold = Fold()
        self._draw = chance(world.options.seed, "people")
        self._acts = 0

    def found(self, now: datetime) -> None:
        """Make the first champion by hand."""
        self._write(now, *self._world.run_facts("r-0", self._world.train_model("r-0")))
        self._promote(self._state(), now)

    def may_act(self, now: datetime, *, share: float) -> None:
        """Do one of the things people do, with some probability."""
        if self._draw.happens(share):
            state = self._state()
            acts = [self._promote, self._roll_back, self._roll_back, self._run, self._run]
            if self._world.options.live is not None:
                acts += [self._deploy, self._withdraw, self._approve, self._approve]
                acts += [self._pause, self._resume, self._resume, self._ask]
            self._draw.choose(acts)(state, now)

    def leave(self, now: datetime) -> None:
        """Undo by hand what would keep the loop waiting: a pause, a deployment of theirs."""
        state = self._state()
        self._resume(state, now)
        if state.deployment is not None and state.deployment.by == PERSON:
            self._withdraw(state, now)

    def may_approve(self, now: datetime) -> None:
        """Approve what is on its way, if anybody in this life goes on to do so."""
        live, state = self._world.options.live, self._state()
        if live is not None and live.approving and state.deployment is not None:
            for role in live.approval:
                if role not in state.approvals.get(state.deployment.model, ()):
                    self._write(now, Approved(model=state.deployment.model, role=role, because=""))

    def _promote(self, state: State, now: datetime) -> None:
        if state.models:
            model = self._draw.choose(list(state.models))
            reigning = champion(state.tenures)
            previous = reigning.model if reigning else None
            if model != previous:
                self._write(now, Promoted(model=model, because="she likes it", previous=previous))

    def _roll_back(self, state: State, now: datetime) -> None:
        reigning, target = champion(state.tenures), last_good(state.tenures)
        if reigning is not None and target is not None:
            fact = RolledBack(model=target.model, previous=reigning.model, because="odd prices")
            self._write(now, fact)

    def _deploy(self, state: State, now: datetime) -> None:
        reigning = champion(state.tenures)
        if reigning is not None and state.models:
            model, share = self._draw.choose(list(state.models)), self._draw.choose(_SHARES)
            if model != reigning.model:
                fact = Deployed(
                    model=model, share=share, champion=reigning.model, because="to see it"
                )
                self._write(now, fact)

    def _withdraw(self, state: State, now: datetime) -> None:
        if state.deployment is not None:
            self._write(now, Withdrawn(model=state.deployment.model, because="enough"))

    def _approve(self, state: State, now: datetime) -> None:
        live = self._world.options.live
        if live is not None and live.approval and state.models:
            deployed = state.deployment.model if state.deployment else None
            model = deployed or self._draw.choose(list(state.models))
            role = self._draw.choose(live.approval)
            self._write(now, Approved(model=model, role=role, because="it is good"))

    def _pause(self, state: State, now: datetime) -> None:
        if state.paused is None:
            self._write(now, Paused(because="stocktaking"))

    def _resume(self, state: State, now: datetime) -> None:
        if state.paused is not None:
            self._write(now, Resumed(because="it is over"))

    def _ask(self, state: State, now: datetime) -> None:
        del state
        self._write(now, RetrainAsked(because="a new season"))

    def _run(self, state: State, now: datetime) -> None:
        """Run by hand: killed, failed, of an earlier moment, not judged, or judged at once."""
        self._acts += 1
        world, run = self._world, f"r-by-hand-{self._acts}"
        kind = self._draw.choose(("killed", "failed", "as_of", "judged", "judged"))
        made = None if kind == "failed" else world.train_model(run)
        as_of = to_iso(moment_of(world.today - 30)) if kind == "as_of" else None
        started, ended = world.run_facts(run, made, as_of=as_of)
        if kind == "killed" or made is None:
            self._write(now, *((started,) if kind == "killed" else (started, ended)))
            return
        reigning = champion(state.tenures)
        current = world.models[reigning.model] if reigning else None
        if kind == "as_of" or (current and current.model == made.model):
            self._write(now, started, ended)
            return
        verdict = world.truth.judge(run, made, current, world.today)
        evidence = digest_json([run, made.model, current.model if current else None])
        given = VerdictGiven(run=run, verdict=verdict, evidence=evidence)
        self._write(now, started, ended, given)

    def _state(self) -> State:
        for event in self._log.kept.read(after=self._fold.position):
            self._fold.apply(event)
        return self._fold.state()

    def _write(self, now: datetime, *facts: Fact) -> None:
        clock = FixedClock(now)
        with contextlib.suppress(OutsideError):
            self._log.write([draft_fact(fact, clock=clock, actor=PERSON) for fact in facts])
