"""History as a world that the controller drives: one policy's course through it.

What is seen comes from the outlook of the moment; what is done is looked up in the archive, or
trained where no policy has asked for it before.
"""

from collections.abc import Sequence
from datetime import datetime

from bucle.clock import from_iso, to_iso
from bucle.errors import BucleError
from bucle.loop.control import promoted
from bucle.loop.decide import Action, Judge, Promote, Refit, Retrain
from bucle.loop.events import (
    DriftMeasured,
    Fact,
    GainEstimated,
    Promoted,
    Refitted,
    RunFinished,
    RunStarted,
    VerdictGiven,
    WindowJudged,
)
from bucle.loop.looks import count_looks
from bucle.loop.policy import Policy
from bucle.loop.replay.material import Learned
from bucle.loop.replay.outlook import Outlook
from bucle.loop.replay.survey import Moment, Training
from bucle.loop.state import State
from bucle.models.registry import champion

__all__ = ["ReplayWorld"]


class ReplayWorld:
    """One policy's world.

    `models` has every model that was made under this policy, by id, and `candidates` those that a
    trigger asked for, by the number of the moment.

    Args:
        outlook: What can be seen; moved from moment to moment by whoever drives.
        policy: Which observations are worth making.
    """

    def __init__(self, outlook: Outlook, policy: Policy) -> None:
        self.models: dict[str, Learned] = {}
        self.candidates: dict[int, Learned] = {}
        self._outlook = outlook
        self._policy = policy
        self._kinds = {trigger.kind for trigger in policy.triggers}

    def begin(self) -> tuple[Fact, ...]:
        """Return the facts that history begins with: the model of the first day is champion.

        Raises:
            BucleError: It cannot be trained.
        """
        model = self._keep(self._outlook.learned(self._whole))
        run = f"r-{self._moment.at[:10]}"
        return (
            _started(run, ""),
            self._finished(run, model, ""),
            Promoted(model=model.model, because="history begins with it"),
        )

    def observe(self, state: State, now: datetime) -> Sequence[Fact]:
        """Return what can be seen of the champion at this moment, as far as the policy asks."""
        del now
        reigning = champion(state.tenures)
        if reigning is None:
            return ()
        model = self.models[reigning.model]
        found = [
            self._window(state, model, reigning.since) if "performance" in self._kinds else None,
            self._drift(model) if "drift" in self._kinds else None,
            self._gain(state, model) if "gain" in self._kinds else None,
        ]
        return [fact for fact in found if fact is not None]

    def perform(self, action: Action, state: State, now: datetime) -> Sequence[Fact]:
        """Do what was decided; in history everything is done at once."""
        del now
        match action:
            case Retrain():
                return self._retrain(action)
            case Judge():
                challenger = self.models[action.model]
                reigning = self.models[action.champion] if action.champion else None
                looks = count_looks(state, action.model, action.champion, cut=challenger.cut)
                verdict = self._outlook.judge(challenger, reigning, looks=looks)
                return (
                    VerdictGiven(
                        action=action.id, run=action.run, verdict=verdict, evidence=action.id
                    ),
                )
            case Refit():
                return (self._refit(action),)
            case Promote():
                return (promoted(action),)
        return ()

    @property
    def _moment(self) -> Moment:
        survey = self._outlook.archive.survey
        return survey.moments[survey.first + self._outlook.number]

    @property
    def _whole(self) -> Training:
        return self._outlook.archive.whole(self._outlook.number, self._policy.window)

    @property
    def _cut(self) -> Training | None:
        return self._outlook.archive.cut(self._outlook.number, self._policy.window)

    def _keep(self, model: Learned) -> Learned:
        # The same bytes may come of two training sets; the newer one says what it has seen.
        self.models[model.model] = model
        return model

    def _retrain(self, action: Retrain) -> tuple[Fact, ...]:
        run = f"r-{self._moment.at[:10]}"
        try:
            model = self._train()
        except BucleError as error:
            failed = RunFinished(
                action=action.id, run=run, state="failed", steps=(), metrics={}, error=error.what
            )
            return _started(run, action.id), failed
        self.candidates[self._outlook.number] = model
        return _started(run, action.id), self._finished(run, model, action.id)

    def _train(self) -> Learned:
        """Train what the gate can use: a model that leaves rows to judge, or one on everything."""
        if self._policy.gate == "none":
            return self._keep(self._outlook.learned(self._whole))
        training = self._cut
        if training is None:
            raise _nothing_to_judge(self._moment.at)
        return self._keep(self._outlook.learned(training))

    def _finished(self, run: str, model: Learned, action: str) -> RunFinished:
        return RunFinished(
            action=action,
            run=run,
            state="done",
            steps=(),
            metrics=self._validated(),
            model=model.model,
            tested=model.model,
            cut=model.cut,
            end=self._moment.at,
        )

    def _validated(self) -> dict[str, float]:
        """Return the error a model trained now is validated at, where a trigger compares with it.

        It is that of a model trained without the newest labels, on those labels.
        """
        training = self._cut
        if "performance" not in self._kinds or training is None:
            return {}
        try:
            tested = self._outlook.learned(training)
        except BucleError:
            return {}
        error = self._outlook.validated(tested)
        return {} if error is None else {self._outlook.scale.metric: error}

    def _refit(self, action: Refit) -> Refitted:
        try:
            whole = self._outlook.learned(self._whole)
        except BucleError as error:
            return Refitted(
                action=action.id,
                run=action.run,
                tested=action.model,
                model=None,
                outcome="undecided",
                why=error.what,
            )
        check = self._outlook.compare_refit(self.models[action.model], whole)
        self._keep(whole)
        return Refitted(
            action=action.id,
            run=action.run,
            tested=action.model,
            model=whole.model,
            outcome=check.outcome,
            why=check.why,
        )

    def _window(self, state: State, model: Learned, since: str) -> WindowJudged | None:
        reference = state.models[model.model].metrics.get(self._outlook.scale.metric)
        moments = self._outlook.archive.survey.moments[self._outlook.archive.survey.first :]
        first = next(number for number, one in enumerate(moments) if one.at >= since)
        window = self._outlook.finished_window(model, since=first)
        if reference is None or window is None:
            return None
        return WindowJudged(
            model=model.model,
            start=moments[window.first].at,
            end=moments[window.last].end,
            rows=window.rows,
            labelled=window.labelled,
            metric=self._outlook.scale.metric,
            error=window.error,
            reference=reference,
        )

    def _drift(self, model: Learned) -> DriftMeasured | None:
        found = self._outlook.distance(model)
        if found is None:
            return None
        survey = self._outlook.archive.survey
        last = survey.moments[survey.first + self._outlook.number - 1]
        return DriftMeasured(
            model=model.model,
            start=last.at,
            end=last.end,
            distance=found[0],
            column=found[1],
            rows=found[2],
        )

    def _gain(self, state: State, model: Learned) -> GainEstimated | None:
        training = self._cut
        run = state.last_run
        if training is None or run is None:
            return None
        try:
            challenger = self._outlook.learned(training)
        except BucleError:
            return None
        found = self._outlook.gain(model, challenger, since=from_iso(run.at))
        if found is None:
            return None
        return GainEstimated(
            champion=model.model,
            challenger=challenger.model,
            rows=found[2],
            gain=found[0],
            saved=found[1],
        )


def _started(run: str, asked: str) -> RunStarted:
    return RunStarted(
        run=run, source="", environment="", seed=0, parameters={}, datasets={}, asked=asked
    )


def _nothing_to_judge(at: str) -> BucleError:
    return BucleError(
        f"Cannot judge a model made on {to_iso(from_iso(at))[:10]}: no labelled rows would be left",
        code="bucle-263",
    )
