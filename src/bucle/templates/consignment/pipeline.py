"""From the store's records to a pricer. A function's name is a step; its parameters are inputs."""

from datetime import date, datetime, timedelta

import polars as pl
from judge import judge_prices
from pricing import Pricer
from terms import TERMS

KNOWN = ["arrived", "category", "brand", "grade", "age", "photo_score", "basis", "list_price"]


def clean(items: pl.DataFrame) -> pl.DataFrame:
    """Put the items in the order in which they arrived."""
    return items.with_columns(pl.col("arrived", "closed_on").cast(pl.Date)).sort(
        "arrived", "item_id"
    )


def examples(clean: pl.DataFrame, as_of: datetime | None) -> pl.DataFrame:
    """Give each item its commission, once all items that arrived with it have closed.

    Before that only the quick sales are known, and a model judged on those would look wrong.
    """
    ripe = _today(clean, as_of) - timedelta(weeks=TERMS.weeks)
    return clean.with_columns(
        pl.when(pl.col("arrived") <= ripe).then("commission").alias("commission")
    )


def shelf_weeks(clean: pl.DataFrame, as_of: datetime | None) -> pl.DataFrame:
    """Write one row per item and full week on the shelf; items still waiting included."""
    today = _today(clean, as_of)
    passed = ((pl.lit(today) - pl.col("arrived")).dt.total_days() // 7).clip(0, TERMS.weeks)
    stayed = pl.min_horizontal(passed, pl.col("weeks").fill_null(TERMS.weeks))
    weeks = clean.with_columns(pl.int_ranges(stayed).alias("shelf_week")).explode("shelf_week")
    last = pl.col("shelf_week") + 1 == pl.col("weeks")
    return weeks.drop_nulls("shelf_week").select(
        *KNOWN,
        "shelf_week",
        (last & (pl.col("outcome") == "sold")).fill_null(value=False).alias("sold"),
    )


def model(shelf_weeks: pl.DataFrame, smoothing: float = 1.0, tolerance: float = 0.02) -> Pricer:
    """Fit the pricer."""
    return Pricer(smoothing=smoothing, tolerance=tolerance).fit(shelf_weeks)


def optimum(model: Pricer, examples: pl.DataFrame) -> dict[str, float]:
    """Compare the proposed list prices with the best ones, on items the model has not seen.

    Only a simulated store can know this. For your own store, delete this step.
    """
    return judge_prices(model, examples)


def _today(clean: pl.DataFrame, as_of: datetime | None) -> date:
    """Return the day the records speak of: nothing is known of what came later."""
    known = [clean["arrived"].max(), clean["closed_on"].max()]
    seen = max(day for day in known if isinstance(day, date))
    return seen if as_of is None else min(seen, as_of.date())
