"""All randomness of a simulation: streams that depend on one seed and a name, and nothing else.

Must not be imported by anything but tests. Imports nothing of Bucle.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Chance", "chance"]

_Thing = TypeVar("_Thing")


class Chance:
    """A stream of random draws; the same in every process, whatever its hash seed.

    Args:
        name: What the stream is named by; the seed is a part of it.
    """

    def __init__(self, name: str) -> None:
        self._stream = random.Random(name)  # noqa: S311  (a simulation, no secret)

    def happens(self, share: float) -> bool:
        """Tell whether something happens that happens with this probability."""
        return self._stream.random() < share

    def between(self, low: float, high: float) -> float:
        """Return a number from an interval, all parts of it alike."""
        return self._stream.uniform(low, high)

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from an interval, both ends included."""
        return self._stream.randint(low, high)

    def normal(self, spread: float) -> float:
        """Return a number around zero."""
        return self._stream.gauss(0.0, spread)

    def wait(self, mean: float) -> float:
        """Return how long something without memory takes; 0 when the mean is 0."""
        return self._stream.expovariate(1.0 / mean) if mean > 0 else 0.0

    def choose(self, things: Sequence[_Thing]) -> _Thing:
        """Return one of several things."""
        return self._stream.choice(things)


def chance(*name: object) -> Chance:
    """Return the stream of a name, such as a seed and what is drawn; asked again, it begins anew.

    Example:
        >>> chance(7, "labels").whole(1, 100) == chance(7, "labels").whole(1, 100)
        True
    """
    return Chance("/".join(str(part) for part in name))
