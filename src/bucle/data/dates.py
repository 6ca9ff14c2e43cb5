"""Dates and moments written as text, in several forms within one column, read without guessing.

Forms: ISO 8601, 2-Jun-06, June 2 2006, 6/2/06, 2.6.2006, 20060602, seconds, milliseconds or
microseconds since 1970; each with or without a time of day. Day and month are told apart by the
settings or by a value that has only one reading (13/6/06); otherwise the column is refused.
A missing zone is the column's, which is UTC unless the contract says otherwise.
Must not import readers, contracts or tables.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

import polars as pl
from msgspec import Struct

__all__ = ["Moments", "Order", "read_moments"]

Order = Literal["day-first", "month-first"]

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)
_TIME = (
    r"(?:[T\s,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?"
)
_ISO = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _TIME, re.ASCII)
_NAMED = re.compile(
    r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[-\s/.]+(?P<name>[A-Za-z]{3,9})\.?[-\s/.,]+(?P<year>\d{4}|\d{2})"
    + _TIME,
    re.ASCII,
)
_NAME_FIRST = re.compile(
    r"(?P<name>[A-Za-z]{3,9})\.?[-\s/]+(?P<day>\d{1,2})(?:st|nd|rd|th)?[-\s/,]+(?P<year>\d{4}|\d{2})"
    + _TIME,
    re.ASCII,
)
_NUMERIC = re.compile(
    r"(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second_>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})" + _TIME,
    re.ASCII,
)
_DIGITS = re.compile(r"-?\d{8,16}", re.ASCII)
_FAST = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND = {10: 1, 13: 1_000, 16: 1_000_000}
_SHOWN = 3
_PIVOT = 69
_LAST_MONTH = 12
_LAST_DAY = 31


class Moments(Struct, frozen=True, kw_only=True):
    """A text column read as moments.

    `values` are naive where the text has no zone, else in UTC: `zoned` marks the latter.
    `epochs` marks numbers taken for a time since 1970. `ambiguous` holds texts that can be read
    day-first or month-first when nothing settles which; their values are null. `notes` say how
    the order was settled.
    """

    values: pl.Series
    zoned: pl.Series
    epochs: pl.Series
    ambiguous: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Reading(Struct):
    moment: datetime | None = None
    zoned: bool = False
    epoch: bool = False


def read_moments(text: pl.Series, *, order: Order | None = None, epochs: bool = True) -> Moments:
    """Read text as Datetime in microseconds; what is no moment is null.

    Example:
        >>> read = read_moments(pl.Series(["2-Jun-06", "2006-06-03", "6/13/06", "31/02/2006"]))
        >>> [value and value.isoformat()[:10] for value in read.values.to_list()]
        ['2006-06-02', '2006-06-03', '2006-06-13', None]
    """
    different = text.drop_nulls().unique(maintain_order=True)
    fast = different.str.contains(_FAST)
    plain = different.filter(fast)
    quick = plain.str.replace("T", " ", literal=True).str.to_datetime(
        "%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us"
    )
    odd = different.filter(~fast).to_list()
    settled, ambiguous, notes = _settle_order(odd, order, text.name)
    readings = [_read(value.strip(), settled, epochs=epochs) for value in odd]
    table = pl.DataFrame(
        {
            "text": pl.concat([plain, pl.Series(odd, dtype=pl.String)]),
            "moment": pl.concat([quick, _as_series(readings)]),
            "zoned": [False] * len(plain) + [reading.zoned for reading in readings],
            "epoch": [False] * len(plain) + [reading.epoch for reading in readings],
        },
        schema_overrides={"zoned": pl.Boolean, "epoch": pl.Boolean},
    )
    joined = pl.DataFrame({"text": text}).join(table, on="text", how="left", maintain_order="left")
    return Moments(
        values=joined["moment"].alias(text.name),
        zoned=joined["zoned"].fill_null(value=False),
        epochs=joined["epoch"].fill_null(value=False),
        ambiguous=ambiguous,
        notes=notes,
    )


def _as_series(readings: Iterable[_Reading]) -> pl.Series:
    moments = [reading.moment for reading in readings]
    return pl.Series("moment", moments, dtype=pl.Datetime("us"))


def _settle_order(
    values: list[str], order: Order | None, column: str
) -> tuple[Order | None, tuple[str, ...], tuple[str, ...]]:
    """Return the order in force, the texts that stay ambiguous, and what showed the order."""
    if order is not None:
        return order, (), ()
    day_first: list[str] = []
    month_first: list[str] = []
    open_: list[str] = []
    for value in values:
        found = _NUMERIC.fullmatch(value.strip())
        if found is None or found["mark"] == ".":
            continue
        first, second = int(found["first"]), int(found["second_"])
        if first <= _LAST_MONTH < second <= _LAST_DAY:
            month_first.append(value)
        elif second <= _LAST_MONTH < first <= _LAST_DAY:
            day_first.append(value)
        elif first != second and max(first, second) <= _LAST_MONTH:
            open_.append(value)
    if not open_:
        # Nothing hangs on the order: each value has one reading at most.
        return None, (), ()
    if bool(day_first) == bool(month_first):
        return None, tuple(open_[:_SHOWN]), ()
    shown, name = (day_first[0], "day-first") if day_first else (month_first[0], "month-first")
    note = f"column '{column}': dates such as {open_[0]} were read {name}, as {shown} shows"
    return ("day-first" if day_first else "month-first"), (), (note,)


def _read(text: str, order: Order | None, *, epochs: bool) -> _Reading:
    try:
        for pattern in (_ISO, _NAMED, _NAME_FIRST):
            if found := pattern.fullmatch(text):
                return _assemble(found, _month(found), int(found["day"]))
        if found := _NUMERIC.fullmatch(text):
            first, second = int(found["first"]), int(found["second_"])
            month_leads = _month_leads(first, second, found["mark"], order)
            if month_leads is None:
                return _Reading()
            month, day = (first, second) if month_leads else (second, first)
            return _assemble(found, month, day)
        if _DIGITS.fullmatch(text):
            return _read_digits(text, epochs=epochs)
    except (ValueError, OverflowError, StopIteration):
        # No such month, day, hour or zone: 31/02, 25:00, or out of the years 1 to 9999.
        return _Reading()
    return _Reading()


def _month_leads(first: int, second: int, mark: str, order: Order | None) -> bool | None:
    if mark == ".":
        return False
    if order is not None:
        return order == "month-first"
    if first == second or first > _LAST_MONTH:
        return False
    return True if second > _LAST_MONTH else None


def _month(found: re.Match[str]) -> int:
    groups = found.groupdict()
    if groups.get("name"):
        name = groups["name"].lower()
        return next(number for number, month in enumerate(_MONTHS, 1) if month.startswith(name))
    return int(groups["month"])


def _assemble(found: re.Match[str], month: int, day: int) -> _Reading:
    year = int(found["year"])
    if len(found["year"]) == 2:  # noqa: PLR2004  (digits)
        # The rule of POSIX: 69 to 99 are of the last century.
        year += 1900 if year >= _PIVOT else 2000
    hour, half = int(found["hour"] or 0), (found["half"] or "").lower()[:1]
    if half:
        if not 1 <= hour <= 12:  # noqa: PLR2004  (hours)
            return _Reading()
        hour = hour % 12 + (12 if half == "p" else 0)
    part = int((found["part"] or "0").ljust(6, "0")[:6])
    moment = datetime(  # noqa: DTZ001  (the caller gives naive moments their zone)
        year, month, day, hour, int(found["minute"] or 0), int(found["second"] or 0), part
    )
    zone = found["zone"]
    if not zone:
        return _Reading(moment=moment)
    aware = moment.replace(tzinfo=_zone(zone)).astimezone(UTC)
    return _Reading(moment=aware.replace(tzinfo=None), zoned=True)


def _zone(text: str) -> timezone:
    if text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _read_digits(text: str, *, epochs: bool) -> _Reading:
    if len(text) == 8 and text.isdigit():  # noqa: PLR2004  (YYYYMMDD)
        moment = datetime(int(text[:4]), int(text[4:6]), int(text[6:]))  # noqa: DTZ001
        return _Reading(moment=moment)
    per_second = _PER_SECOND.get(len(text.lstrip("-")))
    if not epochs or per_second is None:
        return _Reading()
    ticks = int(text) * (1_000_000 // per_second)
    moment = _EPOCH + timedelta(microseconds=ticks)
    return _Reading(moment=moment.replace(tzinfo=None), zoned=True, epoch=True)
