"""A process's way to a log in PostgreSQL: connected when needed, shared by threads, outlives forks.

Imports psycopg, an extra of the package, when it connects; nothing else that is heavy.
"""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bucle.errors import BucleError, LogError, OutsideError, RequestError
from bucle.store.queries import load_queries

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresAccess"]

# The layout of the tables; a log with a higher one is left alone.
_FORMAT = 1
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PASSWORDS = re.compile(r"//[^@\s]*@")
_CONNECT_S = 10


class PostgresAccess:
    """Lends one connection to one thread at a time; a broken one is replaced at the next use.

    Args:
        address: The database, as `postgresql://user@host/database`.
        schema: Where in it the log's tables are, made when missing: a-z, 0-9 and `_`.

    Raises:
        RequestError: The schema has no such name.
    """

    def __init__(self, address: str, *, schema: str = "bucle") -> None:
        if not _SCHEMA.fullmatch(schema):
            raise RequestError(
                f"Cannot keep a log in the schema {schema!r}",
                cause="its name is of a-z, 0-9 and _, begins with a letter and has 63 at most",
                code="bucle-416",
            )
        self.guard = threading.RLock()
        self._address = address
        self._schema = schema
        self._sql = load_queries("postgres")
        self._connection: psycopg.Connection[Any] | None = None
        self._inherited: list[Any] = []
        self._process = 0
        self._is_made = False

    @contextlib.contextmanager
    def reading(self) -> Iterator["psycopg.Connection[Any] | None"]:
        """Lend the connection for queries; None when there is no log yet."""
        with self.guard, self._translated():
            connection = self._connected()
            if not self._is_made:
                self._is_made = bool(self._ask(connection, "is_made")[0])
                if self._is_made:
                    self._refuse_newer(connection)
            yield connection if self._is_made else None

    @contextlib.contextmanager
    def writing(self) -> Iterator["psycopg.Connection[Any]"]:
        """Lend the connection within a transaction, committed at the end; makes the tables."""
        with self.guard, self._translated():
            connection = self._connected()
            if not self._is_made:
                with connection.transaction():
                    connection.execute(self._sql["create_lock"].encode())
                    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}".encode())
                    connection.execute(self._sql["create"].encode())
                self._refuse_newer(connection)
                self._is_made = True
            with connection.transaction():
                yield connection

    def close(self) -> None:
        """Let go of the connection; the next use makes another."""
        with self.guard:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
                self._connection = None

    def _ask(self, connection: "psycopg.Connection[Any]", query: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = connection.execute(self._sql[query].encode()).fetchone()
        return row if row is not None else (None,)

    def _refuse_newer(self, connection: "psycopg.Connection[Any]") -> None:
        found = self._ask(connection, "select_head")[0]
        if found is not None and found > _FORMAT:
            raise LogError(
                f"Cannot open the log in the schema {self._schema!r}: a newer Bucle wrote it",
                cause=f"its format is {found}, this version reads {_FORMAT}",
                attempt="pip install --upgrade bucle",
                code="bucle-204",
            )

    def _connected(self) -> "psycopg.Connection[Any]":
        """Return this process's connection."""
        if self._connection is not None and self._process == os.getpid():
            if not self._connection.closed:
                return self._connection
        elif self._connection is not None:
            # One that came through a fork must be neither used nor closed here.
            self._inherited.append(self._connection)
        self._connection = None
        connection: psycopg.Connection[Any] = _import_psycopg().connect(
            self._address,
            autocommit=True,
            connect_timeout=_CONNECT_S,
            options=f"-c search_path={self._schema}",
            application_name="bucle",
        )
        connection.execute(self._sql["session"].encode())
        self._connection, self._process = connection, os.getpid()
        return connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn psycopg's errors into Bucle's; a connection that failed is not asked again."""
        psycopg = _import_psycopg()
        try:
            yield
        except BucleError:
            raise
        except psycopg.Error as error:
            with contextlib.suppress(psycopg.Error):
                if isinstance(error, psycopg.errors.LockNotAvailable) and self._connection:
                    self._connection.execute(self._sql["end_paused"].encode())
                self.close()
            raise OutsideError(
                f"Cannot use the log in PostgreSQL, schema {self._schema!r}",
                cause=_PASSWORDS.sub("//…@", str(error).split("\n", 1)[0]),
                attempt="see that the database is up and may be written, then the same again",
                code="bucle-415",
            ) from error


def _import_psycopg() -> Any:
    try:
        import psycopg  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise RequestError(
            "Cannot use a log in PostgreSQL: psycopg is not installed",
            attempt="pip install 'bucle[postgres]'",
            code="bucle-417",
        ) from error
    return psycopg
