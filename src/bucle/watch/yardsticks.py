"""What is measured of each column, fixed once by a reference, so that windows can be added up.

Every measure is the mean over rows of a bounded whole number: the value's place between the 5 % and
95 % quantiles of the reference, on a scale of 65,535 steps, or 1 where a row is null, is at most a
quartile of the reference, or is a certain word. Sums of whole numbers are the same in whatever
order they are added; and each measure says in words what moved. Imports polars.
"""

from collections.abc import Sequence
from typing import Literal

import polars as pl
from msgspec import Struct

from bucle.models.columns import column_kind

__all__ = ["Kind", "Measure", "Yardstick", "known_of", "measures_of", "value_of", "yardsticks_of"]

Kind = Literal["mean", "below", "share", "other", "null"]

_TRIM = (0.05, 0.95)
_QUARTILES = (0.25, 0.5, 0.75)
_TOP = 20
_LEAST_SHARE = 0.005
_STEPS = 65_535


class Yardstick(Struct, frozen=True, kw_only=True):
    """What is measured of one column.

    Numbers and spans have `low` and `high`, where values are cut, and `quartiles`; spans count in
    seconds. Words and flags have `words`, the frequent ones of the reference.
    """

    column: str
    low: float | None = None
    high: float | None = None
    quartiles: tuple[float, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.low is not None


class Measure(Struct, frozen=True, kw_only=True):
    """One quantity whose mean over rows is watched.

    `at` is the quartile of a `below`, `word` the word of a `share`, `low` and `high` the ends of a
    `mean`. `null` counts all rows, the others those that are not null.
    """

    column: str
    kind: Kind
    at: float | None = None
    word: str = ""
    low: float = 0.0
    high: float = 1.0

    def in_units(self, mean: float) -> float:
        """Return a mean of the quantity as people know it: in the column's units, or a share."""
        if self.kind != "mean":
            return mean
        return self.low + mean / _STEPS * (self.high - self.low)

    def __str__(self) -> str:
        return {
            "mean": "mean without extremes",
            "below": f"share at most {self.at:.4g}" if self.at is not None else "",
            "share": f"share of {self.word!r}",
            "other": "share of rare values",
            "null": "share of nulls",
        }[self.kind]


def yardsticks_of(frame: pl.DataFrame) -> tuple[Yardstick, ...]:
    """Return what is to be measured of the columns of a reference.

    Words are the most frequent, at most twenty, of at least half a percent of the known rows; the
    rest is pooled. Of dates and moments, which move on by themselves, of other types and of columns
    without any value only nulls are counted.
    """
    return tuple(_yardstick(column) for column in frame.iter_columns())


def measures_of(yardsticks: Sequence[Yardstick]) -> tuple[Measure, ...]:
    """Return all measures in a fixed order."""
    found: list[Measure] = []
    for stick in yardsticks:
        name = stick.column
        found.append(Measure(column=name, kind="null"))
        if stick.numeric:
            low, high = stick.low or 0.0, stick.high or 0.0
            found.append(Measure(column=name, kind="mean", low=low, high=high))
            found += [Measure(column=name, kind="below", at=at) for at in stick.quartiles]
        if stick.words:
            found += [Measure(column=name, kind="share", word=word) for word in stick.words]
            found.append(Measure(column=name, kind="other"))
    return tuple(found)


def known_of(stick: Yardstick, dtype: pl.DataType) -> pl.Expr:
    """Return whether a row has a value that can be measured."""
    column = pl.col(stick.column)
    if stick.numeric and dtype.is_float():
        return column.is_not_null() & column.is_not_nan()
    return column.is_not_null()


def value_of(measure: Measure, stick: Yardstick, dtype: pl.DataType) -> pl.Expr:
    """Return the whole number of a measure for each row, null where the row does not count."""
    if measure.kind == "null":
        return (~known_of(stick, dtype)).cast(pl.Int64)
    if measure.kind in ("share", "other"):
        word = pl.col(stick.column).cast(pl.String)
        is_it = word == measure.word if measure.kind == "share" else ~word.is_in(stick.words)
        return is_it.cast(pl.Int64)
    number = _number(pl.col(stick.column), dtype)
    number = pl.when(number.is_not_nan()).then(number) if dtype.is_float() else number
    if measure.kind == "below":
        return (number <= measure.at).cast(pl.Int64)
    width = measure.high - measure.low
    # Of a width that overflows, or of none, there are no steps to count.
    scale = _STEPS / width if 0.0 < width < float("inf") else 0.0
    place = (number.clip(measure.low, measure.high) - measure.low) * scale
    return place.round().cast(pl.Int64)


def _yardstick(column: pl.Series) -> Yardstick:
    kind = column_kind(column.dtype)
    name = column.name
    if kind in ("number", "span"):
        values = column.to_frame().select(_number(pl.col(name), column.dtype).alias("v"))["v"]
        finite = values.filter(values.is_finite()) if values.dtype.is_float() else values
        finite = finite.drop_nulls()
        if not finite.len():
            return Yardstick(column=name)
        low, high = (_quantile(finite, share) for share in _TRIM)
        quartiles = sorted({_quantile(finite, share) for share in _QUARTILES})
        most = finite.max()
        # At or above the greatest value of the reference every row would count, ever.
        quartiles = [at for at in quartiles if isinstance(most, float) and at < most]
        return Yardstick(column=name, low=low, high=high, quartiles=tuple(quartiles))
    if kind in ("word", "flag"):
        words = column.drop_nulls().cast(pl.String).alias("word")
        counts = words.value_counts(name="count").sort("count", "word", descending=[True, False])
        frequent = counts.filter(pl.col("count") >= _LEAST_SHARE * words.len())
        return Yardstick(column=name, words=tuple(frequent["word"].head(_TOP).to_list()))
    return Yardstick(column=name)


def _number(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return a column as numbers; spans as seconds."""
    if isinstance(dtype, pl.Duration):
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    if isinstance(dtype, pl.Time):
        return column.cast(pl.Int64).cast(pl.Float64) / 1e9
    return column.cast(pl.Float64)


def _quantile(values: pl.Series, share: float) -> float:
    found = values.quantile(share, interpolation="lower")
    # Which of the two zeros is found depends on the sorting, and so on how many threads do it.
    return 0.0 if found is None else float(found) + 0.0
