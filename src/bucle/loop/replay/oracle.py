"""The best that could have been done in hindsight: champion and period by dynamic programming.

Pure arrays in, a plain value out; imports nothing of Bucle but its errors.

Money is added in whole numbers (every float is a fraction of a power of two), so the optimum is
exact: rounding can neither hide a cheaper sequence nor make a tie of two that differ.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.errors import EvidenceError

__all__ = ["Best", "best_sequence"]

_MANTISSA_BITS = 53


class Best(Struct, frozen=True, kw_only=True):
    """The cheapest sequence of champions: one model per period, its money and its changes."""

    models: tuple[int, ...]
    money: float
    changes: int


def best_sequence(
    costs: NDArray[np.float64],
    *,
    born: NDArray[np.integer],
    start: Sequence[int],
    retrain: float,
) -> Best:
    """Return the cheapest champions of all periods, exactly.

    In period 0 only the models of `start` may be champion, at no charge. Later any model that is
    born may be; each change from one period to the next costs `retrain`, going back included.
    Among equally cheap sequences: the one with the fewest changes, then the lowest index in
    period 0, then no change before a change, and the lowest index of those changed to.

    `money` is the exact sum, rounded once. So it is never above the money of another sequence
    that is added with `math.fsum`; added in any other way, that money may come out too low by up
    to `2**-52 × periods × Σ|terms|`.

    Args:
        costs: Cost of the rows of each period under each model, (models, periods). What stands
            before a model is born is not read; infinity after it: no champion in that period.
        born: First period in which each model may be champion, (models,).
        start: The models one of which is champion in period 0.
        retrain: Money of a change, not negative.

    Raises:
        EvidenceError: No model may start, a period has no model at all, or the arrays do not fit.

    Example:
        >>> costs = np.array([[5.0, 9.0, 9.0], [np.nan, 4.0, 3.0]])
        >>> best_sequence(costs, born=np.array([0, 1]), start=[0], retrain=2.0)
        Best(models=(0, 1, 1), money=14.0, changes=1)
    """
    usable = _find_usable(costs, born, start, retrain)
    periods = costs.shape[1]
    cells, charge = _to_whole_numbers(np.where(usable, costs, 0.0), retrain)
    # One number carries both: money first, then how often the champion changes.
    cells, charge = cells * (periods + 1), charge * (periods + 1) + 1
    # Dearer than every sequence that is allowed, whatever else is on the way.
    forbidden = 2 * (sum(np.abs(cells).max(axis=0)) + periods * charge) + 1
    cells = np.where(usable, cells, forbidden)
    models = _walk(_costs_to_go(cells, charge), charge)
    changes = sum(one != other for one, other in pairwise(models))
    paid = [float(costs[model, period]) for period, model in enumerate(models)]
    return Best(models=models, money=math.fsum([*paid, *[retrain] * changes]), changes=changes)


def _costs_to_go(cells: NDArray[Any], charge: int) -> NDArray[Any]:
    """Return what each model as champion of each period costs from there to the end."""
    ahead = cells.copy()
    for period in range(cells.shape[1] - 2, -1, -1):
        after = ahead[:, period + 1]
        ahead[:, period] += np.minimum(after, after.min() + charge)
    return ahead


def _walk(ahead: NDArray[Any], charge: int) -> tuple[int, ...]:
    """Return the champions of a cheapest way through the costs to go."""
    models = [int(ahead[:, 0].argmin())]
    for period in range(1, ahead.shape[1]):
        cheapest = int(ahead[:, period].argmin())
        stays = ahead[models[-1], period] <= ahead[cheapest, period] + charge
        models.append(models[-1] if stays else cheapest)
    return tuple(models)


def _to_whole_numbers(costs: NDArray[np.float64], retrain: float) -> tuple[NDArray[Any], int]:
    """Return costs and charge as whole multiples of one power of two, without any rounding."""
    fractions, exponents = np.frexp(np.append(costs.ravel(), retrain))
    whole = np.ldexp(fractions, _MANTISSA_BITS).astype(np.int64).tolist()
    # Zero has no exponent of its own; frexp says 0, which would only make the numbers longer.
    shifts = np.where(fractions == 0.0, exponents.max(), exponents)
    shifts = (shifts - shifts.min()).tolist()
    scaled = [number << shift for number, shift in zip(whole, shifts, strict=True)]
    cells = np.empty(costs.size, dtype=object)
    cells[:] = scaled[:-1]
    return cells.reshape(costs.shape), scaled[-1]


def _find_usable(
    costs: NDArray[np.float64], born: NDArray[np.integer], start: Sequence[int], retrain: float
) -> NDArray[np.bool_]:
    """Return which model may be champion in which period, or refuse what has no answer."""
    _check_shapes(costs, born, start, retrain)
    alive = np.arange(costs.shape[1]) >= born[:, np.newaxis]
    unknown = np.argwhere(alive & (np.isnan(costs) | np.isneginf(costs)))
    if unknown.size:
        model, period = unknown[0].tolist()
        raise EvidenceError(
            f"Cannot price model {model} in period {period}: its cost is {costs[model, period]}",
            cause="the model is born by then, so the cost of its predictions must be known",
            code="bucle-270",
        )
    usable = alive & np.isfinite(costs)
    starts = np.zeros(costs.shape[0], dtype=np.bool_)
    starts[list(start)] = True
    usable[:, 0] &= starts
    empty = np.flatnonzero(~usable.any(axis=0)).tolist()
    if not empty:
        return usable
    if empty[0] == 0:
        raise EvidenceError(
            f"Cannot find the best champions: none of {len(start)} models may start in period 0",
            cause="a start model must be born by period 0 and have a finite cost in it",
            attempt="a later start, so that a first model can be trained",
            code="bucle-271",
        )
    raise EvidenceError(
        f"Cannot find the best champions: no model can be champion in period {empty[0]}",
        cause="no model that is born by then has a finite cost in it",
        code="bucle-272",
    )


def _check_shapes(
    costs: NDArray[np.float64], born: NDArray[np.integer], start: Sequence[int], retrain: float
) -> None:
    if costs.ndim != 2 or costs.shape[1] == 0 or born.shape != costs.shape[:1]:  # noqa: PLR2004
        cause = (
            f"costs are {costs.shape}, born is {born.shape}; wanted: (models, periods), (models,)"
        )
    elif not all(0 <= model < costs.shape[0] for model in start):
        cause = f"start names models {tuple(start)} of {costs.shape[0]}"
    elif not (math.isfinite(retrain) and retrain >= 0.0):
        cause = f"a change costs {retrain}; it must be a finite amount, not below zero"
    else:
        return
    raise EvidenceError(
        "Cannot find the best champions of these costs", cause=cause, code="bucle-270"
    )
