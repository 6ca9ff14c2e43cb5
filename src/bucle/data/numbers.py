"""Numbers and truth values written as text, read without guessing.

A number is digits with at most one decimal mark and an exponent. Words, hexadecimal, infinities
and anything that overflows are not numbers. Must not import readers, contracts or tables.
"""

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Literal

import polars as pl
from msgspec import Struct

__all__ = [
    "DecimalMark",
    "ReadColumn",
    "has_leading_zeros",
    "read_booleans",
    "read_decimals",
    "read_floats",
    "read_integers",
]

DecimalMark = Literal[".", ","]

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_MOST_DIGITS = 38
_SPACE = " \t\n\r\u00a0\u202f"


class ReadColumn(Struct, frozen=True, kw_only=True):
    """A text column read as another type.

    `values` is null where the text is null or cannot be read; `rewritten` marks values that were
    read only after something was taken away from them, such as marks between thousands.
    """

    values: pl.Series
    rewritten: pl.Series


def read_floats(text: pl.Series, *, decimal: DecimalMark = ".") -> ReadColumn:
    """Read text as Float64.

    Marks between thousands are taken away only where they cannot be decimal marks: `1,234.5` and
    `1,234,567` are read, and `1,234` is not.

    Example:
        >>> read_floats(pl.Series(["1e3", "1,234.5", "1,234", "N/A"])).values.to_list()
        [1000.0, 1234.5, None, None]
    """
    plain, rewritten = _plain_numbers(text, decimal)
    values = plain.cast(pl.Float64, strict=False)
    values = _null_where(values, values.is_infinite())
    return ReadColumn(values=values, rewritten=rewritten & values.is_not_null())


def read_integers(text: pl.Series, *, decimal: DecimalMark = ".") -> ReadColumn:
    """Read text as Int64; `5.0` is 5 and `5.5` is no whole number.

    Example:
        >>> read_integers(pl.Series(["7", "5.0", "5.5", "1e400"])).values.to_list()
        [7, 5, None, None]
    """
    plain, rewritten = _plain_numbers(text, decimal)
    digits = plain.str.replace(r"^([+-]?\d+)\.0*$", "${1}")
    values = digits.cast(pl.Int64, strict=False)
    if (values.is_null() & plain.is_not_null()).any():
        # What is left is written with an exponent, has a fraction or is too long.
        floats = plain.cast(pl.Float64, strict=False)
        exact = (floats.abs() <= 2**53) & (floats == floats.round(0)) & values.is_null()
        exact &= plain.str.contains("[eE]")
        whole = _null_where(floats, ~exact.fill_null(value=False)).cast(pl.Int64, strict=False)
        values = pl.select(pl.coalesce(values, whole)).to_series()
    values = values.alias(text.name)
    return ReadColumn(values=values, rewritten=rewritten & values.is_not_null())


def read_decimals(text: pl.Series, dtype: pl.Decimal, *, decimal: DecimalMark = ".") -> ReadColumn:
    """Read text as exact decimals; what needs more digits than the type has is not rounded.

    Example:
        >>> read_decimals(pl.Series(["1.10", "1.239", "2e1"]), pl.Decimal(6, 2)).values.to_list()
        [Decimal('1.10'), None, Decimal('20.00')]
    """
    plain, rewritten = _plain_numbers(text, decimal)
    numbers = [None if number is None else _exactly(number, dtype) for number in plain]
    values = pl.Series(text.name, numbers, dtype=dtype)
    return ReadColumn(values=values, rewritten=rewritten & values.is_not_null())


def read_booleans(text: pl.Series) -> ReadColumn:
    """Read text as Boolean: true/false, t/f, yes/no, y/n, 1/0, in any case.

    Example:
        >>> read_booleans(pl.Series(["Yes", "0", "maybe"])).values.to_list()
        [True, False, None]
    """
    folded = text.str.strip_chars(_SPACE).str.to_lowercase()
    words = [*_TRUE, *_FALSE]
    truths = [word in _TRUE for word in words]
    values = folded.replace_strict(words, truths, default=None, return_dtype=pl.Boolean)
    none = pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(text))
    return ReadColumn(values=values.alias(text.name), rewritten=none)


def has_leading_zeros(text: pl.Series) -> bool:
    """Tell whether a value such as 007 shows that these digits are names, not numbers."""
    return bool(text.str.contains(r"^\s*[+-]?0\d").any())


def _plain_numbers(text: pl.Series, decimal: DecimalMark) -> tuple[pl.Series, pl.Series]:
    """Return numbers with a point and without marks, null for all else, and which had marks."""
    mark, point = (",", r"\.") if decimal == "." else (r"\.", ",")
    stripped = text.str.strip_chars(_SPACE)
    grouped = stripped.str.contains(
        rf"^[+-]?\d{{1,3}}(({mark}\d{{3}})+{point}\d+|({mark}\d{{3}}){{2,}})$"
    ).fill_null(value=False)
    if grouped.any():
        bare = stripped.str.replace_all(mark, "")
        stripped = pl.select(pl.when(grouped).then(bare).otherwise(stripped)).to_series()
    if decimal == ",":
        has_point = stripped.str.contains(".", literal=True)
        stripped = _null_where(stripped, has_point).str.replace(",", ".", literal=True)
    is_number = stripped.str.contains(_NUMBER)
    return _null_where(stripped, ~is_number).alias(text.name), grouped


def _exactly(number: str, dtype: pl.Decimal) -> Decimal | None:
    """Return a number with as many places as a type has; None when it needs more."""
    context = Context(prec=dtype.precision or _MOST_DIGITS, traps=[Inexact, InvalidOperation])
    try:
        return context.quantize(Decimal(number), Decimal(1).scaleb(-dtype.scale))
    except (Inexact, InvalidOperation):
        return None


def _null_where(values: pl.Series, condition: pl.Series) -> pl.Series:
    frame = pl.select(pl.when(condition.fill_null(value=True)).then(None).otherwise(values))
    return frame.to_series().cast(values.dtype).alias(values.name)
