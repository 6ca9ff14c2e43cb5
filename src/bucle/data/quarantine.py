"""Rows that breach the contract: kept with their reasons, exported, corrected and added again.

They live in the table `NAME.quarantine`. A row leaves when a later version holds its correction,
known by its id or its key, or when a source that is mirrored no longer has it. It is then marked
with that version, and is open again for whoever looks at an earlier one.
Must not import readers or contracts.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence

import polars as pl

from bucle.data.numbers import read_floats
from bucle.errors import UnknownNameError
from bucle.ids import digest_json
from bucle.types import Tables

__all__ = [
    "EXPORT_COLUMNS",
    "QUARANTINE_SCHEMA",
    "add_rows",
    "export_rows",
    "guard_cells",
    "open_rows",
    "quarantine_table",
    "row_id",
    "rows_of_keys",
    "undo_guard",
]

QUARANTINE_SCHEMA = pl.Schema(
    {
        "row": pl.String,
        "file": pl.String,
        "line": pl.Int64,
        "reasons": pl.String,
        "raw": pl.String,
        "corrected_in": pl.Int64,
    }
)
EXPORT_COLUMNS = ("_extra", "_reasons", "_row")

_LOOSE = {"_extra", "_line"}
_GUARDED = re.compile(r"'*[=+\-@\t\r]")
_GUARDED_AGAIN = r"^'+[=+\-@\t\r]"


def quarantine_table(dataset: str) -> str:
    """Return the name of the table that holds a dataset's quarantine."""
    return f"{dataset}.quarantine"


def row_id(raw: str, *, occurrence: int = 0) -> str:
    """Return the id of a breaching row: the same text gets the same id.

    `occurrence` counts equal rows within one batch, so that each of them is kept.
    """
    return f"q-{digest_json([raw, occurrence])[:16]}"


def open_rows(tables: Tables, *, dataset: str, version: int) -> pl.DataFrame:
    """Return the rows in quarantine as of a data version (0: before the first).

    Columns: `row` (id), `file`, `line`, `reasons` (a JSON list), `raw` (JSON of the row as it was
    read), `corrected_in`.
    """
    name = quarantine_table(dataset)
    if tables.version(name) is None:
        return pl.DataFrame(schema=QUARANTINE_SCHEMA)
    rows = tables.read(name).match_to_schema(QUARANTINE_SCHEMA)
    closed = (pl.col("corrected_in") <= version).fill_null(value=False)
    return rows.filter(~closed).with_columns(corrected_in=pl.lit(None, dtype=pl.Int64))


def add_rows(
    tables: Tables,
    *,
    dataset: str,
    breached: pl.DataFrame,
    corrected: Sequence[str],
    version: int,
    known: int,
) -> None:
    """Add breaching rows and mark corrected ones with the version that holds them.

    Rows that are there already are not doubled. Marks of versions after `known`, the last one on
    record, come from an ingest that was cut off before it was recorded, and are taken back.
    """
    name = quarantine_table(dataset)
    there = tables.version(name) is not None
    before = tables.read(name) if there else pl.DataFrame(schema=QUARANTINE_SCHEMA)
    marked = before.with_columns(
        corrected_in=pl.when(pl.col("row").is_in(list(corrected)))
        .then(version)
        .when(pl.col("corrected_in") <= known)
        .then("corrected_in")
        .otherwise(None)
        .cast(pl.Int64)
    )
    # A row that was corrected once and comes again as it was is in quarantine again.
    again = pl.col("row").is_in(breached["row"].implode())
    marked = marked.with_columns(corrected_in=pl.when(~again).then("corrected_in"))
    fresh = breached.join(before, on="row", how="anti", maintain_order="left")
    if fresh.height and marked.equals(before):
        tables.write(name, fresh, mode="append" if there else "replace")
    elif fresh.height or not marked.equals(before):
        tables.write(name, pl.concat([marked, fresh]), mode="replace")


def rows_of_keys(opened: pl.DataFrame, good: pl.DataFrame, *, key: Sequence[str]) -> list[str]:
    """Return the ids of quarantined rows whose key stands in one of the good rows.

    Keys are compared as they were read, before any preparation. Without a key, or with one that
    only the preparation makes, none is found.
    """
    if opened.is_empty() or not key or not set(key) <= set(good.columns):
        return []
    wanted = set(good.select(pl.col(key).cast(pl.String)).iter_rows())
    keys = (
        (row, tuple(content.get(name) for name in key))
        for row, content in zip(opened["row"], map(json.loads, opened["raw"]), strict=True)
    )
    return [row for row, values in keys if None not in values and values in wanted]


def export_rows(rows: pl.DataFrame, *, only: Sequence[str] = ()) -> str:
    """Return quarantined rows as CSV to be corrected and added again.

    Columns are the source's, then `_extra` (text beyond the header, if any), `_reasons` and
    `_row`, by which the correction is matched. Cells that a spreadsheet would run as a formula get
    a leading apostrophe, which is taken away when the file is added.

    Raises:
        UnknownNameError: `only` names a row that is not in quarantine.
    """
    unknown = [row for row in only if row not in rows["row"]]
    if unknown:
        raise UnknownNameError(
            f"Cannot export row {unknown[0]}: it is not in quarantine",
            attempt="bucle data quarantine NAME",
            code="bucle-135",
        )
    chosen = rows.filter(pl.col("row").is_in(list(only))) if only else rows
    cells = [
        (json.loads(raw), "; ".join(json.loads(reasons)), row)
        for raw, reasons, row in chosen.select("raw", "reasons", "row").iter_rows()
    ]
    names = list(dict.fromkeys(name for raw, _, _ in cells for name in raw if name not in _LOOSE))
    rest = [_beyond(raw) for raw, _, _ in cells]
    tail = EXPORT_COLUMNS if any(rest) else EXPORT_COLUMNS[1:]
    stream = io.StringIO(newline="")
    # With this line end the writer quotes a lone carriage return too.
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([*map(_guard, names), *tail])
    for (raw, reasons, row), beyond in zip(cells, rest, strict=True):
        values = ["" if raw.get(name) is None else str(raw[name]) for name in names]
        more = [beyond, reasons, row] if any(rest) else [reasons, row]
        writer.writerow([_guard(value) for value in (*values, *more)])
    return stream.getvalue()


def guard_cells(frame: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before names and text that a spreadsheet would run as a formula.

    Plain numbers stay.
    """
    guarded = frame.with_columns(
        _guarded(frame[name]) for name, dtype in frame.schema.items() if dtype == pl.String
    )
    return guarded.rename({name: _guard(name) for name in frame.columns})


def undo_guard(frame: pl.DataFrame) -> pl.DataFrame:
    """Take back the apostrophe that an export put before text like a formula."""
    text = pl.col(pl.String)
    guarded = text.str.contains(_GUARDED_AGAIN)
    plain = frame.with_columns(pl.when(guarded).then(text.str.slice(1)).otherwise(text))
    return plain.rename(
        {name: name[1:] for name in frame.columns if re.match(_GUARDED_AGAIN, name)}
    )


def _beyond(raw: Mapping[str, object]) -> str:
    """Return what a row has beyond the header's columns, as JSON text."""
    found = raw.get("_line") or raw.get("_extra")
    return json.dumps(found, ensure_ascii=False) if found else ""


def _guard(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run; plain numbers stay."""
    return text if not _GUARDED.match(text) else str(_guarded(pl.Series([text])).item())


def _guarded(texts: pl.Series) -> pl.Series:
    """Do the same for a whole column."""
    odd = texts.str.contains(f"^{_GUARDED.pattern}").fill_null(value=False)
    if not odd.any():
        return texts
    number = read_floats(texts).values.is_not_null() & ~texts.str.starts_with("'")
    found = pl.select(pl.when(odd & ~number).then("'" + texts).otherwise(texts)).to_series()
    return found.alias(texts.name)
