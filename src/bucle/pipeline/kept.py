"""Small texts kept under a key: what was worked out once and can be worked out again.

A text that is missing or damaged counts as not kept. Must not import anything heavy.
"""

import sqlite3
import time
import weakref
from pathlib import Path
from typing import Protocol

from bucle.errors import OutsideError
from bucle.ids import digest_bytes
from bucle.store.files import translated_errors
from bucle.store.queries import load_queries

__all__ = ["FileKept", "Kept", "MemoryKept"]


_WAIT_S = 30
_PAUSE_S = 0.005


class Kept(Protocol):
    """Small texts under keys.

    Guarantees: a text is kept whole or not at all and given back only if it is what was kept;
    safe for concurrent use, where the last writer of a key wins.
    """

    def get(self, kind: str, key: str) -> bytes | None:
        """Return what is kept under a key, None if nothing or nothing whole is."""
        ...

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Keep a text."""
        ...


class FileKept:
    """Texts in one SQLite file of a folder, each with its digest before it.

    One file, because making a file for each text takes longer than a small step. Nothing waits
    for the disk. A file that SQLite cannot read is removed and begun anew.

    Args:
        folder: Where the file is kept; made at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "kept.db"
        self._queries = load_queries("kept")
        self._connection: sqlite3.Connection | None = None

    def get(self, kind: str, key: str) -> bytes | None:
        """Return what is kept under a key, None if nothing or nothing whole is."""
        if self._connection is None and not self.path.exists():
            return None
        try:
            row = self._connected().execute(self._queries["look"], (kind, key)).fetchone()
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError:
            self._begin_anew()
            return None
        if row is None or not isinstance(row[0], bytes):
            return None
        digest, _, content = row[0].partition(b"\n")
        return content if digest == digest_bytes(content).encode() else None

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Keep a text.

        Raises:
            OutsideError: The folder cannot be written, or its disk is full.
        """
        whole = digest_bytes(content).encode() + b"\n" + content
        try:
            try:
                self._connected().execute(self._queries["keep"], (kind, key, whole))
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._begin_anew()
                self._connected().execute(self._queries["keep"], (kind, key, whole))
        except sqlite3.Error as error:
            raise OutsideError(
                f"Cannot write {str(self.path)!r}",
                cause=str(error),
                where=str(self.path.parent),
                attempt="free some space or make the folder writable, then the same command again",
                code="bucle-156",
            ) from error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            with translated_errors("write", self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            weakref.finalize(self, connection.close)
            _use_journal(connection, self._queries["journal"])
            for name in ("relaxed", "create"):
                connection.execute(self._queries[name])
            self._connection = connection
        return self._connection

    def _begin_anew(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        # The journal goes first: one that is left would be played into the new file.
        for suffix in ("-wal", "-shm", ""):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


def _use_journal(connection: sqlite3.Connection, query: str) -> None:
    """Change to the journal that lets readers go on.

    While another process makes the same change SQLite refuses at once, whatever its timeout.
    """
    for _ in range(int(_WAIT_S / _PAUSE_S)):
        try:
            connection.execute(query)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_PAUSE_S)
        else:
            return
    connection.execute(query)


class MemoryKept:
    """Texts that end with their process."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        """Return what is kept under a key."""
        return self._texts.get((kind, key))

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Keep a text."""
        self._texts[kind, key] = bytes(content)
