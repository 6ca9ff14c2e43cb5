"""A world for the loop that never was: its time, labels, trainings, verdicts and refits.

What was done once stays done, as on a disk: a process that was killed before the effect was on
record finds the same effect when it does the action again. Must not be imported by anything but
tests.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from bucle.clock import to_iso
from bucle.ids import digest_json
from bucle.loop.control import deployed_by, promoted
from bucle.loop.decide import Action, Deploy, Judge, Promote, Refit, Retrain, RollBack, Withdraw
from bucle.loop.events import (
    ChallengerSeen,
    Fact,
    Refitted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    Withdrawn,
)
from bucle.loop.rollout import is_news
from bucle.loop.state import Observed, State
from bucle.models.registry import champion
from bucle.testing.chance import Chance, chance
from bucle.testing.interruptions import Interruptions
from bucle.testing.ledger import Ledger
from bucle.testing.options import LONGEST_JOB, Options
from bucle.testing.service import Service
from bucle.testing.signals import Signals
from bucle.testing.spells import draw_spells
from bucle.testing.truth import HiddenModel, Truth
from bucle.testing.windows import Window, moment_of, open_window
from bucle.types import Outcome

__all__ = ["JOBS", "POINTERS", "SimulatedWorld", "Witness"]

_ANEW = 0.5

# What is nothing but its fact: it says what is so when it is written.
POINTERS = (Promote, Deploy, Withdraw, RollBack)
JOBS = (Retrain, Judge, Refit)
_REMEMBERED = 20
_WOULD = "m-would-"

Witness = Callable[[Action, State, datetime, tuple[Fact, ...]], None]


class SimulatedWorld:
    """Observes and performs for a controller; all its chances come from one seed.

    Args:
        options: What the seed stands for.
        interruptions: Kills between the effects.
        witness: Told of each action with its effect, once it happened.
        ledger: What the log says, and so what a server does.
    """

    def __init__(
        self,
        options: Options,
        interruptions: Interruptions,
        witness: Witness,
        *,
        ledger: Ledger,
    ) -> None:
        self.options = options
        self.today = 0.0
        self.truth = Truth(options)
        self.models: dict[str, HiddenModel] = {}
        dead = draw_spells(options, "dead", share=options.faults.dead)
        self.service = Service(options, ledger, self.truth, self.models, dead=dead)
        self.signals = Signals(options)
        self._interruptions = interruptions
        self._witness = witness
        self._effects: dict[str, tuple[Fact, ...]] = {}
        self._jobs: dict[str, float] = {}
        self._windows: dict[int, Window] = {}
        self._opened = 0
        self._said: list[Fact] = []

    # ---- what is seen --------------------------------------------------------

    def observe(self, state: State, now: datetime) -> Sequence[Fact]:
        """Return what has become known and is not on record; some of it was said before."""
        del now  # the world has its own time
        self._interruptions.pass_point("before a look")
        self._open_windows(state)
        facts: list[Fact] = []
        for window in list(self._windows.values()):
            facts.extend(self._news(window, state.observed.get(window.drift.model) or Observed()))
        if self.options.live is not None:
            facts.extend(self._live_news(state))
        # What was seen at another share is told by no world: it knows for how long this one lasts.
        said = [fact for fact in facts if not isinstance(fact, ChallengerSeen)]
        self._said = [*self._said, *said][-_REMEMBERED:]
        if self._said and self._echoes:
            echo = chance(self.options.seed, "echo", self._opened)
            if echo.happens(self._echoes):
                facts += [echo.choose(self._said), facts[0] if facts else self._said[0]]
        self._interruptions.pass_point("after a look")
        return [*facts, *self.signals.arrivals(state)]

    def _live_news(self, state: State) -> list[Fact]:
        """Return what a loop that serves sees: the model beside the champion, alarms, code."""
        facts = self.signals.alarms(state)
        seen, deployed = self.service.see(self.today), state.deployment
        rollout = self.options.rules.rollout
        if seen is not None and deployed is not None and rollout is not None:
            known = state.trial
            facts += [seen] if is_news(deployed, seen, known, rollout) else []
        return facts

    def _open_windows(self, state: State) -> None:
        reigning = champion(state.tenures)
        model = self.models.get(reigning.model) if reigning else None
        tick = self.options.tick
        while (self._opened + 1) * tick <= self.today:
            self.signals.pass_tick(self._opened)
            if model is not None:
                start = self._opened * tick
                self._windows[self._opened] = open_window(
                    self.options, self.truth, self._opened, model, start=start
                )
            self._opened += 1

    def _news(self, window: Window, seen: Observed) -> list[Fact]:
        """Return what is known of a window and is not on record."""
        on_record = seen.window[1] if seen.window else None
        if on_record is not None and on_record.end > window.drift.end:
            # A later window was judged: nobody asks for this one any more.
            del self._windows[window.number]
            return []
        facts: list[Fact] = []
        if seen.drift is None or seen.drift[1].end < window.drift.end:
            facts.append(window.drift)
        judged = window.judged(self.today, patience=self.options.labels.patience)
        if judged is None:
            return facts
        if judged != on_record:
            # The first word on it, or a label that came later says something else.
            facts.append(judged)
        known = seen.gain[1].challenger if seen.gain else ""
        if int(known.removeprefix(_WOULD) or -1) < window.number:
            facts.append(window.gain(judged))
        return facts

    # ---- what is done --------------------------------------------------------

    def perform(self, action: Action, state: State, now: datetime) -> Sequence[Fact] | None:
        """Do something once; asked again, return the same effect, or None while it is under way."""
        self._interruptions.pass_point(f"before {action.name}")
        if self._is_under_way(action, state):
            return None
        effect = self._effects.get(action.id)
        if effect is None or isinstance(action, POINTERS):
            effect = self._effects[action.id] = self._do(action)
        self._witness(action, state, now, effect)
        self._interruptions.pass_point(f"after {action.name}")
        facts = list(effect)
        draw = self._draw("deliver", action.id)
        if isinstance(action, Retrain) and not _has_begun(state, action):
            has_jobs = self.options.live is not None and self.options.live.jobs
            if has_jobs or draw.happens(self.options.trainings.halves):
                return effect[:1]
        if draw.happens(self._echoes):
            facts += effect
        return facts

    def _is_under_way(self, action: Action, state: State) -> bool:
        """Tell whether an action takes longer than this look; a run is on record as it begins."""
        live = self.options.live
        if live is None or not live.jobs or not isinstance(action, JOBS):
            return False
        if isinstance(action, Retrain) and not _has_begun(state, action):
            return False
        wait = self._draw("job", action.id).wait(self.options.trainings.slow)
        until = self._jobs.setdefault(action.id, self.today + min(wait, LONGEST_JOB))
        return self.today < until

    @property
    def _echoes(self) -> float:
        return 0.0 if self._interruptions.is_calm else self.options.faults.echoes

    def _do(self, action: Action) -> tuple[Fact, ...]:
        match action:
            case Retrain():
                return self._train(action)
            case Judge():
                verdict = self.truth.judge(
                    action.run,
                    self.models[action.model],
                    self.models[action.champion] if action.champion else None,
                    self.today,
                )
                evidence = digest_json([action.run, action.model, action.champion])
                return (
                    VerdictGiven(
                        action=action.id, run=action.run, verdict=verdict, evidence=evidence
                    ),
                )
            case Refit():
                return (self._refit(action),)
        return self._pointed(action)

    def _train(self, action: Retrain) -> tuple[Fact, ...]:
        draw = self._draw("run", action.id)
        fails = not self._interruptions.is_calm and draw.happens(self.options.trainings.fails)
        made = None if fails else self._model(action.id, draw, again=self.options.trainings.repeats)
        facts = self.run_facts(f"r-{action.id}", made, asked=action.id, action=action.id)
        if self.options.live is None or not self.options.live.jobs:
            self.today += min(draw.wait(self.options.trainings.slow), LONGEST_JOB)
        return facts

    def run_facts(
        self,
        run: str,
        made: HiddenModel | None,
        *,
        asked: str = "",
        action: str = "",
        as_of: str | None = None,
    ) -> tuple[RunStarted, RunFinished]:
        """Return how a run began and ended; it failed when it made no model."""
        started = RunStarted(
            run=run,
            source=self.signals.source,
            code=self.signals.source,
            environment="simulated",
            seed=self.options.seed,
            parameters={},
            datasets={"sales": self.signals.fingerprint},
            as_of=as_of,
            asked=asked,
        )
        if made is None:
            ended = RunFinished(
                action=action, run=run, state="failed", steps=(), metrics={}, error="it broke"
            )
            return started, ended
        cut = to_iso(moment_of(made.born))
        ended = RunFinished(
            action=action,
            run=run,
            state="done",
            steps=(),
            metrics={"wape": made.error},
            model=made.model,
            tested=made.model,
            digests={made.model: made.digest},
            cut=cut,
            end=cut,
            fit=made.fit,
        )
        return started, ended

    def train_model(self, cause: str) -> HiddenModel:
        """Train a model, for the loop or for a person."""
        made = self.truth.train(cause, self.today)
        return self.models.setdefault(made.model, made)

    def _model(self, cause: str, draw: Chance, *, again: float) -> HiddenModel:
        """Train a model; the same data may give one that is known already."""
        if self.models and draw.happens(again):
            known = draw.choose(list(self.models.values()))
            if not self._draw("package", cause).happens(_ANEW):
                return known
            made = known.packaged_anew(cause)
            return self.models.setdefault(made.model, made)
        return self.train_model(cause)

    def _refit(self, action: Refit) -> Refitted:
        draw, options = self._draw("refit", action.id), self.options
        if draw.happens(options.trainings.refit_fails):
            return self._refitted(action, None, "undecided", "it could not be made")
        if draw.happens(options.trainings.refit_same):
            known = draw.choose([*self.models.values(), self.models[action.model]])
            return self._refitted(action, known, "pass", "all rows give a known model")
        made = self.train_model(action.id)
        if draw.happens(options.trainings.refit_worse):
            outcome: Outcome = "fail" if draw.happens(0.5) else "undecided"
            return self._refitted(action, made, outcome, "it is not shown to be as good")
        return self._refitted(action, made, "pass", "as good as its tested twin")

    def _pointed(self, action: Action) -> tuple[Fact, ...]:
        """Return the effect of an action that is nothing but its fact; some models do not load."""
        live = self.options.live
        is_unfit = live is not None and self._draw("unfit", action.id).happens(live.unfit)
        match action:
            case Promote():
                return (promoted(action),)
            case Deploy() if not is_unfit or self.service.beside == action.model:
                return (deployed_by(action),)
            case RollBack() if not is_unfit:
                back = RolledBack(
                    action=action.id,
                    model=action.model,
                    previous=action.previous,
                    because=action.why,
                )
                return (back,)
            case Deploy() | RollBack() | Withdraw():
                return (Withdrawn(action=action.id, model=action.model, because=action.why),)
        return ()

    @staticmethod
    def _refitted(action: Refit, made: HiddenModel | None, outcome: Outcome, why: str) -> Refitted:
        return Refitted(
            action=action.id,
            run=action.run,
            tested=action.model,
            model=made.model if made else None,
            digest=made.digest if made else None,
            outcome=outcome,
            why=why,
        )

    def _draw(self, *name: object) -> Chance:
        return chance(self.options.seed, *name)


def _has_begun(state: State, action: Retrain) -> bool:
    return any(one.started.asked == action.id for one in reversed(state.runs.values()))
