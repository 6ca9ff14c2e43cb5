"""Copies of what a project keeps, made while it is being written to.

Each copy can be used at any moment of the copying, and copying again brings over only what is new.
Imports nothing heavy.
"""

import contextlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from bucle.errors import OutsideError
from bucle.store.files import TEMPORARY_SUFFIX, translated_errors
from bucle.store.locks import exclusive

__all__ = [
    "Copied",
    "copy_database",
    "copy_file",
    "copy_table",
    "copy_tree",
    "is_database",
    "is_same",
]

_MAGIC = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")
# A version that was merged away stays readable for an hour; then it is looked at anew.
_ROUNDS = 5
_LONGEST_WRITE_S = 600.0


class Copied(Struct, frozen=True, kw_only=True):
    """How much was copied, and how much stood there already."""

    files: int = 0
    bytes: int = 0
    kept: int = 0

    def __add__(self, other: "Copied") -> "Copied":
        return Copied(
            files=self.files + other.files,
            bytes=self.bytes + other.bytes,
            kept=self.kept + other.kept,
        )


def copy_file(path: Path, target: Path) -> Copied:
    """Copy a file whole, with its time; one of the same size and time is taken for the same.

    A symbolic link is copied as one.

    Raises:
        FileNotFoundError: It is gone.
        OutsideError: The target cannot be written.
    """
    seen = path.lstat()
    if is_same(path, target):
        return Copied(kept=1)
    temporary = _temporary(target)
    try:
        with translated_errors("write", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            # What grows meanwhile keeps the time it had before, so that it is copied again.
            shutil.copyfile(path, temporary, follow_symlinks=False)
            shutil.copymode(path, temporary, follow_symlinks=False)
            os.utime(temporary, ns=(seen.st_atime_ns, seen.st_mtime_ns), follow_symlinks=False)
            temporary.replace(target)
    except OutsideError:
        if not path.is_symlink() and not path.exists():
            raise FileNotFoundError(path) from None
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return Copied(files=1, bytes=seen.st_size)


def is_same(path: Path, target: Path) -> bool:
    """Tell by size and time whether a file has been copied as it is.

    Raises:
        FileNotFoundError: It is gone.
    """
    seen = path.lstat()
    try:
        there = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (there.st_size, there.st_mtime_ns) == (seen.st_size, seen.st_mtime_ns)


def copy_tree(folder: Path, target: Path) -> Copied:
    """Copy files that never change once they have their names; what is being written is left out.

    For content-addressed folders: what stands at the target under a name is not read again.
    """
    done = Copied()
    for path in _files(folder):
        with contextlib.suppress(FileNotFoundError):
            done += copy_file(path, target / path.relative_to(folder))
    return done


def copy_table(folder: Path, target: Path) -> Copied:
    """Copy a table as it is between two writes.

    Row files come first and the commits that name them last, so that the target has a whole
    version at any moment; what the table has forgotten is removed in the end.

    Args:
        folder: The table's.
        target: Where its copy is to be.

    Raises:
        LockHeldError: A write to the table takes longer than ten minutes.
    """
    done = Copied()
    for rounds_left in range(_ROUNDS, 0, -1):
        listed = _listed(folder)
        try:
            for name in listed.rows:
                done += copy_file(folder / name, target / name)
        except FileNotFoundError:
            if rounds_left == 1:
                raise
        else:
            return done + _put_texts(folder, target, listed)
    return done


def is_database(path: Path) -> bool:
    """Tell a file of SQLite; must not be asked of one that this process has open."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def copy_database(path: Path, target: Path) -> Copied:
    """Copy a file of SQLite as it is between two commits, whoever writes to it.

    One that SQLite cannot read is copied as any other file.
    """
    with translated_errors("write", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            with (
                contextlib.closing(sqlite3.connect(path, timeout=30.0)) as source,
                contextlib.closing(sqlite3.connect(temporary)) as copy,
            ):
                source.backup(copy)
            for suffix in _BESIDE:
                target.with_name(target.name + suffix).unlink(missing_ok=True)
            temporary.replace(target)
        except sqlite3.Error:
            return copy_file(path, target)
        finally:
            for suffix in ("", *_BESIDE):
                temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
    return Copied(files=1, bytes=target.stat().st_size)


class _Listed(Struct, frozen=True):
    """What a table consists of: names of row files, the content of all else, unfinished or not."""

    rows: tuple[Path, ...]
    texts: dict[Path, bytes]
    is_unfinished: bool


def _listed(folder: Path) -> _Listed:
    """List a table between two writes."""
    with exclusive(folder.with_name(f".{folder.name}.lock"), wait_s=_LONGEST_WRITE_S):
        return _Listed(
            rows=tuple(Path(path.name) for path in sorted(folder.glob("*.parquet"))),
            texts={
                path.relative_to(folder): path.read_bytes()
                for place in ("_digests", "_delta_log")
                for path in sorted((folder / place).glob("*"))
                if path.is_file() and not path.name.endswith(TEMPORARY_SUFFIX)
            },
            is_unfinished=folder.with_name(f".{folder.name}.writing").exists(),
        )


def _put_texts(folder: Path, target: Path, listed: _Listed) -> Copied:
    """Write what makes versions of rows that are there, and forget what the table has forgotten."""
    done = Copied()
    target.mkdir(parents=True, exist_ok=True)
    if listed.is_unfinished:
        # Whoever writes to the copy clears up what a killed write left in it.
        target.with_name(f".{target.name}.writing").touch()
    for name, content in sorted(listed.texts.items(), key=_by_use):
        done += _put(folder / name, content, target / name)
    _forget(target, kept={*listed.rows, *listed.texts})
    return done


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder but those that are being written."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def _by_use(entry: tuple[Path, bytes]) -> tuple[int, str]:
    """Order a table's texts so that a reader never meets a name of what is not there yet."""
    name = entry[0]
    is_commit = name.parts[0] == "_delta_log" and name.suffix == ".json"
    return (2 if is_commit else int(name.parts[0] == "_delta_log"), str(name))


def _put(path: Path, content: bytes, target: Path) -> Copied:
    """Write a small file whole, unless it stands there."""
    with contextlib.suppress(FileNotFoundError):
        if target.read_bytes() == content:
            return Copied(kept=1)
    with translated_errors("write", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        temporary.write_bytes(content)
        # By the time of a checkpoint versions are forgotten.
        with contextlib.suppress(FileNotFoundError):
            shutil.copystat(path, temporary)
        temporary.replace(target)
    return Copied(files=1, bytes=len(content))


def _forget(target: Path, *, kept: set[Path]) -> None:
    """Remove from a copy what its table has no more: checkpoints first, then commits, then rows."""
    there = [
        path.relative_to(target)
        for pattern in ("_delta_log/*.parquet", "_delta_log/*", "_digests/*", "*.parquet")
        for path in sorted(target.glob(pattern))
    ]
    for name in there:
        if name not in kept:
            (target / name).unlink(missing_ok=True)


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
