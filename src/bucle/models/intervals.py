"""Prediction intervals: split conformal, scaled by a small model of the error.

The score of a row is |y - f(x)| / σ(x); the interval is f(x) ± Q σ(x), Q being the
ceil((n+1)·level)/n quantile of the scores of rows newer than those σ was learned on (Papadopoulos
et al. 2002; Lei et al. 2018). Coverage is measured on rows newer still, which neither has seen.
Imports numpy and polars; scikit-learn only when σ is learned.
"""

from typing import Any, Self

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import ArrayLike

from bucle.errors import PackageError
from bucle.models.columns import Columns
from bucle.models.metrics import Floats

__all__ = ["Band", "ErrorScale", "Intervals", "fit_intervals"]

_SCALE_FROM_ROWS = 400
_SHARES = (0.5, 0.8)
_PLAIN_SHARE = 0.7
_GROUP_ROWS = 200
_GROUPS = 10
_FEW_ROWS = 100
_TREES = 40
_RATE = 0.05
_FLOOR_SHARE = 0.1
_LEAST = 1e-12


class Intervals(Struct, frozen=True, kw_only=True):
    """How wide intervals are and how often they held, as a package records it.

    `quantile` is Q for rows of no group of their own, None when there were too few rows;
    `coverage` and `width` (mean) were measured on `measured_rows` rows newer than all others.
    `positive` cuts lower ends at 0. `note` says in words what to be careful about.
    """

    level: float
    quantile: float | None
    positive: bool
    scaled: bool
    group: str | None = None
    group_quantiles: dict[str, float] = {}
    coverage: float | None = None
    width: float | None = None
    scale_rows: int
    quantile_rows: int
    measured_rows: int
    note: str = ""


class ErrorScale:
    """Predict how large the error of a prediction is, from the row and the prediction.

    Learns the logarithm of |error|, so that σ is positive and rare large errors do not rule it.

    Args:
        seed: Of the learner's random numbers.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, features: pl.DataFrame, prediction: Floats, error: Floats) -> Self:
        """Learn from absolute errors on rows the model itself was not fitted on."""
        from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415  (3 s, at packaging only)

        self.columns_ = Columns().fit(features)
        # Keeps rows predicted exactly from getting a scale of nothing.
        self.floor_ = max(_FLOOR_SHARE * float(np.median(error)), _LEAST)
        learner = HistGradientBoostingRegressor(
            learning_rate=_RATE,
            max_iter=_TREES,
            random_state=self.seed,
            early_stopping=False,
            categorical_features=list(range(self.columns_.words)) or None,
        )
        learner.fit(self._matrix(features, prediction), np.log(error + self.floor_))
        self.learner_: Any = learner
        return self

    def predict(self, features: pl.DataFrame, prediction: Floats) -> Floats:
        """Return σ of each row, positive, shape (rows,)."""
        return np.asarray(np.exp(self.learner_.predict(self._matrix(features, prediction))))

    def _matrix(self, features: pl.DataFrame, prediction: Floats) -> Floats:
        return np.column_stack([self.columns_.transform(features), prediction])


class Band:
    """Intervals ready for use: the record of them, and σ where one was learned.

    Args:
        intervals: The record.
        scale: σ(x); None where every row has the same.
    """

    def __init__(self, intervals: Intervals, scale: ErrorScale | None) -> None:
        self.intervals = intervals
        self.scale = scale

    def around(self, features: pl.DataFrame, prediction: Floats) -> tuple[Floats, Floats]:
        """Return the lower and the upper end for each prediction, shapes (rows,).

        Raises:
            PackageError: There were too few rows to learn intervals from.
        """
        quantile = self.intervals.quantile
        if quantile is None:
            raise PackageError(
                "Cannot give intervals for this model",
                cause=self.intervals.note,
                attempt="bucle run, once more labels have come",
                code="bucle-169",
            )
        half = _quantiles(self.intervals, features, quantile) * _scales(
            self.scale, features, prediction
        )
        low = prediction - half
        return (np.maximum(low, 0.0) if self.intervals.positive else low), prediction + half


def fit_intervals(
    features: pl.DataFrame,
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    level: float = 0.9,
    group: str | None = None,
    seed: int = 0,
) -> Band:
    """Learn prediction intervals from labelled rows that the model was not fitted on.

    From 400 rows on, the oldest half teaches σ, the next 30 % give Q and the newest 20 % measure
    the coverage; with fewer rows σ is the same for all, 70 % give Q and 30 % measure. Where Q
    would need more rows than there are, there are no intervals and the note says so.

    Args:
        features: What the model takes, oldest rows first.
        truth: Labels, shape (rows,).
        prediction: The model's predictions, shape (rows,).
        level: Wished coverage, such as 0.9.
        group: Column of groups that get a Q of their own: at most 10 with at least 200 rows each
            among those that give Q (Mondrian); all other rows share one.
        seed: Of σ.

    Returns:
        Intervals with their measured coverage.
    """
    true = np.asarray(truth, dtype=np.float64)
    predicted = np.asarray(prediction, dtype=np.float64)
    rows = true.size
    scaled = rows >= _SCALE_FROM_ROWS
    first = int(rows * _SHARES[0]) if scaled else 0
    second = int(rows * (_SHARES[1] if scaled else _PLAIN_SHARE))
    error = np.abs(true - predicted)
    scale = None
    if scaled:
        scale = ErrorScale(seed).fit(features[:first], predicted[:first], error[:first])
    bare = Intervals(
        level=level,
        quantile=None,
        positive=bool(rows) and bool((true >= 0).all()),
        scaled=scaled,
        scale_rows=first,
        quantile_rows=second - first,
        measured_rows=rows - second,
    )
    middle = features[first:second]
    scores = error[first:second] / _scales(scale, middle, predicted[first:second])
    settled = _settle(bare, scores, middle, group)
    band = Band(settled, scale)
    if settled.quantile is None or second == rows:
        return band
    low, high = band.around(features[second:], predicted[second:])
    held = (true[second:] >= low) & (true[second:] <= high)
    return Band(
        replace(settled, coverage=float(held.mean()), width=float((high - low).mean())), scale
    )


def _settle(
    bare: Intervals, scores: Floats, features: pl.DataFrame, group: str | None
) -> Intervals:
    quantile = _conformal_quantile(scores, bare.level)
    if quantile is None:
        least = int(np.ceil(bare.level / (1 - bare.level)))
        note = f"few rows: {scores.size} of the at least {least} that level {bare.level:g} needs"
        return replace(bare, note=note)
    note = f"few rows: {scores.size} gave the width" if scores.size < _FEW_ROWS else ""
    groups = _group_quantiles(scores, features, group, bare.level) if group else {}
    return replace(
        bare,
        quantile=quantile,
        group=group if groups else None,
        group_quantiles=groups,
        note=note,
    )


def _scales(scale: ErrorScale | None, features: pl.DataFrame, prediction: Floats) -> Floats:
    return np.ones(features.height) if scale is None else scale.predict(features, prediction)


def _conformal_quantile(scores: Floats, level: float) -> float | None:
    rank = int(np.ceil((scores.size + 1) * level))
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= scores.size else None


def _group_quantiles(
    scores: Floats, features: pl.DataFrame, group: str, level: float
) -> dict[str, float]:
    words = features.get_column(group).cast(pl.String).to_list()
    rows: dict[str, list[int]] = {}
    for at, word in enumerate(words):
        if word is not None:
            rows.setdefault(word, []).append(at)
    largest = sorted(rows, key=lambda word: (-len(rows[word]), word))[:_GROUPS]
    found = {}
    for word in largest:
        quantile = _conformal_quantile(scores[rows[word]], level)
        if len(rows[word]) >= _GROUP_ROWS and quantile is not None:
            found[word] = quantile
    return found


def _quantiles(intervals: Intervals, features: pl.DataFrame, quantile: float) -> Floats:
    if intervals.group is None or not intervals.group_quantiles:
        return np.full(features.height, quantile)
    words = features.get_column(intervals.group).cast(pl.String).to_list()
    own = intervals.group_quantiles
    return np.asarray([own.get(word, quantile) for word in words], dtype=np.float64)
