"""What is true now: a fold of events into one frozen value.

The fold calls no clock, randomness or disk, keeps no order but that of the log, and gives the same
bytes in every process, time zone and locale (`state_bytes`). An event that is delivered again
changes nothing, and neither does a fact that says again what is so already.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from bucle.loop.events import (
    DataAdded,
    Promoted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    read_fact,
)
from bucle.models.registry import Tenure
from bucle.types import DataVersion, Event

__all__ = [
    "DatasetRecord",
    "ModelRecord",
    "RunRecord",
    "State",
    "VerdictRecord",
    "VersionRecord",
    "fold",
    "state_bytes",
]


class VersionRecord(Struct, frozen=True, kw_only=True):
    """One addition to a dataset, with when and by whom."""

    at: str
    by: str
    fact: DataAdded

    @property
    def version(self) -> DataVersion:
        """The version that it made, or found made already."""
        return _data_version(self.fact)


class DatasetRecord(Struct, frozen=True, kw_only=True):
    """All that happened to one dataset."""

    name: str
    additions: tuple[VersionRecord, ...]

    @property
    def current(self) -> DataVersion:
        """The version that reading gives."""
        return self.additions[-1].version

    @property
    def versions(self) -> tuple[VersionRecord, ...]:
        """The first addition that made each version."""
        first: dict[int, VersionRecord] = {}
        for addition in self.additions:
            first.setdefault(addition.fact.data_version, addition)
        return tuple(first[number] for number in sorted(first) if number > 0)

    @property
    def last_sync(self) -> DataAdded | None:
        """The last addition from the charter's source; None when there was none."""
        facts = (addition.fact for addition in reversed(self.additions))
        return next((fact for fact in facts if fact.origin == "source"), None)


class RunRecord(Struct, frozen=True, kw_only=True):
    """One run; `finished` is None while it goes on, or when it was killed."""

    at: str
    by: str
    started: RunStarted
    finished_at: str | None = None
    finished: RunFinished | None = None


class VerdictRecord(Struct, frozen=True, kw_only=True):
    """One verdict, with the hash of its event: what a promotion names as its cause."""

    at: str
    event: str
    fact: VerdictGiven


class ModelRecord(Struct, frozen=True, kw_only=True):
    """One model version: the runs that made it and every verdict on it.

    `digest` is its package's, in full. `cut` is where its training ended. `twin` is the tested
    model that a refit stands for.
    """

    model: str
    at: str
    runs: tuple[str, ...]
    metrics: dict[str, float]
    digest: str | None = None
    cut: str | None = None
    twin: str | None = None
    verdicts: tuple[VerdictRecord, ...] = ()


class State(Struct, frozen=True, kw_only=True):
    """Everything the log says, at one position."""

    position: int = 0
    head: str = ""
    datasets: dict[str, DatasetRecord] = {}
    runs: dict[str, RunRecord] = {}
    models: dict[str, ModelRecord] = {}
    tenures: tuple[Tenure, ...] = ()
    unknown: dict[str, int] = {}


class _Builder:
    def __init__(self) -> None:
        self.position = 0
        self.head = ""
        self.additions: dict[str, list[VersionRecord]] = {}
        self.runs: dict[str, RunRecord] = {}
        self.models: dict[str, ModelRecord] = {}
        self.tenures: list[Tenure] = []
        self.unknown: dict[str, int] = {}

    def apply(self, event: Event) -> None:
        if event.position <= self.position:
            return
        self.position, self.head = event.position, event.hash
        fact = read_fact(event)
        if isinstance(fact, DataAdded):
            record = VersionRecord(at=event.at, by=event.actor, fact=fact)
            self.additions.setdefault(fact.dataset, []).append(record)
        elif isinstance(fact, RunStarted):
            self.runs.setdefault(fact.run, RunRecord(at=event.at, by=event.actor, started=fact))
        elif isinstance(fact, RunFinished):
            self._finish_run(event, fact)
        elif isinstance(fact, VerdictGiven):
            self._judge(event, fact)
        elif isinstance(fact, (Promoted, RolledBack)):
            self._enthrone(event, fact)
        elif fact is None:
            self.unknown[event.kind] = self.unknown.get(event.kind, 0) + 1

    def _finish_run(self, event: Event, fact: RunFinished) -> None:
        run = self.runs.get(fact.run)
        if run is not None and run.finished is not None:
            # A run ends once: Ctrl-C after its decision was kept does not undo the decision.
            return
        if run is not None:
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
                verdicts=known.verdicts if known else (),
            )

    def _judge(self, event: Event, fact: VerdictGiven) -> None:
        known = self.models.get(fact.verdict.challenger)
        if known is not None and all(earlier.fact != fact for earlier in known.verdicts):
            record = VerdictRecord(at=event.at, event=event.hash, fact=fact)
            self.models[known.model] = msgspec.structs.replace(
                known, verdicts=(*known.verdicts, record)
            )

    def _enthrone(self, event: Event, fact: Promoted | RolledBack) -> None:
        if self.tenures and self.tenures[-1].model == fact.model:
            return
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

    def freeze(self) -> State:
        return State(
            position=self.position,
            head=self.head,
            datasets={
                name: DatasetRecord(name=name, additions=tuple(additions))
                for name, additions in self.additions.items()
            },
            runs=self.runs,
            models=self.models,
            tenures=tuple(self.tenures),
            unknown=self.unknown,
        )


def fold(events: Iterable[Event]) -> State:
    """Fold events, from the first one on, into the state they describe.

    Kinds and versions that this Bucle does not know are counted and otherwise left alone.

    Raises:
        LogDamagedError: Reading met an event that does not fit its chain.
    """
    builder = _Builder()
    for event in events:
        builder.apply(event)
    return builder.freeze()


def state_bytes(state: State) -> bytes:
    """Return the one byte form of a state, the same in every process."""
    return msgspec.json.encode(state, order="deterministic")


def _is_refit(fact: RunFinished, model: str) -> bool:
    return fact.tested is not None and model != fact.tested


def _data_version(fact: DataAdded) -> DataVersion:
    return DataVersion(
        dataset=fact.dataset,
        version=fact.data_version,
        table_version=fact.table_version,
        rows=fact.rows,
        fingerprint=fact.fingerprint,
    )
