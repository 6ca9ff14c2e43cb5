"""A world for the loop that never was: its time, labels, trainings, verdicts and refits.

What was done once stays done, as on a disk: a process that was killed before the effect was on
record finds the same effect when it does the action again. Must not be imported by anything but
tests.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from bucle.clock import to_iso
from bucle.ids import digest_json
from bucle.loop.control import promoted
from bucle.loop.decide import Action, Judge, Promote, Refit, Retrain
from bucle.loop.events import Fact, Refitted, RunFinished, RunStarted, VerdictGiven
from bucle.loop.state import Observed, State
from bucle.models.registry import champion
from bucle.testing.chance import Chance, chance
from bucle.testing.interruptions import Interruptions
from bucle.testing.options import Options
from bucle.testing.truth import HiddenModel, Truth
from bucle.testing.windows import Window, moment_of, open_window
from bucle.types import Outcome

__all__ = ["SimulatedWorld", "Witness"]

_REMEMBERED = 20
_WOULD = "m-would-"

Witness = Callable[[Action, State, datetime, tuple[Fact, ...]], None]


class SimulatedWorld:
    """Observes and performs for a controller; all its chances come from one seed.

    Args:
        options: What the seed stands for.
        interruptions: Kills between the effects.
        witness: Told of each action with its effect, once it happened.
    """

    def __init__(self, options: Options, interruptions: Interruptions, witness: Witness) -> None:
        self.options = options
        self.today = 0.0
        self.truth = Truth(options)
        self.models: dict[str, HiddenModel] = {}
        self._interruptions = interruptions
        self._witness = witness
        self._effects: dict[str, tuple[Fact, ...]] = {}
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
        self._said = [*self._said, *facts][-_REMEMBERED:]
        if self._said and self._echoes:
            echo = chance(self.options.seed, "echo", self._opened)
            if echo.happens(self._echoes):
                facts += [echo.choose(self._said), facts[0] if facts else self._said[0]]
        self._interruptions.pass_point("after a look")
        return facts

    def _open_windows(self, state: State) -> None:
        reigning = champion(state.tenures)
        model = self.models.get(reigning.model) if reigning else None
        tick = self.options.tick
        while (self._opened + 1) * tick <= self.today:
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

    def perform(self, action: Action, state: State, now: datetime) -> Sequence[Fact]:
        """Do something once; asked again, return the same effect."""
        self._interruptions.pass_point(f"before {action.name}")
        effect = self._effects.get(action.id)
        if effect is None or isinstance(action, Promote):
            # A promotion is nothing but its fact: it names whoever reigns when it is written.
            effect = self._effects[action.id] = self._do(action)
        self._witness(action, state, now, effect)
        self._interruptions.pass_point(f"after {action.name}")
        facts = list(effect)
        draw = self._draw("deliver", action.id)
        if isinstance(action, Retrain) and draw.happens(self.options.trainings.halves):
            (begun, *_) = effect
            if isinstance(begun, RunStarted) and begun.run not in state.runs:
                return [begun]
        if draw.happens(self._echoes):
            facts += effect
        return facts

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
            case Promote():
                return (promoted(action),)
        return ()

    def _train(self, action: Retrain) -> tuple[Fact, ...]:
        draw = self._draw("run", action.id)
        fails = not self._interruptions.is_calm and draw.happens(self.options.trainings.fails)
        made = None if fails else self._model(action.id, draw, again=self.options.trainings.repeats)
        began, ended = self.today, self.today + draw.wait(self.options.trainings.slow)
        self.today = ended
        return self.run_facts(
            f"r-{action.id}", made, asked=action.id, action=action.id, began=began
        )

    def run_facts(
        self,
        run: str,
        made: HiddenModel | None,
        *,
        began: float,
        asked: str = "",
        action: str = "",
        as_of: str | None = None,
    ) -> tuple[RunStarted, RunFinished]:
        """Return how a run began and ended; it failed when it made no model."""
        started = RunStarted(
            run=run,
            source="simulated",
            environment="simulated",
            seed=self.options.seed,
            parameters={},
            datasets={"sales": digest_json([self.options.seed, round(began, 6)])},
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
        )
        return started, ended

    def train_model(self, cause: str) -> HiddenModel:
        """Train a model, for the loop or for a person."""
        made = self.truth.train(cause, self.today)
        return self.models.setdefault(made.model, made)

    def _model(self, cause: str, draw: Chance, *, again: float) -> HiddenModel:
        """Train a model; the same data may give one that is known already."""
        if self.models and draw.happens(again):
            return draw.choose(list(self.models.values()))
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
