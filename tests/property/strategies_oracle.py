"""Costs of models over periods, small enough for brute force or larger."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from bucle.loop.replay.oracle import Best, best_sequence

__all__ = ["Histories", "histories"]


class Histories(NamedTuple):
    """What the oracle is asked."""

    costs: np.ndarray
    born: np.ndarray
    start: tuple[int, ...]
    retrain: float

    def solve(self, *, retrain: float | None = None) -> Best:
        """Return the oracle's answer, with another price of a change if wanted."""
        price = self.retrain if retrain is None else retrain
        return best_sequence(self.costs, born=self.born, start=self.start, retrain=price)

    def find_usable(self) -> list[list[int]]:
        """Return for each period the models that may be champion in it."""
        count, periods = self.costs.shape
        return [
            [
                model
                for model in range(count)
                if self.born[model] <= period
                and np.isfinite(self.costs[model, period])
                and (period > 0 or model in self.start)
            ]
            for period in range(periods)
        ]

    def without_start(self, model: int) -> "Histories":
        """Return the same with one model less to start with."""
        return self._replace(start=tuple(one for one in self.start if one != model))


@st.composite
def histories(
    draw: st.DrawFn, *, most_models: int = 3, most_periods: int = 5, whole: bool = False
) -> Histories:
    """Draw costs with unborn models, models that fail in a period, and a price of a change."""
    count = draw(st.integers(1, most_models))
    periods = draw(st.integers(1, most_periods))
    money = st.integers(0, 3).map(float) if whole else st.floats(-1e6, 1e6)
    cells = draw(st.lists(money, min_size=count * periods, max_size=count * periods))
    costs = np.array(cells).reshape(count, periods)
    born = np.array([0, *(draw(st.integers(0, periods)) for _ in range(count - 1))])
    for model in range(1, count):
        costs[model, : born[model]] = draw(st.sampled_from([np.nan, np.inf]))
        failing = draw(st.integers(0, 3 * periods))
        if born[model] <= failing < periods:
            costs[model, failing] = np.inf
    ready = [model for model in range(1, count) if born[model] == 0 and draw(st.booleans())]
    price = st.integers(0, 3).map(float) if whole else st.floats(0, 1e6)
    # Model 0 never fails, so that every period has a champion.
    return Histories(costs=costs, born=born, start=(0, *ready), retrain=draw(price))
