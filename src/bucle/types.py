"""The architecture in one short file: the values and ports everything else speaks.

Values are frozen; ports are small Protocols, each with an in-memory adapter and a contract-test
class in `bucle.testing`. Imports nothing of Bucle and nothing heavy at run time.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "AsOf",
    "Blobs",
    "Check",
    "Clock",
    "Coercion",
    "DataVersion",
    "Draft",
    "Estimator",
    "Event",
    "Head",
    "Lease",
    "Leases",
    "Log",
    "Outcome",
    "Tables",
    "Verdict",
    "Verification",
]

Outcome = Literal["pass", "fail", "undecided"]


# ---- the log ----------------------------------------------------------------


class Draft(Struct, frozen=True, kw_only=True):
    """A fact about to be appended to the log.

    `body` holds JSON values only. `cause` is the hash or id of what led to it.
    """

    kind: str
    body: dict[str, Any]
    version: int = 1
    at: str
    actor: str
    cause: str = ""


class Event(Struct, frozen=True, kw_only=True):
    """A fact in the log: `hash` covers `previous` and every other field in canonical form."""

    position: int
    kind: str
    version: int
    at: str
    actor: str
    cause: str
    body: dict[str, Any]
    previous: str
    hash: str


class Head(Struct, frozen=True):
    """Where the log ends: position 0 and 64 zeros when it is empty."""

    position: int
    hash: str


class Verification(Struct, frozen=True, kw_only=True):
    """What reading the whole log back has shown; `damaged` is the first bad position."""

    events: int
    head: str
    intact: bool
    damaged: int | None = None
    reason: str = ""


class Lease(Struct, frozen=True, kw_only=True):
    """The right to be the only one: `token` counts its holders, `beat` the signs of life of one.

    There is no time in it: whoever waits measures by a clock of its own for how long nothing
    changed. A `released` lease may be taken at once.
    """

    name: str
    holder: str
    token: int
    beat: int = 0
    released: bool = False


class Log(Protocol):
    """The append-only truth of a project.

    Guarantees: an append is all or nothing and durable when it returns; positions count from 1
    without gaps; concurrent writers, threads or processes, never interleave within one append.
    """

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        expected: int | None = None,
        fence: Lease | None = None,
    ) -> tuple[Event, ...]:
        """Append facts in one durable commit.

        Raises:
            FencedError: `fence` is given and is not held any more; asked within the same commit.
            StalePositionError: `expected` is given and is not the last position.
            LogDamagedError: An earlier event does not fit its chain.
        """
        ...

    def read(self, *, after: int = 0) -> Iterator[Event]:
        """Yield events in order, each checked against its chain.

        Raises:
            LogDamagedError: An event in the middle does not fit.
        """
        ...

    def head(self) -> Head:
        """Return where the log ends."""
        ...

    def verify(self) -> Verification:
        """Read everything back and compare with the chain and the recorded head."""
        ...


class Leases(Protocol):
    """Leases by name, kept beside the log whose appends they fence.

    Guarantees: of several takers one wins; a token is never given twice, whatever was released,
    killed or restarted in between. No clock is read.
    """

    def read(self, name: str) -> Lease | None:
        """Return a lease as it stands; None when nobody has ever taken it."""
        ...

    def take(self, name: str, *, holder: str, over: Lease | None) -> Lease:
        """Take a lease that still is as it was read, whoever has it; its token is one higher.

        Raises:
            LeaseTakenError: It is not as `over` any more: its holder lives, or another was first.
        """
        ...

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life; return the lease with its next beat.

        Raises:
            LeaseTakenError: Another has taken it, or it was released.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Give a lease up; nothing happens when another has taken it."""
        ...


# ---- content and tables -----------------------------------------------------


class Blobs(Protocol):
    """Content under its own digest.

    Guarantees: written whole or not at all; verified on every read; putting the same content
    twice keeps one copy; safe for concurrent use. A name is never a path given from outside.
    """

    def put(self, content: bytes) -> str:
        """Keep some bytes and return their digest."""
        ...

    def get(self, digest: str) -> bytes:
        """Return the bytes; raise UnknownNameError or DigestMismatchError."""
        ...

    def has(self, digest: str) -> bool:
        """Tell whether something is kept under this digest; does not read it."""
        ...


class Tables(Protocol):
    """Versioned tables of rows; version numbers count from 0 and only grow.

    Guarantees: a write is a whole new version or nothing; older versions stay readable; a failed
    or killed write, the first one included, leaves what was there readable.
    """

    def write(self, name: str, frame: "pl.DataFrame", *, mode: Literal["append", "replace"]) -> int:
        """Write rows as a new version and return its number."""
        ...

    def append_once(
        self, name: str, frame: "pl.DataFrame", *, marks: Mapping[str, int]
    ) -> int | None:
        """Append rows and their marks in one version; None when the table has them already.

        A mark says how far a source has been delivered; it only grows. Delivering again after a
        kill, whenever it came, therefore adds nothing.

        Raises:
            RequestError: The table has some of the marks and not the others.
        """
        ...

    def marks(self, name: str, *, version: int | None = None) -> dict[str, int]:
        """Return how far each source had been delivered at a version; nothing without a table."""
        ...

    def read(
        self,
        name: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        since: tuple[str, datetime] | None = None,
        after: int = 0,
    ) -> "pl.DataFrame":
        """Return rows of a version, the latest one by default; raise UnknownNameError.

        Args:
            name: The table.
            version: Which version.
            columns: Only these; all by default.
            since: A column of moments and the first one that counts; all rows by default.
            after: How many of the first rows are left out, whatever they hold. Of a table that is
                only appended to these are the same ones in every version.
        """
        ...

    def rows(self, name: str, *, version: int | None = None) -> int:
        """Return how many rows a version has, the latest one by default."""
        ...

    def version(self, name: str) -> int | None:
        """Return the latest version's number; None when the table has none."""
        ...

    def restore(self, name: str, *, version: int) -> int:
        """Make an older version's content the newest version and return its number."""
        ...

    def merge_files(self, name: str, *, after: int = 60, keep_s: float = 3600.0) -> int | None:
        """Make many small writes cheap to go on from, in a new version; None where it is early.

        For tables that are only appended to. Rows, their order and marks stay; versions that such a
        merge replaced longer ago than asked are forgotten.

        Args:
            name: The table.
            after: How many versions there must be since the last time.
            keep_s: Seconds for which a version stays readable after it was replaced.
        """
        ...


class Clock(Protocol):
    """Time: the wall for records, the monotonic one for durations."""

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


# ---- data -------------------------------------------------------------------


class Coercion(Struct, frozen=True, kw_only=True):
    """Values of one column that were not of its type, and what they became."""

    column: str
    count: int
    examples: tuple[str, ...]
    became: str = "null"


class DataVersion(Struct, frozen=True, kw_only=True):
    """One version of a dataset, as the log records it.

    `table_version` is the version of the table that holds its rows; `fingerprint` covers all rows.
    """

    dataset: str
    version: int
    table_version: int
    rows: int
    fingerprint: str


class AsOf(Struct, frozen=True, kw_only=True):
    """The one door to training data: what was known at a moment.

    Rows with `event_time < at`; labels only where `label_time <= at`. `at` is ISO 8601 in UTC;
    None means everything that is known today.
    """

    at: str | None = None


# ---- models and gates -------------------------------------------------------


class Estimator(Protocol):
    """What the `model` step returns: fitted, by scikit-learn's conventions."""

    def predict(self, features: "pl.DataFrame") -> Any:
        """Return one prediction a row, shape (rows,)."""
        ...


class Check(Struct, frozen=True, kw_only=True):
    """One question put to the evidence, and the answer with its uncertainty.

    `low` and `high` bound `estimate` at the gate's confidence; `labels_needed` is how many more
    labelled rows would decide an undecided check.
    """

    name: str
    outcome: Outcome
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    labels_needed: int | None = None
    detectable: float | None = None
    why: str = ""


class Verdict(Struct, frozen=True, kw_only=True):
    """What the referee says: `fail` if any check fails, else `undecided` if any is, else `pass`."""

    outcome: Outcome
    checks: tuple[Check, ...]
    rows: int
    challenger: str
    champion: str | None = None
