"""Who errs less on the same rows: paired differences of losses, relative to the reference.

Used against the champion, against baselines, within slices and for a refit. Pure numpy.
"""

import math
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.gates.comparison import Rule, bound_mean, finite_or_none, smallest_detectable
from bucle.gates.shortage import LEAST_CLUSTERS, rows_needed, say_shortage
from bucle.gates.units import to_units
from bucle.gates.wording import say_percent, warn_of_tail
from bucle.grammar import say_count
from bucle.models.metrics import Floats
from bucle.types import Check, Outcome

__all__ = ["Gain", "bound_gain", "check_gain", "measure_day_effect"]

_MICROSECONDS_A_DAY = 86_400_000_000


class Gain(Struct, frozen=True, kw_only=True):
    """The share of the reference's loss that the challenger saves, and how sure that is.

    `estimate`, `low`, `high`, `limit` and `detectable` are shares: 0.05 is 5 % less loss, below
    zero is worse. `limit` is minus the margin: above it counts as good enough. `labels_needed` is
    how many more rows would tell the estimate from the limit.
    """

    estimate: float
    low: float
    high: float
    limit: float
    detectable: float | None
    labels_needed: int | None
    same: bool
    shortage: str
    tail: float = 0.0


def bound_gain(
    reference: Floats,
    challenger: Floats,
    *,
    rule: Rule,
    margin: float = 0.0,
    clusters: NDArray[Any] | None = None,
) -> Gain:
    """Bound the relative gain of a challenger over a reference on the same rows.

    The paired unit is `reference - challenger + margin × reference`, so that the margin's own
    uncertainty is in the bound (Fieller's test): the lower bound is above `-margin` exactly when
    the mean of these units is shown to be positive. With margin 0 it is the paired test of the
    losses. A reference without any loss makes the gain absolute.

    Args:
        reference: Loss of each row, lower is better.
        challenger: Loss of each row on the same rows.
        rule: How sure, and how often one looks.
        margin: Share of the reference's loss that still counts as equal.
        clusters: Which rows belong together.

    Example:
        >>> rows = np.arange(1.0, 101.0)
        >>> gain = bound_gain(rows, 0.9 * rows, rule=Rule())
        >>> round(gain.estimate, 3), gain.low > 0
        (0.1, True)
    """
    difference = reference - challenger
    mean = float(reference.mean()) if reference.size else 0.0
    relative = 0.0 < abs(mean) < math.inf
    scale = abs(mean) if relative else 1.0
    units = to_units(difference + math.copysign(margin, mean) * reference, clusters=clusters)
    shifted = margin if relative else 0.0
    interval = bound_mean(units, rule=rule)
    detectable = smallest_detectable(interval, rule=rule)
    # Where no loss is below zero, nobody saves more than all of it.
    bounded = relative and mean > 0 and bool((challenger >= 0).all())
    highest = 1.0 if bounded else math.inf
    return Gain(
        estimate=interval.estimate / scale - shifted,
        low=interval.low / scale - shifted,
        high=min(interval.high / scale - shifted, highest),
        limit=-shifted + 0.0,
        detectable=None if detectable is None else finite_or_none(detectable / scale),
        labels_needed=rows_needed(units, interval, gap=interval.estimate, rule=rule),
        same=bool(difference.size) and not difference.any(),
        shortage=say_shortage(units),
        tail=interval.tail,
    )


def check_gain(name: str, gain: Gain, *, over: str) -> Check:
    """Answer whether the gain is above its limit: pass, fail, or undecided with what is missing.

    Args:
        name: What the check is called.
        gain: The bounded gain.
        over: The reference in words, such as `the champion`.
    """
    outcome = _decide(gain)
    return Check(
        name=name,
        outcome=outcome,
        estimate=finite_or_none(gain.estimate),
        low=finite_or_none(gain.low),
        high=finite_or_none(gain.high),
        limit=gain.limit,
        labels_needed=gain.labels_needed if outcome == "undecided" else None,
        detectable=gain.detectable,
        why=_explain(outcome, gain, over),
    )


def measure_day_effect(difference: Floats, event_time: NDArray[np.int64]) -> float | None:
    """Return by how much rows of one day moving together widen the true error of the mean.

    1 means that rows are as good as independent. None with fewer than 10 days.
    """
    by_day = to_units(difference, clusters=event_time // _MICROSECONDS_A_DAY)
    alone = to_units(difference)
    spread = float(alone.values.std()) if alone.count else 0.0
    if by_day.effective < LEAST_CLUSTERS or spread == 0.0:
        return None
    daily = float(by_day.values.std()) / math.sqrt(by_day.count)
    return daily / (spread / math.sqrt(alone.count))


def _decide(gain: Gain) -> Outcome:
    if gain.shortage:
        return "undecided"
    if gain.low > gain.limit:
        return "pass"
    return "fail" if gain.high < gain.limit else "undecided"


def _explain(outcome: Outcome, gain: Gain, over: str) -> str:
    if gain.shortage:
        return f"too little to judge on: {gain.shortage}"
    if gain.same:
        return f"the same loss as {over} on every row: nothing to gain"
    seen = (
        f"{say_percent(gain.estimate, signed=True)} loss saved over {over}, "
        f"between {say_percent(gain.low, signed=True)} and {say_percent(gain.high, signed=True)}"
    )
    return seen + _conclude(outcome, gain) + warn_of_tail(gain.tail)


def _conclude(outcome: Outcome, gain: Gain) -> str:
    if outcome == "pass":
        return f": shown to be above {say_percent(gain.limit)}"
    if outcome == "fail":
        return f": shown to be below {say_percent(gain.limit)}"
    if gain.labels_needed is None:
        return ": cannot be told apart, and no realistic number of labels would decide"
    return (
        f": cannot be told apart; a gain of {say_percent(gain.detectable)} could be seen "
        f"on these rows, and {say_count(gain.labels_needed, 'more label')} would decide"
    )
