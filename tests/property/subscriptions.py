"""A made-up table with a yes or no to predict: which subscribers leave within a month.

The chance of leaving is a logistic function of what is known on the day of the question:

    log odds = -1.2 + 0.9 (monthly price - 20) / 10 - 0.05 months + 0.8 complaints
               + 0.7 [plan is "basic"] - 0.6 [pays by card]

`asked_on` is the day of the question, `known_on` thirty days later. `customer` only counts the
rows; `note` is free text; some prices are missing.
"""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

__all__ = ["subscription_table", "write_subscriptions"]

_START = date(2024, 1, 1)


def subscription_table(*, rows: int = 4000, seed: int = 0) -> pl.DataFrame:
    """Return the table; the same seed gives the same rows."""
    rng = np.random.default_rng(seed)
    price = np.round(rng.uniform(8, 40, rows), 2)
    months = rng.integers(0, 60, rows)
    complaints = rng.poisson(0.6, rows)
    plan = rng.choice(["basic", "family", "plus"], rows, p=[0.5, 0.2, 0.3])
    card = rng.random(rows) < 0.6
    odds = -1.2 + 0.9 * (price - 20) / 10 - 0.05 * months + 0.8 * complaints
    odds += 0.7 * (plan == "basic") - 0.6 * card
    leaves = rng.random(rows) < 1 / (1 + np.exp(-odds))
    day = np.sort(rng.integers(0, 365, rows))
    return pl.DataFrame(
        {
            "customer": np.arange(1, rows + 1),
            "asked_on": [_START + timedelta(days=int(passed)) for passed in day],
            "plan": plan,
            "monthly_price": np.where(rng.random(rows) < 0.03, np.nan, price),
            "months": months,
            "complaints": complaints,
            "pays_by_card": np.where(card, "true", "false"),
            "note": [f"call {number:06d}" for number in rng.permutation(rows)],
            "leaves": np.where(leaves, "yes", "no"),
            "known_on": [_START + timedelta(days=int(passed) + 30) for passed in day],
        }
    ).with_columns(pl.col("monthly_price").fill_nan(None))


def write_subscriptions(path: Path, *, rows: int = 4000, seed: int = 0) -> Path:
    """Write the table as CSV and return its path."""
    subscription_table(rows=rows, seed=seed).write_csv(path)
    return path
