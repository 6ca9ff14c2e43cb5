"""Time, injectable: nothing else in Bucle asks the machine what time it is.

Imports nothing of Bucle.
"""

import time
from datetime import UTC, datetime, timedelta

__all__ = ["FixedClock", "SystemClock", "from_iso", "to_iso"]


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the wall time in UTC; it may jump, so never order by it."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        return time.monotonic()


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
