"""The prediction log of one worker: every record is with the kernel before its answer leaves.

One thread appends; another one, of the journal's own, waits for the disk, so that a slow disk slows
no answer. Start it after the last fork. Imports nothing heavy, must not import tables.
"""

import contextlib
import errno
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from bucle.clock import SystemClock
from bucle.errors import OutsideError
from bucle.serve.frames import frame, frames, seed_of
from bucle.serve.records import (
    PredictionColumns,
    Record,
    count_records,
    encode,
    encode_together,
    take_apart,
)
from bucle.serve.segments import WORKER_NAME, Disk, FileDisk, Segment, segment_path
from bucle.store.files import translated_errors

__all__ = ["BacklogFullError", "Journal", "JournalState"]

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DRAINED_AT_ONCE = 2000
_CLOSING_PAUSE_S = 0.05


class BacklogFullError(OutsideError):
    """The disk takes no predictions and as many as agreed are waiting in memory."""

    code = "bucle-321"


class JournalState(Struct, frozen=True, kw_only=True):
    """How a journal does.

    `records` were appended since it was opened; `backlog` of them are in memory only, because the
    disk refused them; `unsynced_bytes` are with the kernel and would be lost with the power;
    `unsynced_s` is for how long; `failures` counts the files whose fsync failed and that were
    left for a new one; `error` is what the disk said last, empty once it takes records again.
    """

    records: int
    backlog: int
    unsynced_bytes: int
    unsynced_s: float
    failures: int
    error: str


class _Open:
    """The file that is being written."""

    __slots__ = ("began", "descriptor", "seed", "segment", "size", "spoiled", "synced")

    def __init__(self, segment: Segment, descriptor: int) -> None:
        self.segment = segment
        self.descriptor = descriptor
        self.seed = seed_of(segment.stem)
        self.size = 0
        self.synced = 0
        self.began: float | None = None
        self.spoiled = False


class Journal:
    """Keeps records of one worker in files that the compactor takes out.

    When `append` returns, the records survive the death of any process. They survive a loss of
    power `sync_s` later, plus what the disk takes for it. If the disk refuses them they wait in
    memory, in order, until it takes them again. Safe for threads; a process that is forked off
    must not outlive its parent with the file open.

    Args:
        folder: Where the files go; made when missing.
        name: The worker's name, of a-z, 0-9 and `_`.
        backlog: Most records that may wait in memory.
        backlog_bytes: Most bytes of them.
        rotate_bytes: Size at which a file is finished.
        rotate_s: Age of its oldest record at which a file is finished.
        sync_s: Seconds between waits for the disk.
        disk: The operating system; another one in tests.

    Raises:
        OutsideError: The folder cannot be written, for other reasons than that it is full.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        backlog: int = 100_000,
        backlog_bytes: int = 64 << 20,
        rotate_bytes: int = 8 << 20,
        rotate_s: float = 5.0,
        sync_s: float = 0.05,
        disk: Disk | None = None,
    ) -> None:
        if not WORKER_NAME.fullmatch(name):
            raise ValueError(f"a worker's name is of a-z, 0-9 and _, {name!r} is not")
        self.folder = folder
        self._journal = f"{name}-{secrets.token_hex(8)}"
        self._most, self._most_bytes = backlog, backlog_bytes
        self._rotate_bytes, self._rotate_s, self._sync_s = rotate_bytes, rotate_s, sync_s
        self._disk: Disk = disk or FileDisk()
        self._write = self._disk.write
        self._clock = SystemClock()
        self._guard = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._records = 0
        self._failures = 0
        self._number = 0
        self._error: OSError | None = None
        self._blocked = False
        self._dirty_since: float | None = None
        self._file = self._first_file()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"journal {name}", daemon=True)
        self._thread.start()

    def append(self, record: Record) -> None:
        """Keep one record; `append_many` says what is promised."""
        content = encode(record)
        with self._guard:
            file = self._file
            if not self._blocked and file is not None:
                framed = frame(content, seed=file.seed)
                if self._put(file, framed):
                    self._records += 1
                    return
            self._keep([content])

    def append_many(self, records: Sequence[Record | PredictionColumns]) -> None:
        """Keep some records, all of them or none, in one write.

        Raises:
            BacklogFullError: The disk refuses and memory is agreed to hold no more.
        """
        if not records:
            return
        together = encode_together(records)
        with self._guard:
            file = self._file
            if (
                not self._blocked
                and file is not None
                and self._put(file, frames(together, seed=file.seed))
            ):
                self._records += count_records(records)
                return
            # What waits is counted, so it waits one by one.
            self._keep([encode(one) for record in records for one in _one_by_one(record)])

    @property
    def state(self) -> JournalState:
        """Return how it does; cheap."""
        with self._guard:
            file = self._file
            unsynced = file.size - file.synced if file is not None else 0
            since = self._dirty_since
            return JournalState(
                records=self._records,
                backlog=len(self._waiting),
                unsynced_bytes=unsynced,
                unsynced_s=self._clock.monotonic() - since
                if unsynced and since is not None
                else 0.0,
                failures=self._failures,
                error=str(self._error) if self._error is not None else "",
            )

    def close(self, *, wait_s: float = 5.0) -> None:
        """Finish the file, after the backlog if there is one; closing twice is closing once.

        Args:
            wait_s: How long to go on asking a disk that refuses.

        Raises:
            OutsideError: Records are left that no disk took; they are lost with the process.
        """
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        deadline = self._clock.monotonic() + wait_s
        while self._blocked:
            self._drain()
            if self._blocked and self._clock.monotonic() >= deadline:
                break
            if self._blocked:
                time.sleep(_CLOSING_PAUSE_S)
        if self._file is not None:
            self._finish(self._file)
            self._file = None
        self._most = 0
        if self._waiting:
            raise OutsideError(
                f"Cannot keep {len(self._waiting)} predictions that were answered",
                cause=f"the disk takes no more ({self._error})",
                where=str(self.folder),
                attempt="df -h, then free some space before the next stop",
                code="bucle-322",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- with the guard held --------------------------------------------------

    def _put(self, file: _Open, framed: bytes) -> bool:
        """Write frames at the end of the file; if the disk refuses, leave it as it was."""
        try:
            written = self._write(file.descriptor, framed)
        except OSError as error:
            written, self._error = 0, error
        else:
            if written == len(framed):
                file.size += written
                return True
            self._error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._blocked = True
        try:
            # Half a frame in the middle would look like damage.
            self._disk.truncate(file.descriptor, file.size)
        except OSError:
            file.spoiled = True
        if self._error.errno not in _FULL:
            file.spoiled = True
        return False

    def _keep(self, contents: list[bytes]) -> None:
        """Let records wait in memory, if so many were agreed."""
        size = sum(map(len, contents))
        if (
            len(self._waiting) + len(contents) > self._most
            or self._waiting_bytes + size > self._most_bytes
        ):
            raise BacklogFullError(
                "Cannot keep a prediction, so it is not answered",
                cause=(
                    f"{len(self._waiting)} wait for the disk, which refuses: {self._error}"
                    if self._most
                    else "the prediction log is closed"
                ),
                where=str(self.folder),
                attempt="free some space; the server goes on by itself",
            )
        self._blocked = True
        self._waiting.extend(contents)
        self._waiting_bytes += size
        self._records += len(contents)

    # ---- in the journal's own thread ------------------------------------------

    def _run(self) -> None:
        """Wait for the disk again and again until the journal is closed."""
        while not self._stop.wait(self._sync_s):
            if self._blocked:
                self._drain()
            file = self._file
            if file is not None and file.size:
                self._tend(file)

    def _tend(self, file: _Open) -> None:
        """Bring a file to the disk, and finish it when it is old or large."""
        now = self._clock.monotonic()
        if file.began is None:
            file.began = now
        is_due = now - file.began >= self._rotate_s or file.size >= self._rotate_bytes
        if not file.spoiled and not self._sync(file):
            file.spoiled = True
        if is_due or (file.spoiled and not self._blocked):
            self._replace()

    def _sync(self, file: _Open) -> bool:
        """Wait until the disk has what was appended up to now; never ask twice after an error."""
        size, now = file.size, self._clock.monotonic()
        if size == file.synced:
            return True
        if self._dirty_since is None:
            self._dirty_since = now
        try:
            self._disk.sync(file.descriptor)
        except OSError as error:
            # The kernel forgets what it could not write and would say yes the next time.
            with self._guard:
                self._failures += 1
                self._error = error
            return False
        with self._guard:
            file.synced = size
            self._dirty_since = now if file.size > size else None
            if not self._blocked:
                self._error = None
        return True

    def _replace(self) -> bool:
        """Go on in a new file; the old one stays in use when the disk gives no other."""
        try:
            following = self._make_file()
        except OSError as error:
            with self._guard:
                self._error = error
            return False
        with self._guard:
            former, self._file = self._file, following
        if former is not None:
            self._finish(former)
        return True

    def _drain(self) -> None:
        """Write what waits, in order, as far as the disk takes it."""
        file = self._file
        if (file is None or file.spoiled) and not self._replace():
            return
        while (file := self._file) is not None:
            with self._guard:
                if not self._waiting:
                    self._blocked, self._error = False, None
                    return
                count = min(len(self._waiting), _DRAINED_AT_ONCE)
                contents = [self._waiting[place] for place in range(count)]
            # Nobody else writes while it is blocked, so answers need not wait for this.
            if not self._put(file, frames(contents, seed=file.seed)):
                return
            with self._guard:
                for content in contents:
                    self._waiting.popleft()
                    self._waiting_bytes -= len(content)

    def _finish(self, file: _Open) -> None:
        """Close a file under the name of a finished one."""
        if not file.spoiled:
            self._sync(file)
        path = segment_path(self.folder, file.segment)
        segment = file.segment
        done = Segment(journal=segment.journal, number=segment.number, state="done")
        # Where this fails the compactor finishes it, once the lock is free.
        with contextlib.suppress(OSError):
            path.rename(segment_path(self.folder, done))
        with contextlib.suppress(OSError):
            os.close(file.descriptor)

    def _make_file(self) -> _Open:
        """Make the next file."""
        number = self._number + 1
        segment = Segment(journal=self._journal, number=number, state="open")
        descriptor = self._disk.open(segment_path(self.folder, segment))
        self._number = number
        return _Open(segment, descriptor)

    def _first_file(self) -> _Open | None:
        """Make the first file; on a full disk begin without."""
        with translated_errors("write", self.folder):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                return self._make_file()
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._error, self._blocked = error, True
                return None


def _one_by_one(record: Record | PredictionColumns) -> Sequence[Record]:
    return take_apart(record) if isinstance(record, PredictionColumns) else (record,)
