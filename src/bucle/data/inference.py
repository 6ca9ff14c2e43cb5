"""Types found in a table that has no contract: only where every value agrees.

Must not import readers or tables.
"""

import polars as pl

from bucle.charter.settings import DatasetSettings
from bucle.data.dates import read_moments
from bucle.data.numbers import has_leading_zeros, read_floats, read_integers
from bucle.data.rows import coercion_of
from bucle.types import Coercion

__all__ = ["infer_types"]

_MOSTLY = 0.5
_TRUTHS = ("true", "false")


def infer_types(
    frame: pl.DataFrame, *, settings: DatasetSettings | None = None
) -> tuple[pl.DataFrame, tuple[Coercion, ...]]:
    """Return a frame whose text columns are numbers or dates where every value is one.

    Digits with leading zeros stay text: they are names. A column of which most values, but not
    all, are numbers or dates stays text too, and the values that kept it so are reported with
    `became` "text". Nothing becomes null.

    Example:
        >>> frame, coercions = infer_types(pl.DataFrame({"n": ["1", "2"], "zip": ["01", "02"]}))
        >>> frame.dtypes
        [Int64, String]
    """
    chosen = settings or DatasetSettings()
    columns: list[pl.Series] = []
    coercions: list[Coercion] = []
    for values in frame.get_columns():
        if values.dtype != pl.String or values.null_count() == len(values):
            columns.append(values)
            continue
        column, found = _infer_column(values, chosen)
        columns.append(column)
        coercions.extend(found)
    return pl.DataFrame(columns), tuple(coercions)


def _infer_column(
    text: pl.Series, settings: DatasetSettings
) -> tuple[pl.Series, tuple[Coercion, ...]]:
    if text.str.to_lowercase().drop_nulls().is_in(_TRUTHS).all():
        return text.str.to_lowercase() == _TRUTHS[0], ()
    filled = len(text) - text.null_count()
    floats = read_floats(text, decimal=settings.decimal)
    numbers = filled - (floats.values.is_null() & text.is_not_null()).sum()
    if numbers == filled and not has_leading_zeros(text):
        whole = read_integers(text, decimal=settings.decimal)
        exact = whole.values.null_count() == text.null_count()
        if not exact and _are_long_digits(text):
            return text, ()
        changed = text.filter(floats.rewritten).to_list()
        told = (coercion_of(text.name, changed, became="number without grouping"),)
        return (whole.values if exact else floats.values), told if changed else ()
    if numbers > _MOSTLY * filled:
        odd = text.filter(floats.values.is_null() & text.is_not_null()).to_list()
        return text, (coercion_of(text.name, odd, became="text"),) if odd else ()
    return _infer_dates(text, filled, settings)


def _infer_dates(
    text: pl.Series, filled: int, settings: DatasetSettings
) -> tuple[pl.Series, tuple[Coercion, ...]]:
    read = read_moments(text, order=settings.dates, epochs=False)
    if read.ambiguous:
        odd = list(read.ambiguous)
        return text, (coercion_of(text.name, odd, became="text: day or month first?"),)
    missing = read.values.is_null() & text.is_not_null()
    dates = filled - missing.sum()
    if dates == filled:
        days = read.values.cast(pl.Date)
        whole = (days.cast(pl.Datetime("us")) == read.values).all()
        return (days if whole else read.values), ()
    if dates > _MOSTLY * filled:
        return text, (coercion_of(text.name, text.filter(missing).to_list(), became="text"),)
    return text, ()


def _are_long_digits(text: pl.Series) -> bool:
    """Tell whether whole numbers are too long for 64 bits: as Float64 they would lose digits."""
    return bool(text.str.contains(r"^\s*[+-]?\d{16,}\s*$").any())
