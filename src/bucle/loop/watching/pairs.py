"""Rows that two models have scored: read once, and summed up, however often one looks.

What was read is kept in one file of SQLite for the deployment, together with how far the tables
were read; rows of the prediction log that are new, and labels that came, change the sums of their
quarter of an hour alone. Where the file is lost, damaged or of other tables it is made anew.
Imports polars and numpy.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from bucle.errors import EvidenceError
from bucle.gates.comparison import Rule
from bucle.gates.gains import bound_gain
from bucle.gates.moments import Bounds, Moments, bound_moments, merge_moments, moments_of
from bucle.ids import digest_json
from bucle.loop.genuine import truth_of
from bucle.loop.watching.newcomers import Mark, OtherTablesError, read_newcomers
from bucle.loop.workspace import Workspace
from bucle.models.metrics import Floats
from bucle.models.signature import Signature
from bucle.serve.compactor import FEEDBACK, PREDICTIONS
from bucle.serve.feedback import latest_labels
from bucle.serve.records import LOAD_REQUEST
from bucle.store.queries import load_queries

__all__ = ["PairSums", "Pairing", "Spread", "sum_pairs"]

Spread = dict[int, int]
"""How many requests took how many microseconds."""

_FORM = 2
_WAIT_S = 30.0
_SLOT_US = 900_000_000
_EARLIER = timedelta(days=1)
_BY_ROW = frozenset({"accuracy", "brier", "log_loss", "mae", "money", "r2", "rmse", "wape"})
"""Metrics whose loss of a row depends on that row alone."""

_PREDICTION = ("id", "of", "at", "model", "role", "prediction", "latency_us", "request")
_LABEL = ("id", "at", "label")


class Pairing(Struct, frozen=True, kw_only=True):
    """Which rows count: those that both models have scored since one of them was deployed.

    `began` is when that was, `since` when it came to its present share. `metric` is what is lost,
    `losses` returns it row by row from truths and predictions.
    """

    champion: str
    challenger: str
    signature: Signature
    began: datetime
    since: datetime
    metric: str
    losses: Callable[[Floats, Floats], Floats]
    rule: Rule

    @property
    def name(self) -> str:
        """What stands for it: other pairs have another one."""
        parts = [_FORM, self.champion, self.challenger, self.began.isoformat(), self.metric]
        return digest_json(parts)[:32]


class PairSums(Struct, frozen=True, kw_only=True):
    """What was seen of the rows that both have scored.

    Since the present share: `pairs` of them, `answers` that the challenger gave itself, and how
    long requests took: by `champion` and `challenger` when they answered, and by both, as
    `answered` and `beside`, where the challenger was a shadow. Since it was deployed: `labelled`
    rows whose label had time to come, and the `gain` on them.
    """

    pairs: int
    answers: int
    champion: Spread
    challenger: Spread
    answered: Spread
    beside: Spread
    labelled: int
    gain: Bounds


class _Slot(Struct, frozen=True, kw_only=True):
    """A quarter of an hour: its labelled rows, those without a loss, and the sums of the others."""

    rows: int
    unfit: int
    moments: Moments


def sum_pairs(workspace: Workspace, pairing: Pairing, *, ripe_until: datetime) -> PairSums | None:
    """Return what was seen of the pairs; reads what came since the last time.

    None where nothing can be kept: on a full disk, or one that may only be read.

    Args:
        workspace: The project.
        pairing: Which rows count.
        ripe_until: Labels count of rows that were answered up to this moment.

    Raises:
        DigestMismatchError: The prediction log is not what was written.
    """
    folder = workspace.home / "watch" / "pairs"
    path = folder / f"{pairing.name}.db"
    for _ in range(2):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder, keep=path)
            with _opened(path) as connection:
                return _Ledger(connection, workspace, pairing).look(ripe_until)
        except (OSError, sqlite3.OperationalError):
            return None
        except (sqlite3.DatabaseError, msgspec.MsgspecError, OtherTablesError):
            _remove(path)
    return None


class _Ledger:
    """What is kept of the pairs, within one transaction."""

    def __init__(
        self, connection: sqlite3.Connection, workspace: Workspace, pairing: Pairing
    ) -> None:
        self._connection = connection
        self._workspace = workspace
        self._pairing = pairing
        self._sql = load_queries("pairs")
        self._notes = dict(self._ask("notes"))

    def look(self, ripe_until: datetime) -> PairSums:
        """Take in what is new and return what it all comes to."""
        self._take_predictions()
        self._take_labels()
        self._learn()
        labelled, gain = self._gain(_micros(ripe_until))
        pairs, answers = self._count()
        spreads = [dict(self._ask("spread", kind)) for kind in range(4)]
        self._do("untouch")
        self._connection.executemany(self._sql["note"], self._notes.items())
        return PairSums(
            pairs=pairs,
            answers=answers,
            champion=spreads[0],
            challenger=spreads[1],
            answered=spreads[2],
            beside=spreads[3],
            labelled=labelled,
            gain=gain,
        )

    # ---- what is new ------------------------------------------------------------

    def _take_predictions(self) -> None:
        """Take in what both models have said."""
        pairing, began = self._pairing, self._pairing.began
        rows = self._fresh(PREDICTIONS, _PREDICTION, since=began)
        kept = rows.filter(
            (pl.col("at") >= began) & pl.col("request").ne_missing(LOAD_REQUEST)
        ).select(
            pl.when(pl.col("role") == "shadow").then("of").otherwise("id").alias("row"),
            pl.col("at").dt.epoch("us").alias("at"),
            (pl.col("role") == "shadow").cast(pl.Int64).alias("role"),
            "prediction",
            "latency_us",
            "model",
        )
        for query, model in (
            ("take_first", pairing.champion),
            ("take_second", pairing.challenger),
        ):
            own = kept.filter(pl.col("model") == model).drop("model").sort("row")
            self._many(query, own.iter_rows())
            self._many("touch", own.select("row").iter_rows())

    def _take_labels(self) -> None:
        """Take in labels, but those of rows from before the deployment."""
        since = self._pairing.began - _EARLIER
        rows = self._fresh(FEEDBACK, _LABEL, since=since)
        answered = pl.col("id").str.slice(2, 12).str.to_integer(base=16, strict=False)
        kept = rows.filter((answered >= round(since.timestamp() * 1000)).fill_null(value=True))
        self._many("tell", kept.with_columns(pl.col("at").dt.epoch("us")).iter_rows())
        self._many("touch", kept.select("id").iter_rows())

    def _fresh(self, name: str, columns: tuple[str, ...], *, since: datetime) -> pl.DataFrame:
        """Return the rows that came since the last time, in a table or on their way there."""
        text = self._notes.get(name)
        known = None if text is None else msgspec.json.decode(text, type=Mark)
        found, mark = read_newcomers(
            self._workspace, name, columns=columns, since=since, known=known
        )
        self._notes[name] = msgspec.json.encode(mark).decode()
        return found

    def _learn(self) -> None:
        """Find what the rows that something is new of turned out to be."""
        told = pl.DataFrame(
            self._ask("told"),
            schema={"id": pl.String, "at": pl.Int64, "label": pl.String},
            orient="row",
        )
        if not told.height:
            return
        labels = latest_labels(
            told.with_columns(
                pl.from_epoch("at", time_unit="us").dt.replace_time_zone("UTC"),
                label_time=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
                source=pl.lit(""),
            )
        )
        truths = labels.select("id", truth_of(self._pairing.signature))
        self._do("forget_truths")
        self._many("find_truth", truths.iter_rows())
        for (slot,) in self._ask("changed", _SLOT_US):
            self._reopen(slot)
        self._do("learn")

    # ---- what it comes to ---------------------------------------------------------

    def _gain(self, ripe: int) -> tuple[int, Bounds]:
        """Return how many labels there are up to a moment, and the gain on them."""
        if self._pairing.metric not in _BY_ROW:
            return self._gain_of_all(ripe)
        for (slot,) in self._ask("late_slots", ripe):
            self._reopen(slot)
        self._sum_up(ripe)
        slots = [msgspec.json.decode(text, type=_Slot) for _, _, text in self._ask("sums")]
        rows, unfit = (sum(getattr(one, name) for one in slots) for name in ("rows", "unfit"))
        whole = reduce(merge_moments, (one.moments for one in slots), Moments())
        return rows, _NOTHING if unfit else bound_moments(whole, rule=self._pairing.rule)

    def _gain_of_all(self, ripe: int) -> tuple[int, Bounds]:
        """Compare all rows anew: of some metrics a row's loss depends on the others."""
        rows = self._ask("all_ripe", ripe)
        truth, first, second = _columns(rows, 3)
        try:
            losses = [self._pairing.losses(truth, said) for said in (first, second)]
        except EvidenceError:
            return len(rows), _NOTHING
        if not rows:
            return 0, _NOTHING
        gain = bound_gain(losses[0], losses[1], rule=self._pairing.rule)
        values = (gain.estimate, gain.low, gain.high)
        estimate, low, high = (one if np.isfinite(one) else None for one in values)
        return len(rows), Bounds(estimate=estimate, low=low, high=high)

    def _sum_up(self, ripe: int) -> None:
        """Add the rows that are ripe by now to the sums of their quarters of an hour."""
        rows = self._ask("ripe", ripe)
        if not rows:
            return
        at = np.asarray([row[1] for row in rows], dtype=np.int64)
        truth, first, second = _columns([row[2:] for row in rows], 3)
        edges = np.flatnonzero(np.diff(at // _SLOT_US)) + 1
        for part in np.split(np.arange(at.size), edges):
            slot = int(at[part[0]] // _SLOT_US)
            known = self._ask("find_sum", slot)
            before = msgspec.json.decode(known[0][0], type=_Slot) if known else _EMPTY
            after = self._added(before, truth[part], first[part], second[part])
            text = msgspec.json.encode(after).decode()
            self._do("keep_sum", slot, int(at[part[-1]]), text)
        self._many("summed", ((row[0],) for row in rows))

    def _added(self, slot: _Slot, truth: Floats, first: Floats, second: Floats) -> _Slot:
        """Return a slot with some rows more."""
        rows = slot.rows + truth.size
        try:
            before, after = (self._pairing.losses(truth, said) for said in (first, second))
        except EvidenceError:
            return _Slot(rows=rows, unfit=slot.unfit + truth.size, moments=slot.moments)
        moments = merge_moments(slot.moments, moments_of(before, after))
        return _Slot(rows=rows, unfit=slot.unfit, moments=moments)

    def _reopen(self, slot: int) -> None:
        """Let a quarter of an hour be summed up anew."""
        self._do("reopen", slot * _SLOT_US, (slot + 1) * _SLOT_US)
        self._do("forget_sum", slot)

    def _count(self) -> tuple[int, int]:
        """Count pairs, and how long requests took, since the model came to its share."""
        since = _micros(self._pairing.since)
        if self._notes.get("since") != str(since):
            for query in ("forget_times", "forget_spread"):
                self._do(query)
            self._do("uncount", since)
            self._do("touch_since", since)
            self._notes |= {"since": str(since), "pairs": "0", "answers": "0"}
        ((pairs, answers),) = self._ask("count", since)
        self._do("counted", since)
        times = self._ask("new_times", since)
        self._many("keep_time", times)
        self._many("keep_spread", times)
        counts = int(self._notes["pairs"]) + pairs, int(self._notes["answers"]) + answers
        self._notes |= {"pairs": str(counts[0]), "answers": str(counts[1])}
        return counts

    # ---- the file --------------------------------------------------------------------

    def _ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(self._sql[query], values).fetchall()

    def _do(self, query: str, *values: object) -> None:
        self._connection.execute(self._sql[query], values)

    def _many(self, query: str, rows: Any) -> None:
        self._connection.executemany(self._sql[query], rows)


_NOTHING = Bounds(estimate=None, low=None, high=None)
_EMPTY = _Slot(rows=0, unfit=0, moments=Moments())


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for one transaction; what fails changes nothing."""
    sql = load_queries("pairs")
    with contextlib.closing(
        sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    ) as connection:
        connection.execute(sql["relaxed"])
        connection.execute("BEGIN IMMEDIATE")
        for statement in sql["create"].split(";"):
            connection.execute(statement)
        yield connection
        connection.execute("COMMIT")


def _sweep(folder: Path, *, keep: Path) -> None:
    """Remove what was kept of other deployments."""
    for path in folder.glob("*.db"):
        if path != keep:
            _remove(path)


def _remove(path: Path) -> None:
    # The journal goes first: one that is left would be played into the new file.
    for suffix in ("-journal", ""):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _columns(rows: list[tuple[Any, ...]], count: int) -> tuple[Floats, ...]:
    found = np.asarray(rows, dtype=np.float64).reshape(len(rows), count)
    return tuple(found[:, place].copy() for place in range(count))


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
