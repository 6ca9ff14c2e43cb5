"""Leases in memory, for simulation and for tests.

Imports nothing heavy.
"""

import contextlib
import threading

from bucle.errors import LeaseTakenError
from bucle.store.leases import refuse_fenced, released, renewed, taken
from bucle.types import Lease

__all__ = ["MemoryLeases"]


class MemoryLeases:
    """Leases that end with their process; safe for threads.

    `guard` is held while a lease changes; a log that holds it too changes nothing in between.
    """

    def __init__(self) -> None:
        self.guard = threading.RLock()
        self._kept: dict[str, Lease] = {}

    def read(self, name: str) -> Lease | None:
        """Return a lease as it stands; None when nobody has ever taken it."""
        return self._kept.get(name)

    def take(self, name: str, *, holder: str, over: Lease | None) -> Lease:
        """Take a lease that still is as it was read.

        Raises:
            LeaseTakenError: It is not as `over` any more.
        """
        with self.guard:
            lease = taken(self._kept.get(name), name=name, holder=holder, over=over)
            self._kept[name] = lease
            return lease

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life.

        Raises:
            LeaseTakenError: Another has taken it, or it was released.
        """
        with self.guard:
            self._kept[lease.name] = renewed(self._kept.get(lease.name), lease)
            return self._kept[lease.name]

    def release(self, lease: Lease) -> None:
        """Give a lease up; nothing happens when another has taken it."""
        with self.guard, contextlib.suppress(LeaseTakenError):
            self._kept[lease.name] = released(self._kept.get(lease.name), lease)

    def refuse(self, fence: Lease | None) -> None:
        """Refuse a write under a lease that is held no more.

        Raises:
            FencedError: Another has taken it, or it was given up.
        """
        if fence is not None:
            refuse_fenced(self._kept.get(fence.name), fence)
