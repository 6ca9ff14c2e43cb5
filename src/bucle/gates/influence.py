"""How sure a metric is: each row's part in it, so that every metric becomes a mean.

A metric that is a ratio or a rank is linearised around its value (delta method; DeLong for AUC);
the mean of the parts is the metric, and their spread is its uncertainty. The median and a share
are bounded by inverting a test instead. Pure numpy.
"""

import math
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from bucle.charter.metrics import METRICS
from bucle.gates.comparison import Interval, Rule, bound_mean, steps_from_mean
from bucle.gates.units import Units, to_units
from bucle.models.metrics import Cost, Floats, losses

__all__ = ["bound_metric"]

_RATIOS = ("wape", "r2", "r2_log")


def bound_metric(
    metric: str,
    truth: Floats,
    prediction: Floats,
    *,
    rule: Rule,
    clusters: NDArray[Any] | None = None,
    threshold: float = 0.5,
    cost: Cost | None = None,
) -> tuple[Interval, Units]:
    """Bound a metric from below and from above.

    Means (`mae`, `money`, `log_loss`, `brier`) by their rows; `wape`, `rmse`, `r2` and `r2_log`
    by the delta method; `auc` by DeLong et al. (1988); `mdape` by inverting the sign test
    (Woodruff 1952); `accuracy` by Wilson's interval. All with clusters, and for one look or many.
    Bounds stay within what the metric can be.

    Returns:
        The interval, and the units that it rests on.

    Raises:
        EvidenceError: The metric has no value on these rows, or the cost function misbehaves.
    """
    parts, kept = _parts(metric, truth, prediction, threshold=threshold, cost=cost)
    units = to_units(parts, clusters=None if clusters is None else clusters[kept])
    if metric == "mdape":
        interval = _bound_median(parts, units, clusters=clusters, kept=kept, rule=rule)
    elif metric == "accuracy":
        interval = _bound_share(units, rule=rule)
    else:
        interval = bound_mean(units, rule=rule)
    info = METRICS[metric]
    low = interval.low if info.low is None else max(info.low, interval.low)
    high = interval.high if info.high is None else min(info.high, interval.high)
    return replace(interval, low=low, high=high), units


def _parts(
    metric: str, truth: Floats, prediction: Floats, *, threshold: float, cost: Cost | None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each row's part, and which rows have one."""
    kept = np.ones(truth.shape, dtype=np.bool_)
    if metric == "mdape":
        kept = truth != 0
        return np.abs(prediction[kept] - truth[kept]) / np.abs(truth[kept]), kept
    if metric == "r2_log":
        kept = truth > 0
    lost = losses(metric, truth, prediction, threshold=threshold, cost=cost)[kept]
    if metric in {"auc", "accuracy"}:
        return 1.0 - lost, kept
    if metric == "rmse":
        root = math.sqrt(float(lost.mean())) if lost.size else 0.0
        return (root + (lost - root**2) / (2.0 * root) if root else lost), kept
    if metric in _RATIOS and lost.size:
        return _ratio_parts(metric, truth[kept], lost), kept
    return lost, kept


def _ratio_parts(metric: str, truth: Floats, lost: Floats) -> Floats:
    if metric == "wape":
        whole = np.abs(truth)
    else:
        values = np.log(truth) if metric == "r2_log" else truth
        whole = (values - values.mean()) ** 2
    size = float(whole.mean())
    if size == 0.0:
        return np.full_like(lost, np.nan)
    ratio = float(lost.mean()) / size
    parts = ratio + (lost - ratio * whole) / size
    return parts if metric == "wape" else 1.0 - parts


def _bound_median(
    parts: Floats,
    units: Units,
    *,
    clusters: NDArray[Any] | None,
    kept: NDArray[np.bool_],
    rule: Rule,
) -> Interval:
    if parts.size == 0:
        return bound_mean(units, rule=rule)
    median = float(np.median(parts))
    below = to_units(
        np.asarray(parts <= median, dtype=np.float64),
        clusters=None if clusters is None else clusters[kept],
    )
    if below.count == 1:
        return Interval(
            estimate=median, low=-math.inf, high=math.inf, spread=math.nan, units=below.count
        )
    root = math.sqrt(below.count)
    # Values that tie at the median leave fewer below it; half and half is the careful answer.
    error = max(float(below.values.std(ddof=1)), 0.5 if clusters is None else 0.0) / root
    steps = steps_from_mean(below.effective, rule=rule)
    ordered = np.sort(parts)
    last = parts.size - 1
    low = float(ordered[max(0, math.floor((0.5 - steps * error) * last))])
    high = float(ordered[min(last, math.ceil((0.5 + steps * error) * last))])
    spread = (high - low) / (2.0 * steps) * root
    return Interval(estimate=median, low=low, high=high, spread=spread, units=below.count)


def _bound_share(units: Units, *, rule: Rule) -> Interval:
    plain = bound_mean(units, rule=rule)
    share = plain.estimate
    if units.count <= 1:
        return plain
    binomial = share * (1.0 - share)
    # Clusters make the share as uncertain as that of fewer independent rows.
    rows = float(units.rows)
    if units.clustered:
        error = plain.spread / math.sqrt(units.count)
        rows = min(rows, binomial / error**2) if error > 0 else units.effective
    steps = steps_from_mean(units.effective, rule=rule)
    centre = (share + steps**2 / (2.0 * rows)) / (1.0 + steps**2 / rows)
    reach = (
        steps * math.sqrt(binomial / rows + steps**2 / (4.0 * rows**2)) / (1.0 + steps**2 / rows)
    )
    return Interval(
        estimate=share,
        low=centre - reach,
        high=centre + reach,
        spread=plain.spread,
        units=units.count,
    )
