"""The files of a prediction log: what they are called, who writes them, which are finished.

A segment `WORKER-BOOT-NUMBER.open` belongs to a living worker, who holds its lock; `.done` is
finished; `.damaged` was read as far as it can be and is kept as evidence. Numbers of one worker
count from 1 without gaps. Imports nothing heavy.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from bucle.store.files import TEMPORARY_SUFFIX, sync_folder

__all__ = [
    "WORKER_NAME",
    "Disk",
    "FileDisk",
    "Segment",
    "finished_segments",
    "segment_path",
    "segments_in",
    "sweep_temporary",
]

WORKER_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")

_NAME = re.compile(rf"({WORKER_NAME.pattern}-[0-9a-f]{{16}})-(\d{{8}})\.(open|done|damaged)")


class Segment(Struct, frozen=True, kw_only=True, order=True):
    """One file of a log: which worker's life it is of, and its place in it."""

    journal: str
    number: int
    state: str

    @property
    def stem(self) -> str:
        """Return its name without its state."""
        return f"{self.journal}-{self.number:08}"


class Disk(Protocol):
    """What a journal asks of the operating system; every call may raise OSError.

    Guarantees: `write` puts bytes at the end and returns how many; `open` gives a file that no
    other process takes for finished while it is open. Used by one thread at a time.
    """

    def open(self, path: Path) -> int:
        """Make a new file, locked, and return its descriptor."""
        ...

    def write(self, descriptor: int, content: bytes, /) -> int:
        """Append bytes and return how many the kernel took."""
        ...

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file back to its first bytes."""
        ...

    def sync(self, descriptor: int) -> None:
        """Wait until the disk has the file."""
        ...


class FileDisk:
    """The disk of this machine."""

    write = staticmethod(os.write)
    truncate = staticmethod(os.ftruncate)
    sync = staticmethod(os.fsync)

    def open(self, path: Path) -> int:
        """Make a new file, locked, and return its descriptor; a failure leaves nothing."""
        # Locked before it has its name, or another process could take it for a dead worker's.
        temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.rename(path)
            sync_folder(path.parent)
        except BaseException:
            for leftover in (temporary, path):
                with contextlib.suppress(OSError):
                    leftover.unlink()
            os.close(descriptor)
            raise
        return descriptor


def segment_path(folder: Path, segment: Segment) -> Path:
    """Return where a segment stands."""
    return folder / f"{segment.stem}.{segment.state}"


def segments_in(folder: Path) -> list[Segment]:
    """Return all segments of a folder by worker and number; other files are passed over."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    found = [match for name in names if (match := _NAME.fullmatch(name))]
    return sorted(Segment(journal=one[1], number=int(one[2]), state=one[3]) for one in found)


def finished_segments(folder: Path, listed: Iterable[Segment]) -> list[Segment]:
    """Return what may be taken out: each worker's oldest segments up to its first unfinished one.

    Segments of dead workers are finished here. Never returns a segment while one before it is
    still to come, however the files have changed since they were listed, or while they were.

    Args:
        folder: Where they are.
        listed: What `segments_in` found there.
    """
    by_journal: dict[str, dict[int, Segment]] = {}
    for segment in listed:
        if segment.state != "damaged":
            by_journal.setdefault(segment.journal, {})[segment.number] = segment
    finished: list[Segment] = []
    for journal, segments in by_journal.items():
        number = min(segments)
        if number > 1 and _stands(folder, journal, number - 1):
            continue  # It was just being renamed when the folder was listed.
        while number in segments and (done := _finish(folder, segments[number])) is not None:
            finished.append(done)
            number += 1
    return finished


def sweep_temporary(folder: Path) -> None:
    """Remove what a worker left that was killed while it made a file."""
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)


def _stands(folder: Path, journal: str, number: int) -> bool:
    """Tell whether a segment is still to be taken out; asks in the order in which it is renamed."""
    return any(
        segment_path(folder, Segment(journal=journal, number=number, state=state)).exists()
        for state in ("open", "done")
    )


def _finish(folder: Path, segment: Segment) -> Segment | None:
    """Return a segment as a finished one; None while its worker lives."""
    if segment.state == "done":
        return segment
    path = segment_path(folder, segment)
    done = Segment(journal=segment.journal, number=segment.number, state="done")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.rename(segment_path(folder, done))
    except (BlockingIOError, FileNotFoundError):
        return None
    finally:
        os.close(descriptor)
    return done
