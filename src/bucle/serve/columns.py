"""Rows that come as columns or as loose records, made into what the model's reader checks.

Whatever the protocol, the reader has the last word. Imports msgspec and nothing heavy.
"""

import asyncio
import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from msgspec import Struct

from bucle.serve.problems import (
    BadRow,
    ProblemError,
    RowsRefusedError,
    nothing_to_predict,
    unreadable,
)
from bucle.serve.rows import RowReader

__all__ = ["is_long", "read_aside", "read_columns", "read_records", "require_room"]

_Read = TypeVar("_Read")
_MOST_REPORTED = 20
# Scored and put on record in one go: more would keep everybody else waiting.
_MOST_ROWS = 10_000
_LONG_BYTES = 100_000
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00(?::00(?:\.0{1,9})?)?Z?")


def read_columns(
    reader: RowReader, columns: Mapping[str, Sequence[Any]], *, exact: bool = False
) -> list[Struct]:
    """Return the rows that columns of one length hold.

    Args:
        reader: Of the model that answers.
        columns: Name → values, of JSON or of dates and times.
        exact: As for `read_records`.

    Raises:
        RowsRefusedError: A column is missing, unknown or of another length, or a value is wrong.
        ProblemError: There is no row.
    """
    known = (*reader.features, *reader.keys)
    unknown = islice((name for name in columns if name not in known), _MOST_REPORTED)
    bad = [
        BadRow.of(None, name[:80], rule="is not a field of the model", near=known)
        for name in unknown
    ]
    bad += [
        BadRow.of(None, name, rule="is missing") for name in reader.features if name not in columns
    ]
    if bad:
        raise RowsRefusedError(bad[:_MOST_REPORTED])
    count = len(next(iter(columns.values())))
    require_room(count)
    for name, values in columns.items():
        if len(values) != count:
            rule = f"has {len(values)} values where others have {count}"
            raise RowsRefusedError([BadRow.of(None, name, rule=rule)])
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return read_records(reader, rows, exact=exact)


def read_records(reader: RowReader, rows: Sequence[Any], *, exact: bool = False) -> list[Struct]:
    """Return rows that were decoded elsewhere, checked as every row is; `rows` is changed.

    Args:
        reader: Of the model that answers.
        rows: Objects by the names of their fields.
        exact: Take values for what they are. Otherwise as numpy and pandas write them: NaN is a
            value that is not known, a whole number may have decimals where such are missing in
            its column, and a date may be a moment at midnight.

    Raises:
        RowsRefusedError: A row is not what the model takes.
        ProblemError: There is no row.
    """
    if not rows:
        raise nothing_to_predict()
    require_room(len(rows))
    settle = _exactly if exact else _settler(reader)
    known = {*reader.features, *reader.keys}
    bad: list[BadRow] = []
    for number, row in enumerate(rows):
        if type(row) is not dict:
            bad.append(BadRow.of(number, "", rule="is no object"))
        else:
            # A name that is no field is refused by the reader, which says so.
            names = [name for name in settle(row) if name in known]
            bad += [_not_finite(number, name, row[name]) for name in names]
        if len(bad) >= _MOST_REPORTED:
            break
    if bad:
        raise RowsRefusedError(bad)
    try:
        return reader.read_values(rows)
    except (UnicodeEncodeError, RecursionError) as error:
        raise unreadable(error) from None


def require_room(count: int) -> None:
    """Raise ProblemError (413) for more rows than a request may hold: some take no byte each."""
    if count > _MOST_ROWS:
        raise ProblemError(
            413,
            f"The request holds more than {_MOST_ROWS:,} rows",
            attempt="several requests, or bucle predict FILE for whole files",
            code="bucle-352",
        )


def is_long(body: bytes | memoryview) -> bool:
    """Tell whether a body is so long that others would have to wait while it is read."""
    return len(body) > _LONG_BYTES


async def read_aside(read: Callable[[], _Read], *, size: int) -> _Read:
    """Return what a function reads: in a thread where a body is so long that others would wait."""
    return read() if size <= _LONG_BYTES else await asyncio.to_thread(read)


def _exactly(row: dict[str, Any]) -> list[str]:
    """Return the fields that are no finite numbers."""
    return [
        name for name, value in row.items() if type(value) is float and not math.isfinite(value)
    ]


def _settler(reader: RowReader) -> Callable[[dict[str, Any]], list[str]]:
    """Return what settles the habits of numpy in a row, and names fields that are infinite."""
    whole = frozenset(name for name, dtype in reader.dtypes.items() if "Int" in dtype)
    dates = frozenset(name for name, dtype in reader.dtypes.items() if dtype == "Date")

    def settle(row: dict[str, Any]) -> list[str]:
        infinite = []
        for name, value in row.items():
            if type(value) is float:
                if math.isnan(value):
                    row[name] = None
                elif math.isinf(value):
                    infinite.append(name)
                elif name in whole and value.is_integer():
                    row[name] = int(value)
            elif name in dates and type(value) is str and (found := _MIDNIGHT.fullmatch(value)):
                row[name] = found[1]
        return infinite

    return settle


def _not_finite(number: int, name: str, value: float) -> BadRow:
    shown = "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return BadRow.of(number, name, value=shown, rule="Expected a finite number")
