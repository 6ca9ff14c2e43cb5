"""Spans of the calendar, such as a month: written `1mo`, added to a moment, cut into periods.

Pure. Imports nothing heavy.
"""

import calendar
import re
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Literal

from msgspec import Struct

from bucle.errors import RequestError

__all__ = ["Span", "Unit", "parse_span"]

Unit = Literal["d", "w", "mo", "y"]

_SPAN = re.compile(r"([1-9]\d{0,3})(d|w|mo|y)")
_UNITS: dict[str, Unit] = {"d": "d", "w": "w", "mo": "mo", "y": "y"}
_MONTHS = 12
_DAYS: dict[str, float] = {"d": 1.0, "w": 7.0, "mo": 365.2425 / 12, "y": 365.2425}


class Span(Struct, frozen=True, kw_only=True):
    """A number of days, weeks, months or years."""

    count: int
    unit: Unit

    @property
    def text(self) -> str:
        """How it is written, such as `6mo`."""
        return f"{self.count}{self.unit}"

    @property
    def days(self) -> float:
        """How long it is on average."""
        return self.count * _DAYS[self.unit]

    def after(self, moment: datetime, *, times: int = 1) -> datetime:
        """Return the moment that lies this span later, so many times; negative for earlier.

        A day that the month does not have becomes its last one, and what lies beyond the calendar
        its first or last moment.

        Example:
            >>> Span(count=1, unit="mo").after(datetime(2026, 1, 31, tzinfo=UTC)).date().isoformat()
            '2026-02-28'
        """
        count = self.count * times
        if self.unit in {"d", "w"}:
            try:
                return moment + timedelta(days=count * (7 if self.unit == "w" else 1))
            except OverflowError:
                return _end(moment, late=count > 0)
        months = moment.month - 1 + count * (_MONTHS if self.unit == "y" else 1)
        year, month = moment.year + months // _MONTHS, months % _MONTHS + 1
        if not MINYEAR <= year <= MAXYEAR:
            return _end(moment, late=count > 0)
        last = calendar.monthrange(year, month)[1]
        return moment.replace(year=year, month=month, day=min(moment.day, last))

    def floor(self, moment: datetime) -> datetime:
        """Return the midnight (UTC), Monday, first of month or of January at or before a moment."""
        day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.unit == "w":
            return day - timedelta(days=day.weekday())
        if self.unit == "mo":
            return day.replace(day=1)
        return day.replace(month=1, day=1) if self.unit == "y" else day


def _end(moment: datetime, *, late: bool) -> datetime:
    """Return the last moment of the calendar, or the first one, a day within what zones move."""
    if late:
        return moment.replace(year=MAXYEAR, month=12, day=30)
    return moment.replace(year=MINYEAR, month=1, day=2)


def parse_span(text: str) -> Span:
    """Read a span.

    Raises:
        RequestError: It is none (bucle-252).

    Example:
        >>> parse_span("6mo").text
        '6mo'
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise RequestError(
            f"Cannot read the span {text!r}",
            cause="a span is a whole number and d, w, mo or y",
            attempt="1d, 2w, 1mo or 1y",
            code="bucle-252",
        )
    return Span(count=int(found[1]), unit=_UNITS[found[2]])
