"""What a pack costs. A function's name is a step; its parameters are its inputs."""

import polars as pl
from cleaning import tidy_lines
from course import compare_splits

from bucle.models.tabular import TabularRegressor, tabular

FEATURES = [
    "country",
    "via",
    "inco_term",
    "vendor",
    "classification",
    "item",
    "molecule",
    "brand",
    "dosage",
    "form",
    "site",
    "first_line",
    "pack_size",
    "packs",
    "asked_year",
]


def clean(lines: pl.DataFrame) -> pl.DataFrame:
    """Read both date formats, words in number columns and references between lines."""
    return tidy_lines(lines)


def quotes(clean: pl.DataFrame) -> pl.DataFrame:
    """Give each line the price of a pack; goods given for nothing have none.

    `offer` is the item from its vendor: the last price of the same offer is the rule to beat.
    """
    asked = pl.col("event_time")
    return clean.select(
        "line",
        "event_time",
        "label_time",
        "quote",
        *(name for name in FEATURES if name != "asked_year"),
        (asked.dt.year() + (asked.dt.ordinal_day() - 1) / 365.25).alias("asked_year"),
        pl.concat_str("item", "vendor", separator=" from ").alias("offer"),
        pl.when(pl.col("pack_price") > 0).then("pack_price").alias("pack_price"),
    ).sort("event_time", "line")


def model(
    quotes: pl.DataFrame, learning_rate: float = 0.08, max_iter: int = 200
) -> TabularRegressor:
    """Fit boosted trees to the logarithm of the price."""
    known = quotes.drop_nulls("pack_price")
    learner = tabular(log_target=True, learning_rate=learning_rate, max_iter=max_iter)
    return learner.fit(known.select(FEATURES), known["pack_price"])


def course(clean: pl.DataFrame) -> dict[str, float]:
    """Show the well-known result on line value beside the honest one."""
    return compare_splits(clean)
