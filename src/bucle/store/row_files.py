"""The row files of a Delta table: which of them hold what is asked for, and what stands in one.

Files keep their order however often small ones are merged, so the first rows of a table that is
only appended to stay its first rows. Imports polars and deltalake.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from msgspec import Struct

from bucle.store.table_form import Column

__all__ = ["RowFile", "count_rows", "files_of", "read_file", "row_files"]

_UNCOUNTED = "another program wrote it without counting rows"


class RowFile(Struct, frozen=True, gc=False):
    """A file of a version: its name in the table's folder, and its rows where that is on record."""

    name: str
    rows: int | None


def files_of(table: DeltaTable) -> tuple[RowFile, ...]:
    """Return the row files of the version that a table was opened at, as they were written."""
    return tuple(RowFile(unquote(path), rows) for _, path, rows in _added(table).iter_rows())


def count_rows(files: Sequence[RowFile]) -> int:
    """Return how many rows a version has.

    Raises:
        ValueError: A file does not say how many it has.
    """
    counts = [one.rows for one in files]
    if None in counts:
        raise ValueError(_UNCOUNTED)
    return sum(count or 0 for count in counts)


def row_files(files: Sequence[RowFile], *, after: int) -> list[tuple[str, int]]:
    """Return the names of row files that hold what is asked for, in the order they were written.

    Beside each stands how many of its first rows are left out; what is left out whole is not named.

    Args:
        files: Those of a version.
        after: How many of the table's first rows are left out.

    Raises:
        ValueError: Rows are to be left out and a file does not say how many it has.
    """
    found: list[tuple[str, int]] = []
    left = after
    for one in files:
        if left and one.rows is None:
            raise ValueError(_UNCOUNTED)
        if left and one.rows is not None and one.rows <= left:
            left -= one.rows
            continue
        found.append((one.name, left))
        left = 0
    return found


def read_file(
    path: Path, columns: Sequence[Column], later: pl.Expr | None, *, skip: int
) -> pl.DataFrame:
    """Return some columns and rows of one file.

    Args:
        path: The file.
        columns: Which columns.
        later: Which rows; None for all.
        skip: How many of the first rows are left out before that.
    """
    rows = pl.scan_parquet(path, glob=False)
    if skip:
        rows = rows.slice(skip)
    if later is not None:
        rows = rows.filter(later)
    return rows.select([column.stored_name for column in columns]).collect()


def _added(table: DeltaTable) -> pl.DataFrame:
    """Return the time, the path and the number of rows of each file, in the order of writing."""
    added = pl.DataFrame(table.get_add_actions())
    if "num_records" not in added.columns:
        added = added.with_columns(num_records=pl.lit(None, dtype=pl.Int64))
    columns = ("modification_time", "path", "num_records")
    return added.select(columns).sort("modification_time", "path")
