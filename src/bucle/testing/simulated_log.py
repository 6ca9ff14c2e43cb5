"""A log as a simulated process sees it: killed around a write, read with events twice.

Must not be imported by anything but tests. Imports nothing heavy.
"""

from collections.abc import Callable, Iterator, Sequence

from bucle.errors import OutsideError
from bucle.store.memory_leases import MemoryLeases
from bucle.store.memory_log import MemoryLog
from bucle.testing.chance import chance
from bucle.testing.interruptions import Interruptions
from bucle.testing.options import Options
from bucle.types import Draft, Event, Head, Lease, Log, Verification

__all__ = ["SimulatedLog"]


class SimulatedLog:
    """Passes everything on to a log in memory, and every event that entered it to a witness.

    While `is_full` says so, no write gets through.

    Args:
        options: What the seed stands for.
        interruptions: Kills around a write.
        witness: Told of each event once it is kept.
    """

    def __init__(
        self, options: Options, interruptions: Interruptions, witness: Callable[[Event], None]
    ) -> None:
        self.leases = MemoryLeases()
        self.kept: Log = MemoryLog(leases=self.leases)
        self.is_full: Callable[[], bool] = lambda: False
        self._echoes = options.faults.echoes
        self._draw = chance(options.seed, "log")
        self._interruptions = interruptions
        self._witness = witness
        self._checked: list[Event] = []

    def append(
        self,
        drafts: Sequence[Draft],
        *,
        expected: int | None = None,
        fence: Lease | None = None,
    ) -> tuple[Event, ...]:
        """Append facts; the process may be killed before, or after without knowing it."""
        self._interruptions.pass_point("before a write")
        events = self.write(drafts, expected=expected, fence=fence)
        self._interruptions.pass_point("after a write")
        return events

    def write(
        self,
        drafts: Sequence[Draft],
        *,
        expected: int | None = None,
        fence: Lease | None = None,
    ) -> tuple[Event, ...]:
        """Append facts as somebody else, who is not killed.

        Raises:
            OutsideError: The disk is full.
        """
        if drafts and self.is_full():
            raise OutsideError("Cannot write to the log: no space is left")
        events = self.kept.append(drafts, expected=expected, fence=fence)
        for event in events:
            self._witness(event)
        return events

    def read(self, *, after: int = 0) -> Iterator[Event]:
        """Yield events in order; some are delivered again."""
        # Nobody tampers with it, and a year is read anew at every restart: it is checked once.
        self._checked.extend(self.kept.read(after=len(self._checked)))
        last: Event | None = None
        for event in self._checked[after:]:
            yield event
            if last is not None and self._echoes and self._draw.happens(self._echoes):
                yield self._draw.choose((last, event))
            last = event

    def head(self) -> Head:
        """Return where the log ends."""
        return self.kept.head()

    def verify(self) -> Verification:
        """Read everything back and compare with the chain."""
        return self.kept.verify()
