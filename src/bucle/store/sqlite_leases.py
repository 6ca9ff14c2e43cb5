"""Leases in the SQLite file of the log, so that a lease and an append are asked in one commit.

The table is made when the first lease is taken; a log without it, and an older Bucle with it, go
on as before. Imports sqlite3, msgspec and the standard library only.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from bucle.errors import LeaseTakenError
from bucle.store.leases import released, renewed, taken
from bucle.store.locks import exclusive
from bucle.store.queries import load_queries
from bucle.store.sqlite_access import SqliteAccess
from bucle.types import Lease

__all__ = ["SqliteLeases", "find_lease"]


class SqliteLeases:
    """Leases of a project in its log's file; one object may be shared by threads.

    Taking and releasing wait for the disk; a sign of life does not, because a loss of power ends
    the holder too. A process that is stopped in the middle of a commit keeps everybody from
    writing until it goes on or is killed: then each act here ends with bucle-303 after a while.

    Args:
        path: The database file, such as `log.db`; made when the first lease is taken.
        wait_s: Seconds to wait for another process that is writing.
    """

    def __init__(self, path: Path, *, wait_s: float = 5.0) -> None:
        self.path = path
        self._wait_s = wait_s
        self._sql = load_queries("leases")
        self._commit = load_queries("log")["commit"]
        self._access = SqliteAccess(path, prepare=self._prepare)

    def read(self, name: str) -> Lease | None:
        """Return a lease as it stands; None when nobody has ever taken it."""
        with self._access.reading() as connection:
            return find_lease(connection, name) if connection is not None else None

    def take(self, name: str, *, holder: str, over: Lease | None) -> Lease:
        """Take a lease that still is as it was read; on the disk when it returns.

        Raises:
            LeaseTakenError: It is not as `over` any more.
            OutsideError: The disk is full, or another process has been writing for too long.
        """

        def change(found: Lease | None) -> Lease:
            return taken(found, name=name, holder=holder, over=over)

        if self._is_made():
            return self._put(name, change, durable=True)
        with exclusive(self.path.with_suffix(".lock"), wait_s=self._wait_s):
            return self._put(name, change, durable=True)

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life.

        Raises:
            LeaseTakenError: Another has taken it, or it was released.
            OutsideError: The disk is full, or another process has been writing for too long.
        """
        if not self._is_made():
            return renewed(None, lease)
        return self._put(lease.name, lambda found: renewed(found, lease), durable=False)

    def release(self, lease: Lease) -> None:
        """Give a lease up; nothing happens when another has taken it."""
        if self._is_made():
            with contextlib.suppress(LeaseTakenError):
                self._put(lease.name, lambda found: released(found, lease), durable=True)

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        self._access.close()

    def _is_made(self) -> bool:
        with self._access.reading() as connection:
            return connection is not None

    def _put(self, name: str, change: Callable[[Lease | None], Lease], *, durable: bool) -> Lease:
        """Write what a change makes of a lease, in one commit."""
        with self._access.guard:
            with self._access.reading() as connection:
                if connection is not None:
                    connection.execute(
                        self._sql["wait_for_disk" if durable else "beat_without_disk"]
                    )
            with self._access.writing() as connection:
                connection.execute(self._sql["create"])
                lease = change(find_lease(connection, name))
                row = (lease.name, lease.holder, lease.token, lease.beat, lease.released)
                connection.execute(self._sql["put"], row)
                connection.execute(self._commit)
        return lease

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA busy_timeout = {round(self._wait_s * 1000)}")


def find_lease(connection: sqlite3.Connection, name: str) -> Lease | None:
    """Return a lease as it stands in the file of a log; None when nobody has ever taken it."""
    sql = load_queries("leases")
    if not connection.execute(sql["is_made"]).fetchone()[0]:
        return None
    row = connection.execute(sql["find"], (name,)).fetchone()
    if row is None:
        return None
    name, holder = row[0].decode(), row[1].decode()
    return Lease(name=name, holder=holder, token=row[2], beat=row[3], released=bool(row[4]))
