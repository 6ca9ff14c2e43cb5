"""Versioned tables in memory, for simulation and for tests.

Refuses what tables on a disk refuse. Imports polars.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import polars as pl

from bucle.store.table_form import (
    check_table_name,
    chosen_columns,
    columns_of,
    from_stored,
    has_marks,
    in_order_of,
    is_since,
    to_stored,
    unknown_table,
    unknown_version,
)

__all__ = ["MemoryTables"]


class MemoryTables:
    """Tables that end with their process; safe for threads."""

    def __init__(self) -> None:
        self._versions: dict[str, list[pl.DataFrame]] = {}
        self._marks: dict[str, list[tuple[int, dict[str, int]]]] = {}
        self._bases: dict[str, list[tuple[int, float]]] = {}
        self._first: dict[str, int] = {}
        self._guard = threading.RLock()

    def write(self, name: str, frame: pl.DataFrame, *, mode: Literal["append", "replace"]) -> int:
        """Write rows as a new version and return its number.

        Raises:
            RequestError: The name, a column or (to append) the schema is not one tables take.
        """
        check_table_name(name)
        to_stored(frame, columns_of(frame))
        with self._guard:
            versions = self._versions.get(name, [])
            whole = frame.clone()
            if versions and mode == "append":
                added = in_order_of(columns_of(versions[-1]), frame, name=name)
                whole = pl.concat([versions[-1], added])
            self._versions[name] = [*versions, whole]
            return len(versions)

    def append_once(
        self, name: str, frame: pl.DataFrame, *, marks: Mapping[str, int]
    ) -> int | None:
        """Append rows and their marks in one version; None when the table has them already.

        Raises:
            RequestError: As `write`; or the table has some of the marks and not the others.
        """
        with self._guard:
            if has_marks(name, marks, recorded=self.marks(name)):
                return None
            version = self.write(name, frame, mode="append")
            self._marks.setdefault(name, []).append((version, dict(marks)))
            return version

    def marks(self, name: str, *, version: int | None = None) -> dict[str, int]:
        """Return how far each source had been delivered at a version; nothing without a table."""
        with self._guard:
            marks: dict[str, int] = {}
            for number, delivered in self._marks.get(name, []):
                if version is None or number <= version:
                    marks.update(delivered)
            return marks

    def read(
        self,
        name: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        since: tuple[str, datetime] | None = None,
        after: int = 0,
    ) -> pl.DataFrame:
        """Return rows of a version, in the order they were written.

        Raises:
            UnknownNameError: There is no such table, version or column.
        """
        versions = self._known(name)
        whole = versions[self._place(name, version)]
        known = columns_of(whole)
        wanted = chosen_columns(name, known, columns)
        stored = pl.DataFrame({column.stored_name: whole[column.name] for column in known})
        stored = stored.slice(after)
        rows = stored if since is None else stored.filter(is_since(name, known, since))
        return from_stored(rows, wanted)

    def rows(self, name: str, *, version: int | None = None) -> int:
        """Return how many rows a version has.

        Raises:
            UnknownNameError: There is no such table or version.
        """
        return self._known(name)[self._place(name, version)].height

    def version(self, name: str) -> int | None:
        """Return the latest version's number; None when the table has none."""
        versions = self._versions.get(name)
        return len(versions) - 1 if versions else None

    def restore(self, name: str, *, version: int) -> int:
        """Make an older version's content the newest version and return its number.

        Restoring the newest version changes nothing.

        Raises:
            UnknownNameError: There is no such table or version.
        """
        with self._guard:
            versions = self._known(name)
            place = self._place(name, version)
            if place < len(versions) - 1:
                self._versions[name] = [*versions, versions[place]]
            return len(self._versions[name]) - 1

    def merge_files(self, name: str, *, after: int = 60, keep_s: float = 3600.0) -> int | None:
        """Make a version of equal content, and forget versions replaced long ago."""
        with self._guard:
            versions = self._versions.get(name, [])
            bases = self._bases.setdefault(name, [])
            if not versions or len(versions) - 1 - (bases[-1][0] if bases else 0) < after:
                return None
            now = time.monotonic()
            self._versions[name] = [*versions, versions[-1]]
            bases.append((len(versions), now))
            self._first[name] = max((base for base, at in bases if at <= now - keep_s), default=0)
            return len(versions)

    def _known(self, name: str) -> list[pl.DataFrame]:
        """Return a table's versions."""
        if name not in self._versions:
            raise unknown_table(name, list(self._versions))
        return self._versions[name]

    def _place(self, name: str, version: int | None) -> int:
        """Return a version's number after checking that it exists."""
        latest = len(self._versions[name]) - 1
        if version is None:
            return latest
        if not self._first.get(name, 0) <= version <= latest:
            raise unknown_version(name, version, latest=latest)
        return version
