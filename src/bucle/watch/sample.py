"""A few rows of a reference as numbers, so that later rows can be told from them as a whole.

Part of a model package: neither a rare word nor an extreme can be read from it. Imports polars and
numpy.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from bucle.models.metrics import Floats
from bucle.watch.yardsticks import Yardstick, known_of, measures_of, value_of

__all__ = ["Sample", "code_rows", "thin_days", "thin_weeks"]

_WEEK = 7
_WEEKS = 6
_ROWS_A_WEEK = 250
_MOST_ROWS = 1000


class Sample(Struct, frozen=True, kw_only=True, eq=False):
    """Rows as numbers, shape (rows, columns), and the day of each, in days since 1970.

    Numbers are cut at the ends of their yardstick and words are numbered, rare ones alike, so that
    neither a rare word nor an extreme can be read from a sample. NaN is a null.
    """

    values: Floats
    dates: NDArray[np.int64]

    def take(self, keep: NDArray[np.bool_]) -> "Sample":
        """Return some of the rows."""
        return Sample(values=self.values[keep], dates=self.dates[keep])


def code_rows(rows: pl.DataFrame, sticks: Sequence[Yardstick], *, time: str) -> Sample:
    """Return rows as numbers; a column without words or ends tells only whether it is null.

    Args:
        rows: With the columns of the yardsticks.
        sticks: What is measured of each column.
        time: The column of dates; rows without one are left out.
    """
    dated = rows.filter(pl.col(time).is_not_null())
    dates = dated[time].cast(pl.Date).cast(pl.Int32).cast(pl.Int64).to_numpy()
    columns = [
        _code(stick, dated.schema[stick.column]).alias(f"c{at}") for at, stick in enumerate(sticks)
    ]
    values = dated.select(columns).to_numpy() if columns else np.empty((dated.height, 0))
    return Sample(values=np.asarray(values, dtype=np.float64), dates=dates)


def thin_weeks(sample: Sample) -> Sample:
    """Return at most 250 rows of each of at most six weeks, spread evenly over the days."""
    weeks = sample.dates // _WEEK
    known = np.unique(weeks)
    if not known.size:
        return sample
    chosen = known[np.unique(np.linspace(0, known.size - 1, _WEEKS).round().astype(np.int64))]
    keep = np.zeros(weeks.size, dtype=np.bool_)
    for week in chosen:
        keep[_spread(np.flatnonzero(weeks == week), _ROWS_A_WEEK)] = True
    return sample.take(keep)


def thin_days(sample: Sample) -> Sample:
    """Return at most a thousand rows, as many of each day as there are of it."""
    keep = np.zeros(sample.dates.size, dtype=np.bool_)
    keep[_spread(np.argsort(sample.dates, kind="stable"), _MOST_ROWS)] = True
    return sample.take(keep)


def _spread(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most so many of the places, evenly spread."""
    if places.size <= most:
        return places
    return places[np.linspace(0, places.size - 1, most).round().astype(np.int64)]


def _code(stick: Yardstick, dtype: pl.DataType) -> pl.Expr:
    """Return a column as numbers."""
    column, known = pl.col(stick.column), known_of(stick, dtype)
    if stick.words:
        names = column.cast(pl.String)
        code = names.replace_strict(
            list(stick.words),
            list(range(len(stick.words))),
            default=len(stick.words),
            return_dtype=pl.Float64,
        )
        return pl.when(known).then(code)
    if stick.numeric:
        (mean,) = (measure for measure in measures_of((stick,)) if measure.kind == "mean")
        return value_of(mean, stick, dtype).cast(pl.Float64)
    return (~known).cast(pl.Float64)
