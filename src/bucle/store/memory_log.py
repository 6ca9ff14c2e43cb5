"""The event log in memory, for simulation and for tests; it keeps every promise but durability.

Imports nothing heavy.
"""

from collections.abc import Iterator, Sequence

from bucle.errors import LogDamagedError, StalePositionError
from bucle.store.chain import START, Row, follow, seal_all, sealed_content
from bucle.store.memory_leases import MemoryLeases
from bucle.types import Draft, Event, Head, Lease, Verification

__all__ = ["MemoryLog"]


class MemoryLog:
    """A log that ends with its process; safe for threads.

    Args:
        leases: What fences its appends; leases of its own by default.
    """

    def __init__(self, *, leases: MemoryLeases | None = None) -> None:
        self.leases = leases or MemoryLeases()
        self._rows: list[Row] = []
        self._head = START
        self._guard = self.leases.guard

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        expected: int | None = None,
        fence: Lease | None = None,
    ) -> tuple[Event, ...]:
        """Append facts, all or none.

        Raises:
            FencedError: `fence` is given and is not held any more.
            StalePositionError: `expected` is given and is not the last position.
            LogError: A body is not JSON.
        """
        with self._guard:
            self.leases.refuse(fence)
            if expected is not None and expected != self._head.position:
                raise StalePositionError(expected=expected, actual=self._head.position)
            events = seal_all(drafts, after=self._head)
            self._rows.extend(
                (event.position, sealed_content(event), event.hash.encode()) for event in events
            )
            if events:
                self._head = Head(events[-1].position, events[-1].hash)
            return events

    def read(self, *, after: int = 0) -> Iterator[Event]:
        """Yield events in order, each checked against its chain."""
        start = max(after, 0)
        with self._guard:
            rows = self._rows[start:]
            before = self._rows[start - 1 : start] if start else []
        if rows:
            head = Head(start, before[0][2].decode()) if before else START
            yield from follow(rows, after=head)

    def head(self) -> Head:
        """Return where the log ends."""
        return self._head

    def verify(self) -> Verification:
        """Read everything back and compare with the chain."""
        good, damaged, reason = START, None, ""
        try:
            for event in self.read():
                good = Head(event.position, event.hash)
        except LogDamagedError as damage:
            damaged, reason = damage.position, damage.cause
        return Verification(
            events=good.position,
            head=good.hash,
            intact=damaged is None,
            damaged=damaged,
            reason=reason,
        )
