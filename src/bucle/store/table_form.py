"""The form in which a frame goes into a table, and back.

Tables know fewer types than frames and take column names that differ only by case for one.
Both are mended here and what was mended is recorded, so that a frame comes back equal. Pure.
Imports polars.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl
from msgspec import Struct

from bucle.errors import RequestError, UnknownNameError, nearest
from bucle.store.dtypes import stored_dtype

__all__ = [
    "Column",
    "check_table_name",
    "chosen_columns",
    "columns_of",
    "from_stored",
    "has_marks",
    "in_order_of",
    "is_since",
    "to_stored",
    "unknown_table",
    "unknown_version",
]

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,119}")


class Column(Struct, frozen=True, kw_only=True):
    """A column of a table: how it is called there and what it is for its owner."""

    stored_name: str
    name: str
    dtype: pl.DataType


def check_table_name(name: str) -> None:
    """Refuse a name that could be anything but a plain folder.

    Raises:
        RequestError: The name is not made of a-z, 0-9, `_`, `-` and `.`, or is too long.
    """
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"Cannot call a table {name[:80]!r}",
            cause="a name has at most 120 of a-z, 0-9, '_', '-' and '.', and '.' or '-' not first",
            code="bucle-308",
        )


def columns_of(frame: pl.DataFrame) -> tuple[Column, ...]:
    """Return how a frame's columns are kept.

    Raises:
        RequestError: The frame has no column, or one of a type that tables cannot hold.
    """
    if not frame.width:
        raise RequestError(
            "Cannot keep a table without columns",
            cause="a table needs at least one",
            code="bucle-307",
        )
    columns: list[Column] = []
    # Names that need no mending keep their own; the others go round them.
    taken = {name.casefold() for name in frame.columns}
    seen: set[str] = set()
    for index, (name, dtype) in enumerate(frame.schema.items()):
        if stored_dtype(dtype) is None:
            raise _unholdable(name, dtype, "tables have no such type")
        stored_name = name
        if "\0" in name or name.casefold() in seen:
            stored_name = f"column {index}"
            while stored_name in taken:
                stored_name += "'"
        seen.add(stored_name.casefold())
        taken.add(stored_name.casefold())
        columns.append(Column(stored_name=stored_name, name=name, dtype=dtype))
    return tuple(columns)


def to_stored(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Bring a frame into the form in which tables hold it.

    Raises:
        RequestError: A value would not survive, such as nanoseconds or a very large integer.
    """
    series: dict[str, pl.Series] = {}
    for column in columns:
        original = frame.get_column(column.name)
        target = stored_dtype(column.dtype)
        stored = original
        if target is not None and target != column.dtype:
            try:
                stored = original.cast(target)
                survives = stored.cast(column.dtype).equals(original, null_equal=True)
            except pl.exceptions.PolarsError as error:
                raise _unholdable(column.name, column.dtype, str(error)) from error
            if not survives:
                raise _unholdable(column.name, column.dtype, f"its values do not fit {target}")
        series[column.stored_name] = stored
    return pl.DataFrame(series)


def from_stored(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Bring what a table holds back into the form its owner gave."""
    return pl.DataFrame(
        {column.name: frame.get_column(column.stored_name).cast(column.dtype) for column in columns}
    )


def chosen_columns(
    name: str, columns: Sequence[Column], names: Sequence[str] | None
) -> list[Column]:
    """Return the columns of a table that are asked for, in the order they are asked for.

    Raises:
        UnknownNameError: The table has no such column.
    """
    if names is None:
        return list(columns)
    known = {column.name: column for column in columns}
    for wanted in names:
        if wanted not in known:
            raise UnknownNameError(
                f"Table {name!r} has no column {wanted!r}",
                did_you_mean=nearest(wanted, list(known)),
                code="bucle-309",
            )
    return [known[wanted] for wanted in names]


def is_since(name: str, columns: Sequence[Column], since: tuple[str, datetime]) -> pl.Expr:
    """Return whether a stored row lies at or after a moment.

    Raises:
        UnknownNameError: The table has no such column.
    """
    (column,) = chosen_columns(name, columns, [since[0]])
    return pl.col(column.stored_name) >= pl.lit(since[1]).cast(column.dtype)


def in_order_of(columns: Sequence[Column], frame: pl.DataFrame, *, name: str) -> pl.DataFrame:
    """Return a frame's columns in a table's order, so that its rows can be added.

    Raises:
        RequestError: The columns or their types are not those of the table.
    """
    wanted = {column.name: column.dtype for column in columns}
    if dict(frame.schema) == wanted:
        return frame.select(list(wanted))
    differences = [
        f"{column!r} is {frame.schema.get(column, 'absent')}, was {wanted.get(column, 'absent')}"
        for column in dict.fromkeys([*wanted, *frame.columns])
        if frame.schema.get(column) != wanted.get(column)
    ]
    raise RequestError(
        f"Cannot add rows to table {name!r}: their columns are others",
        cause="; ".join(differences[:5]),
        attempt="replace the table, or cast the rows first",
        code="bucle-306",
    )


def has_marks(name: str, marks: Mapping[str, int], *, recorded: Mapping[str, int]) -> bool:
    """Tell whether a table has what is about to be delivered.

    Raises:
        RequestError: It has some of it and not the rest.
    """
    had = [source for source, number in marks.items() if number <= recorded.get(source, -1)]
    if had and len(had) < len(marks):
        raise RequestError(
            f"Cannot add rows to table {name!r}: it has some of them",
            cause=f"{had[0]!r} was delivered up to {recorded[had[0]]} already, others were not",
            attempt="leave out what was delivered, then again",
            code="bucle-329",
        )
    return bool(had)


def unknown_table(name: str, known: Sequence[str]) -> UnknownNameError:
    """Build the error for a table that does not exist."""
    return UnknownNameError(
        f"Cannot find table {name[:80]!r}",
        cause="nothing was ever written to it",
        did_you_mean=nearest(name, known),
        code="bucle-309",
    )


def unknown_version(name: str, version: int, *, latest: int) -> UnknownNameError:
    """Build the error for a version that a table does not have."""
    return UnknownNameError(
        f"Cannot find version {version} of table {name!r}",
        cause=f"it has versions up to {latest}, without those that were merged and forgotten",
        code="bucle-309",
    )


def _unholdable(name: str, dtype: pl.DataType, cause: str) -> RequestError:
    """Build the error for a column that a table cannot hold."""
    return RequestError(
        f"Cannot keep column {name[:80]!r} of type {dtype} in a table",
        cause=cause.splitlines()[0],
        attempt=f'frame.with_columns(pl.col("{name[:40]}").cast(...)) before it is kept',
        code="bucle-307",
    )
