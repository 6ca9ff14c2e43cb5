"""The event log in one SQLite file: durable, shared by processes, chained by hashes.

Imports sqlite3, msgspec and the standard library only: every command of Bucle opens the log.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from bucle.clock import SystemClock
from bucle.errors import LogDamagedError, OutsideError, StalePositionError
from bucle.store.anchor import Anchor
from bucle.store.chain import START, Row, fits_itself, follow, seal_all
from bucle.store.leases import refuse_fenced
from bucle.store.locks import exclusive
from bucle.store.log_end import inspect_end, is_torn, recorded_reason, repair_end, to_row
from bucle.store.queries import load_queries
from bucle.store.sqlite_access import SqliteAccess
from bucle.store.sqlite_file import find_fault
from bucle.store.sqlite_leases import find_lease
from bucle.types import Clock, Draft, Event, Head, Lease, Verification

__all__ = ["SqliteLog"]

_PIECE = 1000
_EVERYTHING = -1


class SqliteLog:
    """The log of a project in one SQLite file, with its head recorded in a file beside it.

    Reading never writes: it yields the events that fit the chain, ends before a torn end and
    raises at damage in the middle. The first append after a torn end repairs it: what is damaged
    moves to a table of its own and an event of kind `log_repaired` says so. A log in a folder that
    cannot be written can still be read. One object may be shared by threads and outlives a fork.

    Args:
        path: The database file, such as `log.db`; made at the first append.
        clock: What dates a repair; the machine's clock by default.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._anchor = Anchor(path.with_suffix(".head"))
        self._access = SqliteAccess(path)
        # Up to here this object has followed the chain; a write need not follow it again.
        self._checked = START
        self._is_sound = False
        self._sql = load_queries("log")

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        expected: int | None = None,
        fence: Lease | None = None,
    ) -> tuple[Event, ...]:
        """Append facts in one durable commit; repair a torn end first.

        A repair made in passing does not count against `expected`.

        Raises:
            FencedError: `fence` is given and is not held any more.
            StalePositionError: `expected` is given and is not the last position.
            LogDamagedError: An earlier event does not fit its chain.
            LogError: A body is not JSON, or a newer Bucle wrote the log.
            NotDurableError: The disk failed to keep it; whether it is kept is seen at the next
                start. This process writes no more.
            OutsideError: The disk is full, or the log may only be read.
        """
        lock = exclusive(self.path.with_suffix(".lock"))
        with self._access.guard, lock, self._writing() as connection:
            if fence is not None:
                refuse_fenced(find_lease(connection, fence.name), fence)
            end = inspect_end(connection, self._anchor.read(), checked=self._checked)
            self._refuse_fault(connection, after=end.good)
            if expected is not None and expected != end.good.position:
                raise StalePositionError(expected=expected, actual=end.good.position)
            head = repair_end(connection, end, clock=self._clock) if end.reason else end.good
            events = seal_all(drafts, after=head)
            connection.executemany(self._sql["insert_event"], map(to_row, events))
            connection.execute(self._sql["commit"])
            head = Head(events[-1].position, events[-1].hash) if events else head
            self._checked = head
            # The events are safe by now; a head that could not be recorded is recorded next time.
            if head != START:
                with contextlib.suppress(OutsideError):
                    self._anchor.write(head)
        return events

    def read(self, *, after: int = 0) -> Iterator[Event]:
        """Yield events in order, each checked against its chain.

        Raises:
            LogDamagedError: There is damage in the middle; what came before it has been yielded.
        """
        start = self._start_after(after)
        if start is None:
            return
        good = start
        try:
            for event in self._follow(start):
                good = Head(event.position, event.hash)
                yield event
        except LogDamagedError:
            if not is_torn(self._rows(after=good.position, limit=_EVERYTHING)):
                raise
        if start in {START, self._checked} and good.position > self._checked.position:
            self._checked = good

    def head(self) -> Head:
        """Return where the log ends: at the last event that fits itself."""
        with self._access.reading(position=1) as connection:
            if connection is not None:
                for row in connection.execute(self._sql["select_last"]):
                    if fits_itself(row):
                        return Head(row[0], row[2].decode())
        return START

    def verify(self) -> Verification:
        """Read everything back; compare with the chain, the recorded head and SQLite's own check.

        Nothing is repaired: a torn end counts as damage until the next append repairs it.
        """
        # Read first: a head recorded before the events are read cannot be ahead of them.
        anchor = self._anchor.read()
        good, damaged, reason = START, None, ""
        try:
            for event in self._follow(START):
                good = Head(event.position, event.hash)
            if anchor is not None and (reason := self._contradiction(anchor, end=good)):
                damaged = min(anchor.position, good.position + 1)
            elif reason := self._structure(after=good):
                damaged = good.position + 1
            elif anchor is None and good != START:
                reason = (
                    f"the head file {self._anchor.path.name} is missing or damaged, so it cannot "
                    "be ruled out that events at the end were removed"
                )
        except LogDamagedError as damage:
            damaged, reason = damage.position, damage.cause
        return Verification(
            events=good.position,
            head=good.hash,
            intact=damaged is None,
            damaged=damaged,
            reason=reason,
        )

    def copy_to(self, path: Path) -> Head:
        """Copy the log as it is between two appends, with its head; return where the copy ends.

        Others read and append meanwhile. The copy is not verified.

        Args:
            path: The new file; the head is recorded beside it.
        """
        target = contextlib.closing(sqlite3.connect(path))
        with target as copy, self._access.reading() as connection:
            if connection is not None:
                connection.backup(copy)
        log = SqliteLog(path)
        head = log.head()
        log.close()
        if head != START:
            Anchor(path.with_suffix(".head")).write(head)
        return head

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        self._access.close()

    def _contradiction(self, anchor: Head, *, end: Head) -> str:
        """Return why the recorded head and the events cannot both be right."""
        with self._access.reading(position=end.position + 1) as connection:
            if connection is None:
                return f"the log is empty, the head file records event {anchor.position}"
            return recorded_reason(connection, anchor, end=end)

    def _refuse_fault(self, connection: sqlite3.Connection, *, after: Head) -> None:
        """Refuse to write into a file whose structure is damaged; asked once an object."""
        if not self._is_sound and (fault := find_fault(connection)):
            raise LogDamagedError(position=after.position + 1, cause=f"SQLite says: {fault}")
        self._is_sound = True

    def _structure(self, *, after: Head) -> str:
        """Return what SQLite's own check finds wrong with the file."""
        with self._access.reading(position=after.position + 1) as connection:
            found = find_fault(connection) if connection is not None else ""
        return f"SQLite says: {found}" if found else ""

    def _follow(self, after: Head) -> Iterator[Event]:
        """Yield events that fit the chain; raise at the first that does not."""
        while rows := self._rows(after=after.position, limit=_PIECE):
            for event in follow(rows, after=after):
                yield event
                after = Head(event.position, event.hash)

    def _start_after(self, position: int) -> Head | None:
        """Return the place to read on from; None when nothing stands there."""
        if position <= 0:
            return START
        rows = self._rows(after=position - 1, limit=1)
        if not rows or rows[0][0] > position:
            return None
        if not fits_itself(rows[0]):
            if is_torn(self._rows(after=position - 1, limit=_EVERYTHING)):
                return None
            raise LogDamagedError(position=position, cause="its content is not what its hash says")
        return Head(position, rows[0][2].decode())

    def _rows(self, *, after: int, limit: int) -> list[Row]:
        """Return stored events as they are."""
        with self._access.reading(position=after + 1) as connection:
            if connection is None:
                return []
            return connection.execute(self._sql["select_events"], (after, limit)).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection inside a transaction; say of damage that it stopped a write."""
        try:
            with self._access.writing(position=self._checked.position + 1) as connection:
                yield connection
        except LogDamagedError as damage:
            raise LogDamagedError(
                position=damage.position, cause=damage.cause, doing="write to"
            ) from damage
