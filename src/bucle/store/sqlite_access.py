"""The way to the SQLite file of a log: opened when needed, shared by threads, outlives forks.

Imports nothing heavy.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from bucle.errors import NotDurableError
from bucle.store.queries import load_queries
from bucle.store.sqlite_file import (
    create_database,
    open_database,
    open_snapshot,
    refused_sync,
    translated_sqlite,
)

__all__ = ["SqliteAccess"]

_UNOPENABLE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
}

# After a failure the kernel forgets what it did not write: asking again would succeed and be wrong.
_unsynced: set[Path] = set()


class SqliteAccess:
    """Lends one connection to the file of a log, to one thread at a time.

    Args:
        path: The database file.
        prepare: Called with each connection that was opened for writing.
    """

    def __init__(
        self, path: Path, *, prepare: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        self.path = path
        self.guard = threading.RLock()
        self._prepare = prepare
        self._sql = load_queries("log")
        self._connection: sqlite3.Connection | None = None
        self._inherited: sqlite3.Connection | None = None
        self._process = 0

    @contextlib.contextmanager
    def reading(self, *, position: int = 1) -> Iterator[sqlite3.Connection | None]:
        """Lend the connection for one query; None when there is no log yet.

        Args:
            position: The first event that is not known to be good, for errors that mean damage.
        """
        with self.guard, translated_sqlite(self.path, position=position):
            yield self._opened()

    @contextlib.contextmanager
    def writing(self, *, position: int = 1) -> Iterator[sqlite3.Connection]:
        """Lend the connection inside a transaction that is undone unless it was committed.

        A log that is not there yet is made: then the caller holds the log's lock.

        Args:
            position: The first event that is not known to be good, for errors that mean damage.

        Raises:
            NotDurableError: The disk has failed to keep a write of this process, now or before.
        """
        if self.path in _unsynced:
            raise refused_sync(self.path, cause="the disk failed to keep an earlier write")
        with self.guard, _remembered(self.path), translated_sqlite(self.path, position=position):
            connection = self._opened()
            if connection is None:
                connection = self._connection = create_database(self.path)
                self._process = os.getpid()
                self._made_ready(connection)
            try:
                connection.execute(self._sql["begin"])
                yield connection
            except (sqlite3.Error, UnicodeDecodeError):
                # A connection whose write failed is not asked again.
                self.close()
                raise
            finally:
                if self._connection is not None and connection.in_transaction:
                    connection.execute(self._sql["rollback"])

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self.guard:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
                self._connection = None

    def _opened(self) -> sqlite3.Connection | None:
        """Return this process's connection; None when there is no log yet."""
        if self._connection is not None and self._process == os.getpid():
            return self._connection
        # One that came through a fork must be neither used nor closed here.
        self._inherited, self._connection = self._connection, None
        if not self.path.exists():
            return None
        self._process = os.getpid()
        try:
            self._connection = open_database(self.path)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _UNOPENABLE:
                raise
            self._connection = open_snapshot(self.path)
        else:
            if self._connection is not None:
                self._made_ready(self._connection)
        return self._connection

    def _made_ready(self, connection: sqlite3.Connection) -> None:
        if self._prepare is not None:
            self._prepare(connection)


@contextlib.contextmanager
def _remembered(path: Path) -> Iterator[None]:
    """Remember that a file could not be made durable, for as long as this process lives."""
    try:
        yield
    except NotDurableError:
        _unsynced.add(path)
        raise
