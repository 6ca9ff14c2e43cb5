"""Time, injectable: nothing else in Bucle asks the machine what time it is.

Imports nothing of Bucle.
"""

import mmap
import os
import struct
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = [
    "CLOCK_VARIABLE",
    "FixedClock",
    "SharedClock",
    "SystemClock",
    "from_iso",
    "machine_clock",
    "machine_micros",
    "machine_timer",
    "to_iso",
]

CLOCK_VARIABLE = "BUCLE_CLOCK"
"""Names a file that all processes of a simulated project read the time from."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = struct.Struct("<q")


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the wall time in UTC; it may jump, so never order by it."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        return time.monotonic()


class SharedClock:
    """A clock in a file, which moves for every process that has it open when one moves it.

    It holds microseconds since 1970 in UTC; eight bytes that are written at once.

    Args:
        path: The file; it has to be there, with eight bytes.

    Raises:
        OSError: There is no such file.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._memory = mmap.mmap(descriptor, _MOMENT.size)
        finally:
            os.close(descriptor)

    def now(self) -> datetime:
        """Return the moment it was set to."""
        return _EPOCH + timedelta(microseconds=self.micros())

    def monotonic(self) -> float:
        """Return the seconds since 1970 that it was set to."""
        return self.micros() / 1e6

    def micros(self) -> int:
        """Return microseconds since 1970 in UTC."""
        (found,) = _MOMENT.unpack(self._memory[:])
        return int(found)

    def move(self, moment: datetime) -> None:
        """Set it, for everybody."""
        self._memory[:] = _MOMENT.pack((moment - _EPOCH) // timedelta(microseconds=1))


class FixedClock:
    """A clock that moves only when told to.

    Args:
        start: The first moment; must carry a time zone.
    """

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the moment it was set to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds it was moved forward by."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move forward; negative seconds move the wall time alone, as a clock jump does."""
        self._now += timedelta(seconds=seconds)
        self._elapsed += max(0.0, seconds)


def machine_clock(environ: Mapping[str, str]) -> SystemClock | SharedClock:
    """Return the machine's clock, or the shared one that the environment names.

    Raises:
        OSError: It names a file that is not there.
    """
    named = environ.get(CLOCK_VARIABLE)
    return SharedClock(Path(named)) if named else SystemClock()


def machine_micros(environ: Mapping[str, str]) -> Callable[[], int]:
    """Return what tells microseconds since 1970 by `machine_clock`, as quickly as can be.

    Raises:
        OSError: The environment names a file that is not there.
    """
    named = environ.get(CLOCK_VARIABLE)
    return SharedClock(Path(named)).micros if named else _micros


def machine_timer(environ: Mapping[str, str]) -> Callable[[], float]:
    """Return what tells how long something takes, in seconds, by `machine_clock`.

    In simulated time nothing takes any, so that what is decided there depends on no machine.

    Example:
        >>> timer = machine_timer({CLOCK_VARIABLE: "of-a-simulation"})
        >>> timer() - timer()
        0.0
    """
    return _standing_still if environ.get(CLOCK_VARIABLE) else time.perf_counter


def to_iso(moment: datetime) -> str:
    """Write a moment as UTC with microseconds, the one form used in the log.

    Example:
        >>> to_iso(datetime(2026, 1, 2, tzinfo=UTC))
        '2026-01-02T00:00:00.000000Z'
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """Read a moment written in any ISO 8601 form; a missing zone means UTC.

    Raises:
        ValueError: The text is not a date or a date and time.

    Example:
        >>> from_iso("2026-01-02")
        datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _standing_still() -> float:
    return 0.0


def _micros() -> int:
    return time.time_ns() // 1000
