"""How soon a loss that has risen by 30 % is found: labelled rows until the alarm for harm."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.watching.alarms import DAYS, PARTS
from bench.watching.worlds import LOSSES, draw_losses
from bucle.watch.harm import detect_harm, loss_days, standard_of

__all__ = ["delay_rows", "finite", "power"]

RISE = 1.3
PER_DAY, REFERENCE_DAYS = 100, 40
"""4,000 rows judged the champion before it came; then a hundred labels a day."""

ROWS = 1_500
USUAL = frozenset({"gamma", "exponential"})


def delay_rows(kind: str, number: int, *, icc: float) -> float:
    """Return after how many labelled rows the rise is found; infinite if not within 60 days."""
    rng = np.random.default_rng((11, sorted(LOSSES).index(kind), round(1000 * icc), number))
    known, dates = draw_losses(kind, rng, days=REFERENCE_DAYS, per_day=PER_DAY, icc=icc)
    standard = standard_of(known, dates)
    assert standard is not None
    losses, days = draw_losses(kind, rng, days=60, per_day=PER_DAY, icc=icc)
    seen = loss_days(losses * RISE, days, standard)
    found = detect_harm(seen, standard, days_between=DAYS / PARTS["harm"])
    if not any(found.standing):
        return float("inf")
    return float(sum(day.rows for day in seen[: found.standing.index(True) + 1]))


def finite(value: float) -> float | None:
    """Return a value for JSON, which knows no infinity."""
    return value if math.isfinite(value) else None


def power(*, repeats: int) -> Iterator[dict[str, Any]]:
    """Yield, for each kind of loss, in how many cases the rise is found within 1,500 rows."""
    for kind in LOSSES:
        for icc in (0.0, 0.05):
            rows = np.asarray([delay_rows(kind, number, icc=icc) for number in range(repeats)])
            share = float((rows <= ROWS).mean())
            yield {
                "figure": "a loss 30 % larger, found within 1,500 labelled rows",
                "losses": kind,
                "icc": icc,
                "cases": repeats,
                "share": round(share, 3),
                "median_rows": finite(float(np.median(rows))),
                "p90_rows": finite(float(np.quantile(rows, 0.9, method="higher"))),
                "at_least": 0.9 if kind in USUAL and not icc else None,
                "met": share >= 0.9 if kind in USUAL and not icc else None,
            }
