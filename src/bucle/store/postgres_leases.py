"""Leases in PostgreSQL beside the log that they fence, for processes on several machines.

Imports psycopg, an extra of the package, when it is used.
"""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bucle.errors import LeaseTakenError
from bucle.store.leases import released, renewed, taken
from bucle.store.postgres_access import PostgresAccess
from bucle.store.queries import load_queries
from bucle.types import Lease

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresLeases", "find_lease"]


class PostgresLeases:
    """Leases of a project in the schema of its log; one object may be shared by threads.

    A process that is paused in the middle of a commit keeps the others out for 10 s; then the
    database ends its session, and the commit with it. Paused in the middle of a statement, it is
    ended by whoever has waited for it in vain, who then has to try again.

    Args:
        address: The database, as `postgresql://user@host/database`.
        schema: Where in it the log is; made when the first lease is taken.
    """

    def __init__(self, address: str, *, schema: str = "bucle") -> None:
        self._access = PostgresAccess(address, schema=schema)
        self._sql = {name: text.encode() for name, text in load_queries("postgres").items()}

    def read(self, name: str) -> Lease | None:
        """Return a lease as it stands; None when nobody has ever taken it."""
        with self._access.reading() as connection:
            return find_lease(connection, name) if connection is not None else None

    def take(self, name: str, *, holder: str, over: Lease | None) -> Lease:
        """Take a lease that still is as it was read.

        Raises:
            LeaseTakenError: It is not as `over` any more.
            OutsideError: The database cannot be asked.
        """
        return self._put(name, lambda found: taken(found, name=name, holder=holder, over=over))

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life.

        Raises:
            LeaseTakenError: Another has taken it, or it was released.
            OutsideError: The database cannot be asked.
        """
        return self._put(lease.name, lambda found: renewed(found, lease))

    def release(self, lease: Lease) -> None:
        """Give a lease up; nothing happens when another has taken it."""
        with contextlib.suppress(LeaseTakenError):
            self._put(lease.name, lambda found: released(found, lease))

    def close(self) -> None:
        """Let go of the connection; the next use makes another."""
        self._access.close()

    def _put(self, name: str, change: Callable[[Lease | None], Lease]) -> Lease:
        """Write what a change makes of a lease, in one commit."""
        with self._access.writing() as connection:
            connection.execute(self._sql["hold_leases"])
            lease = change(find_lease(connection, name))
            row = (lease.name, lease.holder, lease.token, lease.beat, lease.released)
            connection.execute(self._sql["put_lease"], row)
        return lease


def find_lease(
    connection: "psycopg.Connection[Any]", name: str, *, is_writer: bool = False
) -> Lease | None:
    """Return a lease as it stands; None when nobody has ever taken it.

    Args:
        connection: To the log's schema.
        name: The lease.
        is_writer: It must not change until the end of this transaction.
    """
    query = load_queries("postgres")["find_lease_of_writer" if is_writer else "find_lease"]
    row = connection.execute(query.encode(), (name,)).fetchone()
    if row is None:
        return None
    return Lease(name=row[0], holder=row[1], token=row[2], beat=row[3], released=row[4])
