"""How much measures differ from day to day by nature: the spread that windows are judged against.

Rows of one day move together, so a window of many rows of few days tells less than its rows
suggest. Pure numpy and scipy.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import stdtr

from bucle.models.metrics import Floats
from bucle.watch.days import Days
from bucle.watch.memory import inflation, memory_of

__all__ = ["Comparison", "Spread", "compare", "spread_of"]

_WEEK = 7
_LEAST_WEEKS = 4
_ROUNDING = 1e-12


class Spread(Struct, frozen=True, kw_only=True, eq=False):
    """A reference's days: their means and how these scatter, by measure.

    `cells` is 7 where each day of the week has its own mean, else 1. `means` has shape (cells,
    measures); `counts` the rows that count and `square_counts` the sum over days of their squares.
    `between` and `within` are the variances of day effects and of rows around their day, `size` the
    rows of a typical day, `memory` the correlation of a day's effect with that of the day before,
    `freedom` the degrees of freedom of days; shape (measures,).
    """

    cells: int
    means: Floats
    counts: Floats
    square_counts: Floats
    between: Floats
    within: Floats
    size: Floats
    memory: Floats
    freedom: Floats
    days: int


class Comparison(Struct, frozen=True, kw_only=True, eq=False):
    """A window beside its reference, by measure, shape (measures,).

    `expected` is the reference's mean for the same days of the week, `error` the standard error
    of `found - expected`, `freedom` its degrees of freedom, `p` the two-sided p-value of the t
    test. NaN where the window or the reference has no row that counts.
    """

    found: Floats
    expected: Floats
    error: Floats
    freedom: Floats
    p: Floats


def spread_of(days: Days) -> Spread:
    """Return the spread of a reference's days.

    Components of variance by the method of moments (Searle, Casella & McCulloch 1992, ch. 3): the
    mean square between days, less the mean square within, over the mean size of a day. With
    four weeks of history each day of the week has its own mean.
    """
    weekly = days.dates.size >= _LEAST_WEEKS * _WEEK
    cells = _WEEK if weekly else 1
    cell = _cells(days.dates, cells)
    counts = np.zeros((cells, days.counts.shape[1]))
    sums, square_counts = np.zeros_like(counts), np.zeros_like(counts)
    np.add.at(counts, cell, days.counts)
    np.add.at(sums, cell, days.sums)
    np.add.at(square_counts, cell, days.counts**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
        whole = counts.sum(axis=0)
        active = (days.counts > 0).sum(axis=0)
        used = (counts > 0).sum(axis=0)
        within_freedom = whole - active
        within = (days.squares - np.where(days.counts > 0, days.sums**2 / days.counts, 0.0)).sum(
            axis=0
        ) / within_freedom
        within = np.where(within_freedom > 0, np.maximum(within, 0.0), 0.0)
        effects = days.means - means[cell]
        freedom = (active - used).astype(np.float64)
        square = np.nansum(days.counts * effects**2, axis=0) / freedom
        size = (whole - (square_counts / counts).sum(axis=0, where=counts > 0)) / freedom
        between = np.where(freedom > 0, np.maximum((square - within) / size, 0.0), np.nan)
    return Spread(
        cells=cells,
        means=means,
        counts=counts,
        square_counts=square_counts,
        between=between,
        within=within,
        size=size,
        memory=memory_of(days.dates, effects, between),
        freedom=freedom,
        days=int(days.dates.size),
    )


def compare(spread: Spread, window: Days) -> Comparison:
    """Compare a window with the reference.

    The window's variance is that of its days' effects, with the memory that one day has of the day
    before, and that of its rows; the reference's is added. The degrees of freedom are those of
    Satterthwaite (1946), for the mean square between days; where days seem to differ by nothing
    beyond their rows, that still is only as well known as there are days. Days of the week that the
    reference never had are left out: a shop that opens on Sundays has nothing to compare them with.
    """
    cell = _cells(window.dates, spread.cells)
    has_mean = spread.counts[cell] > 0
    counts = np.where(has_mean, window.counts, 0.0)
    by_cell = np.zeros_like(spread.counts)
    np.add.at(by_cell, cell, counts)
    rows = counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = by_cell / rows
        found = np.where(has_mean, window.sums, 0.0).sum(axis=0) / rows
        expected = np.where(weights > 0, weights * spread.means, 0.0).sum(axis=0)
        shares = counts / rows
        day_part = (shares**2).sum(axis=0) * inflation(spread.memory, window.dates.size)
        known = weights > 0
        reference_days = np.where(
            known, weights**2 * spread.square_counts / spread.counts**2, 0.0
        ).sum(axis=0)
        reference_rows = np.where(known, weights**2 / spread.counts, 0.0).sum(axis=0)
        days = day_part + reference_days
        variance = spread.between * days + spread.within * (1.0 / rows + reference_rows)
        square = days * (spread.between + spread.within / spread.size)
        # Days of more rows than those of the reference may differ by what its rows have hidden.
        hidden = np.maximum(square - variance, 0.0) * np.sqrt(2.0 / spread.freedom)
        error = np.sqrt(variance + np.fmax(hidden, 0.0))
        freedom = spread.freedom * np.maximum(variance / square, 1.0) ** 2
        freedom = np.where(np.isfinite(freedom), np.minimum(freedom, 1e6), 1e6)
        freedom = np.where(spread.freedom > 0, freedom, np.nan)
        steps = np.abs(found - expected) / error
        # Where nothing ever varied, rounding alone would lie infinitely far off.
        same = np.abs(found - expected) <= _ROUNDING * np.maximum(np.abs(found), np.abs(expected))
        steps = np.where(same, 0.0, steps)
        p = 2.0 * stdtr(freedom, -steps)
    return Comparison(found=found, expected=expected, error=error, freedom=freedom, p=p)


def _cells(dates: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
    """Return each day's cell; 1970 began on a Thursday."""
    return (dates + 3) % cells if cells > 1 else np.zeros(dates.size, dtype=np.int64)
