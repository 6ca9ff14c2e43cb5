"""Who errs less on the same rows, from sums that were kept of them: rows come and are forgotten.

The same bounds as `gains` gives at any number of looks, up to the rounding of sums. Pure numpy.
"""

import math

import numpy as np
from msgspec import Struct

from bucle.gates.comparison import Rule, skewed_steps, steps_from_mean
from bucle.models.metrics import Floats

__all__ = ["Bounds", "Moments", "bound_moments", "merge_moments", "moments_of"]


class Moments(Struct, frozen=True, kw_only=True):
    """Sums over paired rows; `difference` is the reference's loss minus the challenger's.

    `mean` is that of the differences, `squares` and `cubes` are sums of their deviations from it to
    the second and third power, `largest` the largest of them whatever its sign. `reference` is the
    sum of the reference's losses, `least` the smallest loss of the challenger.
    """

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0
    largest: float = 0.0
    reference: float = 0.0
    least: float = math.inf


class Bounds(Struct, frozen=True, kw_only=True):
    """The share of the reference's loss that is saved, as in `gains.Gain`; None for no number."""

    estimate: float | None
    low: float | None
    high: float | None


def moments_of(reference: Floats, challenger: Floats) -> Moments:
    """Return the sums over rows.

    Args:
        reference: Loss of each row, lower is better.
        challenger: Loss of each row on the same rows.
    """
    if not reference.size:
        return Moments()
    difference = reference - challenger
    mean = float(difference.mean())
    centred = difference - mean
    return Moments(
        rows=int(difference.size),
        mean=mean,
        squares=float((centred**2).sum()),
        cubes=float((centred**3).sum()),
        largest=float(np.abs(difference).max()),
        reference=float(reference.sum()),
        least=float(challenger.min()),
    )


def merge_moments(first: Moments, second: Moments) -> Moments:
    """Return the sums over the rows of both, without the loss of digits that plain sums have.

    Central moments are joined as in Pébay (2008).

    Example:
        >>> one, two = (np.array([3.0, 5.0]), np.array([1.0, 4.0]))
        >>> whole = merge_moments(moments_of(one, two), moments_of(two, one))
        >>> (whole.rows, whole.mean, whole.squares, whole.reference)
        (4, 0.0, 10.0, 13.0)
    """
    if not first.rows or not second.rows:
        return first if first.rows else second
    rows = first.rows + second.rows
    apart = second.mean - first.mean
    one, two = first.rows / rows, second.rows / rows
    return Moments(
        rows=rows,
        mean=first.mean + apart * two,
        squares=first.squares + second.squares + apart**2 * first.rows * two,
        cubes=first.cubes
        + second.cubes
        + apart**3 * first.rows * two * (one - two)
        + 3.0 * apart * (one * second.squares - two * first.squares),
        largest=max(first.largest, second.largest),
        reference=first.reference + second.reference,
        least=min(first.least, second.least),
    )


def bound_moments(found: Moments, *, rule: Rule) -> Bounds:
    """Bound the relative gain as `gains.bound_gain` does without clusters and margin.

    Args:
        found: Sums over the rows.
        rule: How sure, and how often one looks.
    """
    if not found.rows:
        return Bounds(estimate=None, low=None, high=None)
    mean = found.reference / found.rows
    relative = 0.0 < abs(mean) < math.inf
    scale = abs(mean) if relative else 1.0
    low, high = _bounds(found, rule)
    # Where no loss is below zero, nobody saves more than all of it.
    highest = 1.0 if relative and mean > 0 and found.least >= 0 else math.inf
    values = (found.mean / scale, low / scale, min(high / scale, highest))
    estimate, below, above = (one if math.isfinite(one) else None for one in values)
    return Bounds(estimate=estimate, low=below, high=above)


def _bounds(found: Moments, rule: Rule) -> tuple[float, float]:
    """Return the two bounds of the mean difference."""
    count = found.rows
    spread = math.sqrt(found.squares / (count - 1)) if count > 1 else math.nan
    if not (math.isfinite(found.mean) and math.isfinite(spread)):
        return -math.inf, math.inf
    # Values that are all equal leave rounding dust in the deviation.
    if spread <= 4 * np.finfo(np.float64).eps * found.largest:
        return found.mean, found.mean
    scale = math.sqrt(found.squares / count)
    steps = steps_from_mean(float(count), rule=rule)
    below, above = skewed_steps(found.cubes / count / scale**3, count, steps)
    error = spread / math.sqrt(count)
    return found.mean - error * max(steps, below), found.mean + error * max(steps, above)
