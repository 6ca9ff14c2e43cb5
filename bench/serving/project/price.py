"""What a pack costs: 13 columns, one-hot and 200 boosted trees, as scikit-learn has them."""

import polars as pl
from cleaning import tidy_lines
from learner import FEATURES, Pipeline, Uncompiled, make_learner
from sklearn.compose import TransformedTargetRegressor

__all__ = ["Pipeline", "Uncompiled", "clean", "model", "quotes"]


def clean(lines: pl.DataFrame) -> pl.DataFrame:
    """Read both date formats, words in number columns and references between lines."""
    return tidy_lines(lines)


def quotes(clean: pl.DataFrame) -> pl.DataFrame:
    """Give each line the price of a pack; goods given for nothing have none."""
    asked = pl.col("event_time")
    return clean.select(
        "line",
        "event_time",
        "label_time",
        "quote",
        *(name for name in FEATURES if name != "asked_year"),
        (asked.dt.year() + (asked.dt.ordinal_day() - 1) / 365.25).alias("asked_year"),
        pl.concat_str("molecule", "vendor", separator=" from ").alias("offer"),
        pl.when(pl.col("pack_price") > 0).then("pack_price").alias("pack_price"),
    ).sort("event_time", "line")


def model(quotes: pl.DataFrame) -> TransformedTargetRegressor:
    """Fit the learner that all contenders serve."""
    known = quotes.drop_nulls("pack_price")
    return make_learner().fit(known.select(FEATURES), known["pack_price"].to_numpy())
