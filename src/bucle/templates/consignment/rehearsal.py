"""Let the pricer set the list prices of the simulated store, week by week, and see what it earns.

    python rehearsal.py --seed 0 --start 40 --refit 8 --explore 0.15

Prices are the pricer's, times a little chance (`--explore`), since a pricer learns from price
differences only. Prints the share of the best possible commission from week `--start` on.
"""

import argparse
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from history import OPENED, Store, draw_store, keep_records
from pipeline import clean, model, shelf_weeks
from pricing import Pricer
from store import best_prices, true_commission
from terms import Floats


def learn(store: Store, price: Floats, week: int) -> Pricer:
    """Fit the pricer on what the records say at the beginning of a week."""
    today = datetime.combine(OPENED + timedelta(weeks=week), datetime.min.time())
    known = clean(keep_records(store, weeks=week, price=price))
    return model(shelf_weeks(known, today))


def rehearse(store: Store, *, start: int, refit: int | None, explore: float) -> Floats:
    """Return the list prices of all items when the pricer gives them from a week on."""
    rng = np.random.default_rng([store.seed, 3])
    noise = np.exp(explore * rng.normal(size=len(store.stock.week)))
    items = keep_records(store, weeks=store.world.weeks)
    price = store.stock.price.copy()
    step = refit or store.world.weeks
    for week in range(start, store.world.weeks, step):
        now = (store.stock.week >= week) & (store.stock.week < week + step)
        proposed = learn(store, price, week).propose(items.filter(pl.Series(now)))
        price[now] = proposed["list_price"].to_numpy() * noise[now]
    return price


def main() -> None:
    """Read the command line and print one line per way of pricing."""
    words = argparse.ArgumentParser(description="Let the pricer run the simulated store.")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--start", type=int, default=40)
    words.add_argument("--refit", type=int, default=8)
    words.add_argument("--explore", type=float, default=0.15)
    asked = words.parse_args()
    store = draw_store(asked.seed)
    later = store.stock.week >= asked.start
    best = true_commission(best_prices(store.truth, store.stock.basis), store.truth)[later].sum()

    def share(price: Floats) -> float:
        return float(true_commission(price, store.truth)[later].sum() / best)

    never = rehearse(store, start=asked.start, refit=None, explore=asked.explore)
    often = rehearse(store, start=asked.start, refit=asked.refit, explore=asked.explore)
    flat = max(share(store.stock.basis * markup) for markup in np.arange(0.4, 1.6, 0.02))
    for name, reached in (
        ("people, as recorded", share(store.stock.price)),
        ("best flat mark-up", flat),
        ("pricer, never refitted", share(never)),
        (f"pricer, refitted every {asked.refit} weeks", share(often)),
    ):
        print(f"{name:<36}{reached:6.3f}")


if __name__ == "__main__":
    main()
