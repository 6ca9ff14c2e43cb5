"""The simulated store as a world that answers to prices: `bucle replay` lets the pricer run it.

What becomes of an item depends on the item and its list price alone, never on who set the price:
every policy meets the same items with the same luck. Under the prices of the records the records
come out again. `bucle simulate` lets the whole loop run it, with shocks that no record knows of.
For a store of your own there is no such world: delete `world` in `bucle.toml`.
"""

from datetime import datetime
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from history import with_outcomes, write_history
from judge import read_truth
from pipeline import KNOWN
from pricing import Pricer
from store import Luck, Truth, best_prices, true_commission
from terms import TERMS

CHANCE = 3  # the stream of random numbers that prices are moved by
CENTS = 2
OUT_OF_FASHION = ["coat", "jewellery", "shoes", "watch"]
THIRD, LESS, MORE = 1 / 3, 0.4, 2.2  # of what customers would pay
PAIRS = [("bag", "dress"), ("coat", "jewellery"), ("knitwear", "trousers"), ("shoes", "watch")]
MIXED_UP = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
MONEY = ["basis", "list_price", "sale_price", "commission"]


class LivingStore:
    """The store's items, with what decides their sales."""

    shocks: ClassVar[dict[str, str]] = {
        "tastes-turn": "coats, jewellery, shoes and watches go out of fashion; the rest comes in",
        "demand-slumps": "customers pay a third of what they did",
    }
    misprints: ClassVar[dict[str, str]] = {
        "codes-mixed-up": "a new list of codes: in the books bags are dresses, coats are "
        "jewellery, and each brand is another one",
        "books-in-cents": "all amounts of the books are exported in cents",
    }

    def __init__(self) -> None:
        self._items = read_truth()

    def draw(self, seed: int) -> None:
        """Write another store over this one."""
        write_history(Path(__file__).parent, seed=seed)

    def strike(self, shock: str, start: datetime, end: datetime) -> None:
        """Let a shock change what customers pay in the weeks that begin in a time."""
        truth = _truth(self._items)
        weeks = self._items["arrived"].to_numpy()[:, None] + 7 * np.arange(TERMS.weeks)
        first, last = (np.datetime64(moment.date()) for moment in (start, end))
        is_out = self._items["category"].is_in(OUT_OF_FASHION).to_numpy()
        pays = THIRD if shock == "demand-slumps" else np.where(is_out, LESS, MORE)
        change = np.power(pays, truth.elasticity)[:, None]
        pull = np.where((weeks >= first) & (weeks < last), truth.pull * change, truth.pull)
        touched = (pull != truth.pull).any(axis=1)
        best = self._items["best_price"].to_numpy().copy()
        struck = Truth(pull[touched], truth.elasticity[touched])
        best[touched] = best_prices(struck, best[touched])
        self._items = self._items.with_columns(
            pl.Series("pull", pull, dtype=pl.Array(pl.Float64, TERMS.weeks)),
            pl.Series("best_price", best),
        )

    def misprint(self, kind: str, books: pl.DataFrame) -> pl.DataFrame:
        """Return the books as they look while a mistake is made in them."""
        if kind == "books-in-cents":
            return books.with_columns(pl.col(MONEY) * 100)
        brands = sorted(self._items["brand"].unique())
        following = dict(zip(brands, [*brands[1:], brands[0]], strict=True))
        return books.with_columns(
            pl.col("category").replace(MIXED_UP), pl.col("brand").replace(following)
        )

    def arrivals(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the items that come from `start` and before `end`, at the prices people gave."""
        came = pl.col("arrived").is_between(start.date(), end.date(), closed="left")
        return self._items.filter(came).select("item_id", *KNOWN)

    def propose(
        self, rows: pl.DataFrame, model: Pricer, exploration: float, moment: datetime
    ) -> pl.DataFrame:
        """Return items at the pricer's list prices, moved by a share of chance.

        Args:
            rows: Items.
            model: The pricer.
            exploration: Spread of the logarithm of the price; 0 leaves it as it was proposed.
            moment: When the pricer was asked; it makes no difference here.
        """
        del moment
        price = model.propose(rows)["list_price"].to_numpy()
        moved = price * np.exp(exploration * _chance(rows["item_id"]))
        return rows.with_columns(pl.Series("list_price", np.round(moved, CENTS)))

    def outcomes(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return items with what becomes of them at their list prices, and when it is known."""
        own = self._own(rows)
        luck = Luck(own["luck"].to_numpy(), own["luck_day"].to_numpy())
        return with_outcomes(rows, _truth(own), luck)

    def worth(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return what items are expected to earn at their list prices, and at the best ones."""
        own = self._own(rows)
        prices = {"expected": rows["list_price"], "best": own["best_price"]}
        return pl.DataFrame(
            {name: true_commission(price.to_numpy(), _truth(own)) for name, price in prices.items()}
        )

    def _own(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the truth of items, in their order."""
        truth = self._items.select(
            "item_id", "pull", "elasticity", "luck", "luck_day", "best_price"
        )
        return rows.select("item_id").join(truth, on="item_id", how="left", maintain_order="left")


def _truth(own: pl.DataFrame) -> Truth:
    return Truth(own["pull"].to_numpy(), own["elasticity"].to_numpy())


def _chance(names: pl.Series) -> np.ndarray:
    """Return a standard normal number for each item, always the same one."""
    return np.array([np.random.default_rng([CHANCE, int(name[1:])]).normal() for name in names])
