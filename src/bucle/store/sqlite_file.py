"""The SQLite file of a log: opening it under every circumstance, and what its errors mean.

Imports nothing heavy.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bucle.errors import BucleError, LogDamagedError, LogError, NotDurableError, OutsideError
from bucle.store.files import sync_folder
from bucle.store.queries import load_queries

__all__ = [
    "FORMAT",
    "create_database",
    "find_fault",
    "open_database",
    "open_snapshot",
    "refused_sync",
    "translated_sqlite",
]

# The layout of the database; a log with a higher one is left alone.
FORMAT = 1

_APPLICATION = 0x4255434C  # "BUCL"
_BUSY_TIMEOUT_S = 30.0
_ROOM = 65_536
# Only SQLite's primary codes; the rest of the word says more about the same.
_PRIMARY = 0xFF
_SOUND_HEADERS = {b"\x01\x01", b"\x02\x02"}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_NOT_DURABLE = {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}
_OUTSIDE = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_INTERRUPT,
}


def open_database(path: Path) -> sqlite3.Connection | None:
    """Open an existing log for reading and writing; each commit waits for the disk.

    Returns:
        The connection; None when the making of the log was interrupted and nothing is in it.

    Raises:
        LogError: The log was written by a newer Bucle.
        LogDamagedError: The file is not a log.
        sqlite3.Error: The file cannot be opened this way; try `open_snapshot`.
    """
    connection = _connect(path, "mode=rw")
    try:
        if _is_unborn(connection):
            connection.close()
            return None
        _refuse_stranger(connection, path)
        _make_durable(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_snapshot(path: Path) -> sqlite3.Connection | None:
    """Open a log in a place that cannot be written or is full, for reading what it holds now.

    SQLite needs to write beside a database to read its write-ahead file, so where one stands both
    are read from a copy.
    """
    beside = path.with_name(path.name + "-wal")
    if not beside.exists() or beside.stat().st_size == 0:
        connection = _connect(path, "mode=ro&immutable=1")
    else:
        with tempfile.TemporaryDirectory(prefix="bucle-log-") as folder:
            copy = Path(folder) / path.name
            shutil.copyfile(path, copy)
            shutil.copyfile(beside, copy.with_name(beside.name))
            connection = _connect(":memory:", "")
            with contextlib.closing(_connect(copy, "mode=rw")) as source:
                source.backup(connection)
    try:
        if _is_unborn(connection):
            connection.close()
            return None
        _refuse_stranger(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def create_database(path: Path) -> sqlite3.Connection:
    """Make an empty log, or finish one whose making was interrupted; the caller holds the lock.

    Raises:
        LogDamagedError: There is a file, and it is neither empty nor a log.
    """
    sql = load_queries("log")
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect(path, "mode=rwc")
    try:
        _make_durable(connection)
        if _is_unborn(connection):
            connection.execute(sql["begin"])
            connection.execute(sql["create_events"])
            connection.execute(sql["create_torn"])
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute(sql["commit"])
            # The empty log is in the file itself: a lost write-ahead file cannot unmake it.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _refuse_stranger(connection, path)
        _sync_name(path)
    except BaseException:
        connection.close()
        raise
    return connection


def find_fault(connection: sqlite3.Connection) -> str:
    """Return what SQLite's own check of the file finds; empty when it finds nothing."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return "" if found == b"ok" else bytes(found).decode("utf-8", "replace")


@contextlib.contextmanager
def translated_sqlite(path: Path, *, position: int) -> Iterator[None]:
    """Turn SQLite's errors into Bucle's.

    Args:
        path: The log.
        position: The first event that is not known to be good, for errors that mean damage.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        # What SQLite says of a damaged file can quote the damage.
        cause = "SQLite cannot read the file"
        raise LogDamagedError(position=position, cause=cause) from error
    except sqlite3.Error as error:
        raise _meaning(error, path, position) from error


class _Connection(sqlite3.Connection):
    """A connection that this module knows of for as long as it lives."""

    file: tuple[int, int] | None = None
    is_header_sound = True

    def close(self) -> None:
        """Let go of the file, and of its name, which another file may get."""
        super().close()
        self.file = None


_guard = threading.Lock()
_living: weakref.WeakSet[_Connection] = weakref.WeakSet()


def _connect(path: Path | str, mode: str) -> _Connection:
    """Open a file by URI; text comes as bytes, so that damaged text can be looked at."""
    address = f"file:{quote(str(path))}?{mode}" if mode else str(path)
    with _guard:
        file = _identity(path)
        # POSIX drops every lock of a process on a file when any of its descriptors is closed; a
        # connection robbed of its lock loses what it writes. So never beside a living one.
        alone = file is not None and all(other.file != file for other in _living)
        is_header_sound = _has_sound_header(path) if alone else True
        connection = sqlite3.connect(
            address,
            uri=bool(mode),
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        # A new file is there from now on.
        connection.file = file or _identity(path)
        connection.is_header_sound = is_header_sound
        _living.add(connection)
    connection.text_factory = bytes
    return connection


def _identity(path: Path | str) -> tuple[int, int] | None:
    """Return which file a path means; None when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  (a path or the name of a database in memory)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _has_sound_header(path: Path | str) -> bool:
    """Tell whether SQLite may read and write a file; else it may read only, without a word."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  (as above)
            return stream.read(20)[18:] in {b"", *_SOUND_HEADERS}
    except OSError:
        return True


def _make_durable(connection: sqlite3.Connection) -> None:
    """Write ahead and wait for the disk at each commit; macOS needs to be asked for that twice."""
    for setting in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
        # Only at its end does a statement say that its own commit failed.
        connection.execute(f"PRAGMA {setting}").fetchall()


def _number(connection: sqlite3.Connection, query: str) -> int:
    """Return the one number a query gives."""
    return int(connection.execute(query).fetchone()[0])


def _is_unborn(connection: sqlite3.Connection) -> bool:
    """Tell a database in which nothing has ever been committed."""
    marks = ("PRAGMA user_version", "PRAGMA application_id", load_queries("log")["count_tables"])
    return not any(_number(connection, mark) for mark in marks)


def _refuse_stranger(connection: _Connection, path: Path) -> None:
    """Refuse a database that this version of Bucle did not make."""
    found = _number(connection, "PRAGMA user_version")
    if _number(connection, "PRAGMA application_id") != _APPLICATION or found < FORMAT:
        raise LogDamagedError(position=1, cause=f"{str(path)!r} does not say that it is a log")
    if not connection.is_header_sound:
        raise LogDamagedError(position=1, cause=f"the header of {str(path)!r} is damaged")
    if found > FORMAT:
        raise LogError(
            f"Cannot open the log {str(path)!r}: a newer Bucle wrote it",
            cause=f"its format is {found}, this version reads {FORMAT}",
            attempt="pip install --upgrade bucle",
            code="bucle-204",
        )


def refused_sync(path: Path, *, cause: str) -> NotDurableError:
    """Build the error for a log that this process must not write any more."""
    return NotDurableError(
        f"Cannot write to the log {str(path)!r} any more",
        cause=cause,
        attempt="see to the disk, then start again: what was acknowledged is checked then",
    )


def _sync_name(path: Path) -> None:
    """Wait until the disk has the name of a new log."""
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise refused_sync(path, cause=f"the disk failed to keep its name ({error})") from error


def _is_full(folder: Path) -> bool:
    """Tell whether a disk lacks the room that SQLite needs beside a log even to open it."""
    try:
        return shutil.disk_usage(folder).free < _ROOM
    except OSError:
        return False


def _meaning(error: sqlite3.Error, path: Path, position: int) -> BucleError:
    """Say what an error of SQLite means for the log."""
    full_code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    code = full_code & _PRIMARY
    what = f"Cannot use the log {str(path)!r}"
    if full_code in _NOT_DURABLE:
        return refused_sync(path, cause=f"the disk failed to keep what was written ({error})")
    if code == sqlite3.SQLITE_FULL or (code in _READ_ONLY | _OUTSIDE and _is_full(path.parent)):
        return OutsideError(
            what,
            cause=f"the disk is full ({error})",
            attempt="free some space, then the same command again",
            code="bucle-301",
        )
    if code in _READ_ONLY:
        return OutsideError(
            what,
            cause=f"it may only be read ({error})",
            attempt=f"chmod -R u+w {str(path.parent)!r}, or copy the project to a place of yours",
            code="bucle-302",
        )
    if code in _BUSY:
        return OutsideError(
            what,
            cause=f"another process has held it for more than {_BUSY_TIMEOUT_S:g} s",
            attempt=f"fuser {str(path)!r}  (shows who holds it)",
            code="bucle-303",
        )
    if code in _OUTSIDE:
        return OutsideError(what, cause=f"the disk failed ({error})", code="bucle-304")
    return LogDamagedError(position=position, cause=f"SQLite says: {error}")
