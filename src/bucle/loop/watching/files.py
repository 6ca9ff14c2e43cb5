"""Two sets of Parquet files, one judged by the other: what has changed, without any project.

Files of any size are read piece by piece. Imports polars and numpy.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from msgspec import Struct

from bucle.errors import OutsideError, UsageError, nearest
from bucle.watch.days import Days
from bucle.watch.inputs import Finding, find_changes
from bucle.watch.parquet import profile_parquet, sample_parquet
from bucle.watch.spread import spread_of
from bucle.watch.yardsticks import measures_of, yardsticks_of

__all__ = ["FileReport", "Side", "watch_files"]

_SAMPLE = 200_000
_LEAST_DAYS = 7


class Side(Struct, frozen=True, kw_only=True):
    """How many rows were judged, in how many days or blocks."""

    rows: int
    days: int


class FileReport(Struct, frozen=True, kw_only=True):
    """What differs between two sets of files.

    `time` is the column whose days were compared, None where blocks of rows stood for days.
    `measures` of `columns` were judged; with no change, one report in `1 / level` finds anything.
    `missing` columns are in the reference only, `added` ones in the current files only.
    """

    reference: Side
    current: Side
    time: str | None
    columns: int
    measures: int
    level: float
    findings: tuple[Finding, ...]
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def watch_files(
    reference: Sequence[Path],
    current: Sequence[Path],
    *,
    time: str | None = None,
    level: float = 0.01,
) -> FileReport:
    """Judge the rows of files by the natural spread between days of others.

    The days are those of `time`, or of the only column of dates or moments. Where there is none, or
    fewer than seven days, thirty blocks of rows stand for days: then rows that lie together are
    taken to belong together.

    Args:
        reference: Parquet files that say how things were.
        current: Parquet files that are judged.
        time: The column of dates or moments.
        level: The chance of any finding where nothing has changed.

    Raises:
        UsageError: The column of time is missing, or it is not clear which it is.
        OutsideError: A file cannot be read, or has no rows.
    """
    try:
        before, now = _schema(reference), _schema(current)
        chosen = _time(before, now, time)
        sample = sample_parquet(reference, rows=_SAMPLE)
        sticks = yardsticks_of(sample.drop(chosen, strict=False) if chosen else sample)
        known = profile_parquet(reference, sticks, time=chosen)
        if chosen is not None and known.dates.size < _LEAST_DAYS:
            chosen = None
            known = profile_parquet(reference, sticks, time=None)
        window = profile_parquet(current, sticks, time=chosen)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise OutsideError(
            "Cannot read the files",
            cause=str(error).splitlines()[0][:200],
            attempt="files of Parquet with the same columns",
            code="bucle-395",
        ) from error
    for days, name in ((known, "reference"), (window, "current")):
        if not days.dates.size:
            raise OutsideError(
                f"Cannot compare: the {name} files have no rows",
                cause="none of them has a row" + (f" with {chosen!r}" if chosen else ""),
                attempt="other files",
                code="bucle-396",
            )
    measures = measures_of(sticks)
    return FileReport(
        reference=_side(known),
        current=_side(window),
        time=chosen,
        columns=len(sticks),
        measures=len(measures),
        level=level,
        findings=find_changes(spread_of(known), known, window, measures, level=level),
        missing=tuple(name for name in before if name not in now),
        added=tuple(name for name in now if name not in before),
    )


def _schema(paths: Sequence[Path]) -> pl.Schema:
    return pl.Schema(
        {
            name: dtype
            for path in reversed(paths)
            for name, dtype in pl.scan_parquet(path).collect_schema().items()
        }
    )


def _time(before: pl.Schema, now: pl.Schema, wanted: str | None) -> str | None:
    """Return the column of time: the one that is wanted, or the only one of both sides."""
    there = [name for name, dtype in before.items() if _is_time(dtype) and _is_time(now.get(name))]
    if wanted is not None:
        if wanted not in there:
            raise UsageError(
                f"Cannot find the days of {wanted!r}",
                cause="it is no column of dates or moments on both sides",
                did_you_mean=nearest(wanted, there),
                attempt="--time COLUMN",
                code="bucle-397",
            )
        return wanted
    if len(there) > 1:
        raise UsageError(
            "Cannot tell which column says the day of a row",
            cause=f"there are {', '.join(there)}",
            attempt=f"--time {there[0]}",
            code="bucle-398",
        )
    return there[0] if there else None


def _is_time(dtype: pl.DataType | None) -> bool:
    return isinstance(dtype, pl.Date | pl.Datetime)


def _side(days: Days) -> Side:
    return Side(rows=int(days.rows.sum()), days=int(days.dates.size))
