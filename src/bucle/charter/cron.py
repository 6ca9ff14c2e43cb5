"""Cron expressions: five fields of text become the minutes, hours and days that they name.

What moments these are is another question, since that takes a time zone. Must not import anything
heavy.
"""

import re
from datetime import date

from msgspec import Struct

from bucle.errors import CharterError, nearest
from bucle.grammar import with_article

__all__ = ["Cron", "parse_cron"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_WEEK = 7
_PART = re.compile(r"(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:/(\d{1,2}))?")
_MOST_CHARACTERS = 200


class _Field(Struct, frozen=True):
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    first: int = 0


# Sunday is both 0 and 7.
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("day of the week", 0, _WEEK, _DAYS),
)


class Cron(Struct, frozen=True, kw_only=True):
    """What an expression names, each in rising order.

    `weekdays` count from Sunday, 0. `text` is the expression with single spaces. `every_hour` is
    true where the hours are a bare `*`.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either: bool
    every_hour: bool

    def names(self, day: date) -> bool:
        """Tell whether a day of the calendar is one of those named.

        Where days of the month and of the week are both given, one of them is enough; a field that
        begins with `*` counts as not given, as cron has always had it.

        Example:
            >>> parse_cron("0 6 * * mon-fri").names(date(2026, 1, 2))
            True
        """
        if day.month not in self.months:
            return False
        by_month, by_week = day.day in self.days, day.isoweekday() % _WEEK in self.weekdays
        return by_month or by_week if self.either else by_month and by_week


def parse_cron(text: str) -> Cron:
    """Read five fields: minute, hour, day of the month, month, day of the week.

    Each is a list, joined by commas, of `*`, a value or a range such as `mon-fri`, with a step
    such as `/15` or without. Months and days of the week may be written in three letters.

    Raises:
        CharterError: It cannot be read, or no day is ever named (bucle-195).

    Example:
        >>> parse_cron("*/20 6 * * sun").minutes
        (0, 20, 40)
    """
    parts = text.lower().split() if len(text) <= _MOST_CHARACTERS else []
    if len(parts) != len(_FIELDS):
        raise _unreadable(text, "it takes five fields: minute, hour, day, month, day of the week")
    minutes, hours, days, months, weekdays = (
        _values(part, field, text) for part, field in zip(parts, _FIELDS, strict=True)
    )
    found = Cron(
        text=" ".join(parts),
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=tuple(sorted({day % _WEEK for day in weekdays})),
        either=not parts[2].startswith("*") and not parts[4].startswith("*"),
        every_hour=parts[1] == "*",
    )
    if not found.either and all(days[0] > _LONGEST[month - 1] for month in months):
        raise _unreadable(text, "no month it names has such a day")
    return found


def _values(text: str, field: _Field, whole: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise _unreadable(whole, f"{part!r} is no {field.name}")
        star, first, last, step = match.groups()
        low = field.low if star else _value(first, field, whole)
        # A step without an end goes on to the last value there is.
        high = field.high if star or (step and not last) else _value(last or first, field, whole)
        if high == 0 and low > 0 and field.words == _DAYS:
            high = _WEEK
        if high < low:
            raise _unreadable(whole, f"the range {part!r} ends before it begins")
        if step is not None and int(step) == 0:
            raise _unreadable(whole, f"the step of {part!r} is 0")
        found.update(range(low, high + 1, int(step or 1)))
    return tuple(sorted(found))


def _value(word: str, field: _Field, whole: str) -> int:
    if word in field.words:
        return field.words.index(word) + field.first
    if not word.isdecimal() or not field.low <= int(word) <= field.high:
        near = nearest(word, field.words) if word.isalpha() else ()
        cause = f"{with_article(field.name)} lies between {field.low} and {field.high}"
        raise _unreadable(whole, f"{cause}, and {word!r} does not", near)
    return int(word)


def _unreadable(text: str, cause: str, near: tuple[str, ...] = ()) -> CharterError:
    shown = text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "..."
    return CharterError(
        f"Cannot read the schedule {shown!r}",
        cause=cause,
        did_you_mean=near,
        attempt="0 6 * * mon-fri",
        code="bucle-195",
    )
