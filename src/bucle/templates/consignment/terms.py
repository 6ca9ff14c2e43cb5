"""What the store agrees on with its customers, and what a list price then earns in closed form.

The pricer plans with these terms and the simulated store applies them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
YesNo = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The agreement: amounts in USD, times in weeks."""

    share: float = 0.40  # of the sale price stays with the store
    shelf: float = 0.10  # cost of a week on the shelf
    unsold: float = 2.0  # cost of sending an item back to its owner
    weeks: int = 12  # at most this long on the shelf
    markdown: float = 0.25  # taken off the list price
    markdown_after: int = 6


TERMS = Terms()


def shelf_prices(price: Floats, terms: Terms = TERMS) -> Floats:
    """Return the price of every shelf week, in a new last axis."""
    marked_down = np.arange(terms.weeks) >= terms.markdown_after
    return np.asarray(price[..., None] * np.where(marked_down, 1 - terms.markdown, 1.0))


def survival(sale: Floats) -> Floats:
    """Return the chance that an item is still there when each week begins."""
    stays = np.cumprod(1 - sale, axis=-1)
    return np.concatenate([np.ones_like(stays[..., :1]), stays[..., :-1]], axis=-1)


def expected_commission(sale: Floats, price: Floats, terms: Terms = TERMS) -> Floats:
    """Return what an item is expected to earn the store, shelf and return costs taken off.

    Args:
        sale: Chance of a sale in each week if still there, weeks in the last axis.
        price: List price, one axis less than `sale`.
        terms: The agreement.
    """
    there = survival(sale)
    unsold = there[..., -1] * (1 - sale[..., -1])
    income = (there * sale * terms.share * shelf_prices(price, terms)).sum(axis=-1)
    return np.asarray(income - terms.shelf * there.sum(axis=-1) - terms.unsold * unsold)


def earned_commission(price: Floats, weeks: Floats, sold: YesNo, terms: Terms = TERMS) -> Floats:
    """Return what an item did earn: its list price, weeks on the shelf, and whether it was sold."""
    paid = np.where(weeks > terms.markdown_after, price * (1 - terms.markdown), price)
    return np.asarray(
        np.where(sold, terms.share * paid, -terms.unsold) - terms.shelf * weeks, dtype=np.float64
    )
