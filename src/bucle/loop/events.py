"""The facts of the life cycle, typed and versioned: one class for each kind of event.

A class is what this version of Bucle writes; reading keeps kinds and fields it does not know, so
that an older Bucle can carry a newer log. Imports nothing heavy and does no I/O.
"""

from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct

from bucle.clock import to_iso
from bucle.errors import LogError
from bucle.loop.fact import Fact
from bucle.loop.observations import (
    AlarmRaised,
    AlarmResolved,
    ChallengerSeen,
    CodeSeen,
    DataRefused,
    DriftMeasured,
    GainEstimated,
    WindowJudged,
)
from bucle.loop.orders import Approved, Paused, Resumed, RetrainAsked
from bucle.types import Clock, Coercion, Draft, Event, Outcome, Verdict

__all__ = [
    "KINDS",
    "AlarmRaised",
    "AlarmResolved",
    "Approved",
    "ChallengerSeen",
    "CodeSeen",
    "DataAdded",
    "DataRefused",
    "Decided",
    "Deployed",
    "DriftMeasured",
    "Fact",
    "GainEstimated",
    "LogRepaired",
    "Origin",
    "Paused",
    "Promoted",
    "Refitted",
    "Resumed",
    "RetrainAsked",
    "RolledBack",
    "RunFinished",
    "RunStarted",
    "SourceFile",
    "StepRecord",
    "VerdictGiven",
    "WindowJudged",
    "Withdrawn",
    "draft_fact",
    "read_fact",
]


Origin = Literal["source", "files"]


class SourceFile(Struct, frozen=True, kw_only=True):
    """A file or query that rows came from, by name and content."""

    name: str
    digest: str
    bytes: int


class DataAdded(Fact, frozen=True, kw_only=True):
    """Rows were offered to a dataset; `data_version` stays when nothing in it changed.

    `origin` tells whether they came from the charter's source or from files named by hand;
    `rules` is the digest of the settings, the contract and the preparation they went through.
    """

    kind: ClassVar[str] = "data_added"

    dataset: str
    data_version: int
    table_version: int
    rows: int
    fingerprint: str
    read: int
    added: int
    changed: int
    unchanged: int
    removed: int = 0
    quarantined: int
    corrected: int = 0
    coerced: tuple[Coercion, ...] = ()
    files: tuple[SourceFile, ...] = ()
    origin: Origin = "files"
    rules: str = ""


class RunStarted(Fact, frozen=True, kw_only=True):
    """A run began: everything it will be judged to have depended on.

    `asked` is the id of the action that asked for it, empty when a person did. Rows from before
    `since` were left out. `source` is the digest of all source files, `code` that of what steps
    reach and are told by the charter: empty where an earlier Bucle wrote it.
    """

    kind: ClassVar[str] = "run_started"

    run: str
    source: str
    environment: str
    seed: int
    parameters: dict[str, dict[str, Any]]
    datasets: dict[str, str]
    as_of: str | None = None
    asked: str = ""
    since: str | None = None
    code: str = ""


class StepRecord(Struct, frozen=True, kw_only=True):
    """How one step of a run went."""

    name: str
    state: str
    seconds: float
    why: str
    artifact: str = ""
    rows: int | None = None


class RunFinished(Fact, frozen=True, kw_only=True):
    """A run ended: `done`, `failed` or `stopped`; `cut` is where training ended.

    `tested` is the model that was judged and `model` the one that may ship, another one after a
    refit. `digests` are those of their packages, in full. `evidence` names the verdict that the
    run ended with, its own or an earlier one on the same evidence. `fit` stands for what was
    fitted as the tested model: the same in every package that answers the same.
    """

    kind: ClassVar[str] = "run_finished"

    run: str
    state: str
    steps: tuple[StepRecord, ...]
    metrics: dict[str, float]
    model: str | None = None
    tested: str | None = None
    digests: dict[str, str] = msgspec.field(default_factory=dict)
    cut: str | None = None
    end: str | None = None
    warnings: tuple[str, ...] = ()
    error: str = ""
    evidence: str = ""
    fit: str = ""


class VerdictGiven(Fact, frozen=True, kw_only=True):
    """The referee judged a challenger on evidence that neither model had seen."""

    kind: ClassVar[str] = "verdict_given"

    run: str
    verdict: Verdict
    evidence: str


class Promoted(Fact, frozen=True, kw_only=True):
    """A model became champion; `verdict` is the outcome it came with, empty for a person's word."""

    kind: ClassVar[str] = "promoted"

    model: str
    because: str
    verdict: str = ""
    previous: str | None = None


class RolledBack(Fact, frozen=True, kw_only=True):
    """An earlier champion was put back."""

    kind: ClassVar[str] = "rolled_back"

    model: str
    previous: str
    because: str


class Deployed(Fact, frozen=True, kw_only=True):
    """A challenger was put beside the champion, or its share of the keys was changed.

    With `share` 0 it is a shadow: it answers nobody. A change of champion ends a deployment.
    `run` is the one whose candidate the loop leads step by step, empty for a deployment that is
    left as it is: a person's, or that of the champion before this one, kept to be compared with.
    """

    kind: ClassVar[str] = "deployed"

    model: str
    share: float
    champion: str
    because: str
    run: str = ""
    is_former: bool = False


class Withdrawn(Fact, frozen=True, kw_only=True):
    """A challenger was taken away from beside the champion."""

    kind: ClassVar[str] = "withdrawn"

    model: str
    because: str


class Refitted(Fact, frozen=True, kw_only=True):
    """A tested model was learned once more, from everything known, and compared with its twin.

    `model` is the refit, None when it could not be made; `outcome` whether it may ship.
    """

    kind: ClassVar[str] = "refitted"

    run: str
    tested: str
    model: str | None
    digest: str | None = None
    outcome: Outcome
    why: str


class Decided(Fact, frozen=True, kw_only=True):
    """The controller looked, and this is what it did and why; `did` is empty for nothing.

    `settled` is what became of the last run, where this look has ended something; else empty.
    """

    kind: ClassVar[str] = "decided"

    policy: str
    did: tuple[str, ...]
    why: str
    settled: str = ""


class LogRepaired(Fact, frozen=True, kw_only=True):
    """The end of the log was damaged and cut off; the evidence is kept beside it.

    `after` is the last good event, `removed` counts the damaged ones, `lost_until` is the last
    position that is known to have been written.
    """

    kind: ClassVar[str] = "log_repaired"

    removed: int = 0
    after: int = 0
    lost_until: int = 0
    reason: str = ""


KINDS: dict[str, type[Fact]] = {
    fact.kind: fact
    for fact in (
        DataAdded,
        DataRefused,
        RunStarted,
        RunFinished,
        VerdictGiven,
        Refitted,
        Promoted,
        RolledBack,
        Deployed,
        Withdrawn,
        WindowJudged,
        DriftMeasured,
        GainEstimated,
        ChallengerSeen,
        CodeSeen,
        AlarmRaised,
        AlarmResolved,
        RetrainAsked,
        Paused,
        Resumed,
        Approved,
        Decided,
        LogRepaired,
    )
}


def draft_fact(fact: Fact, *, clock: Clock, actor: str, cause: str = "") -> Draft:
    """Make a fact ready for the log."""
    return Draft(
        kind=fact.kind,
        version=fact.version,
        body=msgspec.to_builtins(fact),
        at=to_iso(clock.now()),
        actor=actor,
        cause=cause,
    )


def read_fact(event: Event) -> Fact | None:
    """Return an event's fact; None when this version does not know its kind or its version.

    Fields that this version does not know are ignored, those that are missing take their default.

    Raises:
        LogError: The body does not fit the kind it names.
    """
    fact = KINDS.get(event.kind)
    if fact is None or event.version > fact.version:
        return None
    try:
        return msgspec.convert(event.body, fact)
    except msgspec.ValidationError as error:
        raise LogError(
            f"Cannot understand event {event.position}, which says it is a {event.kind!r}",
            cause=str(error),
            attempt="bucle log --json",
            code="bucle-232",
        ) from error
