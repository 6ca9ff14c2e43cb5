"""Rows of a source made the next version of a dataset, or told why they are not.

Every row read is accounted for: added, changed, unchanged, repeated or in quarantine. Writes
tables only; whoever calls records the version in the log afterwards, under the project's lock.
Until it is recorded a new version does not count: the next ingest starts from the recorded one,
whatever a crash left in the tables. Must not import the log or anything above `data`.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.data.contract import load_contract, screen
from bucle.data.fingerprint import fingerprint
from bucle.data.keys import key_columns
from bucle.data.merging import Merged, align_rows, merge_by_key, replace_rows, unite_rows
from bucle.data.preparation import load_prepare, prepare_rows
from bucle.data.quarantine import (
    EXPORT_COLUMNS,
    QUARANTINE_SCHEMA,
    add_rows,
    open_rows,
    row_id,
    rows_of_keys,
    undo_guard,
)
from bucle.data.recorded import read_recorded
from bucle.data.rows import SourceFile, SourceRows
from bucle.data.screened import Screened
from bucle.data.untyped import screen_untyped
from bucle.data.views import future_times
from bucle.errors import UnknownNameError
from bucle.grammar import say_count
from bucle.types import Coercion, DataVersion, Tables

__all__ = ["Ingested", "ingest"]

_EXTRA, _, _ROW = EXPORT_COLUMNS


class Ingested(Struct, frozen=True, kw_only=True):
    """What became of the rows of one source.

    `version` is the dataset's version now; None when it has no good row yet. `is_new` tells
    whether this ingest made it. `read` = `added` + `changed` + `unchanged` + `repeated` +
    `quarantined`. `corrected` counts rows that left quarantine.
    """

    version: DataVersion | None
    is_new: bool
    read: int
    added: int
    changed: int
    unchanged: int
    repeated: int
    quarantined: int
    corrected: int
    removed: int = 0
    coerced: tuple[Coercion, ...] = ()
    files: tuple[SourceFile, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def ingest(
    raw: SourceRows,
    *,
    dataset: str,
    settings: DatasetSettings,
    root: Path,
    tables: Tables,
    current: DataVersion | None,
    mirror: bool = False,
    now: datetime | None = None,
) -> Ingested:
    """Screen rows, merge the good ones into a new version and put the others in quarantine.

    The same content again makes no new version. `prepare` of the settings, when there is one, is
    called with the rows as they were read and must return one row for each.

    Args:
        raw: Rows as `read_source` gave them.
        dataset: The dataset's name, also that of its table.
        settings: The dataset's section of bucle.toml.
        root: The project's folder, where contract and prepare live.
        tables: Where versions are kept.
        current: The last version on record. If there is no table at all any more, these rows
            begin a new one, and a warning says so.
        mirror: The rows are all there is: those of the last version and of quarantine that are
            not among them go. Only for a dataset without a key.
        now: The present: times after it are warned of. None warns of none.

    Raises:
        ContractError: The contract or `prepare` cannot be used with these rows.
        SourceError: Day and month cannot be told apart in a column of dates.
        DigestMismatchError: The table does not hold what was recorded.
    """
    batch = _split_export(raw)
    lost = current if tables.version(dataset) is None else None
    before = read_recorded(tables, current) if current is not None and not lost else None
    screened = _screen(batch.rows, settings, root, before)
    known = current.version if current else 0
    merged, notes = _merge(before, screened.good, settings, mirror=mirror)
    opened = open_rows(tables, dataset=dataset, version=known)
    _require_known(batch.held, opened)
    breached = _breached_rows(batch.rows, screened, batch.again, opened)
    good = batch.rows.frame[screened.good_index]
    corrected = _corrected(batch, good, breached, opened, settings=settings, mirror=mirror)
    warnings = [_tell_loss(lost, merged)] if lost else []
    if now is not None:
        warnings += future_times(screened.good, settings, now=now)
    version, is_new = _write(merged, before, tables, dataset, current)
    if breached.height or corrected or is_new:
        add_rows(
            tables,
            dataset=dataset,
            breached=breached,
            corrected=corrected,
            version=version.version if version else 0,
            known=known,
        )
    return Ingested(
        version=version,
        is_new=is_new,
        read=raw.frame.height + raw.broken.height,
        added=merged.added,
        changed=merged.changed,
        unchanged=merged.unchanged,
        repeated=screened.repeated,
        quarantined=breached.height + len(batch.held),
        corrected=len(corrected),
        removed=merged.removed,
        coerced=(*raw.coercions, *screened.coercions),
        files=raw.files,
        notes=(*raw.notes, *batch.notes, *screened.notes, *notes),
        warnings=tuple(warnings),
    )


class _Batch(Struct, frozen=True, kw_only=True):
    """Rows to screen; for rows of a quarantine export, `again` has their ids.

    `held` are the ids of rows whose `_extra` is not empty: nobody has settled them yet.
    """

    rows: SourceRows
    again: pl.Series | None = None
    held: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _split_export(raw: SourceRows) -> _Batch:
    """Take the columns of a quarantine export off its rows."""
    if not {"_reasons", _ROW} <= set(raw.frame.columns):
        return _Batch(rows=raw)
    frame, origin = raw.frame, raw.origin
    held: tuple[str, ...] = ()
    if _EXTRA in frame.columns:
        settled = frame[_EXTRA].is_null()
        held = tuple(str(row) for row in frame.filter(~settled)[_ROW])
        frame, origin = frame.filter(settled), origin.filter(settled)
    rows = SourceRows(
        frame=undo_guard(frame.drop(EXPORT_COLUMNS, strict=False)),
        origin=origin,
        broken=raw.broken,
        coercions=raw.coercions,
        files=raw.files,
        notes=raw.notes,
    )
    again = frame[_ROW].cast(pl.String)
    note = f"{say_count(len(held), 'row')} left in quarantine: empty {_EXTRA} once all is right"
    return _Batch(rows=rows, again=again, held=held, notes=(note,) if held else ())


def _tell_loss(lost: DataVersion, merged: Merged) -> str:
    return (
        f"the table of version {lost.version} with {lost.rows:,} rows is gone: version "
        f"{lost.version + 1} has only the {merged.frame.height:,} rows of this addition"
    )


def _screen(
    rows: SourceRows, settings: DatasetSettings, root: Path, before: pl.DataFrame | None
) -> Screened:
    frame = rows.frame
    if settings.prepare is not None:
        function = load_prepare(root, reference=settings.prepare)
        frame = prepare_rows(frame, function, reference=settings.prepare)
    if settings.contract is not None:
        schema = load_contract(root, reference=settings.contract)
        return screen(frame, schema, settings=settings)
    return screen_untyped(
        frame, settings=settings, before=None if before is None else before.schema
    )


def _merge(
    before: pl.DataFrame | None, good: pl.DataFrame, settings: DatasetSettings, *, mirror: bool
) -> tuple[Merged, tuple[str, ...]]:
    aligned, notes = (
        (good.clear(), ())
        if before is None
        else align_rows(before, schema=good.schema, settings=settings)
    )
    keys = key_columns(settings)
    if keys:
        merged = merge_by_key(aligned, good, key=keys)
    else:
        merged = replace_rows(aligned, good) if mirror else unite_rows(aligned, good)
    return merged, notes


def _write(
    merged: Merged,
    before: pl.DataFrame | None,
    tables: Tables,
    dataset: str,
    current: DataVersion | None,
) -> tuple[DataVersion | None, bool]:
    """Write a version when content is new; None when there is nothing to write at all."""
    if current is None and not merged.frame.height:
        return None, False
    digest = fingerprint(merged.frame)
    if current is not None and before is not None and digest == current.fingerprint:
        return current, False
    # A table that is ahead of the log was written by an ingest that was cut off: its rows do not
    # count, so nothing may be appended to them.
    at_record = current is not None and tables.version(dataset) == current.table_version
    same_columns = before is not None and before.schema == merged.frame.schema
    if at_record and same_columns and not merged.changed and not merged.removed:
        place = tables.write(dataset, merged.fresh, mode="append")
    else:
        place = tables.write(dataset, merged.frame, mode="replace")
    version = DataVersion(
        dataset=dataset,
        version=(current.version if current else 0) + 1,
        table_version=place,
        rows=merged.frame.height,
        fingerprint=digest,
    )
    return version, True


def _breached_rows(
    rows: SourceRows, screened: Screened, again: pl.Series | None, opened: pl.DataFrame
) -> pl.DataFrame:
    """Return this batch's rows for quarantine, each with the text it was read as."""
    index = screened.bad["_index"]
    texts = rows.frame[index].select(pl.struct(pl.all().cast(pl.String)).struct.json_encode())
    breached = rows.origin[index].with_columns(
        texts.to_series().alias("raw"),
        pl.Series("reasons", [_as_list(reasons) for reasons in screened.bad["_reasons"]]),
        (again[index] if again is not None else pl.lit(None, dtype=pl.String)).alias("given"),
    )
    names = rows.frame.columns
    broken = rows.broken.select(
        "file",
        "line",
        pl.Series("raw", [_named(raw, names) for raw in rows.broken["raw"]], dtype=pl.String),
        pl.Series(
            "reasons", [_as_list([reason]) for reason in rows.broken["reason"]], dtype=pl.String
        ),
        pl.lit(None, dtype=pl.String).alias("given"),
    )
    both = pl.concat([breached.match_to_schema(broken.schema), broken])
    counted = both.with_columns(pl.int_range(pl.len()).over("raw").alias("occurrence"))
    known = dict(opened.select("row", "raw").iter_rows())
    ids = [
        given if given is not None and known.get(given) == raw else row_id(raw, occurrence=count)
        for raw, given, count in counted.select("raw", "given", "occurrence").iter_rows()
    ]
    return counted.select(
        pl.Series("row", ids, dtype=pl.String),
        "file",
        "line",
        "reasons",
        "raw",
        pl.lit(None, dtype=pl.Int64).alias("corrected_in"),
    ).match_to_schema(QUARANTINE_SCHEMA)


def _as_list(reasons: Iterable[str]) -> str:
    return json.dumps(list(reasons), ensure_ascii=False)


def _named(raw: str, names: Sequence[str]) -> str:
    """Give the values of a row that does not fit the header the names they stand under."""
    content: dict[str, Any] = json.loads(raw)
    fields = content.get("_fields")
    if fields is None:
        named = dict.fromkeys(names) | content
    else:
        named = dict.fromkeys(names) | dict(zip(names, fields, strict=False))
        if len(fields) > len(names):
            named["_extra"] = fields[len(names) :]
    return json.dumps(named, ensure_ascii=False)


def _corrected(
    batch: _Batch,
    good: pl.DataFrame,
    breached: pl.DataFrame,
    opened: pl.DataFrame,
    *,
    settings: DatasetSettings,
    mirror: bool,
) -> tuple[str, ...]:
    """Return the quarantined rows that this batch puts right, or holds in another bad form.

    They came again by their id, a good row has their key, or their source no longer has them.
    """
    came = [] if batch.again is None else batch.again.to_list()
    if mirror:
        came += opened["row"].to_list()
    else:
        came += rows_of_keys(opened, good, key=key_columns(settings))
    still = {*breached["row"], *batch.held}
    there = set(opened["row"])
    return tuple(row for row in dict.fromkeys(came) if row in there and row not in still)


def _require_known(held: Sequence[str], opened: pl.DataFrame) -> None:
    unknown = [row for row in held if row not in opened["row"]]
    if unknown:
        raise UnknownNameError(
            f"Cannot keep row {unknown[0]} in quarantine: it is not there",
            cause=f"its {_EXTRA} is not empty, so it cannot become a row of the dataset either",
            attempt=f"empty {_EXTRA} in that row, or export the quarantine again",
            code="bucle-135",
        )
