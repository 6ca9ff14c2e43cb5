"""Compare list prices with the best ones; possible only because the store is simulated."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from store import Truth, true_commission

if TYPE_CHECKING:
    from pricing import Pricer
    from terms import Floats

TRUTH = "truth/items.parquet"


def read_truth() -> pl.DataFrame:
    """Return what decides the sale of each item, and its best price."""
    return pl.read_parquet(Path(__file__).parent / TRUTH)


def share_of_optimum(price: "Floats", truth: pl.DataFrame) -> float:
    """Return the expected commission at some list prices as a share of the best possible one."""
    decides = Truth(truth["pull"].to_numpy(), truth["elasticity"].to_numpy())
    return float(true_commission(price, decides).sum() / truth["best_commission"].sum())


def best_flat_markup(truth: pl.DataFrame) -> tuple[float, float]:
    """Return the mark-up on the basis that would have been best for all items, and its share."""
    basis = truth["basis"].to_numpy()
    tried = [float(markup) for markup in np.round(np.arange(0.40, 1.60, 0.01), 2)]
    shares = [share_of_optimum(basis * markup, truth) for markup in tried]
    top = int(np.argmax(shares))
    return tried[top], shares[top]


def judge_prices(pricer: "Pricer", items: pl.DataFrame) -> dict[str, float]:
    """Return the shares of the optimum that three ways of pricing the same items reach.

    `share_of_optimum` is the pricer's; `share_of_people` is what the list prices of the records
    reach; `share_of_flat_markup` belongs to the best flat mark-up, chosen with hindsight.
    """
    truth = read_truth().join(items.select("item_id"), on="item_id", how="semi")
    if not truth.height:
        return {"items_priced": 0.0}
    proposed = pricer.propose(truth)
    return {
        "share_of_optimum": share_of_optimum(proposed["list_price"].to_numpy(), truth),
        "share_of_people": share_of_optimum(truth["list_price"].to_numpy(), truth),
        "share_of_flat_markup": best_flat_markup(truth)[1],
        "items_priced": float(truth.height),
    }
