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
        self._proposed: list[pl.DataFrame] = []
        self._never: list[pl.DataFrame] = []

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
        self._proposed.append(proposed)
        self._never.append(self._world.propose(came, first, self._exploration, moment))

    @property
    def takings(self) -> Takings:
        """What came together so far, as far as what befell the world is known."""
        if not self._proposed:
            return Takings()
        # Worth is asked for at the end: an item feels what befalls the world while it waits.
        proposed, never = (pl.concat(frames) for frames in (self._proposed, self._never))
        worth = self._world.worth(proposed)
        return Takings(
            items=proposed.height,
            earned=float(worth[EXPECTED].sum()),
            best=float(worth[BEST].sum()),
            never=float(self._world.worth(never)[EXPECTED].sum()),
        )
