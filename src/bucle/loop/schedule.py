"""Schedules: the moments that a cron expression means on the clocks of a time zone.

Where clocks jump forward, what they skip is due once, at the jump; where they are put back, what
they show twice is due once, the first time. A schedule for every hour goes on as time itself does:
nothing of it is moved or left out. Pure: whoever asks brings the moment. Imports nothing heavy.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from bucle.charter.cron import Cron, parse_cron
from bucle.charter.zones import find_zone

__all__ = ["Schedule", "parse_schedule"]

_DAY = timedelta(days=1)
# Leap days that must fall on a given day of the week: forty years around the turn of a century.
_FARTHEST = 366 * 41
_SECOND = timedelta(seconds=1)


class Schedule:
    """Due moments, each in UTC.

    Args:
        cron: The expression.
        zone: Whose clocks it is read by.
    """

    def __init__(self, cron: Cron, zone: tzinfo) -> None:
        self.cron = cron
        self.zone = zone

    def last(self, now: datetime) -> datetime | None:
        """Return the latest due moment that is not after a moment; None when there is none.

        Example:
            >>> madrid = parse_schedule("30 2 * * *", zone="Europe/Madrid")
            >>> madrid.last(datetime(2026, 3, 29, 12, tzinfo=UTC)).isoformat()
            '2026-03-29T01:00:00+00:00'
        """
        for due in self._days(now, towards=-1):
            found = [moment for moment in due if moment <= now]
            if found:
                return found[-1]
        return None

    def next(self, now: datetime) -> datetime | None:
        """Return the earliest due moment after a moment; None when there is none."""
        for due in self._days(now, towards=1):
            for moment in due:
                if moment > now:
                    return moment
        return None

    def _days(self, now: datetime, *, towards: int) -> Iterator[tuple[datetime, ...]]:
        """Yield the due moments of each day of the zone, from beyond the present one on."""
        try:
            # What a day skips may be due on the next one.
            day = now.astimezone(self.zone).date() - towards * 2 * _DAY
            for _ in range(_FARTHEST):
                if self.cron.names(day):
                    yield _due(self.cron, self.zone, day)
                day += towards * _DAY
        except OverflowError:
            # The calendar has an end on both sides.
            return


def parse_schedule(text: str, *, zone: str = "UTC") -> Schedule:
    """Read a cron expression, with `cron` in front or without.

    Raises:
        CharterError: The expression cannot be read (bucle-195) or there is no such zone
            (bucle-196).

    Example:
        >>> weekdays = parse_schedule("cron 0 6 * * mon-fri", zone="Europe/Madrid")
        >>> weekdays.next(datetime(2026, 1, 2, 12, tzinfo=UTC)).isoformat()
        '2026-01-05T05:00:00+00:00'
    """
    bare = text.removeprefix("cron:").removeprefix("cron ")
    return Schedule(parse_cron(bare), find_zone(zone))


@lru_cache(maxsize=64)
def _due(cron: Cron, zone: tzinfo, day: date) -> tuple[datetime, ...]:
    """Return what is due on a day, in order."""
    shown = [
        datetime.combine(day, time(hour, minute), tzinfo=zone)
        for hour in cron.hours
        for minute in cron.minutes
    ]
    moments = {moment for one in shown for moment in _moments(one, each=cron.every_hour)}
    return tuple(sorted(moments))


def _moments(shown: datetime, *, each: bool) -> tuple[datetime, ...]:
    """Return when clocks show a time: of two moments the first unless each counts."""
    first, second = (shown.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return (first,)
    if first < second:
        return (first, second) if each else (first,)
    # In a gap the two are the time as read before the jump and after it.
    return () if each else (_jump(second, first, shown.tzinfo),)


def _jump(before: datetime, after: datetime, zone: tzinfo | None) -> datetime:
    """Return the first moment at which clocks are where they are afterwards."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
