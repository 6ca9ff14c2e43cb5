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

__all__ = ["LossEstimate", "Validated", "estimate_loss", "expected_losses", "validated_of"]

_LEVEL = 0.9
_LEAST_ROWS = 20
_LEAST_PAST = 200
_ABSOLUTE = frozenset({"mae", "wape"})
_SQUARED = frozenset({"rmse", "r2"})
_LEAST_PROBABILITY = 1e-6


class Validated(Struct, frozen=True, kw_only=True):
    """What rows lost at validation on average, and how wide the intervals around them were.

    `half` is the mean of the upper halves of the intervals and `square` that of their squares;
    None where there are no intervals. All three are of the same rows. Both means are kept, because
    the square of a mean is not the mean of squares.
    """

    loss: float
    half: float | None = None
    square: float | None = None

    def usual(self, metric: str) -> float | None:
        """Return the mean of what a metric's losses are proportional to; None where unknown."""
        return (self.half if metric in _ABSOLUTE else self.square) or None


class LossEstimate(Struct, frozen=True, kw_only=True):
    """The mean loss that rows without a label are expected to have, on the scale of `reference`.

    It holds if the rules of the world have not changed. `low` and `high` are as far off as nine in
    ten estimates of `compared` past days were, None with too few of them; no loss is below 0.
    `reference` is the mean loss at validation.
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
    high: Floats | None = None,
    validated: Validated | None = None,
    calibration: Sequence[tuple[float, float]] = (),
    threshold: float = 0.5,
) -> Floats | None:
    """Return the loss expected of each row, before its label is known; None where nothing says.

    Of a regression the half width of a row's interval is proportional to its expected error, and
    what was lost at validation, with what width, gives the proportion. Where a package does not
    say, halves or their squares are returned as they are: `estimate_loss` then takes the proportion
    from labels. Of a classification the calibrated probability is that of yes (Guillory et al.
    2021; NannyML's CBPE).

    Args:
        metric: The metric whose losses are followed: `mae`, `wape`, `rmse`, `r2`, `log_loss`,
            `brier` or `accuracy`; of others nothing is said.
        prediction: Predictions, shape (rows,).
        high: Upper ends of their intervals, the same shape; None where there are none.
        validated: What was lost at validation; None where that is not known.
        calibration: Probabilities and how often yes came true with them, both rising.
        threshold: From which probability on the answer is yes.
    """
    if metric in _ABSOLUTE | _SQUARED:
        if high is None or not np.isfinite(high).all():
            return None
        half = high - prediction
        usual = validated.usual(metric) if validated is not None else None
        proportion = 1.0 if validated is None or not usual else validated.loss / usual
        return proportion * (half if metric in _ABSOLUTE else half**2)
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


def validated_of(losses: Floats, *, prediction: Floats, high: Floats | None) -> Validated:
    """Return what rows lost at validation, and how wide their intervals were.

    Args:
        losses: What each row adds to the metric, as it is.
        prediction: Their predictions.
        high: Upper ends of their intervals; None where there are none.
    """
    loss = float(losses.mean())
    if high is None:
        return Validated(loss=loss)
    half = high - prediction
    return Validated(loss=loss, half=float(half.mean()), square=float((half**2).mean()))


def estimate_loss(
    metric: str,
    expected: Floats,
    *,
    past: Floats,
    actual: Floats,
    dates: NDArray[np.int64],
    reference: float,
    is_relative: bool = False,
) -> LossEstimate | None:
    """Return the mean loss expected of rows, as sure as past days were; None with few rows.

    From 200 labelled rows on, estimates are scaled so that they are right over these. The interval
    is as wide as the conformal 90 % quantile of |estimate - actual| over past days, and ends at 0.

    Args:
        metric: What the losses are of.
        expected: Of the rows without a label.
        past: What was expected of rows whose label has come.
        actual: Their losses.
        dates: Their days.
        reference: The mean loss at validation.
        is_relative: Whether only the labels say what losses are expected, because nothing is known
            of the widths at validation: then nothing is said before there are enough of them.
    """
    scale = _scale(past, actual)
    if expected.size < _LEAST_ROWS or (is_relative and scale is None):
        return None
    scale = 1.0 if scale is None else scale
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
        low=None if half is None else max(0.0, mean - half),
        high=None if half is None else mean + half,
        compared=int(gaps.size),
        reference=reference,
    )


def _scale(past: Floats, actual: Floats) -> float | None:
    """Return what makes past estimates right on the whole; None where there is too little past."""
    guessed, came = float(past.sum()), float(actual.sum())
    if past.size < _LEAST_PAST or guessed <= 0.0 or came <= 0.0:
        return None
    return came / guessed
