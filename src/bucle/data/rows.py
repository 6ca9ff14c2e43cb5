"""Rows as a source gave them, with where each came from and what had to be done to read it.

Values only; must not import readers, contracts or tables.
"""

from collections.abc import Sequence

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from bucle.types import Coercion

__all__ = ["BROKEN_SCHEMA", "ORIGIN_SCHEMA", "SourceFile", "SourceRows", "coercion_of", "shifted"]

ORIGIN_SCHEMA = pl.Schema({"file": pl.String, "line": pl.Int64})
BROKEN_SCHEMA = pl.Schema(
    {"file": pl.String, "line": pl.Int64, "raw": pl.String, "reason": pl.String}
)

_EXAMPLES = 5
_EXAMPLE_LETTERS = 80


class SourceFile(Struct, frozen=True, kw_only=True):
    """One file or query that was read: `bytes` and `digest` are of what was read."""

    name: str
    format: str
    bytes: int
    digest: str
    rows: int


class SourceRows(Struct, frozen=True, kw_only=True):
    """Rows as they were read, before any contract.

    `origin` has one row for each row of `frame`: its file and line (for files without lines, its
    row number from 1). `broken` holds rows that do not fit the header, with their text as JSON and
    the reason. `notes` say in words what was assumed. Columns of a text source are all String.
    """

    frame: pl.DataFrame
    origin: pl.DataFrame
    broken: pl.DataFrame
    coercions: tuple[Coercion, ...] = ()
    files: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()


def shifted(rows: SourceRows, lines: int) -> SourceRows:
    """Return rows of a piece of a file, whose lines are counted from the file's beginning.

    Args:
        rows: As the piece was read.
        lines: How many lines come before it.
    """
    if not lines:
        return rows
    moved = pl.col("line") + lines
    return replace(
        rows,
        origin=rows.origin.with_columns(moved),
        broken=rows.broken.with_columns(moved),
    )


def coercion_of(column: str, values: Sequence[object], *, became: str = "null") -> Coercion:
    """Report values of a column that became something else; keeps five different examples.

    Example:
        >>> coercion_of("price", ["N/A", "N/A", "-"]).examples
        ('N/A', '-')
    """
    different = dict.fromkeys(str(value)[:_EXAMPLE_LETTERS] for value in values)
    return Coercion(
        column=column,
        count=len(values),
        examples=tuple(list(different)[:_EXAMPLES]),
        became=became,
    )
