"""Versioned tables in Delta Lake format on this machine's disk, written by delta-rs.

Any program that reads Delta Lake can read them. Imports polars and deltalake.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import polars as pl
from arro3.core import Table
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    write_deltalake,
)
from msgspec import Struct

from bucle.errors import OutsideError, RequestError
from bucle.store.commits import (
    base_of,
    commit_name,
    commit_names,
    forget_before,
    has_version,
    is_kept,
    known_digests,
    latest_version,
    log_names,
    marks_of,
    set_aside_checkpoints,
    set_aside_torn,
    set_aside_unsettled,
    settle,
    sweep_orphans,
)
from bucle.store.delta_errors import translated
from bucle.store.delta_schema import columns_of_table, with_recorded_columns
from bucle.store.files import translated_errors
from bucle.store.locks import exclusive
from bucle.store.row_files import RowFile, count_rows, files_of, read_file, row_files
from bucle.store.table_digests import read_digests, refuse_changed
from bucle.store.table_form import (
    Column,
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
from bucle.store.table_merging import make_base, merge_rows

__all__ = ["DeltaTables"]

# Old versions stay readable for ever: delta-rs would otherwise forget commits after 30 days.
_CONFIGURATION = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
}
# One write makes one file, whatever its size, so that its rows keep their order.
_ONE_FILE_BYTES = 1 << 40
# A checkpoint would be read in place of the commits, and none of our digests covers it.
_AFTERWARDS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_READABLE_FEATURES = {"timestampNtz"}
# delta-rs makes an address of the folder and cannot with these in it.
_UNUSABLE_IN_PATH = re.compile(r"[\[\]^|\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")


class _Seen(Struct, frozen=True, kw_only=True):
    """What a version is made of, as the commits of these digests say."""

    log: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    files: tuple[RowFile, ...]


class DeltaTables:
    """Tables in a folder, one folder each; writers of one table take turns.

    A frame comes back equal, types and column names included (`bucle.store.dtypes` says what
    holds which type). Rows come back in the order they were written, write by write in the order
    of the files' times. When a write returns, the disk has it. A file whose bytes
    have changed since is refused before it is parsed. A write that was killed or ran out
    of space changes nothing; the next write to that table removes what it left.

    Args:
        folder: Where the tables are; made at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[str, _Seen] = {}

    def write(self, name: str, frame: pl.DataFrame, *, mode: Literal["append", "replace"]) -> int:
        """Write rows as a new version and return its number.

        Raises:
            RequestError: The name, a column or (to append) the schema is not one tables take.
            OutsideError: The disk is full or cannot be written; nothing has changed.
        """
        check_table_name(name)
        self._check_folder()
        columns = columns_of(frame)
        rows = to_stored(frame, columns)
        with self._writing(name) as folder:
            if mode == "append" and latest_version(folder) is not None:
                return self._appended(folder, frame)
            self._commit(folder, with_recorded_columns(rows, columns), mode=mode)
            return self._settled(folder)

    def append_once(
        self, name: str, frame: pl.DataFrame, *, marks: Mapping[str, int]
    ) -> int | None:
        """Append rows and their marks in one version; None when the table has them already.

        Marks are transactions of applications in Delta's own log, one a source. Costs a pass over
        the table's commits, as opening it does.

        Raises:
            RequestError: As `write`; or the table has some of the marks and not the others.
            OutsideError: The disk is full or cannot be written; nothing has changed.
        """
        check_table_name(name)
        self._check_folder()
        columns = columns_of(frame)
        rows = to_stored(frame, columns)
        with self._writing(name) as folder:
            if has_marks(name, marks, recorded=self.marks(name)):
                return None
            if latest_version(folder) is not None:
                return self._appended(folder, frame, marks=marks)
            self._commit(folder, with_recorded_columns(rows, columns), marks=marks)
            return self._settled(folder)

    def marks(self, name: str, *, version: int | None = None) -> dict[str, int]:
        """Return how far each source had been delivered at a version; nothing without a table.

        Raises:
            DigestMismatchError: A commit of the table has other bytes than were written.
        """
        check_table_name(name)
        folder = self.folder / name
        latest = latest_version(folder)
        if latest is None:
            return {}
        chosen = latest if version is None else min(version, latest)
        refuse_changed(folder, commit_names(folder, chosen), digests=known_digests(folder, chosen))
        with translated("read", folder):
            return marks_of(folder, chosen)

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

        Only what is asked for is taken into memory; the digests of all files that rows are read
        from are checked. Files that hold none of the rows `after` so many are not touched.

        Raises:
            UnknownNameError: There is no such table, version or column.
            DigestMismatchError: A file of the table has other bytes than were written.
            OutsideError: A file of the table is missing.
        """
        seen, digests = self._look(name, version)
        folder = self.folder / name
        with translated("read", folder):
            files = row_files(seen.files, after=after)
            names = [file for file, _ in files]
            refuse_changed(folder, names, digests=digests)
            wanted = chosen_columns(name, seen.columns, columns)
            later = None if since is None else is_since(name, seen.columns, since)
            frames = [read_file(folder / file, wanted, later, skip=skip) for file, skip in files]
            if not frames:
                return pl.DataFrame(schema={column.name: column.dtype for column in wanted})
            return from_stored(pl.concat(frames), wanted)

    def rows(self, name: str, *, version: int | None = None) -> int:
        """Return how many rows a version has, as its commits say; reads no row.

        Raises:
            UnknownNameError: There is no such table or version.
            OutsideError: Another program wrote it without counting rows.
        """
        with translated("read", self.folder / name):
            return count_rows(self._look(name, version)[0].files)

    def version(self, name: str) -> int | None:
        """Return the latest version's number; None when the table has none."""
        check_table_name(name)
        return latest_version(self.folder / name)

    def restore(self, name: str, *, version: int) -> int:
        """Make an older version's content the newest version and return its number.

        Restoring the newest version changes nothing.

        Raises:
            UnknownNameError: There is no such table or version.
            OutsideError: The disk is full or cannot be written; nothing has changed.
        """
        self._open(name, version)
        with self._writing(name) as folder:
            if version == latest_version(folder):
                return version
            table = self._open(name, None)
            with translated("restore", folder):
                table.restore(version, post_commithook_properties=_AFTERWARDS)
            return self._settled(folder)

    def merge_files(self, name: str, *, after: int = 60, keep_s: float = 3600.0) -> int | None:
        """Merge small files in a new version, and forget versions replaced long ago.

        Raises:
            DigestMismatchError: A file of the table has other bytes than were written.
            OutsideError: The disk is full or cannot be written; no row is touched.
        """
        check_table_name(name)
        self._check_folder()
        folder = self.folder / name
        latest = latest_version(folder)
        if latest is None or latest - base_of(folder, latest) < after:
            return None
        with self._writing(name) as folder:
            latest = self._open(name, None).version()
            with translated("merge", folder):
                version = merge_rows(folder, latest)
                make_base(folder, version, scratch=self.folder / f".{name}.merging")
                forget_before(folder, seconds=keep_s)
            return version

    def _appended(
        self, folder: Path, frame: pl.DataFrame, *, marks: Mapping[str, int] | None = None
    ) -> int:
        """Add rows to a table that is held alone and has a version."""
        name = folder.name
        table = self._open(name, None)
        with translated("read", folder):
            columns = columns_of_table(table)
        rows = to_stored(in_order_of(columns, frame, name=name), columns)
        self._commit(folder, with_recorded_columns(rows, columns), table=table, marks=marks)
        return self._settled(folder)

    @staticmethod
    def _commit(
        folder: Path,
        rows: Table,
        *,
        mode: Literal["append", "replace"] = "append",
        table: DeltaTable | None = None,
        marks: Mapping[str, int] | None = None,
    ) -> None:
        """Make a version of rows in the form that tables hold."""
        delivered = [Transaction(source, number) for source, number in (marks or {}).items()]
        with translated("write", folder):
            write_deltalake(
                table or str(folder.absolute()),
                rows,
                mode="append" if mode == "append" else "overwrite",
                schema_mode=None if mode == "append" else "overwrite",
                configuration=None if table else _CONFIGURATION,
                target_file_size=_ONE_FILE_BYTES,
                commit_properties=CommitProperties(app_transactions=delivered),
                post_commithook_properties=_AFTERWARDS,
            )

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[Path]:
        """Hold a table alone, clear away what an interrupted write left, and leave nothing."""
        folder = self.folder / name
        marker = self.folder / f".{name}.writing"
        with exclusive(self.folder / f".{name}.lock"), translated_errors("write", folder):
            set_aside_torn(folder)
            set_aside_checkpoints(folder)
            if marker.exists():
                sweep_orphans(folder)
                if (found := latest_version(folder)) is not None:
                    settle(folder, found, known=known_digests(folder, found))
            marker.touch()
            try:
                yield folder
            except BaseException:
                with contextlib.suppress(OSError):
                    sweep_orphans(folder)
                    marker.unlink()
                raise
            marker.unlink()

    def _open(self, name: str, version: int | None) -> DeltaTable:
        """Open a version, the latest one by default."""
        chosen = self._choose(name, version)
        folder = self.folder / name
        with translated("open", folder):
            return self._opened(folder, chosen, digests=known_digests(folder, chosen))

    def _look(self, name: str, version: int | None) -> tuple[_Seen, dict[str, str]]:
        """Return what a version is made of, and the digests of its files.

        It is opened where the commits that say so are others than at the last look.
        """
        chosen = self._choose(name, version)
        folder = self.folder / name
        with translated("open", folder):
            digests = known_digests(folder, chosen)
            names = log_names(folder, chosen)
            log = tuple((one, digests.get(one, "")) for one in names)
            seen = self._seen.get(name)
            # A commit without a digest was cut off before it had one, and may be another by now.
            if seen is not None and seen.log == log and all(digest for _, digest in log):
                refuse_changed(folder, names, digests=digests)
                return seen, digests
            table = self._opened(folder, chosen, digests=digests)
            seen = _Seen(log=log, columns=columns_of_table(table), files=files_of(table))
            self._seen[name] = seen
            return seen, digests

    def _choose(self, name: str, version: int | None) -> int:
        """Return the number of the version that is meant, which there is."""
        check_table_name(name)
        folder = self.folder / name
        latest = latest_version(folder)
        if latest is None:
            raise unknown_table(name, self._names())
        chosen = latest if version is None else version
        if chosen > latest and has_version(folder, chosen):
            # Its commit is not whole: torn, unless the disk once had it and its digest is known.
            broken = [commit_name(chosen)]
            refuse_changed(folder, broken, digests=read_digests(folder, chosen))
        if not 0 <= chosen <= latest or not is_kept(folder, chosen):
            raise unknown_version(name, chosen, latest=latest)
        self._check_folder()
        return chosen

    @staticmethod
    def _opened(folder: Path, version: int, *, digests: dict[str, str]) -> DeltaTable:
        """Open a version that there is, once its commits are those that were written."""
        refuse_changed(folder, log_names(folder, version), digests=digests)
        # Where nothing may be renamed it is read as it is; its rows are compared all the same.
        with contextlib.suppress(OSError):
            set_aside_checkpoints(folder)
        table = DeltaTable(str(folder.absolute()), version=version)
        strange = set(table.protocol().reader_features or ()) - _READABLE_FEATURES
        if strange:
            raise ValueError(f"another program wrote it with {', '.join(sorted(strange))}")
        return table

    def _check_folder(self) -> None:
        """Refuse a folder whose path delta-rs cannot take, before it panics."""
        path = str(self.folder.resolve())
        if found := _UNUSABLE_IN_PATH.search(path):
            raise RequestError(
                f"Cannot keep tables in {path!r}",
                cause=f"Delta Lake cannot use a path with {found[0]!r} in it",
                attempt="move the project to a folder whose path has only letters, digits, - and _",
                code="bucle-212",
            )

    def _names(self) -> list[str]:
        """Return the names of the tables there are."""
        if not self.folder.is_dir():
            return []
        return sorted(
            place.name
            for place in self.folder.iterdir()
            if place.is_dir() and not place.name.startswith(".")
        )

    @staticmethod
    def _settled(folder: Path) -> int:
        """Return the latest version after the disk has it."""
        version = latest_version(folder)
        if version is None:
            raise OutsideError(
                f"Cannot write table {folder.name!r}",
                cause="its folder was removed meanwhile",
                code="bucle-305",
            )
        try:
            settle(folder, version)
        except OSError:
            set_aside_unsettled(folder, version)
            raise
        return version
