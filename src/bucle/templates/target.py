"""What a column named as the target can be learned as: a number, or a yes or no.

Decides on one column at a time. Reads frames, so only the `blank` template imports it.
"""

from typing import Literal

import polars as pl

from bucle.charter.settings import DatasetSettings
from bucle.data.casting import cast_column
from bucle.data.numbers import read_floats
from bucle.errors import UsageError

__all__ = ["has_decimal_commas", "kind_of_target", "read_target"]

_YES = ("yes", "y", "true", "t", "1", "si", "sí", "s", "ja", "oui", "positive", "won", "paid")
_MOSTLY = 0.5
_TWO = 2


def read_target(target: pl.Series, *, reading: DatasetSettings) -> pl.Series:
    """Read a text target as numbers where most values are, so that odd labels become missing."""
    known = target.drop_nulls()
    if target.dtype != pl.String or known.n_unique() <= _TWO:
        return target
    cast = cast_column(target, pl.Float64(), settings=reading).values
    return cast if cast.count() > _MOSTLY * len(known) else target


def has_decimal_commas(values: pl.Series) -> bool:
    """Tell whether most values of a text are numbers once a comma is the decimal sign.

    Example:
        >>> has_decimal_commas(pl.Series(["1,5", "2,25", "n/a"]))
        True
    """
    if values.dtype != pl.String:
        return False
    commas = values.filter(values.str.contains(",", literal=True))
    return read_floats(commas, decimal=",").values.count() > _MOSTLY * values.count()


def kind_of_target(
    target: pl.Series,
) -> tuple[Literal["regression", "classification"], str | None]:
    """Tell a number to be predicted from a yes or no; of words, say which one is the yes.

    Raises:
        UsageError: It is neither, or has nothing to learn (bucle-192).
    """
    known = target.drop_nulls()
    if known.dtype.is_float():
        known = known.filter(known.is_finite())
    different = known.unique().sort()
    if len(different) < _TWO:  # one value teaches nothing
        cause = f"{len(known):,} of {len(target):,} rows have a label, and all are the same"
        raise UsageError(
            f"Cannot learn to predict {target.name!r}: "
            + (f"its only value is {different[0]!r}" if len(different) else "it is empty"),
            cause=cause if len(different) else "",
            attempt="a table in which the target differs from row to row",
            code="bucle-192",
        )
    if target.dtype == pl.Boolean:
        return "classification", None
    if target.dtype.is_numeric():
        return ("classification" if different.to_list() == [0, 1] else "regression"), None
    if target.dtype == pl.String and len(different) == _TWO:
        first, second = different.to_list()
        if (second.casefold() in _YES) != (first.casefold() in _YES):
            return "classification", second if second.casefold() in _YES else first
        rarer = first if (known == first).sum() < (known == second).sum() else second
        return "classification", rarer
    shown = ", ".join(str(value)[:30] for value in different[:5])
    raise UsageError(
        f"Cannot predict {target.name!r}: it is neither a number nor a yes or no",
        cause=f"it holds {len(different):,} different values of type {target.dtype}: {shown}",
        attempt="--decimal ,"
        if has_decimal_commas(target)
        else "make a yes/no column of the value that matters most",
        code="bucle-192",
    )
