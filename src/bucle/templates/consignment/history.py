"""Write what the simulated store knows to data/, and its truth, kept apart, to truth/.

    python history.py --seed 0 --weeks 144

The same seed gives the same files. A later `--weeks` (at most 156) gives the same history with the
weeks that have passed since: add the new file with `bucle data add items data/items.csv`.
"""

import argparse
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from store import (
    CATEGORIES,
    Luck,
    Stock,
    Truth,
    World,
    best_prices,
    days_left,
    draw_luck,
    draw_nature,
    draw_stock,
    reveal_truth,
    sell,
    true_commission,
)
from terms import TERMS, Floats, earned_commission

OPENED = date(2023, 1, 2)
WEEKS = 144
SLIPS = 0.02  # about this share of the lines has a slip of the pen
ITEMS, TRUTH = Path("data", "items.csv"), Path("truth", "items.parquet")


class Store(NamedTuple):
    """A whole simulated store: its world, its items, and what decides their sales."""

    seed: int
    world: World
    stock: Stock
    truth: Truth


def draw_store(seed: int, *, world: World | None = None) -> Store:
    """Draw a store; the same seed draws the same one, today and tomorrow."""
    world = world or World()
    rng = np.random.default_rng(seed)
    nature = draw_nature(rng, world)
    stock = draw_stock(rng, world, nature)
    return Store(seed, world, stock, reveal_truth(world, nature, stock))


def keep_records(store: Store, *, weeks: int = WEEKS, price: Floats | None = None) -> pl.DataFrame:
    """Live through the store's first weeks and write its records, without a slip of the pen.

    Args:
        store: The store.
        weeks: When the records end; items still on the shelf have no outcome yet.
        price: List prices instead of those people gave. Luck stays the same whatever they are.
    """
    stock = store.stock if price is None else store.stock._replace(price=price)
    records = with_outcomes(_lines(stock, store.world), store.truth, _luck(store))
    return _as_known(records, OPENED + timedelta(weeks=weeks))


def _luck(store: Store) -> Luck:
    return draw_luck(np.random.default_rng([store.seed, 2]), len(store.stock.week))


def _lines(stock: Stock, world: World) -> pl.DataFrame:
    """Return one line per item, as it is written when the item comes."""
    brands = np.array(
        [f"brand {number:02d}" for number in range(1, world.brands + 1)] + ["novella"]
    )
    return pl.DataFrame(
        {
            "item_id": [f"C{number:06d}" for number in range(1, len(stock.week) + 1)],
            "arrived": stock.day,
            "category": np.array(CATEGORIES)[stock.category],
            "brand": brands[stock.brand],
            "grade": np.array(["A", "B", "C"])[stock.grade],
            "age": stock.age,
            "photo_score": stock.photo,
            "basis": stock.basis,
            "list_price": stock.price,
        }
    ).with_columns((pl.lit(OPENED) + pl.duration(days="arrived")).alias("arrived"))


def with_outcomes(lines: pl.DataFrame, truth: Truth, luck: Luck) -> pl.DataFrame:
    """Return lines with what becomes of each item at its list price, and when it is known."""
    price = lines["list_price"].to_numpy()
    stayed, sold = sell(price, truth, luck)
    marked_down = stayed > TERMS.markdown_after
    paid = np.round(np.where(marked_down, price * (1 - TERMS.markdown), price), 2)
    left = pl.Series(days_left(stayed, sold, luck))
    return lines.with_columns(
        pl.Series("outcome", np.where(sold, "sold", "returned")),
        pl.Series("weeks", stayed),
        pl.Series("sale_price", paid).set(pl.Series(~sold), None),
        pl.Series("commission", np.round(earned_commission(price, stayed.astype(float), sold), 2)),
        (pl.col("arrived") + pl.duration(days=pl.lit(left))).alias("closed_on"),
    )


def _as_known(records: pl.DataFrame, today: date) -> pl.DataFrame:
    """Keep the items that have arrived; those still on the shelf have no outcome yet."""
    arrived = records.filter(pl.col("arrived") < today)
    outcome = ["outcome", "weeks", "sale_price", "commission", "closed_on"]
    waiting = pl.col("closed_on") > today
    return arrived.with_columns(pl.when(waiting).then(None).otherwise(pl.col(outcome)).name.keep())


def with_slips(records: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """Return the lines as people write them: text, now and then wrong, a few lines twice."""
    rng = np.random.default_rng([seed, 1])
    lines = records.cast(pl.String)
    kind = rng.choice(
        ["", "grade", "price", "photo", "basis", "twice", "age"],
        lines.height,
        p=[1 - SLIPS, *np.array([0.2, 0.15, 0.3, 0.1, 0.1, 0.15]) * SLIPS],
    )
    lines = lines.with_columns(pl.Series("slip", kind))
    slip = pl.col("slip")
    wrong = lines.with_columns(
        _replace("grade", slip == "grade", pl.lit("B+")),
        _replace("list_price", slip == "price", "-" + pl.col("list_price")),
        _replace("photo_score", slip == "photo", pl.lit("no photo")),
        _replace("basis", slip == "basis", pl.lit("see tag")),
        _replace("age", slip == "age", pl.lit(None)),
    )
    again = lines.filter(slip == "twice").with_columns(
        pl.concat_str(pl.lit("1"), "list_price").alias("list_price")
    )
    return pl.concat([wrong, again]).sort("item_id", maintain_order=True).drop("slip")


def _replace(column: str, where: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(where).then(value).otherwise(pl.col(column)).alias(column)


def truth_frame(store: Store, records: pl.DataFrame) -> pl.DataFrame:
    """Return the truth of every recorded item: what decides its sale, and its best list price."""
    known = records.height
    luck = _luck(store)
    truth = Truth(store.truth.pull[:known], store.truth.elasticity[:known])
    best = best_prices(truth, store.stock.basis[:known])
    outcome = ["outcome", "weeks", "sale_price", "commission", "closed_on"]
    return records.drop(outcome).with_columns(
        pl.Series("pull", truth.pull, dtype=pl.Array(pl.Float64, TERMS.weeks)),
        pl.Series("elasticity", truth.elasticity),
        pl.Series("luck", luck.draw[:known], dtype=pl.Array(pl.Float64, TERMS.weeks)),
        pl.Series("luck_day", luck.day[:known]),
        pl.Series("best_price", best),
        pl.Series("best_commission", true_commission(best, truth)),
    )


def write_history(folder: Path, *, seed: int = 0, weeks: int = WEEKS) -> tuple[Path, Path]:
    """Write the records and the truth below a project folder and return the two paths."""
    store = draw_store(seed)
    records = keep_records(store, weeks=weeks)
    for path in (ITEMS, TRUTH):
        (folder / path).parent.mkdir(exist_ok=True)
    with_slips(records, seed=seed).write_csv(folder / ITEMS)
    truth_frame(store, records).write_parquet(folder / TRUTH)
    return ITEMS, TRUTH


def main() -> None:
    """Read the command line."""
    words = argparse.ArgumentParser(description="Simulate the records of a consignment store.")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--weeks", type=int, default=WEEKS, choices=range(52, 157), metavar="N")
    asked = words.parse_args()
    for path in write_history(Path(__file__).parent, seed=asked.seed, weeks=asked.weeks):
        print(path)


if __name__ == "__main__":
    main()
