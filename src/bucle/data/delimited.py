"""Delimited text read as it is in the world: every value as text, every odd row kept apart.

The fast way gives regular text to polars; text with quotes out of place goes through the
standard library's reader, row by row. Must not import contracts or tables.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bucle.charter.settings import DatasetSettings
from bucle.data.headers import clean_names, refuse_values
from bucle.data.layout import Layout, find_layout, find_separator
from bucle.data.rows import BROKEN_SCHEMA, ORIGIN_SCHEMA, SourceRows
from bucle.errors import SourceError

__all__ = ["read_delimited"]

_BLOCK_ROWS = 50_000


class _Broken:
    """Rows that do not fit, collected while reading."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[int] = []
        self.raws: list[str] = []
        self.reasons: list[str] = []

    def add(self, line: int, raw: object, reason: str) -> None:
        self.lines.append(line)
        self.raws.append(json.dumps(raw, ensure_ascii=False))
        self.reasons.append(reason)

    def frame(self) -> pl.DataFrame:
        columns = {
            "file": [self.name] * len(self.lines),
            "line": self.lines,
            "raw": self.raws,
            "reason": self.reasons,
        }
        return pl.DataFrame(columns, schema=BROKEN_SCHEMA)


def read_delimited(content: bytes, *, name: str, settings: DatasetSettings) -> SourceRows:
    """Read delimited UTF-8 text with a header; every column is text.

    Rows with too few or too many values, or with a broken quote, are in `broken` with their
    values and the reason; blank lines are counted in a note. Values equal to one of the settings'
    `null_values` are null.

    Raises:
        SourceError: There is no usable header.
    """
    separator, notes = find_separator(content, name=name, given=settings.separator)
    layout = find_layout(content, separator=separator)
    read = None
    if layout is not None:
        read = _read_regular(content, layout, separator, name, settings)
    rows = read or _read_row_by_row(content, separator, name, settings)
    return SourceRows(
        frame=rows.frame, origin=rows.origin, broken=rows.broken, notes=(*notes, *rows.notes)
    )


def _read_regular(
    content: bytes, layout: Layout, separator: str, name: str, settings: DatasetSettings
) -> SourceRows | None:
    """Read through polars; None when it sees another number of rows than the layout."""
    filled = np.flatnonzero(layout.ends > layout.starts)
    if not filled.size:
        raise SourceError(f"Cannot use {name}: it holds no text", code="bucle-121")
    first = int(filled[0])
    header = _split_row(content, layout, first, separator)
    refuse_values(header, where=name)
    names, notes = clean_names(header, where=name)
    width = len(names)
    rows = np.arange(first + 1, layout.starts.size)
    blank = (layout.ends[rows] == layout.starts[rows]) & (width > 1)
    fits = ~blank & (layout.separators[rows] == width - 1)
    kept = rows[fits]
    frame = _parse(_body(content, layout, first, kept), names, separator, settings)
    if frame.height != kept.size:
        return None
    broken = _Broken(name)
    for row in rows[~fits & ~blank].tolist():
        values = _split_row(content, layout, row, separator)
        broken.add(int(layout.lines[row]), {"_fields": values}, _misfit(len(values), width))
    return SourceRows(
        frame=frame,
        origin=_origin(name, layout.lines[kept]),
        broken=broken.frame(),
        notes=(*notes, *_blank_note(name, int(blank.sum()))),
    )


def _body(content: bytes, layout: Layout, first: int, kept: NDArray[np.int64]) -> bytes:
    """Return the kept rows with one line feed behind each."""
    if not kept.size:
        return b""
    whole = kept.size == layout.starts.size - first - 1
    if whole and b"\r" not in content:
        return content[int(layout.starts[first + 1]) :]
    buffer = np.frombuffer(content, dtype=np.uint8)
    edges = np.zeros(buffer.size + 1, dtype=np.int8)
    # A kept row and one byte behind it stay; that byte is written over with a line feed.
    edges[layout.starts[kept]] += 1
    np.add.at(edges, np.minimum(layout.ends[kept] + 1, buffer.size), -1)
    stays = np.cumsum(edges[:-1], dtype=np.int8) > 0
    text = buffer.copy()
    ends = layout.ends[kept]
    text[ends[ends < buffer.size]] = 0x0A
    return text[stays].tobytes()


def _parse(
    body: bytes, names: Sequence[str], separator: str, settings: DatasetSettings
) -> pl.DataFrame:
    schema = dict.fromkeys(names, pl.String)
    if not body:
        return pl.DataFrame(schema=schema)
    # polars takes a quoted empty value for another one than an empty value; we do not.
    all_by_polars = b'""' not in body
    absent = [value for value in settings.null_values if value]
    try:
        frame = pl.read_csv(
            body,
            has_header=False,
            schema=schema,
            infer_schema=False,
            separator=separator,
            null_values=absent if all_by_polars else None,
            empty_string_is_null=all_by_polars and "" in settings.null_values,
        )
    except pl.exceptions.PolarsError:
        # The caller then reads row by row, which says where the trouble is.
        return pl.DataFrame(schema=schema)
    return frame if all_by_polars else _with_nulls(frame, settings)


def _with_nulls(frame: pl.DataFrame, settings: DatasetSettings) -> pl.DataFrame:
    if not settings.null_values or not frame.height:
        return frame
    absent = list(settings.null_values)
    return frame.with_columns(
        pl.when(pl.all().is_in(absent)).then(None).otherwise(pl.all()).name.keep()
    )


def _read_row_by_row(
    content: bytes, separator: str, name: str, settings: DatasetSettings
) -> SourceRows:
    limit = csv.field_size_limit(sys.maxsize)
    try:
        return _read_records(content, separator, name, settings)
    finally:
        csv.field_size_limit(limit)


def _read_records(
    content: bytes, separator: str, name: str, settings: DatasetSettings
) -> SourceRows:
    records = _Records(content.decode("utf-8"), separator)
    start, header, problem = next(record for record in records if record[1])
    if problem:
        raise SourceError(
            f"Cannot use {name}: the header in line {start} cannot be read",
            cause=problem,
            attempt="close or remove the quote",
            code="bucle-127",
        )
    refuse_values(header, where=name)
    names, notes = clean_names(header, where=name)
    schema = dict.fromkeys(names, pl.String)
    broken, lines, blank = _Broken(name), [], 0
    blocks: list[pl.DataFrame] = []
    held: list[list[str]] = []
    for line, values, problem in records:
        if problem:
            broken.add(line, {"_line": values[0]}, problem)
        elif not values and len(names) > 1:
            blank += 1
        elif len(values or [""]) != len(names):
            broken.add(line, {"_fields": values}, _misfit(len(values), len(names)))
        else:
            held.append(values or [""])
            lines.append(line)
        if len(held) == _BLOCK_ROWS:
            blocks.append(pl.DataFrame(held, schema=schema, orient="row"))
            held = []
    blocks.append(pl.DataFrame(held, schema=schema, orient="row"))
    return SourceRows(
        frame=_with_nulls(pl.concat(blocks), settings),
        origin=_origin(name, np.array(lines, dtype=np.int64)),
        broken=broken.frame(),
        notes=(*notes, *_blank_note(name, blank)),
    )


class _Records:
    """Rows of a text with their line numbers; a broken row costs its first line only.

    Yields (line, values, problem); for a broken row the values are its one line of text.
    """

    def __init__(self, text: str, separator: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self._separator = separator
        self._held: list[str] = []
        self._again: list[str] = []
        self._number = 0

    def _feed(self) -> Iterator[str]:
        while True:
            line = self._again.pop() if self._again else self._lines.readline()
            if not line:
                return
            self._held.append(line)
            yield line

    def __iter__(self) -> Iterator[tuple[int, list[str], str]]:
        reader = self._reader()
        while True:
            self._held.clear()
            start = self._number + 1
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                first, rest = self._held[0], self._held[1:]
                self._again.extend(reversed(rest))
                self._number += 1
                reader = self._reader()
                yield start, [first.rstrip("\r\n")], _quote_problem(str(error))
                continue
            self._number += len(self._held)
            yield start, values, ""

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._feed(), delimiter=self._separator, strict=True)


def _quote_problem(error: str) -> str:
    if "end of data" in error:
        return "a quote is opened and never closed"
    return "a quote is closed in the middle of a value"


def _split_row(content: bytes, layout: Layout, row: int, separator: str) -> list[str]:
    text = content[int(layout.starts[row]) : int(layout.ends[row])].decode("utf-8")
    limit = csv.field_size_limit(sys.maxsize)
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    finally:
        csv.field_size_limit(limit)


def _origin(name: str, lines: NDArray[np.int64]) -> pl.DataFrame:
    named = pl.Series("file", [name], dtype=pl.String).new_from_index(0, len(lines))
    return pl.DataFrame([named, pl.Series("line", lines, dtype=pl.Int64)], schema=ORIGIN_SCHEMA)


def _misfit(found: int, width: int) -> str:
    return f"row has {found} fields, header has {width}"


def _blank_note(name: str, blank: int) -> tuple[str, ...]:
    return (f"{name}: {blank} blank lines were passed over",) if blank else ()
