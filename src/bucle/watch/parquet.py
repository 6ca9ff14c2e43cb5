"""Days of the rows of Parquet files, read piece by piece: as many rows as there are, little memory.

The sums are those of `profile_days`, to the last digit. Imports polars and numpy.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from bucle.models.metrics import Floats
from bucle.watch.days import Days, profile_days
from bucle.watch.yardsticks import Measure, Yardstick, measures_of

__all__ = ["BLOCKS", "count_rows", "profile_parquet", "sample_parquet"]

BLOCKS = 30
"""Into how many blocks, one after the other, rows without a time are cut."""

_CELLS = 4_000_000
_LEAST_ROWS, _MOST_ROWS = 10_000, 1_000_000
_SLICES = 20
_DAY = "_day"
_WEEK = 7
_STEPS = 65_535
# Beyond so many words it is quicker to count them all at once than one by one.
_ONE_BY_ONE = 8


def count_rows(paths: Sequence[Path]) -> int:
    """Return how many rows the files have, from what they say of themselves."""
    return sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in paths)


def sample_parquet(paths: Sequence[Path], *, rows: int) -> pl.DataFrame:
    """Return rows from twenty places of each file, spread evenly: enough to make yardsticks of.

    Wherever a yardstick is cut, both sides are measured by it; so it needs no more than a sample.
    """
    parts = []
    for path in paths:
        lazy, whole = pl.scan_parquet(path), count_rows([path])
        some = max(rows // len(paths), _SLICES)
        if whole <= some:
            parts.append(lazy.collect())
            continue
        starts = np.linspace(0, whole - some // _SLICES, _SLICES).astype(int)
        parts += [lazy.slice(int(at), some // _SLICES).collect() for at in starts]
    return pl.concat(parts, how="vertical_relaxed")


def profile_parquet(
    paths: Sequence[Path], yardsticks: Sequence[Yardstick], *, time: str | None
) -> Days:
    """Return the sums of each day of the rows of files; rows without a time are left out.

    Quickest where rows lie in the order of their days.

    Args:
        paths: Files with the same columns.
        yardsticks: What is measured; a column that is missing counts as null throughout.
        time: The column that says to which day a row belongs, a date or a moment in UTC. Without
            one, thirty blocks of rows, one after the other, stand for a day of a week each: 0, 7,
            14 …; so they are neither neighbours nor of different days of the week.
    """
    whole = count_rows(paths)
    per_block = max(-(-whole // BLOCKS), 1)
    found: list[Days] = []
    before = 0
    # Two at a time: while one waits for the disk or for the interpreter, the other goes on.
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for path in paths:
            names = pl.scan_parquet(path).collect_schema().names()
            wanted = [stick.column for stick in yardsticks if stick.column in names]
            wanted += [time] if time is not None and time not in wanted else []
            work = partial(
                _profile_piece,
                path=path,
                columns=wanted,
                yardsticks=yardsticks,
                time=time,
                before=before,
                per_block=per_block,
            )
            found += pool.map(work, _pieces(path, len(wanted)))
            before += count_rows([path])
    return _added(found, len(measures_of(yardsticks)))


def _pieces(path: Path, columns: int) -> Iterator[tuple[int, int]]:
    """Yield where pieces begin, and of how many rows they are."""
    size = min(max(_CELLS // max(columns, 1), _LEAST_ROWS), _MOST_ROWS)
    whole = count_rows([path])
    return ((at, min(size, whole - at)) for at in range(0, whole, size))


def _profile_piece(
    piece: tuple[int, int],
    *,
    path: Path,
    columns: Sequence[str],
    yardsticks: Sequence[Yardstick],
    time: str | None,
    before: int,
    per_block: int,
) -> Days:
    at, size = piece
    rows = pl.scan_parquet(path).select(columns).slice(at, size).collect()
    if time is None:
        block = pl.int_range(before + at, before + at + size, eager=True) // per_block
        days = (block * _WEEK).cast(pl.Int32)
    else:
        days = rows[time].cast(pl.Date).cast(pl.Int32)
    if days.null_count() or not days.is_sorted():
        return profile_days(
            rows.with_columns(days.cast(pl.Date).alias(_DAY)), yardsticks, time=_DAY
        )
    runs = days.rle().struct.unnest()
    ends = np.concatenate([[0], np.cumsum(runs["len"].to_numpy())]).astype(int)
    each = [
        _sums(rows.slice(first, last - first), yardsticks)
        for first, last in pairwise(ends.tolist())
    ]
    sums = np.stack(each) if each else np.zeros((0, 3, len(measures_of(yardsticks))))
    return Days(
        dates=runs["value"].cast(pl.Int64).to_numpy(),
        rows=np.diff(ends).astype(np.float64),
        counts=sums[:, 0],
        sums=sums[:, 1],
        squares=sums[:, 2],
    )


def _sums(rows: pl.DataFrame, yardsticks: Sequence[Yardstick]) -> Floats:
    """Return counts, sums and squares of the measures over some rows, shape (3, measures)."""
    parts = []
    for stick in yardsticks:
        if stick.column in rows.columns:
            parts += _column_sums(rows[stick.column], stick)
        else:
            empty = [(0.0, 0.0, 0.0)] * (len(measures_of([stick])) - 1)
            parts += [(float(rows.height),) * 3, *empty]
    return np.asarray(parts, dtype=np.float64).T


def _column_sums(column: pl.Series, stick: Yardstick) -> list[tuple[float, float, float]]:
    """Return count, sum and sum of squares of each measure of one column."""
    measures = measures_of([stick])
    missing = column.null_count()
    if stick.numeric and column.dtype.is_float() and column.is_nan().any():
        column = column.fill_nan(None)
        missing = column.null_count()
    known = len(column) - missing
    found = [(float(len(column)), float(missing), float(missing))]
    if stick.numeric:
        numbers = _numbers(column)
        found += [_number_sums(numbers, measure, known) for measure in measures[1:]]
    elif stick.words:
        counts = _word_counts(column.cast(pl.String), stick.words)
        every = [*counts, known - sum(counts)]
        found += [(float(known), float(count), float(count)) for count in every]
    return found


def _number_sums(numbers: pl.Series, measure: Measure, known: int) -> tuple[float, float, float]:
    if measure.kind == "below":
        count = float((numbers <= measure.at).sum())
        return float(known), count, count
    width = measure.high - measure.low
    scale = _STEPS / width if 0.0 < width < float("inf") else 0.0
    places = ((numbers.clip(measure.low, measure.high) - measure.low) * scale).round()
    # Whole numbers, of which so few that even the squares are exact as floats.
    squares = (places * places).sum()
    return float(known), float(places.sum()), float(squares)


def _numbers(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Duration):
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    if isinstance(column.dtype, pl.Time):
        return column.cast(pl.Int64).cast(pl.Float64) / 1e9
    return column.cast(pl.Float64)


def _word_counts(column: pl.Series, words: Sequence[str]) -> list[int]:
    if len(words) <= _ONE_BY_ONE:
        return [int((column == word).sum()) for word in words]
    counts = dict(column.value_counts(name="_count").iter_rows())
    return [int(counts.get(word, 0)) for word in words]


def _added(parts: Sequence[Days], measures: int) -> Days:
    """Return the sums of all pieces by day, in one go."""
    dates = np.unique(
        np.concatenate([part.dates for part in parts]) if parts else np.zeros(0, dtype=np.int64)
    )
    rows = np.zeros(dates.size)
    counts, sums, squares = (np.zeros((dates.size, measures)) for _ in range(3))
    for part in parts:
        place = np.searchsorted(dates, part.dates)
        np.add.at(rows, place, part.rows)
        np.add.at(counts, place, part.counts)
        np.add.at(sums, place, part.sums)
        np.add.at(squares, place, part.squares)
    return Days(dates=dates, rows=rows, counts=counts, sums=sums, squares=squares)
