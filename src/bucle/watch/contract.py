"""The contract layer: whether rows come in time, in number and in form.

Counts of days are judged by the spread between days, like measures of columns; what the contract
forbids is told whenever it is there. Pure numpy and scipy.
"""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import hypergeom

from bucle.models.metrics import Floats
from bucle.watch.days import Days
from bucle.watch.examples import Example
from bucle.watch.spread import compare, spread_of

__all__ = [
    "Breach",
    "BreachKind",
    "VolumeDay",
    "is_larger_share",
    "judge_gap",
    "judge_volume",
    "volume_breach",
]

BreachKind = Literal["schema", "nulls", "ranges", "quarantine", "refused", "volume", "freshness"]

_HISTORY = 56
_LEAST_DAYS = 14
_FORGET = 28
_SPANS = (1, 7)
_BAND = 0.975
_LEAST_GAPS = 10
_BEYOND = 1.25
_PAUSE = 2
_EPOCH = date(1970, 1, 1)


class Breach(Struct, frozen=True, kw_only=True):
    """What is not as agreed.

    `subject` is where: `predictions`, a column, or a dataset. `found` and `expected` are in `unit`:
    `rows`, `share`, `hours` or `files`. `why` says it in one line.
    """

    kind: BreachKind
    subject: str
    since: str
    found: float
    expected: float
    unit: Literal["rows", "share", "hours", "files"]
    why: str
    examples: tuple[Example, ...] = ()


class VolumeDay(Struct, frozen=True, kw_only=True):
    """How many rows a day had, and between which numbers 19 of 20 such days lie.

    `expected`, `low` and `high` are None before there are fourteen days to judge by. `span` is how
    many days, ending with this one, were judged together where something was found.
    """

    date: str
    rows: int
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    is_found: bool = False
    span: int = 1


def judge_volume(dates: NDArray[np.int64], rows: Floats, *, level: float) -> tuple[VolumeDay, ...]:
    """Judge how many rows each day had, alone and with the six days before it.

    A day is judged by the 56 days before it, from fourteen on: the logarithm of rows + 1 by the
    spread between days, day of the week by day of the week from four weeks on. Days that were found
    do not judge others, until they are 28 days old: what lasts so long is how it is now.

    Args:
        dates: Every day from the first with rows on, in days since 1970, rising without a gap.
        rows: How many rows each has, 0 included.
        level: The chance of a false finding on a day.
    """
    logs = np.log1p(rows)
    found: list[VolumeDay] = []
    odd = np.zeros(dates.size, dtype=np.bool_)
    for at in range(dates.size):
        near = np.arange(dates.size) >= at - _FORGET
        judges = (np.arange(dates.size) < at) & (dates >= dates[at] - _HISTORY) & ~(odd & near)
        one, odd[at] = _judge_day(dates, logs, at, judges=judges, rows=rows, level=level)
        found.append(one)
    return tuple(found)


def _judge_day(
    dates: NDArray[np.int64],
    logs: Floats,
    at: int,
    *,
    judges: NDArray[np.bool_],
    rows: Floats,
    level: float,
) -> tuple[VolumeDay, bool]:
    """Return one day beside those that judge it, and whether it is itself out of the ordinary."""
    day, count = str(_day(int(dates[at]))), int(rows[at])
    if judges.sum() < _LEAST_DAYS:
        return VolumeDay(date=day, rows=count), False
    spread = spread_of(_as_days(dates[judges], logs[judges]))
    one = compare(spread, _as_days(dates[at : at + 1], logs[at : at + 1]))
    expected, error = float(one.expected[0]), float(one.error[0])
    if not np.isfinite(expected):
        return VolumeDay(date=day, rows=count), False
    # A count varies by itself: equal days of the reference promise no equal day.
    error = max(error, 1.0 / math.sqrt(1.0 + math.expm1(max(expected, 0.0))))
    freedom = float(one.freedom[0])
    half = float(stdtrit(freedom, _BAND)) * error
    limit = float(stdtrit(freedom, 1 - level / len(_SPANS) / 2)) * error
    alone = abs(float(logs[at]) - expected) > limit
    week = not alone and _is_week_found(dates, logs, at, judges=judges, level=level)
    return (
        VolumeDay(
            date=day,
            rows=count,
            expected=float(np.expm1(expected)),
            low=max(0.0, float(np.expm1(expected - half))),
            high=float(np.expm1(expected + half)),
            is_found=alone or week,
            span=_SPANS[1] if week else _SPANS[0],
        ),
        alone,
    )


def _is_week_found(
    dates: NDArray[np.int64], logs: Floats, at: int, *, judges: NDArray[np.bool_], level: float
) -> bool:
    """Tell whether the last seven days together are out of the ordinary of those before them."""
    first = at - _SPANS[1] + 1
    before = judges & (np.arange(dates.size) < first)
    if before.sum() < _LEAST_DAYS:
        return False
    window = _as_days(dates[first : at + 1], logs[first : at + 1])
    one = compare(spread_of(_as_days(dates[before], logs[before])), window)
    expected = float(one.expected[0])
    alone = 1.0 / (1.0 + np.expm1(max(expected, 0.0)))
    error = max(float(one.error[0]), float(np.sqrt(alone / _SPANS[1])))
    limit = float(stdtrit(float(one.freedom[0]), 1 - level / len(_SPANS) / 2)) * error
    return bool(np.isfinite(expected) and abs(float(one.found[0]) - expected) > limit)


def volume_breach(days: Sequence[VolumeDay]) -> Breach | None:
    """Return what the last day's volume breaches, with the day that it began on; None if nothing.

    Two ordinary days are taken for a pause in it.
    """
    if not days or not days[-1].is_found:
        return None
    last, began, quiet = days[-1], days[-1], 0
    for day in reversed(days):
        quiet = 0 if day.is_found else quiet + 1
        if quiet > _PAUSE:
            break
        began = day if day.is_found else began
    expected = last.expected or 0.0
    over = f"{last.span} days" if last.span > 1 else "a day"
    return Breach(
        kind="volume",
        subject="predictions",
        since=began.date,
        found=float(last.rows),
        expected=expected,
        unit="rows",
        why=f"{last.rows:,} rows on {last.date}, where about {expected:,.0f} are usual "
        f"(judged over {over})",
    )


def judge_gap(hours: float, past: Floats, *, level: float) -> float | None:
    """Return how many hours may pass without news; None with fewer than ten gaps to judge by.

    A quarter above the longest gap there was, and beyond where an exponential tail, fitted to what
    gaps exceed their median by, leaves no more than the level (peaks over threshold).

    Args:
        hours: How long it has been; what has passed already is no gap to judge by.
        past: Earlier gaps in hours; of predictions the longest of each day.
        level: The chance that a gap is longer by nature.
    """
    if past.size < _LEAST_GAPS or not np.isfinite(hours):
        return None
    middle = float(np.median(past))
    above = past[past >= middle] - middle
    tail = middle + float(above.mean()) * float(np.log(0.5 / level))
    return max(_BEYOND * float(past.max()), tail)


def is_larger_share(yes: int, of: int, *, others_yes: int, others: int, level: float) -> bool:
    """Tell whether a share is larger than another one by more than chance (Fisher's exact test).

    With nothing to compare with it is larger where more than half of the rows count.

    Example:
        >>> is_larger_share(30, 100, others_yes=10, others=1000, level=0.001)
        True
    """
    if not of:
        return False
    if not others:
        return yes > of / 2
    law = hypergeom(of + others, yes + others_yes, of)
    return yes * others > others_yes * of and float(law.sf(yes - 1)) <= level


def _as_days(dates: NDArray[np.int64], logs: Floats) -> Days:
    """Return one value a day as the sums of one measure."""
    ones = np.ones((dates.size, 1))
    values = logs[:, None]
    return Days(dates=dates, rows=ones[:, 0], counts=ones, sums=values, squares=values**2)


def _day(day: int) -> date:
    return _EPOCH + timedelta(days=day)
