"""Rows of one query, from SQLite or PostgreSQL, read only.

The query comes from the settings, never from data. Must not import contracts or tables.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bucle.charter.addresses import hide_passwords, sqlite_path
from bucle.charter.settings import DatasetSettings
from bucle.data.headers import clean_names
from bucle.data.records import build_columns
from bucle.data.rows import BROKEN_SCHEMA, ORIGIN_SCHEMA, SourceFile, SourceRows
from bucle.errors import OutsideError, SourceError
from bucle.ids import digest_bytes

__all__ = ["read_query"]

_MAX_ROWS = 50_000_000
_BLOCK_ROWS = 10_000
_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}


def read_query(url: str, *, settings: DatasetSettings, root: Path | None = None) -> SourceRows:
    """Run the settings' query in a transaction that cannot write and return its rows.

    A relative SQLite path is taken from `root`. PostgreSQL is read through a cursor on the
    server and needs the extra `bucle[postgres]`.

    Raises:
        SourceError: There is no query, it is refused, the file is no database, or psycopg is
            missing.
        OutsideError: The database cannot be reached.
    """
    query = (settings.query or "").strip()
    shown = hide_passwords(url)
    if not query:
        raise SourceError(
            f"Cannot read from {shown}: there is no query",
            attempt='query = "SELECT * FROM sales" beside the source in bucle.toml',
            code="bucle-128",
        )
    if url.startswith("sqlite:"):
        names, rows = _from_sqlite(url, query, shown, root or Path())
    else:
        names, rows = _from_postgres(url, query, shown)
    usable, notes = clean_names(names, where=shown)
    columns = zip(*rows, strict=True) if rows else ((),) * len(usable)
    frame, coercions = build_columns(usable, (list(column) for column in columns))
    content = json.dumps([query, usable, rows], default=str).encode("utf-8", "surrogatepass")
    file = SourceFile(
        name=shown,
        format="sql",
        bytes=len(content),
        digest=digest_bytes(content),
        rows=frame.height,
    )
    lines = list(range(1, frame.height + 1))
    return SourceRows(
        frame=frame,
        origin=pl.DataFrame({"file": [shown] * len(lines), "line": lines}, schema=ORIGIN_SCHEMA),
        broken=pl.DataFrame(schema=BROKEN_SCHEMA),
        coercions=coercions,
        files=(file,),
        notes=notes,
    )


def _from_sqlite(
    url: str, query: str, shown: str, root: Path
) -> tuple[list[str], list[tuple[Any, ...]]]:
    # Three slashes lead to a relative path and four to an absolute one, as SQLAlchemy has it.
    path = root / sqlite_path(url)
    if not path.is_file():
        raise SourceError(f"Cannot read {shown}: there is no such file", code="bucle-121")
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise OutsideError(f"Cannot open {shown}", cause=str(error), code="bucle-129") from error
    try:
        connection.set_authorizer(_only_reading)
        cursor = connection.execute(query)
        if cursor.description is None:
            raise _refused(shown, "it returns no rows")
        names = [column[0] for column in cursor.description]
        return names, _fetch(iter(lambda: cursor.fetchmany(_BLOCK_ROWS), []), shown)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _refused(shown, str(error)) from error
    finally:
        connection.close()


def _only_reading(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _from_postgres(url: str, query: str, shown: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    try:
        import psycopg  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise SourceError(
            f"Cannot read {shown}: psycopg is not installed",
            attempt="pip install 'bucle[postgres]'",
            code="bucle-128",
        ) from error
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            connection.read_only = True
            with connection.cursor(name="bucle") as cursor:
                cursor.execute(query.encode())
                names = [column.name for column in cursor.description or ()]
                blocks = iter(lambda: cursor.fetchmany(_BLOCK_ROWS), [])
                return names, _fetch(blocks, shown)
    except psycopg.OperationalError as error:
        cause = hide_passwords(str(error).split("\n", 1)[0])
        raise OutsideError(f"Cannot reach {shown}", cause=cause, code="bucle-129") from error
    except psycopg.Error as error:
        raise _refused(shown, hide_passwords(str(error).split("\n", 1)[0])) from error


def _fetch(blocks: Iterable[Sequence[tuple[Any, ...]]], shown: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for block in blocks:
        rows.extend(block)
        if len(rows) > _MAX_ROWS:
            raise SourceError(
                f"Cannot read {shown}: the query gives more than {_MAX_ROWS:,} rows",
                attempt="narrow the query with WHERE",
                code="bucle-124",
            )
    return rows


def _refused(shown: str, cause: str) -> SourceError:
    return SourceError(
        f"Cannot run the query on {shown}",
        cause=cause,
        attempt="one SELECT; other statements are not allowed",
        code="bucle-128",
    )
