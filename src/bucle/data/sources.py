"""Sources: files and queries as they are in the world, read into rows with exact reports.

Chooses the reader for each file and unites what several give. Must not import contracts, tables
or anything above `data`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from bucle.charter.settings import DatasetSettings
from bucle.data.columnar import read_arrow, read_parquet
from bucle.data.delimited import read_delimited
from bucle.data.files import MAX_BYTES, Snapshot, read_snapshot, unpack_gzip
from bucle.data.places import expand_glob, is_query_url
from bucle.data.records import read_json_lines
from bucle.data.rows import BROKEN_SCHEMA, ORIGIN_SCHEMA, SourceFile, SourceRows
from bucle.data.sql import read_query
from bucle.data.text import decode_text
from bucle.errors import SourceError, nearest

__all__ = ["format_of", "read_source"]

_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}


def read_source(
    source: Sequence[Path | str] | Path | str,
    settings: DatasetSettings,
    *,
    root: Path | None = None,
    max_bytes: int = MAX_BYTES,
) -> SourceRows:
    """Read one or more files, or a query, into rows.

    Each file is read once, as it was when it was opened; rows keep the order of the files. The
    columns of several files must be the same; numbers of different width are widened.

    Args:
        source: Paths or a database URL; a glob in a path is expanded.
        settings: How to read: encoding, separator, null values, query.
        root: Names of files within it are shown relative to it; a relative SQLite path starts
            here.
        max_bytes: The most one file may hold, packed or not.

    Raises:
        SourceError: Something cannot be read as asked; names the file and, where there is one,
            the line or byte.
        OutsideError: A disk or a database failed.
    """
    given = [source] if isinstance(source, Path | str) else list(source)
    parts = [
        read_query(str(item), settings=settings, root=root)
        if isinstance(item, str) and is_query_url(item)
        else _read_file(item, settings, root, max_bytes)
        for item in _expand(given)
    ]
    united = _unite(parts)
    if not united.frame.height and not united.broken.height:
        names = ", ".join(file.name for file in united.files)
        raise SourceError(f"Cannot use {names}: there is a header and no row", code="bucle-121")
    return united


def _expand(given: Sequence[Path | str]) -> list[Path | str]:
    expanded: list[Path | str] = []
    for item in given:
        if isinstance(item, str) and is_query_url(item):
            expanded.append(item)
            continue
        expanded.extend(expand_glob(str(item), base=Path()))
    if not expanded:
        raise SourceError(
            "Cannot read data: no file is named",
            attempt="bucle data add NAME FILE",
            code="bucle-121",
        )
    return expanded


def _read_file(
    item: Path | str, settings: DatasetSettings, root: Path | None, max_bytes: int
) -> SourceRows:
    path = Path(item)
    snapshot = read_snapshot(path, name=_shown(path, root), max_bytes=max_bytes)
    plain = unpack_gzip(snapshot, max_bytes=max_bytes)
    kind = settings.format or format_of(plain.name, plain.content)
    delimited = partial(read_delimited, settings=settings)
    readers: dict[str, Callable[[], SourceRows]] = {
        "csv": lambda: _read_text(plain, settings, delimited),
        "jsonl": lambda: _read_text(plain, settings, read_json_lines),
        "parquet": lambda: read_parquet(plain.content, name=plain.name),
        "arrow": lambda: read_arrow(plain.content, name=plain.name),
    }
    if kind not in readers:
        raise SourceError(
            f"Cannot read {plain.name} as {kind}",
            cause="a query needs the URL of a database as its source",
            attempt='source = "sqlite:///shop.db"',
            code="bucle-128",
        )
    rows = readers[kind]()
    if not rows.frame.height and rows.broken.height:
        first = rows.broken.row(0, named=True)
        raise SourceError(
            f"Cannot use {plain.name}: none of its {rows.broken.height:,} rows fits",
            cause=f"line {first['line']}: {first['reason']}",
            attempt="the right separator, format or header",
            code="bucle-125",
        )
    file = SourceFile(
        name=plain.name,
        format=kind,
        bytes=len(snapshot.content),
        digest=snapshot.digest,
        rows=rows.frame.height + rows.broken.height,
    )
    return SourceRows(
        frame=rows.frame,
        origin=rows.origin,
        broken=rows.broken,
        coercions=rows.coercions,
        files=(file,),
        notes=(*rows.notes, *_growth_note(snapshot)),
    )


_Reader = Callable[..., SourceRows]


def _read_text(plain: Snapshot, settings: DatasetSettings, reader: _Reader) -> SourceRows:
    text = decode_text(plain.content, name=plain.name, encoding=settings.encoding)
    content = _whole_lines(text.content) if plain.grown else text.content
    rows = reader(content, name=plain.name)
    return SourceRows(
        frame=rows.frame,
        origin=rows.origin,
        broken=rows.broken,
        coercions=rows.coercions,
        notes=(*text.notes, *rows.notes),
    )


def _whole_lines(content: bytes) -> bytes:
    """Leave out the last line of a file that was being written: it may be half there."""
    end = max(content.rfind(b"\n"), content.rfind(b"\r"))
    return content[: end + 1]


def _growth_note(snapshot: Snapshot) -> tuple[str, ...]:
    if not snapshot.grown:
        return ()
    size = len(snapshot.content)
    return (f"{snapshot.name}: it grew while it was read; its first {size:,} bytes were taken",)


def format_of(name: str, content: bytes) -> str:
    """Return the format of a file by its name, or by how it begins.

    Raises:
        SourceError: Neither tells.
    """
    suffix = Path(name.removesuffix(".gz")).suffix.lower()
    if suffix in _FORMATS:
        return _FORMATS[suffix]
    for mark, kind in ((b"PAR1", "parquet"), (b"ARROW1", "arrow")):
        if content.startswith(mark):
            return kind
    raise SourceError(
        f"Cannot tell the format of {name}",
        cause="its name ends in " + (f"'{suffix}'" if suffix else "nothing known"),
        did_you_mean=nearest(suffix, list(_FORMATS)),
        attempt='format = "csv" (or parquet, jsonl, arrow) in the dataset\'s section',
        code="bucle-123",
    )


def _shown(path: Path, root: Path | None) -> str:
    if root is not None and path.is_absolute() and path.is_relative_to(root):
        return str(path.relative_to(root))
    return str(path)


def _unite(parts: Sequence[SourceRows]) -> SourceRows:
    if len(parts) == 1:
        return parts[0]
    notes = [note for part in parts for note in part.notes]
    frames = _one_schema(parts, notes)
    return SourceRows(
        frame=pl.concat(frames),
        origin=pl.concat([pl.DataFrame(schema=ORIGIN_SCHEMA), *(part.origin for part in parts)]),
        broken=pl.concat([pl.DataFrame(schema=BROKEN_SCHEMA), *(part.broken for part in parts)]),
        coercions=tuple(coercion for part in parts for coercion in part.coercions),
        files=tuple(file for part in parts for file in part.files),
        notes=tuple(notes),
    )


def _one_schema(parts: Sequence[SourceRows], notes: list[str]) -> list[pl.DataFrame]:
    """Bring every file to the columns of the first one, widening numbers where needed."""
    first, columns = parts[0].files[0].name, parts[0].frame.columns
    for part in parts[1:]:
        _refuse_other_columns(first, columns, part)
    wanted = {}
    for column in columns:
        types = list(dict.fromkeys(part.frame.schema[column] for part in parts))
        wanted[column] = _widest(column, types, parts)
        if len(types) > 1:
            words = ", ".join(str(dtype) for dtype in types)
            notes.append(f"column '{column}' is {words} in different files: {wanted[column]}")
    return [part.frame.select(columns).cast(wanted) for part in parts]  # type: ignore[arg-type]


def _refuse_other_columns(first: str, columns: Sequence[str], part: SourceRows) -> None:
    here = part.files[0].name
    missing = [name for name in columns if name not in part.frame.columns]
    extra = [name for name in part.frame.columns if name not in columns]
    if missing or extra:
        lack = f"{here} has no " + ", ".join(map(repr, missing[:5])) if missing else ""
        more = f"{first} has no " + ", ".join(map(repr, extra[:5])) if extra else ""
        raise SourceError(
            f"Cannot read {first} and {here} together: their columns differ",
            cause="; ".join(filter(None, (lack, more))),
            did_you_mean=nearest((missing or extra)[0], extra if missing else list(columns)),
            attempt="add the files one at a time, or give them the same columns",
            code="bucle-125",
        )


def _widest(column: str, types: Sequence[pl.DataType], parts: Sequence[SourceRows]) -> pl.DataType:
    """Return the type that holds every file's values as they are."""
    real = [dtype for dtype in types if dtype != pl.Null]
    if len(real) <= 1:
        return real[0] if real else types[0]
    if all(dtype.is_integer() for dtype in real):
        return pl.Int64()
    if all(dtype.is_numeric() for dtype in real) and not any(dtype.is_decimal() for dtype in real):
        return pl.Float64()
    if all(dtype.is_temporal() for dtype in real) and pl.Time not in real:
        zones = {getattr(dtype, "time_zone", None) for dtype in real}
        if len(zones) == 1:
            return pl.Datetime("us", zones.pop())
    shown = "; ".join(f"{part.files[0].name}: {part.frame.schema[column]}" for part in parts[:4])
    raise SourceError(
        f"Cannot read the files together: column '{column}' has different types",
        cause=shown,
        attempt="add the files one at a time; the contract then brings them to one type",
        code="bucle-125",
    )
