"""How sure a mean of independent units is: one look, or many.

One look: Student's t, made more careful where the units are skewed. Many looks: the asymptotic
confidence sequence, which holds at all looks together. Pure numpy and scipy.special; no global
randomness, no time.
"""

import math
from typing import Literal

import numpy as np
from msgspec import Struct
from scipy.special import ndtri, stdtrit

from bucle.gates.units import Units
from bucle.models.metrics import Floats

__all__ = [
    "Interval",
    "Rule",
    "bound_mean",
    "finite_or_none",
    "power_factor",
    "skewed_steps",
    "smallest_detectable",
    "steps_from_mean",
    "units_needed",
]

_POWER = 0.8
_TAIL_SHARE = 0.01
_MOST_UNITS = 10_000_000


class Rule(Struct, frozen=True, kw_only=True):
    """How sure one wants to be, and how often one looks.

    Each bound errs with probability `1 - confidence` at most: at this look for `once`, at any
    look for `many`. `planned` is how many units are expected at the decision; it must not depend
    on the data.
    """

    confidence: float = 0.95
    looks: Literal["once", "many"] = "once"
    planned: int = 1000

    def shared_by(self, questions: int) -> "Rule":
        """Return the rule for one of several questions that may err only once in all."""
        return Rule(
            confidence=1.0 - (1.0 - self.confidence) / max(1, questions),
            looks=self.looks,
            planned=self.planned,
        )


class Interval(Struct, frozen=True, kw_only=True):
    """A mean and its two one-sided bounds.

    `spread` is the standard deviation of one unit, `units` how many units it rests on, and `tail`
    the share of the spread (squared) that comes from the 1 % of units furthest out: above one
    half the bounds are too narrow, whatever the method.
    """

    estimate: float
    low: float
    high: float
    spread: float
    units: int
    tail: float = 0.0


def bound_mean(units: Units, *, rule: Rule) -> Interval:
    """Bound the mean of independent units from below and from above.

    Once: the bounds of the t test, widened to those of the skewness-corrected t (Hall 1992, the
    cubic transformation) on the side where they are more careful; without the correction a rare
    large loss that the sample has not shown yet is taken for a gain too often. Many: the
    asymptotic confidence sequence of Waudby-Smith et al. (2024), with the same correction.

    Fewer than two units, or values beyond all measure, bound nothing: the bounds are infinite.

    Example:
        >>> from bucle.gates.units import to_units
        >>> values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
        >>> round(bound_mean(to_units(values), rule=Rule()).low, 3)
        1.493
    """
    values = units.values
    mean = float(values.mean()) if values.size else math.nan
    spread = float(values.std(ddof=1)) if values.size > 1 else math.nan
    if not (math.isfinite(mean) and math.isfinite(spread)):
        return Interval(
            estimate=mean, low=-math.inf, high=math.inf, spread=math.nan, units=units.count
        )
    # Values that are all equal leave rounding dust in the deviation.
    if spread <= 4 * np.finfo(np.float64).eps * float(np.abs(values).max()):
        return Interval(estimate=mean, low=mean, high=mean, spread=0.0, units=units.count)
    # A few large clusters among many small ones weigh like few: they set the degrees of freedom.
    steps = steps_from_mean(units.effective, rule=rule)
    error = spread / math.sqrt(units.count)
    below, above = _skewed_steps(values, steps)
    return Interval(
        estimate=mean,
        low=mean - error * max(steps, below),
        high=mean + error * max(steps, above),
        spread=spread,
        units=units.count,
        tail=_measure_tail(values),
    )


def finite_or_none(value: float) -> float | None:
    """Return a number for the record, where only finite ones can be written."""
    return value if math.isfinite(value) else None


def steps_from_mean(units: float, *, rule: Rule) -> float:
    """Return how many standard errors a bound lies from the mean.

    Once, the quantile of Student's t with units - 1 degrees of freedom. Many, the boundary of
    the asymptotic confidence sequence √(2(nρ²+1)/(nρ²) · log(1 + √(nρ²+1)/(2α))) with
    ρ² = (-2 log 2α + log(-2 log 2α + 1)) / planned.

    Example:
        >>> round(steps_from_mean(1e9, rule=Rule()), 3)
        1.645
    """
    if rule.looks == "once":
        return float(stdtrit(units - 1.0, rule.confidence))
    alpha = 1.0 - rule.confidence
    # From α = 0.5 on the tuning formula has no value; nobody asks for less than a coin toss.
    doubled = -2.0 * math.log(min(2.0 * alpha, 0.99))
    grown = units * (doubled + math.log(doubled + 1.0)) / rule.planned
    return math.sqrt(
        2.0 * (grown + 1.0) / grown * math.log1p(math.sqrt(grown + 1.0) / (2.0 * alpha))
    )


def power_factor(units: float, *, rule: Rule) -> float:
    """Return the standard errors a true difference needs to be seen with 80 % power.

    About 2.49 for one look at 95 %: 1.645 for the bound and 0.842 for the power.
    """
    bound = float(ndtri(rule.confidence))
    if rule.looks == "many":
        bound = steps_from_mean(units, rule=rule)
    return bound + float(ndtri(_POWER))


def smallest_detectable(interval: Interval, *, rule: Rule) -> float | None:
    """Return the smallest true difference that would be seen with 80 % power on this many units.

    None when there are fewer than two units, or their spread is beyond all measure.

    Example:
        >>> seen = Interval(estimate=0.0, low=0.0, high=0.0, spread=1.0, units=100)
        >>> round(smallest_detectable(seen, rule=Rule()), 3)
        0.249
    """
    if not math.isfinite(interval.spread) or interval.units <= 1:
        return None
    factor = power_factor(interval.units, rule=rule)
    return finite_or_none(factor * interval.spread / math.sqrt(interval.units))


def units_needed(interval: Interval, *, gap: float, rule: Rule) -> float | None:
    """Return how many units would show a true difference of `gap` with 80 % power.

    None when nothing is known of the spread, or when no realistic number (10 million) would do.
    """
    if not (math.isfinite(interval.spread) and math.isfinite(gap)) or gap == 0.0:
        return None
    ratio = interval.spread / abs(gap)
    if rule.looks == "once":
        root = power_factor(math.inf, rule=rule) * ratio
        return root**2 if root <= math.sqrt(_MOST_UNITS) else None
    if not _is_shown(float(_MOST_UNITS), ratio, rule):
        return None
    low, high = 1.0, float(_MOST_UNITS)
    while high - low > 1.0:
        middle = (low + high) / 2.0
        low, high = (low, middle) if _is_shown(middle, ratio, rule) else (middle, high)
    return high


def _is_shown(units: float, ratio: float, rule: Rule) -> bool:
    return power_factor(units, rule=rule) * ratio <= math.sqrt(units)


def _skewed_steps(values: Floats, steps: float) -> tuple[float, float]:
    """Return the steps below and above the mean by Hall's transformation, inverted."""
    centred = values - values.mean()
    scale = float(np.sqrt(np.mean(centred**2)))
    skewness = float(np.mean((centred / scale) ** 3))
    return skewed_steps(skewness, values.size, steps)


def skewed_steps(skewness: float, count: int, steps: float) -> tuple[float, float]:
    """Return the steps below and above a mean by Hall's transformation (1992), inverted.

    Args:
        skewness: The third standardised moment of the values.
        count: How many values there are.
        steps: The steps without it.
    """
    # A skewness that rounds away would divide zero by zero below; the correction is then nil.
    if abs(skewness) < 1e-6:  # noqa: PLR2004  (a thousandth of the smallest effect of it)
        return steps, steps
    root = math.sqrt(count)

    def undo(quantile: float) -> float:
        inner = 1.0 + skewness * (quantile / root - skewness / (6.0 * count))
        return 3.0 / skewness * (math.cbrt(inner) - 1.0) * root

    return undo(steps), -undo(-steps)


def _measure_tail(values: Floats) -> float:
    squared = (values - values.mean()) ** 2
    rest = squared.size - math.ceil(_TAIL_SHARE * squared.size)
    return float(np.partition(squared, rest)[rest:].sum() / squared.sum())
