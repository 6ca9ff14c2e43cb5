"""The event log in PostgreSQL: durable, shared by machines, chained by hashes.

Imports psycopg, an extra of the package, when it is used.
"""

from collections.abc import Iterator, Sequence

from bucle.errors import LogDamagedError, StalePositionError
from bucle.store.chain import START, Row, fits_itself, follow, seal_all, sealed_content
from bucle.store.leases import refuse_fenced
from bucle.store.postgres_access import PostgresAccess
from bucle.store.postgres_leases import find_lease
from bucle.store.queries import load_queries
from bucle.types import Draft, Event, Head, Lease, Verification

__all__ = ["PostgresLog"]

_PIECE = 1000


class PostgresLog:
    """The log of a project in a schema of a PostgreSQL database.

    The database keeps commits whole and durable, so there is no torn end to repair; whatever does
    not fit the chain, or the end that the last append recorded, is damage. One object may be
    shared by threads and outlives a fork. An append whose answer was lost on the way may have
    been made: read again before appending again, or say what is `expected`.

    Args:
        address: The database, as `postgresql://user@host/database`.
        schema: Where in it the log is; made at the first append.
    """

    def __init__(self, address: str, *, schema: str = "bucle") -> None:
        self._access = PostgresAccess(address, schema=schema)
        self._sql = {name: text.encode() for name, text in load_queries("postgres").items()}
        # Up to here this object has followed the chain; a write need not follow it again.
        self._checked = START

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        expected: int | None = None,
        fence: Lease | None = None,
    ) -> tuple[Event, ...]:
        """Append facts in one durable commit.

        Raises:
            FencedError: `fence` is given and is not held any more.
            StalePositionError: `expected` is given and is not the last position.
            LogDamagedError: An earlier event does not fit its chain.
            LogError: A body is not JSON, or a newer Bucle wrote the log.
            OutsideError: The database cannot be asked; the append may have been made.
        """
        with self._access.writing() as connection:
            connection.execute(self._sql["hold_events"])
            if fence is not None:
                refuse_fenced(find_lease(connection, fence.name, is_writer=True), fence)
            end = self._followed(self._checked, doing="write to")
            self._refuse_other_end(end, doing="write to")
            if expected is not None and expected != end.position:
                raise StalePositionError(expected=expected, actual=end.position)
            events = seal_all(drafts, after=end)
            if events:
                rows = [(event.position, sealed_content(event), event.hash) for event in events]
                columns = tuple(map(list, zip(*rows, strict=True)))
                connection.execute(self._sql["insert_events"], columns)
                end = Head(events[-1].position, events[-1].hash)
                connection.execute(self._sql["update_head"], (end.position, end.hash))
        self._checked = end
        return events

    def read(self, *, after: int = 0) -> Iterator[Event]:
        """Yield events in order, each checked against its chain.

        Raises:
            LogDamagedError: An event does not fit; what came before it has been yielded.
        """
        start = START
        if after > 0:
            rows = self._rows(after=after - 1, limit=1)
            if not rows or rows[0][0] > after:
                return
            if not fits_itself(rows[0]):
                cause = "its content is not what its hash says"
                raise LogDamagedError(position=after, cause=cause)
            start = Head(after, rows[0][2].decode())
        yield from self._follow(start)

    def head(self) -> Head:
        """Return where the log ends, as its last append has recorded it."""
        with self._access.reading() as connection:
            row = connection and connection.execute(self._sql["select_head"]).fetchone()
            return Head(row[1], row[2]) if row else START

    def verify(self) -> Verification:
        """Read everything back; compare with the chain and the recorded end."""
        recorded = self.head()
        good, damaged, reason = START, None, ""
        try:
            for event in self._follow(START):
                good = Head(event.position, event.hash)
            # Events that others have appended since may stand behind the recorded end.
            if recorded.position > good.position or not self._holds(recorded):
                damaged = min(recorded.position, good.position + 1)
                reason = f"the log ends at event {good.position}, the recorded end is another"
        except LogDamagedError as damage:
            damaged, reason = damage.position, damage.cause
        return Verification(
            events=good.position,
            head=good.hash,
            intact=damaged is None,
            damaged=damaged,
            reason=reason,
        )

    def close(self) -> None:
        """Let go of the connection; the next use makes another."""
        self._access.close()

    def _followed(self, start: Head, *, doing: str) -> Head:
        """Follow the chain to its end."""
        try:
            for event in self._follow(start):
                start = Head(event.position, event.hash)
        except LogDamagedError as damage:
            raise LogDamagedError(
                position=damage.position, cause=damage.cause, doing=doing
            ) from damage
        return start

    def _refuse_other_end(self, end: Head, *, doing: str) -> None:
        """Refuse a log whose last events were changed or taken away."""
        if self.head() != end or not self._holds(end):
            raise LogDamagedError(
                position=end.position + 1,
                cause=f"the recorded end is not event {end.position}",
                doing=doing,
            )

    def _holds(self, head: Head) -> bool:
        """Tell whether an event stands where it is said to."""
        rows = self._rows(after=head.position - 1, limit=1)
        return head == START or bool(rows and (rows[0][0], rows[0][2].decode()) == _pair(head))

    def _follow(self, after: Head) -> Iterator[Event]:
        """Yield events that fit the chain; raise at the first that does not."""
        while rows := self._rows(after=after.position, limit=_PIECE):
            for event in follow(rows, after=after):
                yield event
                after = Head(event.position, event.hash)

    def _rows(self, *, after: int, limit: int) -> list[Row]:
        """Return stored events as they are."""
        with self._access.reading() as connection:
            if connection is None:
                return []
            found = connection.execute(self._sql["select_events"], (after, limit)).fetchall()
        return [(position, bytes(content), digest.encode()) for position, content, digest in found]


def _pair(head: Head) -> tuple[int, str]:
    return head.position, head.hash
