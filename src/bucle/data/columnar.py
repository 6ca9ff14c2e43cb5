"""Parquet and Arrow IPC, whose columns carry their types.

The bytes are checked for their marks before a parser sees them. Must not import contracts or
tables.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from bucle.data.fingerprint import json_text
from bucle.data.headers import clean_names
from bucle.data.rows import BROKEN_SCHEMA, ORIGIN_SCHEMA, SourceRows, shifted
from bucle.errors import SourceError

__all__ = ["iterate_parquet", "read_arrow", "read_parquet", "typed_rows"]

_MAX_CELLS = 4_000_000_000
_PARQUET_MARK = b"PAR1"
_ARROW_MARK = b"ARROW1"
# What polars raises on damaged bytes; a panic of its core is no Exception.
_FAILURES = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)


def read_parquet(content: bytes, *, name: str) -> SourceRows:
    """Read a Parquet file.

    Raises:
        SourceError: The file is cut short, damaged, no Parquet, or claims more rows than fit.
    """
    if not content.startswith(_PARQUET_MARK):
        raise _wrong_mark(name, "Parquet")
    if not content.endswith(_PARQUET_MARK):
        raise _cut_short(name, "Parquet")
    try:
        width = len(pl.read_parquet_schema(io.BytesIO(content)))
        rows = int(pl.scan_parquet(io.BytesIO(content)).select(pl.len()).collect().item())
        fits = rows * max(width, 1) <= _MAX_CELLS
        frame = pl.read_parquet(io.BytesIO(content)) if fits else pl.DataFrame()
    except _FAILURES as error:
        raise _damaged(name, "Parquet", error) from error
    if not fits:
        raise SourceError(
            f"Cannot read {name}: it claims {rows:,} rows of {width} columns",
            cause=f"more than {_MAX_CELLS:,} values do not fit in memory",
            attempt="split the file",
            code="bucle-124",
        )
    return typed_rows(frame, name=name)


def read_arrow(content: bytes, *, name: str) -> SourceRows:
    """Read an Arrow IPC file or stream.

    Raises:
        SourceError: The file is cut short, damaged or not Arrow IPC.
    """
    whole = content.startswith(_ARROW_MARK)
    if whole and not content.endswith(_ARROW_MARK):
        raise _cut_short(name, "Arrow IPC")
    if not whole and not content.startswith(b"\xff\xff\xff\xff"):
        raise _wrong_mark(name, "Arrow IPC")
    try:
        stream = io.BytesIO(content)
        frame = pl.read_ipc(stream) if whole else pl.read_ipc_stream(stream)
    except _FAILURES as error:
        raise _damaged(name, "Arrow IPC", error) from error
    return typed_rows(frame, name=name)


def iterate_parquet(path: Path, *, name: str, rows: int) -> Iterator[tuple[SourceRows, float]]:
    """Yield so many rows of a Parquet file at a time, and what part of it is done.

    Raises:
        SourceError: The file is cut short, damaged or no Parquet.
    """
    with path.open("rb") as stream:
        head = stream.read(len(_PARQUET_MARK))
        stream.seek(-len(_PARQUET_MARK), io.SEEK_END)
        tail = stream.read()
    if head != _PARQUET_MARK:
        raise _wrong_mark(name, "Parquet")
    if tail != _PARQUET_MARK:
        raise _cut_short(name, "Parquet")
    try:
        scanned = pl.scan_parquet(path, glob=False)
        count = int(scanned.select(pl.len()).collect().item())
        for first in range(0, count, rows):
            part = scanned.slice(first, rows).collect()
            found = typed_rows(part, name=name)
            yield shifted(found, first), min(1.0, (first + rows) / count)
    except _FAILURES as error:
        if isinstance(error, SourceError):
            raise
        raise _damaged(name, "Parquet", error) from error


def typed_rows(frame: pl.DataFrame, *, name: str) -> SourceRows:
    """Return a typed frame as source rows; nested values become JSON text, with a note."""
    names, renamed = clean_names(frame.columns, where=name)
    notes = list(renamed)
    columns = []
    for given, usable in zip(frame.get_columns(), names, strict=True):
        column = given.alias(usable)
        dtype = column.dtype
        if dtype.is_nested() or dtype == pl.Object:
            texts = [json_text(value) for value in column.to_list()]
            columns.append(pl.Series(column.name, texts, dtype=pl.String))
            notes.append(f"{name}: column '{column.name}' ({dtype}) is kept as JSON text")
        elif isinstance(dtype, pl.Categorical | pl.Enum):
            columns.append(column.cast(pl.String))
        elif dtype == pl.Binary:
            columns.append(column.bin.encode("hex"))
            notes.append(f"{name}: column '{column.name}' ({dtype}) is kept as hexadecimal text")
        else:
            columns.append(column)
    count = pl.DataFrame({"line": pl.int_range(1, frame.height + 1, eager=True)})
    return SourceRows(
        frame=pl.DataFrame(columns),
        origin=count.select(pl.lit(name).alias("file"), "line").match_to_schema(ORIGIN_SCHEMA),
        broken=pl.DataFrame(schema=BROKEN_SCHEMA),
        notes=tuple(notes),
    )


def _wrong_mark(name: str, kind: str) -> SourceError:
    return SourceError(
        f"Cannot read {name} as {kind}: its content is something else",
        cause=f"a {kind} file begins with a mark that is not there",
        attempt='format = "csv" in the dataset\'s section, or the right file',
        code="bucle-123",
    )


def _cut_short(name: str, kind: str) -> SourceError:
    return SourceError(
        f"Cannot read {name}: the {kind} file is cut short",
        cause="the mark at its end is missing, as after an interrupted download",
        attempt="fetch the file again",
        code="bucle-123",
    )


def _damaged(name: str, kind: str, error: BaseException) -> SourceError:
    return SourceError(
        f"Cannot read {name}: the {kind} file is damaged",
        cause=str(error).split("\n", 1)[0],
        attempt="fetch the file again",
        code="bucle-123",
    )
