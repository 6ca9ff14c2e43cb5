"""Times in which something is out of order: a disk that is full, workers that are dead.

Must not be imported by anything but tests. Imports nothing heavy.
"""

from collections.abc import Sequence

from bucle.testing.chance import chance
from bucle.testing.options import Options

__all__ = ["Spell", "draw_spells", "inside", "is_inside"]

Spell = tuple[float, float]

_LONGEST = 12.0


def draw_spells(options: Options, name: str, *, share: float) -> list[Spell]:
    """Return when something is out of order, first and last day each, about so much of the time.

    Example:
        >>> draw_spells(Options(seed=7), "full", share=0.0)
        []
    """
    draw = chance(options.seed, "spells", name)
    found: list[Spell] = []
    day = 1.0
    while share > 0 and day < options.days:
        lasts = draw.between(0.1, _LONGEST)
        day += draw.wait(lasts * (1.0 - share) / share)
        found.append((day, day + lasts))
        day += lasts
    return found


def inside(spells: Sequence[Spell], since: float, until: float) -> float:
    """Return how much of a time lies in spells.

    Example:
        >>> inside([(1.0, 2.0), (5.0, 9.0)], 1.5, 6.0)
        1.5
    """
    return sum(max(min(until, end) - max(since, begin), 0.0) for begin, end in spells)


def is_inside(spells: Sequence[Spell], day: float) -> bool:
    """Tell whether a day lies in a spell."""
    return any(begin <= day < end for begin, end in spells)
