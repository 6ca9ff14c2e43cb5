"""What the items of a simulation were expected to earn: as proposed, at best, and with no retrain.

Exact, as the world knows it: no luck is in these numbers. Imports polars.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import polars as pl
from msgspec import Struct

from bucle.clock import from_iso
from bucle.loop.replay.living import BEST, EXPECTED, LivingWorld
from bucle.models.registry import Tenure

__all__ = ["Setback", "Takings", "Till"]


class Setback(Struct, frozen=True, kw_only=True):
    """A champion that the loop went back from.

    From `since` until `until` items earned `lost` less than the model that it went back to would
    have got for them; a negative amount is a gain.
    """

    model: str
    former: str
    since: str
    until: str
    lost: float


class Takings(Struct, frozen=True, kw_only=True):
    """Money over a whole simulation.

    `earned` is what the champions' proposals were worth, `best` the best possible, `never` what
    the first champion would have proposed. `setbacks` are the rollbacks, in their order.
    """

    items: int = 0
    earned: float = 0.0
    best: float = 0.0
    never: float = 0.0
    setbacks: tuple[Setback, ...] = ()


class Till:
    """Adds up takings.

    Args:
        world: Knows what proposals are worth.
        exploration: By how much chance proposals are moved.
    """

    def __init__(self, world: LivingWorld, *, exploration: float) -> None:
        self._world = world
        self._exploration = exploration
        self._days: list[tuple[datetime, pl.DataFrame, pl.DataFrame]] = []

    def take(self, came: pl.DataFrame, proposed: pl.DataFrame, moment: datetime) -> None:
        """Add the items of a day.

        Args:
            came: As they came.
            proposed: With what was proposed for them.
            moment: When the champion was asked.
        """
        self._days.append((moment, came, proposed))

    def takings(self, first: Any, tenures: Sequence[Tenure], load: Callable[[str], Any]) -> Takings:
        """Return what came together so far, as far as what befell the world is known.

        Args:
            first: The first champion's estimator.
            tenures: Who was champion, and from when on.
            load: Returns a model's estimator.
        """
        if not self._days:
            return Takings()
        # Worth is asked for at the end: an item feels what befalls the world while it waits.
        worth = self._world.worth(pl.concat([proposed for _, _, proposed in self._days]))
        lost = [
            Setback(
                model=bad.model,
                former=back.model,
                since=bad.since,
                until=back.since,
                lost=self._forgone(load(back.model), bad.since, back.since),
            )
            for bad, back in pairwise(tenures)
            if back.how == "rollback"
        ]
        return Takings(
            items=worth.height,
            earned=float(worth[EXPECTED].sum()),
            best=float(worth[BEST].sum()),
            never=self._would_earn(first, self._days),
            setbacks=tuple(lost),
        )

    def _forgone(self, model: Any, since: str, until: str) -> float:
        """Return what a model would have earned more than was earned in a time."""
        first, last = from_iso(since), from_iso(until)
        days = [day for day in self._days if first <= day[0] < last]
        if not days:
            return 0.0
        worth = self._world.worth(pl.concat([proposed for _, _, proposed in days]))
        return self._would_earn(model, days) - float(worth[EXPECTED].sum())

    def _would_earn(
        self, model: Any, days: Sequence[tuple[datetime, pl.DataFrame, pl.DataFrame]]
    ) -> float:
        proposed = [
            self._world.propose(came, model, self._exploration, moment) for moment, came, _ in days
        ]
        return float(self._world.worth(pl.concat(proposed))[EXPECTED].sum())
