"""The input layer: which columns, or outputs of the model, are not what they were, and since when.

Days are judged alone and together with the days before them, against the natural spread between
days of the reference; what is shown is bounded over all measures and spans at once. Input drift is
a reason to look, never one to ship.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from scipy.special import stdtrit
from scipy.stats import hypergeom

from bucle.models.metrics import Floats
from bucle.watch.days import Days
from bucle.watch.examples import Example
from bucle.watch.spread import Comparison, Spread, compare
from bucle.watch.yardsticks import Measure

__all__ = ["SPANS", "Finding", "Look", "look_at_inputs"]

SPANS = (1, 7, 28)
"""How many days are judged together, ending with the day of the look."""

_POWER = 0.8416
_MOST_EXACT = 2_000_000_000


class Finding(Struct, frozen=True, kw_only=True):
    """One measure that is not what it was.

    `found` and `expected` are its means in the window and, for the same days of the week, in the
    reference, in the column's units or as shares; `error` is the standard error of their
    difference; `p` bounds the chance of so much in any measure at this look, without a change.
    `since` is the day that the measure was first found on, with pauses of two days at most, and
    `examples` are rows of the last day; a single look knows neither.
    """

    measure: Measure
    span: int
    found: float
    expected: float
    error: float
    p: float
    since: str | None = None
    examples: tuple[Example, ...] = ()


class Look(Struct, frozen=True, kw_only=True):
    """What one look found; `visible` is, for each measure, the change that 4 of 5 looks would see.

    That is of the shortest span with enough days; NaN where nothing could be seen.
    """

    date: int
    findings: tuple[Finding, ...]
    visible: tuple[float, ...]
    spans: tuple[int, ...]


def look_at_inputs(
    spread: Spread,
    reference: Days,
    days: Days,
    measures: Sequence[Measure],
    *,
    date: int,
    level: float,
) -> Look:
    """Judge the days up to a date.

    Each span takes an equal part of the level, and of that each measure (Holm 1979, so the more
    is found the more may be). A share is found only where the exact test of its counts finds it
    too (Fisher): with few rows the t test is too bold.

    Args:
        spread: Of the reference's days.
        reference: Those days.
        days: The days that are watched, with the one of the look.
        measures: What the columns of both are.
        date: The day of the look, in days since 1970.
        level: The chance of any false finding at this look.
    """
    findings: list[Finding] = []
    visible: Floats = np.full(len(measures), np.nan)
    spans = tuple(span for span in SPANS if _is_whole(days, date, span))
    for span in spans:
        window = days.take((days.dates > date - span) & (days.dates <= date))
        found = compare(spread, window)
        p = _with_exact(found.p, reference, window, measures)
        share = level / len(SPANS)
        findings += [
            _finding(measures[place], found, place, span=span, p=bound * len(SPANS))
            for place, bound in _shown(p, share)
        ]
        if span == spans[0]:
            visible = _visible(found, share / max(len(measures), 1))
    return Look(
        date=date,
        findings=tuple(findings),
        visible=tuple(
            _width(measure, change)
            for measure, change in zip(measures, visible.tolist(), strict=True)
        ),
        spans=spans,
    )


def _finding(measure: Measure, found: Comparison, place: int, *, span: int, p: float) -> Finding:
    return Finding(
        measure=measure,
        span=span,
        found=measure.in_units(float(found.found[place])),
        expected=measure.in_units(float(found.expected[place])),
        error=_width(measure, float(found.error[place])),
        p=p,
    )


def _width(measure: Measure, change: float) -> float:
    """Return a difference of means in the measure's units."""
    return measure.in_units(change) - measure.in_units(0.0)


def _is_whole(days: Days, date: int, span: int) -> bool:
    """Tell whether there are rows at the day of the look, and days enough for a span."""
    at = np.searchsorted(days.dates, date)
    if at >= days.dates.size or days.dates[at] != date:
        return False
    return bool(days.dates[0] <= date - span + 1)


def _shown(p: Floats, level: float) -> list[tuple[int, float]]:
    """Return the places that Holm's procedure rejects, with their adjusted p-values."""
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    found, running = [], 0.0
    for rank, place in enumerate(order.tolist()):
        running = max(running, min(1.0, float(p[place]) * (order.size - rank)))
        if running > level:
            break
        found.append((place, running))
    return found


def _with_exact(p: Floats, reference: Days, window: Days, measures: Sequence[Measure]) -> Floats:
    """Return p-values, of shares not below those of the exact test."""
    found = p.copy()
    counts, sums = window.counts.sum(axis=0), window.sums.sum(axis=0)
    known, yes = reference.counts.sum(axis=0), reference.sums.sum(axis=0)
    for place, measure in enumerate(measures):
        if measure.kind == "mean" or not np.isfinite(p[place]) or p[place] > 0.01:  # noqa: PLR2004  (far from any level)
            continue
        whole = known[place] + counts[place]
        if min(counts[place], known[place]) > 0 and whole < _MOST_EXACT:
            exact = _fisher(sums[place], counts[place], yes[place], known[place])
            found[place] = max(p[place], exact)
    return found


def _fisher(yes: float, of: float, others_yes: float, others: float) -> float:
    """Return twice the smaller tail of the hypergeometric distribution, at most 1."""
    law = hypergeom(int(of + others), int(yes + others_yes), int(of))
    return float(min(1.0, 2.0 * min(law.cdf(int(yes)), law.sf(int(yes) - 1))))


def _visible(found: Comparison, level: float) -> Floats:
    """Return the changes that would be found with 80 % power."""
    with np.errstate(invalid="ignore"):
        steps = -stdtrit(found.freedom, level / 2)
        return np.asarray((steps + _POWER) * found.error, dtype=np.float64)
