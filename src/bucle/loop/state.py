"""What is true now: a fold of events into one frozen value.

The fold calls no clock, randomness or disk, keeps no order but that of the log, and gives the same
bytes in every process, time zone and locale (`state_bytes`). An event that is delivered again
changes nothing, and neither does a fact that says again what is so already.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from bucle.loop.chronicle import (
    DatasetRecord,
    ModelRecord,
    Observed,
    RunRecord,
    VerdictRecord,
    VersionRecord,
    WithdrawalRecord,
)
from bucle.loop.events import (
    AlarmRaised,
    AlarmResolved,
    Approved,
    ChallengerSeen,
    CodeSeen,
    DataAdded,
    DataRefused,
    Decided,
    Deployed,
    DriftMeasured,
    Fact,
    GainEstimated,
    Paused,
    Promoted,
    Refitted,
    Resumed,
    RetrainAsked,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    WindowJudged,
    Withdrawn,
    read_fact,
)
from bucle.loop.refused import Refused, after_addition, after_refusal
from bucle.models.registry import Deployment, Tenure, champion
from bucle.types import Event

__all__ = [
    "DatasetRecord",
    "Fold",
    "ModelRecord",
    "Observed",
    "RunRecord",
    "State",
    "VerdictRecord",
    "VersionRecord",
    "fold",
    "state_bytes",
]


class State(Struct, frozen=True, kw_only=True):
    """Everything the log says, at one position.

    `observed` is by model, `refits` by run. `ended` is the run that ended last. `trial` is what was
    last seen of the deployed model at its present share. `asked` is the last retrain that a person
    asked for, `paused` why the loop starts nothing new, each with its moment. `approvals` are the
    roles that approved a model, `withdrawn` how models left that stood beside the champion and were
    not put there again, by model. `alarms` are open, by name; `refused` came in and was not taken.
    `code` is the digest of what is learned by as it was seen last, empty after a run that did not
    say. `acted` holds the ids of actions whose effect is on record.
    """

    position: int = 0
    head: str = ""
    datasets: dict[str, DatasetRecord] = {}
    runs: dict[str, RunRecord] = {}
    models: dict[str, ModelRecord] = {}
    tenures: tuple[Tenure, ...] = ()
    deployment: Deployment | None = None
    ended: str | None = None
    refits: dict[str, Refitted] = {}
    observed: dict[str, Observed] = {}
    trial: ChallengerSeen | None = None
    asked: tuple[str, RetrainAsked] | None = None
    paused: tuple[str, str] | None = None
    approvals: dict[str, tuple[str, ...]] = {}
    withdrawn: dict[str, WithdrawalRecord] = {}
    alarms: dict[str, AlarmRaised] = {}
    refused: Refused = {}
    code: str = ""
    acted: frozenset[str] = frozenset()
    unknown: dict[str, int] = {}

    @property
    def last_run(self) -> RunRecord | None:
        """The run that began last."""
        return next(reversed(self.runs.values()), None)

    @property
    def last_begun(self) -> RunRecord | None:
        """The run that began last and came to read the code: one that never came to has none."""
        return next((one for one in reversed(self.runs.values()) if one.started.source), None)


class Fold:
    """Folds events one by one; the state may be asked for at any time."""

    def __init__(self) -> None:
        self.position = 0
        self.head = ""
        self.additions: dict[str, list[VersionRecord]] = {}
        self.runs: dict[str, RunRecord] = {}
        self.models: dict[str, ModelRecord] = {}
        self.tenures: list[Tenure] = []
        self.deployment: Deployment | None = None
        self.ended: str | None = None
        self.refits: dict[str, Refitted] = {}
        self.observed: dict[str, Observed] = {}
        self.trial: ChallengerSeen | None = None
        self.asked: tuple[str, RetrainAsked] | None = None
        self.paused: tuple[str, str] | None = None
        self.approvals: dict[str, tuple[str, ...]] = {}
        self.withdrawn: dict[str, WithdrawalRecord] = {}
        self.alarms: dict[str, AlarmRaised] = {}
        self.refused: Refused = {}
        self.code = ""
        self.acted: set[str] = set()
        self.unknown: dict[str, int] = {}

    def apply(self, event: Event) -> None:
        """Take in the next event; one that was taken in before changes nothing."""
        if event.position <= self.position:
            return
        self.position, self.head = event.position, event.hash
        fact = read_fact(event)
        if fact is not None and fact.action:
            if fact.action in self.acted:
                return
            self.acted.add(fact.action)
        self._take(event, fact)

    def _take(self, event: Event, fact: Fact | None) -> None:
        # In the order of how often they come: a log is mostly looks and what they saw.
        match fact:
            case Decided():
                pass
            case WindowJudged() | DriftMeasured() | GainEstimated():
                self._observe(event, fact)
            case DataAdded() | DataRefused():
                self._come(event, fact)
            case AlarmRaised():
                self.alarms.setdefault(fact.name, fact)
            case AlarmResolved():
                self.alarms.pop(fact.name, None)
            case CodeSeen():
                self.code = fact.code or self.code
            case Promoted() | RolledBack() | Deployed() | Withdrawn() | ChallengerSeen():
                self._serve(event, fact)
            case RetrainAsked() | Paused() | Resumed() | Approved():
                self._obey(event, fact)
            case None:
                self.unknown[event.kind] = self.unknown.get(event.kind, 0) + 1
            case _:
                self._take_run(event, fact)

    def _come(self, event: Event, fact: DataAdded | DataRefused) -> None:
        if isinstance(fact, DataRefused):
            self.refused = after_refusal(self.refused, event.at, fact)
            return
        self.refused = after_addition(self.refused, fact)
        record = VersionRecord(at=event.at, by=event.actor, fact=fact)
        self.additions.setdefault(fact.dataset, []).append(record)

    def _take_run(self, event: Event, fact: Fact) -> None:
        match fact:
            case RunStarted():
                if fact.run not in self.runs:
                    self.runs[fact.run] = RunRecord(at=event.at, by=event.actor, started=fact)
                    self.code = fact.code if fact.source else self.code
            case RunFinished():
                self._finish_run(event, fact)
            case VerdictGiven():
                self._judge(event, fact)
            case Refitted():
                self._refit(event, fact)

    def _obey(self, event: Event, fact: RetrainAsked | Paused | Resumed | Approved) -> None:
        match fact:
            case RetrainAsked():
                self.asked = (event.at, fact)
            case Paused():
                self.paused = self.paused or (event.at, fact.because)
            case Resumed():
                self.paused = None
            case Approved():
                known = self.approvals.get(fact.model, ())
                if fact.role not in known:
                    self.approvals[fact.model] = (*known, fact.role)

    def _serve(
        self, event: Event, fact: Promoted | RolledBack | Deployed | Withdrawn | ChallengerSeen
    ) -> None:
        match fact:
            case Deployed():
                self._deploy(event, fact)
            case ChallengerSeen():
                self._try(fact)
            case Withdrawn():
                self._withdraw(event, fact)
            case _:
                self._enthrone(event, fact)

    def _finish_run(self, event: Event, fact: RunFinished) -> None:
        run = self.runs.get(fact.run)
        if run is not None and run.finished is not None:
            # A run ends once: Ctrl-C after its decision was kept does not undo the decision.
            return
        if run is not None:
            self.ended = fact.run
            self.runs[fact.run] = msgspec.structs.replace(run, finished_at=event.at, finished=fact)
        for model in dict.fromkeys(name for name in (fact.tested, fact.model) if name):
            known = self.models.get(model)
            runs = known.runs if known else ()
            self.models[model] = ModelRecord(
                model=model,
                at=known.at if known else event.at,
                runs=runs if fact.run in runs else (*runs, fact.run),
                metrics=fact.metrics,
                digest=fact.digests.get(model),
                cut=fact.end if _is_refit(fact, model) else fact.cut,
                twin=fact.tested if _is_refit(fact, model) else None,
                fit="" if _is_refit(fact, model) else fact.fit,
                verdicts=known.verdicts if known else (),
            )

    def _judge(self, event: Event, fact: VerdictGiven) -> None:
        known = self.models.get(fact.verdict.challenger)
        if known is not None and all(earlier.fact != fact for earlier in known.verdicts):
            record = VerdictRecord(at=event.at, event=event.hash, fact=fact)
            self.models[known.model] = msgspec.structs.replace(
                known, verdicts=(*known.verdicts, record)
            )

    def _refit(self, event: Event, fact: Refitted) -> None:
        self.refits[fact.run] = fact
        run, tested = self.runs.get(fact.run), self.models.get(fact.tested)
        if fact.model in {None, fact.tested} or tested is None:
            return
        known = self.models.get(fact.model)
        runs = known.runs if known else ()
        self.models[fact.model] = ModelRecord(
            model=fact.model,
            at=known.at if known else event.at,
            runs=runs if fact.run in runs else (*runs, fact.run),
            metrics=tested.metrics,
            digest=fact.digest,
            cut=run.finished.end if run and run.finished else None,
            twin=fact.tested,
            verdicts=known.verdicts if known else (),
        )

    def _observe(self, event: Event, fact: WindowJudged | DriftMeasured | GainEstimated) -> None:
        model = fact.champion if isinstance(fact, GainEstimated) else fact.model
        self.observed[model] = self.observed.get(model, Observed()).after(event.at, fact)

    def _enthrone(self, event: Event, fact: Promoted | RolledBack) -> None:
        if self.tenures and self.tenures[-1].model == fact.model:
            return
        # What a challenger was seen to do, it did beside another champion; and what was wrong with
        # a champion's errors and inputs was wrong beside what that one was made on.
        self._leave(event, f"{fact.model} became champion")
        self.withdrawn.pop(fact.model, None)
        self.alarms = {name: one for name, one in self.alarms.items() if one.layer == "contract"}
        if self.tenures:
            self.tenures[-1] = msgspec.structs.replace(self.tenures[-1], until=event.at)
        self.tenures.append(
            Tenure(
                model=fact.model,
                since=event.at,
                until=None,
                by=event.actor,
                because=fact.because,
                how="rollback" if isinstance(fact, RolledBack) else "promote",
            )
        )

    def _deploy(self, event: Event, fact: Deployed) -> None:
        reigning = champion(self.tenures)
        if reigning is None or fact.model == reigning.model or fact.champion != reigning.model:
            return
        known = self.deployment
        if known is not None and (known.model, known.share) == (fact.model, fact.share):
            return
        same = known if known is not None and known.model == fact.model else None
        if known is not None and known.model != fact.model:
            self._leave(event, f"{fact.model} took its place")
        self.trial = None
        self.withdrawn.pop(fact.model, None)
        self.deployment = Deployment(
            model=fact.model,
            share=fact.share,
            since=event.at,
            began=same.began if same else event.at,
            by=event.actor,
            because=fact.because,
            run=fact.run,
            is_former=fact.is_former,
            moves=same.moves + 1 if same else 1,
        )

    def _withdraw(self, event: Event, fact: Withdrawn) -> None:
        if self.deployment is not None and self.deployment.model == fact.model:
            self._leave(event, fact.because)
        else:
            self.withdrawn[fact.model] = WithdrawalRecord(at=event.at, because=fact.because)

    def _leave(self, event: Event, because: str) -> None:
        """End the deployment there is, if any."""
        beside, reigning = self.deployment, champion(self.tenures)
        if beside is not None and reigning is not None:
            self.withdrawn[beside.model] = WithdrawalRecord(
                at=event.at, because=because, run=beside.run, champion=reigning.model
            )
        self.deployment = self.trial = None

    def _try(self, fact: ChallengerSeen) -> None:
        """Take in what was seen of the deployed model, unless it was seen elsewhere or earlier."""
        deployed, reigning = self.deployment, champion(self.tenures)
        if deployed is None or reigning is None or fact.champion != reigning.model:
            return
        is_of_now = (fact.model, fact.share) == (deployed.model, deployed.share)
        if is_of_now and (self.trial is None or fact.baked_s >= self.trial.baked_s):
            self.trial = fact

    def state(self) -> State:
        """Return what is true after the events so far; later ones do not change it."""
        return State(
            position=self.position,
            head=self.head,
            datasets={
                name: DatasetRecord(name=name, additions=tuple(additions))
                for name, additions in self.additions.items()
            },
            runs=dict(self.runs),
            models=dict(self.models),
            tenures=tuple(self.tenures),
            deployment=self.deployment,
            ended=self.ended,
            refits=dict(self.refits),
            observed=dict(self.observed),
            trial=self.trial,
            asked=self.asked,
            paused=self.paused,
            approvals=dict(self.approvals),
            withdrawn=dict(self.withdrawn),
            alarms=dict(self.alarms),
            refused=self.refused,
            code=self.code,
            acted=frozenset(self.acted),
            unknown=dict(self.unknown),
        )


def fold(events: Iterable[Event]) -> State:
    """Fold events, from the first one on, into the state they describe.

    Kinds and versions that this Bucle does not know are counted and otherwise left alone.

    Raises:
        LogDamagedError: Reading met an event that does not fit its chain.
    """
    folded = Fold()
    for event in events:
        folded.apply(event)
    return folded.state()


def state_bytes(state: State) -> bytes:
    """Return the one byte form of a state, the same in every process."""
    return msgspec.json.encode(state, order="deterministic")


def _is_refit(fact: RunFinished, model: str) -> bool:
    return fact.tested is not None and model != fact.tested
