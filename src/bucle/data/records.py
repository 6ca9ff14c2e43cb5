"""Columns made from values of a program: JSON Lines and the answers of a database.

A column whose values are all of one kind gets that type; otherwise it becomes text, as all of a
text file is, and what was no text is reported, but for numbers that a few texts stand among: there
the texts are what is odd, and whoever gives the column its type reports or holds back these. Must
not import contracts or tables.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec
import polars as pl

from bucle.data.headers import clean_names
from bucle.data.rows import BROKEN_SCHEMA, ORIGIN_SCHEMA, SourceRows, coercion_of
from bucle.grammar import say_count
from bucle.types import Coercion

__all__ = ["build_columns", "read_json_lines"]

_INT64 = 2**63
_DECIMAL_DIGITS = 38
_NUMBERS = {int, float, Decimal}
_PLAIN: dict[type, pl.DataType] = {
    bool: pl.Boolean(),
    str: pl.String(),
    float: pl.Float64(),
    date: pl.Date(),
    time: pl.Time(),
}


def read_json_lines(content: bytes, *, name: str) -> SourceRows:
    """Read one JSON object a line; a line that is none is in `broken` with the reason.

    A key that a line does not have is null there. Nested values are kept as JSON text.
    """
    decoder = msgspec.json.Decoder()
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    broken: list[tuple[str, int, str, str]] = []
    # Line feeds only: JSON keeps every other line end inside a text escaped.
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            broken.append((name, number, _raw(line), f"line is not JSON: {error}"))
            continue
        if isinstance(row, dict):
            rows.append(row)
            lines.append(number)
        else:
            broken.append((name, number, _raw(line), "line is not a JSON object"))
    keys = list(dict.fromkeys(key for row in rows for key in row))
    names, notes = clean_names(keys, where=name)
    frame, coercions = build_columns(names, ([row.get(key) for row in rows] for key in keys))
    return SourceRows(
        frame=frame,
        origin=pl.DataFrame({"file": [name] * len(lines), "line": lines}, schema=ORIGIN_SCHEMA),
        broken=pl.DataFrame(broken, schema=BROKEN_SCHEMA, orient="row"),
        coercions=coercions,
        notes=(*notes, *_missing_keys(name, keys, rows)),
    )


def build_columns(
    names: Sequence[str], columns: Iterable[Sequence[Any]]
) -> tuple[pl.DataFrame, tuple[Coercion, ...]]:
    """Return a frame of typed columns and a report of those that had to become text.

    Whole numbers and others mix to Float64 where no digit is lost; whole numbers beyond 64 bits
    become text.

    Example:
        >>> frame, coercions = build_columns(["a", "b"], [[1, 2.5], [1, "x"]])
        >>> frame.dtypes, coercions[0].column
        ([Float64, String], 'b')
    """
    series: list[pl.Series] = []
    coercions: list[Coercion] = []
    for name, values in zip(names, columns, strict=True):
        column, coercion = _build_column(name, values)
        series.append(column)
        if coercion is not None:
            coercions.append(coercion)
    return pl.DataFrame(series), tuple(coercions)


def _build_column(name: str, values: Sequence[Any]) -> tuple[pl.Series, Coercion | None]:
    kinds = {type(value) for value in values if value is not None}
    dtype = _common_type(kinds, values)
    if dtype is not None:
        return pl.Series(name, values, dtype=dtype, strict=False), None
    if kinds == {Decimal} and _fit_one_decimal(values):
        return pl.Series(name, values), None
    texts = [_as_text(value) for value in values]
    turned = [
        text
        for value, text in zip(values, texts, strict=True)
        if value is not None and not isinstance(value, str)
    ]
    column = pl.Series(name, texts, dtype=pl.String)
    if not turned or _are_texts_odd(values):
        return column, None
    return column, coercion_of(name, turned, became="text")


def _are_texts_odd(values: Iterable[Any]) -> bool:
    """Tell whether most values are numbers, which read the same from their text, and some texts."""
    kinds = Counter(type(value) for value in values if value is not None)
    texts = kinds.pop(str, 0)
    return kinds.keys() <= _NUMBERS and 0 < texts < kinds.total()


def _common_type(kinds: set[type], values: Sequence[Any]) -> pl.DataType | None:
    """Return the type that holds every value as it is; None when only text does."""
    if not kinds:
        return pl.String()
    if kinds == {time} and any(value.tzinfo for value in values if value is not None):
        return None
    if len(kinds) == 1 and (plain := _PLAIN.get(next(iter(kinds)))):
        return plain
    numbers = [value for value in values if isinstance(value, int)]
    if kinds == {int}:
        fits = all(-_INT64 <= value < _INT64 for value in numbers)
        return pl.Int64() if fits else None
    if kinds == {int, float}:
        exact = all(abs(value) <= 2**53 for value in numbers)
        return pl.Float64() if exact else None
    if kinds <= {datetime}:
        zoned = {value.tzinfo is not None for value in values if value is not None}
        if len(zoned) == 1:
            return pl.Datetime("us", "UTC") if True in zoned else pl.Datetime("us")
    return None


def _fit_one_decimal(values: Iterable[Decimal | None]) -> bool:
    """Tell whether one column of 38 digits holds every value; none holds a NaN."""
    whole = part = 0
    for value in values:
        if value is None:
            continue
        _, digits, exponent = value.as_tuple()
        if isinstance(exponent, str):
            return False
        whole, part = max(whole, len(digits) + exponent), max(part, -exponent)
    return whole + part <= _DECIMAL_DIGITS


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict | list | bool | int | float):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return str(value)


def _raw(line: bytes) -> str:
    return json.dumps({"_line": line.decode("utf-8").rstrip("\r")}, ensure_ascii=False)


def _missing_keys(
    name: str, names: Sequence[str], rows: Sequence[dict[str, Any]]
) -> tuple[str, ...]:
    short = sum(len(row) < len(names) for row in rows)
    return (f"{name}: {say_count(short, 'line')} without every key; null there",) if short else ()
