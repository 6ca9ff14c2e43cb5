"""Days of rows as sums that can be added up: each row is looked at once, whatever is asked later.

Imports polars and numpy.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from bucle.models.metrics import Floats
from bucle.watch.yardsticks import Measure, Yardstick, measures_of, value_of

__all__ = ["Days", "profile_days"]


class Days(Struct, frozen=True, kw_only=True, eq=False):
    """The sums of each measure on each day.

    `dates` are days since 1970 in rising order, shape (days,); `rows` how many each has, the same
    shape. `counts`, `sums` and `squares` are over the rows a measure counts, whole numbers all,
    shape (days, measures).
    """

    dates: NDArray[np.int64]
    rows: Floats
    counts: Floats
    sums: Floats
    squares: Floats

    @property
    def means(self) -> Floats:
        """Each day's measures, shape (days, measures); NaN where no row counts."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.sums / self.counts

    def merge(self, other: Self) -> "Days":
        """Return the days of both; a day that is in both has the rows of both."""
        dates = np.union1d(self.dates, other.dates)

        def added(mine: Floats, theirs: Floats) -> Floats:
            found = np.zeros((dates.size, *mine.shape[1:]))
            found[np.searchsorted(dates, self.dates)] += mine
            found[np.searchsorted(dates, other.dates)] += theirs
            return found

        return Days(
            dates=dates,
            rows=added(self.rows, other.rows),
            counts=added(self.counts, other.counts),
            sums=added(self.sums, other.sums),
            squares=added(self.squares, other.squares),
        )

    def beside(self, other: Self) -> "Days":
        """Return the measures of both, one after the other; rows are one's own where it has any."""
        dates = np.union1d(self.dates, other.dates)

        def spread(one: Days, values: Floats) -> Floats:
            found = np.zeros((dates.size, *values.shape[1:]))
            found[np.searchsorted(dates, one.dates)] = values
            return found

        mine = spread(self, self.rows)
        return Days(
            dates=dates,
            rows=np.where(mine > 0, mine, spread(other, other.rows)),
            counts=np.hstack([spread(self, self.counts), spread(other, other.counts)]),
            sums=np.hstack([spread(self, self.sums), spread(other, other.sums)]),
            squares=np.hstack([spread(self, self.squares), spread(other, other.squares)]),
        )

    def take(self, keep: NDArray[np.bool_]) -> "Days":
        """Return some of the days."""
        return Days(
            dates=self.dates[keep],
            rows=self.rows[keep],
            counts=self.counts[keep],
            sums=self.sums[keep],
            squares=self.squares[keep],
        )


def profile_days(
    rows: pl.LazyFrame | pl.DataFrame, yardsticks: Sequence[Yardstick], *, time: str
) -> Days:
    """Return the sums of each day of rows, in one pass; rows without a time are left out.

    Args:
        rows: With the columns of the yardsticks; one that is missing counts as null throughout.
        yardsticks: What is measured.
        time: The column that says to which day a row belongs: a date, or a moment in UTC.
    """
    lazy = rows.lazy()
    schema = lazy.collect_schema()
    missing = [stick.column for stick in yardsticks if stick.column not in schema]
    lazy = lazy.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in missing)
    types = {**dict(schema), **dict.fromkeys(missing, pl.Float64())}
    measures = measures_of(yardsticks)
    found = (
        lazy.filter(pl.col(time).is_not_null())
        .group_by(pl.col(time).cast(pl.Date).cast(pl.Int32).alias("_day"))
        .agg(pl.len().alias("_rows"), *_sums(measures, yardsticks, types))
        .sort("_day")
        .collect(engine="streaming")
    )
    return _days_of(found, len(measures))


def _sums(
    measures: Sequence[Measure], yardsticks: Sequence[Yardstick], types: dict[str, pl.DataType]
) -> list[pl.Expr]:
    sticks = {stick.column: stick for stick in yardsticks}
    found = []
    for number, measure in enumerate(measures):
        value = value_of(measure, sticks[measure.column], types[measure.column])
        found += [value.count().alias(f"n{number}"), value.sum().alias(f"s{number}")]
        if measure.kind == "mean":
            found.append((value * value).sum().alias(f"q{number}"))
    return found


def _days_of(found: pl.DataFrame, count: int) -> Days:
    """Return sums from their columns; of 0 and 1 the squares are the values themselves."""

    def matrix(letter: str) -> Floats:
        columns = [
            found[f"{letter}{number}" if f"{letter}{number}" in found.columns else f"s{number}"]
            for number in range(count)
        ]
        return np.column_stack([column.cast(pl.Float64).to_numpy() for column in columns])

    return Days(
        dates=found["_day"].cast(pl.Int64).to_numpy(),
        rows=found["_rows"].cast(pl.Float64).to_numpy(),
        counts=matrix("n"),
        sums=matrix("s"),
        squares=matrix("q"),
    )
