"""Who leads of several processes on one project: a lease held, or watched until it may be taken.

Has no thread and reads no wall clock. Must not import anything heavy.
"""

from typing import Literal

from bucle.errors import LeaseTakenError
from bucle.types import Clock, Lease, Leases

__all__ = ["LEASE_S", "Leadership", "Standing"]

Standing = Literal["leads", "stands by", "lost"]

LEASE_S = 10.0

# Two signs of life may be late before anybody takes over.
_BEATS = 3


class Leadership:
    """One process's part in being the only leader; ask it at every tick.

    A leader gives a sign of life three times a lease time. Who stands by takes over once it has
    seen the same sign for a whole lease time by its own monotonic clock, and at once when the
    lease was given up; so a wall clock that jumps changes nothing, and a dead leader is followed
    after one lease time and two ticks. Nothing here makes sure that a leader that was paused stays
    silent: its appends do, with `fence=leadership.lease`. Safe for one thread.

    Args:
        leases: Where the lease is kept, beside the log that it fences.
        name: The lease.
        holder: Who this process is, for people: host and process id.
        clock: Its monotonic time is read.
        lease_s: Seconds without a sign of life after which another takes over.

    Example:
        >>> from bucle.clock import SystemClock
        >>> from bucle.store.memory_leases import MemoryLeases
        >>> leases = MemoryLeases()
        >>> first, second = (
        ...     Leadership(leases, "loop", holder=name, clock=SystemClock()) for name in "ab"
        ... )
        >>> first.look(), second.look()
        ('leads', 'stands by')
        >>> first.step_down()
        >>> second.look(), first.look()
        ('leads', 'stands by')
    """

    def __init__(
        self, leases: Leases, name: str, *, holder: str, clock: Clock, lease_s: float = LEASE_S
    ) -> None:
        self.name = name
        self.holder = holder
        self.lease_s = lease_s
        self._leases = leases
        self._clock = clock
        self._lease: Lease | None = None
        self._renewed_at = 0.0
        self._seen: Lease | None = None
        self._seen_at = 0.0

    @property
    def lease(self) -> Lease | None:
        """The lease that is held, to fence what is appended; None while standing by."""
        return self._lease

    @property
    def leader(self) -> str:
        """Who leads, as it was last seen; empty when nobody is known to."""
        if self._lease is not None:
            return self.holder
        return self._seen.holder if self._seen and not self._seen.released else ""

    def look(self) -> Standing:
        """Give a sign of life when it is due, or take the lease when it may be taken.

        Returns:
            `lost` once when another has taken over: what was begun must not be gone on with.

        Raises:
            OutsideError: The store cannot be asked now; what was held is held as long as nobody
                takes it, so ask again at the next tick.
        """
        return self._stand_by() if self._lease is None else self._stay(self._lease)

    def step_down(self) -> None:
        """Give the lease up, so that another process leads at once."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._leases.release(lease)

    def _stay(self, lease: Lease) -> Standing:
        now = self._clock.monotonic()
        if now - self._renewed_at < self.lease_s / _BEATS:
            return "leads"
        try:
            self._lease = self._leases.renew(lease)
        except LeaseTakenError:
            self._lease = self._seen = None
            return "lost"
        self._renewed_at = now
        return "leads"

    def _stand_by(self) -> Standing:
        now = self._clock.monotonic()
        found = self._leases.read(self.name)
        if self._is_alive(found, now):
            return "stands by"
        try:
            self._lease = self._leases.take(self.name, holder=self.holder, over=found)
        except LeaseTakenError:
            return "stands by"
        self._renewed_at, self._seen = now, None
        return "leads"

    def _is_alive(self, found: Lease | None, now: float) -> bool:
        """Tell whether a lease's holder may still be alive, by what was seen of it."""
        if found is None or found.released:
            self._seen = found
            return False
        if found == self._seen:
            return now - self._seen_at < self.lease_s
        # Counted from after the look: however long it took, it is not held against the holder.
        self._seen, self._seen_at = found, self._clock.monotonic()
        return True
