"""What rows without labels are expected to lose, if the rules of the world have not changed.

For people to look at, never to alarm or to promote: where rules change, it sees nothing. Pure
numpy.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.models.metrics import Floats

__all__ = ["LossEstimate", "estimate_loss", "expected_losses"]

_LEVEL = 0.9
_LEAST_ROWS = 20
_LEAST_PAST = 200
_ABSOLUTE = frozenset({"mae", "wape"})
_SQUARED = frozenset({"rmse", "r2"})
_LEAST_PROBABILITY = 1e-6


class LossEstimate(Struct, frozen=True, kw_only=True):
    """The mean loss that rows without a label are expected to have, on the scale of `reference`.

    It holds if the rules of the world have not changed. `low` and `high` are as far off as nine in
    ten estimates of `compared` past days were, None with too few of them. `reference` is the mean
    loss at validation.
    """

    metric: str
    rows: int
    loss: float
    low: float | None
    high: float | None
    compared: int
    reference: float


def expected_losses(
    metric: str,
    *,
    prediction: Floats,
    high: Floats | None,
    width: float | None = None,
    validated: float,
    calibration: Sequence[tuple[float, float]] = (),
    threshold: float = 0.5,
) -> Floats | None:
    """Return the loss expected of each row, before its label is known; None where nothing says.

    Of a regression the half width of a row's interval is proportional to its expected error, and
    the mean loss at validation gives the proportion. Of a classification the calibrated probability
    is that of yes (Guillory et al. 2021; NannyML's CBPE).

    Args:
        metric: The metric whose losses are followed: `mae`, `wape`, `rmse`, `r2`, `log_loss`,
            `brier` or `accuracy`; of others nothing is said.
        prediction: Predictions, shape (rows,).
        high: Upper ends of their intervals, the same shape; None where there are none.
        width: The mean width of intervals at validation.
        validated: The mean loss at validation.
        calibration: Probabilities and how often yes came true with them, both rising.
        threshold: From which probability on the answer is yes.
    """
    if metric in _ABSOLUTE | _SQUARED:
        if high is None or not width or not np.isfinite(high).all():
            return None
        share = (high - prediction) / (width / 2)
        return validated * (share if metric in _ABSOLUTE else share**2)
    p = prediction
    if calibration:
        given, came = zip(*calibration, strict=True)
        p = np.interp(prediction, given, came)
    p = np.clip(p, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    said = np.clip(prediction, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    if metric == "log_loss":
        return np.asarray(-(p * np.log(said) + (1 - p) * np.log1p(-said)), dtype=np.float64)
    if metric == "brier":
        return np.asarray(p * (1 - said) ** 2 + (1 - p) * said**2, dtype=np.float64)
    if metric == "accuracy":
        return np.asarray(np.where(prediction >= threshold, 1 - p, p), dtype=np.float64)
    return None


def estimate_loss(
    metric: str,
    expected: Floats,
    *,
    past: Floats,
    actual: Floats,
    dates: NDArray[np.int64],
    reference: float,
) -> LossEstimate | None:
    """Return the mean loss expected of rows, as sure as past days were; None with few rows.

    From 200 labelled rows on, estimates are scaled so that they are right over these. The interval
    is as wide as the conformal 90 % quantile of |estimate - actual| over past days.

    Args:
        metric: What the losses are of.
        expected: Of the rows without a label.
        past: What was expected of rows whose label has come.
        actual: Their losses.
        dates: Their days.
        reference: The mean loss at validation.
    """
    if expected.size < _LEAST_ROWS:
        return None
    scale = _scale(past, actual)
    mean = scale * float(expected.mean())
    _, place, counts = np.unique(dates, return_inverse=True, return_counts=True)
    gaps = (
        np.abs(np.bincount(place, weights=scale * past - actual)) / counts
        if counts.size
        else counts
    )
    gaps = np.sort(np.asarray(gaps, dtype=np.float64)[counts >= _LEAST_ROWS])
    rank = math.ceil((gaps.size + 1) * _LEVEL)
    half = float(gaps[rank - 1]) if 0 < rank <= gaps.size else None
    return LossEstimate(
        metric=metric,
        rows=int(expected.size),
        loss=mean,
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
        compared=int(gaps.size),
        reference=reference,
    )


def _scale(past: Floats, actual: Floats) -> float:
    """Return what makes past estimates right on the whole; 1 where there is too little past."""
    guessed, came = float(past.sum()), float(actual.sum())
    if past.size < _LEAST_PAST or guessed <= 0.0 or came <= 0.0:
        return 1.0
    return came / guessed
