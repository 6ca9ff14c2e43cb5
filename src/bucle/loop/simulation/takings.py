"""What the items of a simulation were expected to earn: as proposed, at best, and with no retrain.

Exact, as the world knows it: no luck is in these numbers. Imports polars.
"""

from datetime import datetime
from typing import Any

import polars as pl
from msgspec import Struct

from bucle.loop.replay.living import BEST, EXPECTED, LivingWorld

__all__ = ["Takings", "Till"]


class Takings(Struct, frozen=True, kw_only=True):
    """Money over a whole simulation.

    `earned` is what the champions' proposals were worth, `best` the best possible, `never` what
    the first champion would have proposed.
    """

    items: int = 0
    earned: float = 0.0
    best: float = 0.0
    never: float = 0.0


class Till:
    """Adds up takings.

    Args:
        world: Knows what proposals are worth.
        exploration: By how much chance proposals are moved.
    """

    def __init__(self, world: LivingWorld, *, exploration: float) -> None:
        self._world = world
        self._exploration = exploration
        self._items = 0
        self._sums = {"earned": 0.0, "best": 0.0, "never": 0.0}

    def take(
        self, came: pl.DataFrame, proposed: pl.DataFrame, first: Any, moment: datetime
    ) -> None:
        """Add the items of a day.

        Args:
            came: As they came.
            proposed: With what was proposed for them.
            first: The first champion's estimator.
            moment: When it was asked.
        """
        worth = self._world.worth(proposed)
        plain = self._world.propose(came, first, self._exploration, moment)
        self._items += proposed.height
        self._sums["earned"] += float(worth[EXPECTED].sum())
        self._sums["best"] += float(worth[BEST].sum())
        self._sums["never"] += float(self._world.worth(plain)[EXPECTED].sum())

    @property
    def takings(self) -> Takings:
        """What came together so far."""
        return Takings(items=self._items, **self._sums)
