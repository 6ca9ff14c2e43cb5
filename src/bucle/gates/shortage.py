"""When there is too little to judge on, and how much more would do.

Pure arithmetic and text; imports nothing heavy.
"""

import math

from bucle.gates.comparison import Interval, Rule, units_needed
from bucle.gates.units import Units
from bucle.grammar import say_count

__all__ = ["LEAST_CLUSTERS", "LEAST_ROWS", "rows_needed", "say_shortage"]

# Fewer than this and the true error of a 5 % test on skewed losses is beyond 10 %.
LEAST_ROWS = 30
LEAST_CLUSTERS = 10
_MOST_TIMES = 100


def say_shortage(units: Units) -> str:
    """Say what is too little to judge on, in words; empty when there is enough.

    Enough is 30 rows and, where rows cluster, what is worth 10 clusters of equal size.

    Example:
        >>> import numpy as np
        >>> from bucle.gates.units import to_units
        >>> say_shortage(to_units(np.ones(12)))
        '12 labelled rows, at least 30 are needed'
    """
    if units.rows < LEAST_ROWS:
        return f"{say_count(units.rows, 'labelled row')}, at least {LEAST_ROWS} are needed"
    if units.clustered and units.effective < LEAST_CLUSTERS:
        return (
            f"{say_count(units.count, 'cluster')} worth {units.effective:.1f} of equal size, "
            f"at least {LEAST_CLUSTERS} are needed"
        )
    return ""


def rows_needed(units: Units, interval: Interval, *, gap: float, rule: Rule) -> int | None:
    """Return how many more rows would show a true difference of `gap` with 80 % power.

    At least as many as a gate judges on at all; None when it would take more than 100 times the
    rows that there are, which nobody waits for.
    """
    short = LEAST_ROWS - units.rows
    if units.clustered:
        missing = (LEAST_CLUSTERS - units.effective) * units.rows_per_unit
        short = max(short, math.ceil(missing))
    needed = units_needed(interval, gap=gap, rule=rule)
    if needed is None or needed > _MOST_TIMES * units.count:
        return short if short > 0 else None
    return max(1, short, math.ceil(needed * units.rows_per_unit) - units.rows)
