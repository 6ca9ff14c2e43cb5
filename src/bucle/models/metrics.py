"""What a prediction is worth: metrics of a set of rows, and the loss of each row.

Every metric is a plain formula in numpy. A metric that has no value on the rows given (AUC with
one class, R² of a constant) is left out of the answer instead of being NaN. Imports numpy and the
floors below; never scikit-learn, so that light processes may measure too.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bucle.errors import EvidenceError, UnknownNameError, nearest

__all__ = ["Cost", "Floats", "Kind", "find_warnings", "losses", "measure"]

Floats = NDArray[np.float64]
Kind = Literal["regression", "classification"]
Cost = Callable[[Floats, Floats], Floats]

_TINY = float(np.finfo(np.float64).eps)
_TOP_SHARE = 0.01
_HEAVY_SHARE = 0.5
_WARN_FROM_ROWS = 100
_LARGEST_SHARE = 1e300  # of a truth so near to 0 that the share overflows


def measure(
    kind: Kind,
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    threshold: float = 0.5,
    cost: Cost | None = None,
) -> dict[str, float]:
    """Measure predictions against the truth.

    Regression: `wape` Σ|e|/Σ|y|, `mae`, `rmse`, `mdape` the median of |e|/|y| where y is not 0,
    `r2`, and `r2_log`, the R² of the logarithms over rows with a positive truth (a prediction
    that is not positive counts as the smallest positive truth). Classification, where truth is 0
    or 1 and the prediction the probability of 1: `log_loss` in nats, `brier`, `auc` (ties count
    half), `accuracy` at the threshold. `money` is the mean cost of a row, where a cost is given.

    Args:
        kind: What is predicted.
        truth: Labels, shape (rows,).
        prediction: Predictions, shape (rows,).
        threshold: From which probability on the answer is yes.
        cost: Cost a row, called with truth and prediction.

    Returns:
        Metric name to value, in a fixed order; metrics without a value on these rows are absent.

    Raises:
        EvidenceError: Shapes differ or a value is not finite.

    Example:
        >>> measure("regression", [1.0, 3.0], [2.0, 3.0])["wape"]
        0.25
    """
    true, predicted = _pair(kind, truth, prediction)
    if true.size == 0:
        return {}
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is left out below
        if kind == "regression":
            found = _regression(true, predicted)
        else:
            found = _classification(true, predicted, threshold)
    if cost is not None:
        found["money"] = float(np.mean(_costs(cost, true, predicted)))
    return {name: value for name, value in found.items() if np.isfinite(value)}


def losses(
    metric: str,
    truth: ArrayLike,
    prediction: ArrayLike,
    *,
    threshold: float = 0.5,
    cost: Cost | None = None,
) -> Floats:
    """Return what each row adds to a metric, lower is better, for paired comparisons.

    |e| for `wape` and `mae`; e² for `rmse` and `r2`; the squared log ratio for `r2_log`; the
    absolute log ratio for `mdape` (|e|/|y| where a truth is not positive, 0 where it is 0); the
    cost for `money`; the usual scores for `log_loss` and `brier`; 0 or 1 for `accuracy`. For
    `auc` it is the pseudo-value of DeLong et al. (1988): the mean is 1 - AUC and the variance of
    the mean is DeLong's.

    Raises:
        UnknownNameError: There is no such metric.
        EvidenceError: Shapes differ, a value is not finite, or the metric needs what is missing.

    Example:
        >>> losses("mae", [1.0, 3.0], [2.0, 3.0]).tolist()
        [1.0, 0.0]
    """
    if metric == "money":
        true, predicted = _pair("regression", truth, prediction)
        if cost is None:
            raise EvidenceError(
                "Cannot measure money",
                cause="no cost of an error is given",
                attempt='[charter.money] error = "absolute"',
                code="bucle-161",
            )
        return _costs(cost, true, predicted)
    if metric in _REGRESSION_LOSSES:
        true, predicted = _pair("regression", truth, prediction)
        with np.errstate(over="ignore"):
            found = _REGRESSION_LOSSES[metric](true, predicted)
        if not np.isfinite(found).all():
            raise EvidenceError(
                f"Cannot measure {metric}: errors are too large to be squared",
                cause=f"the largest is {float(np.abs(predicted - true).max()):g}",
                code="bucle-161",
            )
        return found
    if metric == "accuracy":
        true, predicted = _pair("classification", truth, prediction)
        return np.asarray((predicted >= threshold) != (true > 0), dtype=np.float64)
    if metric in _CLASSIFICATION_LOSSES:
        true, predicted = _pair("classification", truth, prediction)
        return _CLASSIFICATION_LOSSES[metric](true, predicted)
    known = ["money", "accuracy", *_REGRESSION_LOSSES, *_CLASSIFICATION_LOSSES]
    raise UnknownNameError(
        f"There is no metric {metric!r}", did_you_mean=nearest(metric, known), code="bucle-162"
    )


def find_warnings(kind: Kind, truth: ArrayLike, prediction: ArrayLike) -> tuple[str, ...]:
    """Say in plain sentences what makes the metrics of these rows hard to trust.

    Warns when 1 % of the rows carries more than half of the squared error (from 100 rows on),
    when there are few rows, and when a yes/no target has one answer only.
    """
    true, predicted = _pair(kind, truth, prediction)
    found = []
    if true.size < _WARN_FROM_ROWS:
        found.append(f"few rows: metrics of {true.size} rows are uncertain")
    if kind == "classification":
        if true.size and np.unique(true).size == 1:
            found.append("only one class among the labels: AUC has no value")
        return tuple(found)
    error = np.abs(true - predicted)
    squared = np.sort((error / (error.max(initial=0.0) or 1.0)) ** 2)[::-1]
    top = int(np.ceil(_TOP_SHARE * squared.size))
    total = float(squared.sum())
    if squared.size >= _WARN_FROM_ROWS and total > 0:
        share = float(squared[:top].sum()) / total
        if share > _HEAVY_SHARE:
            found.append(
                f"{top} of {squared.size} rows carry {share:.0%} of the squared error: "
                "RMSE and R² tell about these rows only; look at WAPE, MdAPE and R² of the log"
            )
    return tuple(found)


# ---- regression ----------------------------------------------------------------


def _regression(true: Floats, predicted: Floats) -> dict[str, float]:
    error = predicted - true
    size = np.abs(true)
    nonzero = size > 0
    found = {
        "wape": _ratio(float(np.abs(error).sum()), float(size.sum())),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mdape": float(np.median(np.abs(error[nonzero]) / size[nonzero]))
        if nonzero.any()
        else np.nan,
        "r2": _r_squared(true, predicted),
    }
    positive = true > 0
    if positive.any():
        found["r2_log"] = _r_squared(np.log(true[positive]), _safe_log(true, predicted)[positive])
    return found


def _r_squared(true: Floats, predicted: Floats) -> float:
    unit = float(np.abs(true).max()) or 1.0  # squares of huge values would overflow
    scaled = true / unit
    spread = float(np.sum((scaled - scaled.mean()) ** 2))
    # A constant column leaves rounding dust in the sum, which must not pass for spread.
    if spread <= true.size * _TINY**2:
        return np.nan
    return 1.0 - float(np.sum((scaled - predicted / unit) ** 2)) / spread


def _safe_log(true: Floats, predicted: Floats) -> Floats:
    floor = float(true[true > 0].min())
    return np.log(np.where(predicted > 0, predicted, floor))


def _log_ratio(true: Floats, predicted: Floats) -> Floats:
    positive = true > 0
    if not positive.any():
        return np.zeros_like(true)
    ratio = _safe_log(true, predicted) - np.log(np.where(positive, true, 1.0))
    return np.where(positive, ratio, 0.0)


def _relative_loss(true: Floats, predicted: Floats) -> Floats:
    if (true > 0).all():
        return np.abs(_log_ratio(true, predicted))
    size = np.abs(true)
    share = np.abs(predicted - true) / np.where(size > 0, size, 1.0)
    return np.where(size > 0, np.minimum(share, _LARGEST_SHARE), 0.0)


def _absolute_loss(true: Floats, predicted: Floats) -> Floats:
    return np.abs(predicted - true)


def _squared_loss(true: Floats, predicted: Floats) -> Floats:
    return (predicted - true) ** 2


def _log_squared_loss(true: Floats, predicted: Floats) -> Floats:
    return _log_ratio(true, predicted) ** 2


_REGRESSION_LOSSES: dict[str, Cost] = {
    "wape": _absolute_loss,
    "mae": _absolute_loss,
    "rmse": _squared_loss,
    "mdape": _relative_loss,
    "r2": _squared_loss,
    "r2_log": _log_squared_loss,
}

# ---- classification ------------------------------------------------------------


def _classification(true: Floats, predicted: Floats, threshold: float) -> dict[str, float]:
    found = {
        "log_loss": float(_log_loss(true, predicted).mean()),
        "brier": float(_squared_loss(true, predicted).mean()),
    }
    if np.unique(true).size > 1:
        found["auc"] = 1.0 - float(_auc_loss(true, predicted).mean())
    found["accuracy"] = float(np.mean((predicted >= threshold) == (true > 0)))
    return found


def _log_loss(true: Floats, predicted: Floats) -> Floats:
    safe = np.clip(predicted, _TINY, 1.0 - _TINY)
    return -(true * np.log(safe) + (1.0 - true) * np.log1p(-safe))


def _auc_loss(true: Floats, predicted: Floats) -> Floats:
    yes = true > 0
    count_yes, count_no = int(yes.sum()), int((~yes).sum())
    if count_yes == 0 or count_no == 0:
        raise EvidenceError(
            "Cannot measure AUC: all labels are the same",
            cause="AUC compares rows of both classes",
            code="bucle-161",
        )
    lost = np.empty_like(true)
    lost[yes] = _share_above(predicted[yes], predicted[~yes])
    lost[~yes] = 1.0 - _share_above(predicted[~yes], predicted[yes])
    mean = float(lost[yes].mean())
    weight = np.where(yes, true.size / count_yes, true.size / count_no)
    return mean + weight * (lost - mean)


def _share_above(scores: Floats, others: Floats) -> Floats:
    """Return for each score the share of the others above it; ties count half."""
    ordered = np.sort(others)
    at_most = np.searchsorted(ordered, scores, side="right")
    below = np.searchsorted(ordered, scores, side="left")
    return 1.0 - (at_most + below) / (2.0 * ordered.size)


_CLASSIFICATION_LOSSES: dict[str, Cost] = {
    "log_loss": _log_loss,
    "brier": _squared_loss,
    "auc": _auc_loss,
}

# ---- input ---------------------------------------------------------------------


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan


def _pair(kind: Kind, truth: ArrayLike, prediction: ArrayLike) -> tuple[Floats, Floats]:
    true = np.asarray(truth, dtype=np.float64)
    predicted = np.asarray(prediction, dtype=np.float64)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise EvidenceError(
            f"Cannot measure: labels have shape {true.shape}, predictions {predicted.shape}",
            cause="there must be one prediction for each label",
            code="bucle-161",
        )
    for name, values in (("labels", true), ("predictions", predicted)):
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            raise EvidenceError(
                f"Cannot measure: {bad} of {values.size} {name} are not finite numbers",
                cause="NaN or infinity",
                code="bucle-161",
            )
    if kind == "classification":
        _check_yes_no(true, predicted)
    return true, predicted


def _check_yes_no(true: Floats, predicted: Floats) -> None:
    if not np.isin(true, (0.0, 1.0)).all():
        raise EvidenceError(
            "Cannot measure: labels of a classification must be 0 or 1",
            cause=f"found {float(true[~np.isin(true, (0.0, 1.0))][0]):g}",
            code="bucle-161",
        )
    if ((predicted < 0) | (predicted > 1)).any():
        raise EvidenceError(
            "Cannot measure: a probability is outside 0 to 1",
            cause=f"found {float(predicted[(predicted < 0) | (predicted > 1)][0]):g}",
            code="bucle-161",
        )


def _costs(cost: Cost, true: Floats, predicted: Floats) -> Floats:
    found = np.asarray(cost(true, predicted), dtype=np.float64)
    if found.shape != true.shape or not np.isfinite(found).all():
        raise EvidenceError(
            f"Cannot measure money: the cost of {true.size} rows has shape {found.shape}",
            cause="a cost function returns one finite number a row",
            attempt="def cost(truth, prediction): return abs(truth - prediction)",
            code="bucle-161",
        )
    return found
