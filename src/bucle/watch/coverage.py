"""How often intervals hold on new days, and how wide they would have to be: one step a batch.

Adaptive conformal inference (Gibbs & Candès 2021) in the form that labels of whole days allow: the
level moves once a day by the day's misses, and the width is a quantile of the last mature scores.
A step per row would overshoot, since the labels of a day come together. Pure numpy.
"""

from datetime import date, timedelta

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.models.metrics import Floats

__all__ = ["Coverage", "CoverageDay", "adapt_coverage", "interval_scores"]

_STEP = 0.1
_WINDOW = 5000
_LEAST = 500
_MISSES = (0.005, 0.5)
_RECENT = 30
_LARGEST = 1e9
_EPOCH = date(1970, 1, 1)


class CoverageDay(Struct, frozen=True, kw_only=True):
    """One mature day: how many labelled rows, and which share of them the intervals held.

    `factor` is by how much widths would have been multiplied on that day, told from days before
    it, `level` the level that its quantile was taken at, and `adapted` the share that would have
    been held with it.
    """

    date: str
    rows: int
    observed: float
    adapted: float
    factor: float
    level: float


class Coverage(Struct, frozen=True, kw_only=True):
    """How often the intervals hold.

    `level` is what they promise and `validated` what they were measured at; `recent` the share over
    the last 30 mature days with labels, `first` to `last`, of `rows` rows. `factor` is what the
    next day's widths would have to be multiplied by, at the level `adapted_level`; it is known from
    500 scores on and 1 before, and `missing` says how many there are too few.
    """

    level: float
    validated: float | None
    recent: float
    rows: int
    first: str
    last: str
    factor: float
    adapted_level: float
    missing: int = 0
    days: tuple[CoverageDay, ...]


def interval_scores(truth: Floats, prediction: Floats, high: Floats) -> Floats:
    """Return each row's error as a share of its interval's half width: at most 1 is held.

    The upper half is measured, because lower ends may be cut at 0. A width of 0 holds only what is
    exact; of anything else the score is a billion.

    Example:
        >>> interval_scores(np.array([3.0]), np.array([5.0]), np.array([9.0])).tolist()
        [0.5]
    """
    error, half = np.abs(truth - prediction), high - prediction
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(error == 0.0, 0.0, error / half)
    return np.asarray(np.minimum(found, _LARGEST), dtype=np.float64)


def adapt_coverage(
    scores: Floats,
    dates: NDArray[np.int64],
    *,
    level: float,
    validated: float | None = None,
    step: float = _STEP,
    window: int = _WINDOW,
) -> Coverage | None:
    """Follow coverage day by day; None without a row.

    Before each day the factor is the ceil((n+1)·(1-a))/n quantile of the last scores. After it
    `a ← clip(a + step·(1 - level - missed), 0.005, 0.5)`, where `missed` is the share of the day's
    rows that the adapted interval did not hold: one step a day, however many rows it has.

    Args:
        scores: As `interval_scores` gives them, shape (rows,).
        dates: The day of each row, in days since 1970; a day's labels count from the next day on.
        level: The coverage that intervals promise.
        validated: The coverage they were measured at.
        step: How far the level moves for a day that missed everything.
        window: How many of the last scores give the width.
    """
    if not scores.size:
        return None
    order = np.argsort(dates, kind="stable")
    scores, dates = scores[order], dates[order]
    miss, factor, chosen = 1.0 - level, 1.0, level
    found: list[CoverageDay] = []
    days, starts = np.unique(dates, return_index=True)
    for at, (day, start) in enumerate(zip(days.tolist(), starts.tolist(), strict=True)):
        end = int(starts[at + 1]) if at + 1 < days.size else scores.size
        own = scores[start:end]
        adapted = float((own <= factor).mean())
        found.append(
            CoverageDay(
                date=str(_EPOCH + timedelta(days=day)),
                rows=int(own.size),
                observed=float((own <= 1.0).mean()),
                adapted=adapted,
                factor=factor,
                level=chosen,
            )
        )
        known = scores[max(0, end - window) : end]
        if known.size >= _LEAST:
            missed = 1.0 - adapted
            miss = float(np.clip(miss + step * (1.0 - level - missed), *_MISSES))
            chosen = 1.0 - miss
            factor = _quantile(known, chosen)
    is_recent = days > days[-1] - _RECENT
    recent = scores[dates > days[-1] - _RECENT]
    return Coverage(
        level=level,
        validated=validated,
        recent=float((recent <= 1.0).mean()),
        rows=int(recent.size),
        first=str(_EPOCH + timedelta(days=int(days[is_recent][0]))),
        last=str(_EPOCH + timedelta(days=int(days[-1]))),
        factor=factor,
        adapted_level=chosen,
        missing=max(0, _LEAST - scores.size),
        days=tuple(found),
    )


def _quantile(scores: Floats, level: float) -> float:
    """Return the conformal quantile; the largest score where it would need more rows."""
    rank = min(int(np.ceil((scores.size + 1) * level)), scores.size)
    return float(np.partition(scores, rank - 1)[rank - 1])
