"""The input layer: which columns, or outputs of the model, are not what they were, and since when.

Days are judged alone and together with the days before them, against the natural spread between
days of the reference; what is shown is bounded over all measures and spans at once. Input drift is
a reason to look, never one to ship.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct, structs
from scipy.special import betainc, betaincc, ndtri, stdtrit
from scipy.stats import hypergeom

from bucle.models.metrics import Floats
from bucle.watch.days import Days
from bucle.watch.examples import Example
from bucle.watch.spread import Comparison, Spread, compare
from bucle.watch.yardsticks import Measure

__all__ = ["SPANS", "Finding", "Look", "Visible", "find_changes", "look_at_inputs"]

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


class Visible(Struct, frozen=True, kw_only=True):
    """The smallest change of a measure that 4 of 5 looks would find, over `span` days.

    `change` is in the column's units or a share; `moved` says which share of it there was in that
    span.
    """

    measure: Measure
    change: float
    span: int
    moved: float


class Look(Struct, frozen=True, kw_only=True):
    """What one look found, and what it could have: `visible`, of each measure at most one.

    Measures that could not move so far, such as a share by more than 1, are left out.
    """

    date: int
    findings: tuple[Finding, ...]
    visible: tuple[Visible, ...]
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
    seen: list[tuple[Comparison, Floats]] = []
    spans = tuple(span for span in SPANS if _is_whole(days, date, span))
    for span in spans:
        window = days.take((days.dates > date - span) & (days.dates <= date))
        share = level / len(SPANS)
        found = compare(spread, window)
        changes = _changes(found, reference, window, measures, level=share)
        findings += [structs.replace(one, span=span, p=one.p * len(SPANS)) for one in changes]
        seen.append((found, _visible(found, share / max(len(measures), 1))))
    return Look(
        date=date,
        findings=tuple(findings),
        visible=_smallest(measures, spans, seen),
        spans=spans,
    )


def find_changes(
    spread: Spread, reference: Days, window: Days, measures: Sequence[Measure], *, level: float
) -> tuple[Finding, ...]:
    """Judge one window of days as a whole, once; the chance of any false finding is the level.

    Measures share the level by Holm's procedure (1979). Shares are found only where the exact test
    of their counts, and the law of a share that comes in bursts, find them too.
    """
    return _changes(compare(spread, window), reference, window, measures, level=level)


def _changes(
    found: Comparison,
    reference: Days,
    window: Days,
    measures: Sequence[Measure],
    *,
    level: float,
) -> tuple[Finding, ...]:
    p = _of_shares(found, reference, window, measures, level=level)
    span = int(window.dates.size)
    return tuple(
        _finding(measures[place], found, place, span=span, p=bound)
        for place, bound in _shown(p, level)
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


def _of_shares(
    found: Comparison,
    reference: Days,
    window: Days,
    measures: Sequence[Measure],
    *,
    level: float,
) -> Floats:
    """Return p-values, of shares not below those of the exact test nor those of their own law.

    What is above the level already is as it is: no procedure would show it.
    """
    p = found.p.copy()
    counts, sums = window.counts.sum(axis=0), window.sums.sum(axis=0)
    known, yes = reference.counts.sum(axis=0), reference.sums.sum(axis=0)
    is_share = np.asarray([measure.kind != "mean" for measure in measures], dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        near = np.flatnonzero(is_share & (p <= level))
    for place in near.tolist():
        whole = known[place] + counts[place]
        if min(counts[place], known[place]) > 0 and whole < _MOST_EXACT:
            p[place] = max(p[place], _beta(found, place, overall=yes[place] / known[place]))
            if p[place] <= level:
                exact = _fisher(sums[place], counts[place], yes[place], known[place])
                p[place] = max(p[place], exact)
    return p


def _beta(found: Comparison, place: int, *, overall: float) -> float:
    """Return twice the smaller tail of the beta distribution with the share's mean and variance.

    Days on which a rare word comes in bursts make its share far from normal. The steps are those
    of the t test, drawn in to where a normal would have the same chance. A word that never came on
    this day of the week may still be one that comes: the share over all days is taken if nearer.
    """
    variance = float(found.error[place]) ** 2
    mean = sorted((float(found.expected[place]), overall, float(found.found[place])))[1]
    spare = mean * (1.0 - mean) - variance
    if not 0.0 < variance < math.inf or mean * (1.0 - mean) <= 0.0:
        return 0.0
    if spare <= 0.0:
        return 1.0
    size = spare / variance
    steps = float(ndtri(found.p[place] / 2))
    above = found.found[place] > mean
    at = mean - steps * math.sqrt(variance) * (1.0 if above else -1.0)
    if not 0.0 < at < 1.0:
        at = min(max(at, 0.0), 1.0)
    a, b = mean * size, (1.0 - mean) * size
    tail = betaincc(a, b, at) if above else betainc(a, b, at)
    return float(min(1.0, 2.0 * tail))


def _fisher(yes: float, of: float, others_yes: float, others: float) -> float:
    """Return twice the tail of the hypergeometric distribution on the side it lies, at most 1."""
    law = int(of + others), int(yes + others_yes), int(of)
    if yes * others > others_yes * of:
        tail = hypergeom.sf(int(yes) - 1, *law)
    else:
        tail = hypergeom.cdf(int(yes), *law)
    return float(min(1.0, 2.0 * tail))


def _smallest(
    measures: Sequence[Measure], spans: Sequence[int], seen: Sequence[tuple[Comparison, Floats]]
) -> tuple[Visible, ...]:
    """Return of each measure the smallest change over the spans, where it could be that large."""
    if not spans:
        return ()
    changes = np.stack([change for _, change in seen])
    changes = np.where(np.isfinite(changes) & (changes > 0.0), changes, np.inf)
    least = changes.argmin(axis=0)
    visible = []
    for place, measure in enumerate(measures):
        found, change = seen[least[place]][0], float(changes[least[place], place])
        expected = measure.in_units(float(found.expected[place]))
        width = _width(measure, change)
        if 0.0 < width <= max(measure.high - expected, expected - measure.low):
            moved = abs(float(found.found[place] - found.expected[place])) / change
            span = spans[least[place]]
            visible.append(Visible(measure=measure, change=width, span=span, moved=moved))
    return tuple(visible)


def _visible(found: Comparison, level: float) -> Floats:
    """Return the changes that would be found with 80 % power."""
    with np.errstate(invalid="ignore"):
        steps = -stdtrit(found.freedom, level / 2)
        return np.asarray((steps + _POWER) * found.error, dtype=np.float64)
