"""Each measure day by day beside the band in which days of the reference lie: what charts draw.

Pure numpy and scipy.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import stdtrit

from bucle.models.metrics import Floats
from bucle.watch.days import Days
from bucle.watch.inputs import Look
from bucle.watch.spread import Spread, compare
from bucle.watch.yardsticks import Kind, Measure

__all__ = ["Series", "series_of"]

_BAND = 0.975
_EPOCH = date(1970, 1, 1)


class Series(Struct, frozen=True, kw_only=True):
    """One measure of one column, day by day, in the column's units or as a share.

    `rows` are those that count on each day; `expected`, `low` and `high` the reference's mean for
    such a day and the band in which 19 of 20 of its days lie; `found` says whether the look at that
    day found the measure. What has no value is None. `reference_dates` and `reference_values` are
    the days that the model was made on.
    """

    column: str
    kind: Kind
    what: str
    dates: tuple[str, ...]
    rows: tuple[int, ...]
    values: tuple[float | None, ...]
    expected: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    found: tuple[bool, ...]
    reference_dates: tuple[str, ...]
    reference_values: tuple[float | None, ...]


def series_of(
    spread: Spread,
    reference: Days,
    days: Days,
    measures: Sequence[Measure],
    *,
    looks: Sequence[Look],
) -> tuple[Series, ...]:
    """Return the series of all measures.

    Args:
        spread: Of the reference's days.
        reference: Those days.
        days: The days that are watched.
        measures: What the columns of both are.
        looks: One a watched day, in the same order.
    """
    shape = (days.dates.size, len(measures))
    expected, half = np.full(shape, np.nan), np.full(shape, np.nan)
    for at, day in enumerate(days.dates):
        one = compare(spread, days.take(days.dates == day))
        expected[at] = one.expected
        with np.errstate(invalid="ignore"):
            half[at] = stdtrit(one.freedom, _BAND) * one.error
    found = [{finding.measure for finding in look.findings} for look in looks]
    dates, known = _days(days.dates), _days(reference.dates)
    means, before = days.means, reference.means
    return tuple(
        Series(
            column=measure.column,
            kind=measure.kind,
            what=str(measure),
            dates=dates,
            rows=tuple(int(count) for count in days.counts[:, place]),
            values=_in_units(measure, means[:, place]),
            expected=_in_units(measure, expected[:, place]),
            low=_in_units(measure, expected[:, place] - half[:, place]),
            high=_in_units(measure, expected[:, place] + half[:, place]),
            found=tuple(measure in one for one in found),
            reference_dates=known,
            reference_values=_in_units(measure, before[:, place]),
        )
        for place, measure in enumerate(measures)
    )


def _in_units(measure: Measure, values: Floats) -> tuple[float | None, ...]:
    return tuple(
        measure.in_units(value) if np.isfinite(value) else None for value in values.tolist()
    )


def _days(dates: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(str(_EPOCH + timedelta(days=int(day))) for day in dates)
