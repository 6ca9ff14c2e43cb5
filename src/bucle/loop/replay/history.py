"""History as a worker sees it: the rows of each dataset, a planted fault, and what was known when.

Runs in workers; imports polars and delta-rs.
"""

import hashlib
from collections import OrderedDict
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bucle.charter.settings import DatasetSettings
from bucle.clock import from_iso
from bucle.data.fingerprint import row_digests
from bucle.data.recorded import read_recorded
from bucle.data.views import as_asked, as_of
from bucle.errors import ContractError
from bucle.loop.replay.faults import Fault
from bucle.loop.replay.recipe import Place, Recipe
from bucle.store.delta_tables import DeltaTables

__all__ = ["Digests", "label_names", "moments_of", "open_history", "view_frames", "view_of"]

_KEPT = 4
_HALF = "8"
_NEVER = 2**62
_OPEN: OrderedDict[tuple[str, str, str], pl.DataFrame] = OrderedDict()


def open_history(
    place: Place, name: str, settings: DatasetSettings, *, fault: Fault | None = None
) -> pl.DataFrame:
    """Return the rows of a dataset with a fault planted; kept in memory for the next task.

    Raises:
        DigestMismatchError: The table does not hold what the log says.
        ContractError: A label became known before its event.
    """
    version = place.versions[name]
    key = (place.tables, f"{name} {version.fingerprint}", repr(fault))
    if key not in _OPEN:
        frame = read_recorded(DeltaTables(Path(place.tables)), version)
        _check_times(frame, name, settings)
        _OPEN[key] = _plant(frame, fault, settings) if fault else frame
        while len(_OPEN) > _KEPT:
            _OPEN.popitem(last=False)
    return _OPEN[key]


def view_frames(
    recipe: Recipe, place: Place, start: str | None, end: str | None, *, since: str | None = None
) -> dict[str, pl.DataFrame]:
    """Return every dataset as it was: rows before `end`, labels that were known at `start`.

    Args:
        recipe: Which datasets, and which of them is predicted.
        place: Where they lie.
        start: The moment at which labels are looked at; None for all that is known today.
        end: Rows of this moment or later are not there.
        since: Rows of the predicted dataset before this moment are left out.
    """
    found = {}
    for name, settings in recipe.settings.items():
        is_primary = name == recipe.primary
        # A fault is planted in what is predicted: the labels of other tables are no labels here.
        fault = place.fault if is_primary else None
        seen = view_of(open_history(place, name, settings, fault=fault), settings, start, end)
        if since is not None and is_primary and start is not None and settings.event_time:
            seen = seen.filter(moments_of(seen, settings.event_time) >= from_iso(since))
        found[name] = seen
    return found


def view_of(
    frame: pl.DataFrame, settings: DatasetSettings, start: str | None, end: str | None
) -> pl.DataFrame:
    """Return one dataset as it was: rows before `end`, labels that were known at `start`.

    A table without times, such as a list of brands, is the same at any moment.
    """
    if start is None or end is None or settings.event_time is None:
        return as_of(frame, None, settings)
    return as_asked(frame, start, end, settings)


def moments_of(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return a column of dates or times as moments in UTC."""
    dtype = frame.schema[name]
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.col(name).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def label_names(settings: DatasetSettings) -> tuple[str, ...]:
    """Return the label columns of a dataset."""
    return (settings.label,) if isinstance(settings.label, str) else tuple(settings.label)


class Digests:
    """Digests of what a dataset's views hold, without making the views.

    The digest of a view covers every row it holds, with its labels where they were known, and
    nothing else: a later row or label does not change it.

    Args:
        frame: All rows of the dataset.
        settings: What its columns mean; it has an event time.
    """

    def __init__(self, frame: pl.DataFrame, settings: DatasetSettings) -> None:
        hidden = [*label_names(settings), *([settings.label_time] if settings.label_time else [])]
        bare = row_digests(frame.drop(dict.fromkeys(hidden)))
        full = row_digests(frame)
        times = frame.select(moments_of(frame, str(settings.event_time)).dt.epoch("us"))
        event = times.to_series().to_numpy()
        known = event
        if settings.label_time is not None:
            late = frame.select(
                moments_of(frame, settings.label_time).dt.epoch("us").fill_null(_NEVER)
            )
            known = late.to_series().to_numpy()
        # Of rows that differ in their labels alone, those known earlier come first: what a label
        # will be must not move the row before that label has come.
        order = np.lexsort((np.asarray(full), known, np.asarray(bare)))
        self.order = order
        self.event, self.known = event[order], known[order]
        self._bare = np.asarray(bare, dtype="S32")[order]
        self._full = np.asarray(full, dtype="S32")[order]
        self._schema = hashlib.sha256(repr(dict(frame.schema)).encode()).digest()

    def of_view(self, start: datetime, end: datetime, *, since: datetime | None = None) -> str:
        """Return the digest of the rows before `end` with the labels known at `start`."""
        begin, stop = _microseconds(start), _microseconds(end)
        seen = self.event < stop
        if since is not None:
            seen &= self.event >= _microseconds(since)
        return self._digest(seen, (self.event < begin) & (self.known <= begin))

    def of_all(self) -> str:
        """Return the digest of all rows and labels."""
        everything = np.ones(self.event.size, dtype=bool)
        return self._digest(everything, everything)

    def _digest(self, seen: NDArray[np.bool_], labelled: NDArray[np.bool_]) -> str:
        total = hashlib.sha256(self._schema)
        total.update(np.where(labelled, self._full, self._bare)[seen].tobytes())
        return total.hexdigest()


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _check_times(frame: pl.DataFrame, name: str, settings: DatasetSettings) -> None:
    if settings.event_time is None or settings.label_time is None:
        return
    event = moments_of(frame, settings.event_time)
    early = frame.filter(moments_of(frame, settings.label_time) < event)
    if early.height:
        row = early.select(settings.event_time, settings.label_time).row(0)
        raise ContractError(
            f"Cannot replay {name}: in {early.height:,} of {frame.height:,} rows the label was "
            "known before its event",
            cause=f"the first has {settings.event_time} {row[0]}, {settings.label_time} {row[1]}",
            attempt=f"a rule in the contract: {settings.label_time} >= {settings.event_time}",
            code="bucle-255",
        )


def _plant(frame: pl.DataFrame, fault: Fault, settings: DatasetSettings) -> pl.DataFrame:
    """Multiply half of the labels that became known in a time; which half, their content says."""
    time = settings.label_time or settings.event_time
    types = frame.schema
    labels = [
        name
        for name in label_names(settings)
        if types[name].is_numeric() or types[name] == pl.String
    ]
    if time is None or not labels:
        return frame
    when = moments_of(frame, time)
    known = frame.select(
        ((when >= from_iso(fault.start)) & (when < from_iso(fault.end))).fill_null(value=False)
    ).to_series()
    rest = frame.drop(label_names(settings))
    chosen = pl.Series([digest[0] < _HALF for digest in row_digests(rest)], dtype=pl.Boolean)
    hit = pl.lit(known & chosen)
    return frame.with_columns(
        pl.when(hit)
        .then(_multiplied(name, types[name], fault.factor))
        .otherwise(pl.col(name))
        .alias(name)
        for name in labels
    )


def _multiplied(name: str, dtype: pl.DataType, factor: float) -> pl.Expr:
    """Multiply a column; of words only those that are numbers."""
    product = pl.col(name).cast(pl.Float64, strict=False) * factor
    return pl.coalesce(product.cast(dtype, strict=False), pl.col(name))
