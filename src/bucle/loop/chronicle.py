"""What happened to one dataset, one run, one model: the parts of what is true now. Pure."""

import msgspec
from msgspec import Struct

from bucle.loop.events import DataAdded, RunFinished, RunStarted, VerdictGiven
from bucle.loop.observations import DriftMeasured, GainEstimated, WindowJudged
from bucle.types import DataVersion

__all__ = [
    "DatasetRecord",
    "ModelRecord",
    "Observed",
    "RunRecord",
    "VerdictRecord",
    "VersionRecord",
    "WithdrawalRecord",
]

_SEEN_AS = {WindowJudged: "window", DriftMeasured: "drift", GainEstimated: "gain"}


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
    model that a refit stands for. `fit` stands for what was fitted, whatever else the package says;
    empty where it is not known.
    """

    model: str
    at: str
    runs: tuple[str, ...]
    metrics: dict[str, float]
    digest: str | None = None
    cut: str | None = None
    twin: str | None = None
    fit: str = ""
    verdicts: tuple[VerdictRecord, ...] = ()


class Observed(Struct, frozen=True, kw_only=True):
    """What was last seen of a model at work: its window, its inputs, what another would save.

    Each with the moment it entered the log. The latest window counts, in whatever order windows
    arrive; one that is stated anew counts as it was stated last.
    """

    window: tuple[str, WindowJudged] | None = None
    drift: tuple[str, DriftMeasured] | None = None
    gain: tuple[str, GainEstimated] | None = None

    def after(self, at: str, fact: WindowJudged | DriftMeasured | GainEstimated) -> "Observed":
        """Return what is known after a fact, which may say nothing new."""
        part = _SEEN_AS[type(fact)]
        seen = getattr(self, part)
        if seen is not None and not _is_news(fact, seen[1]):
            return self
        return msgspec.structs.replace(self, **{part: (at, fact)})


class WithdrawalRecord(Struct, frozen=True, kw_only=True):
    """One model that left its place beside a champion: when, why, and the run it came of.

    `run` is empty where a person had put it there, or where it never came there.
    """

    at: str
    because: str
    run: str = ""
    champion: str = ""


def _data_version(fact: DataAdded) -> DataVersion:
    return DataVersion(
        dataset=fact.dataset,
        version=fact.data_version,
        table_version=fact.table_version,
        rows=fact.rows,
        fingerprint=fact.fingerprint,
    )


def _is_news(
    fact: WindowJudged | DriftMeasured | GainEstimated,
    known: WindowJudged | DriftMeasured | GainEstimated,
) -> bool:
    """Tell whether a fact says something else than what is known, and not of an earlier window."""
    if isinstance(fact, GainEstimated) or isinstance(known, GainEstimated):
        return fact != known
    return fact != known and fact.end >= known.end
