"""What a day has of the day before: how strong that is, what it costs, and what is new in a day.

Day effects are taken for an autoregressive process of order one. Pure numpy.
"""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.models.metrics import Floats

__all__ = ["Surprise", "Surprises", "inflation", "memory_of"]

_WEEK = 7
_MOST_MEMORY = 0.9
_MOST_HIDDEN = 2.0


def memory_of(dates: NDArray[np.int64], effects: Floats, between: Floats) -> Floats:
    """Return the correlation of effects on neighbouring days, from 0 to 0.9, shape (measures,).

    What is found in few days is too small on average: (1 + 3 found) / days is added (Marriott and
    Pope 1954, Kendall 1954). Rows hide some of it too, as they make a day's mean scatter beyond its
    effect: it is set right by the variance of means over that of effects, at most twofold.

    Args:
        dates: The days, in rising order; with fewer than seven pairs of neighbours nothing is told.
        effects: What each day's mean differs by from what is usual, shape (days, measures).
        between: The variance of effects, without that of rows, shape (measures,).
    """
    follows = np.flatnonzero(np.diff(dates) == 1)
    if follows.size < _WEEK:
        return np.zeros(effects.shape[1])
    clean = np.where(np.isnan(effects), 0.0, effects)
    product = (clean[follows] * clean[follows + 1]).mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        square = (clean**2).mean(axis=0)
        found = product / square
        whole = (found + (1.0 + 3.0 * found) / dates.size) * np.fmin(square / between, _MOST_HIDDEN)
    return np.asarray(np.minimum(np.fmax(whole, 0.0), _MOST_MEMORY), dtype=np.float64)


def inflation(memory: Floats, days: int) -> Floats:
    """Return by how much the variance of a mean of so many days grows for their memory.

    1 + 2 Σ (1 - k/days) memory^k over the lags k.
    """
    if days == 1:
        return np.ones_like(memory)
    lags = np.arange(1, days)[:, None]
    grown = 1.0 + 2.0 * ((1.0 - lags / days) * memory[None, :] ** lags).sum(axis=0)
    return np.asarray(grown, dtype=np.float64)


class Surprise(Struct, frozen=True, kw_only=True):
    """What is new in a day: how far off it lies, in standard deviations, and how much that tells.

    `weight` is how many standard deviations off it would lie if all days had risen by one.
    """

    steps: float
    weight: float


class Surprises:
    """Tells of one day after the other what the days before did not foretell (Kalman 1960).

    As long as no day is expected above `usual`, no day is expected above what is foretold: that is
    `usual` and a part, below one, of what the days before lay off it.

    Args:
        usual: What days are expected to be at most.
        between: The variance of day effects.
        within: That of rows around their day.
        memory: The correlation of effects on neighbouring days.
    """

    def __init__(self, usual: float, *, between: float, within: float, memory: float) -> None:
        self._usual = usual
        self._between = between
        self._within = within
        self._memory = memory
        self._date: int | None = None
        self._effect = 0.0
        self._variance = between
        # What the effect would be taken for if all days had risen by one.
        self._share = 0.0

    def take(self, date: int, *, rows: int, mean: float) -> Surprise:
        """Return what is new in a day that follows all those before.

        Args:
            date: The day, in days since 1970.
            rows: How many it has.
            mean: Their mean.
        """
        if self._date is not None:
            kept = self._memory ** (date - self._date)
            self._effect *= kept
            self._share *= kept
            self._variance = kept**2 * self._variance + (1.0 - kept**2) * self._between
        self._date = date
        whole = self._variance + self._within / rows
        if whole <= 0.0:
            return Surprise(steps=0.0, weight=0.0)
        off = mean - self._usual - self._effect
        deviation = math.sqrt(whole)
        found = Surprise(steps=off / deviation, weight=(1.0 - self._share) / deviation)
        gain = self._variance / whole
        self._effect += gain * off
        self._share += gain * (1.0 - self._share)
        self._variance *= 1.0 - gain
        return found
