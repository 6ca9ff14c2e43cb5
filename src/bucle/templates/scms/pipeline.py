"""What a shipment's freight costs. A function's name is a step; its parameters are its inputs."""

import polars as pl
from cleaning import tidy_lines
from course import compare_splits

from bucle.models.tabular import TabularRegressor, tabular

FEATURES = [
    "country",
    "via",
    "inco_term",
    "mode",
    "vendor",
    "product_group",
    "form",
    "item",
    "lines",
    "packs",
    "units",
    "lead_days",
]


def clean(lines: pl.DataFrame) -> pl.DataFrame:
    """Read both date formats, words in number columns and references between lines."""
    return tidy_lines(lines)


def shipments(clean: pl.DataFrame) -> pl.DataFrame:
    """Merge lines into shipments: the freight belongs to the shipment and is counted once.

    The label is null where the freight is not known yet, is included in the goods' price or was
    invoiced separately. The item, vendor and form are those of the line with most packs.
    """
    known = pl.col("label_time").is_not_null().all()
    whole = (pl.col("freight_status") != "lost").fill_null(value=True).all()
    lead = (pl.col("scheduled_on") - pl.col("event_time")).dt.total_days()
    return (
        clean.sort("packs", descending=True, maintain_order=True)
        .group_by("shipment", maintain_order=True)
        .agg(
            pl.col("event_time").min(),
            pl.when(known).then(pl.col("label_time").max()).alias("label_time"),
            pl.col("quote", "country", "via", "inco_term", "mode", "vendor").first(),
            pl.col("product_group", "form", "item").first(),
            pl.len().alias("lines"),
            pl.col("packs").sum(),
            (pl.col("packs") * pl.col("pack_size")).sum().alias("units"),
            pl.when(pl.col("dated_by").first() == "request").then(lead.first()).alias("lead_days"),
            pl.when(known & whole & pl.col("freight").is_not_null().any())
            .then(pl.col("freight").sum())
            .alias("freight"),
        )
        .with_columns(pl.concat_str("country", "mode", separator=" by ").alias("route"))
        .sort("event_time", "shipment")
    )


def model(
    shipments: pl.DataFrame, learning_rate: float = 0.05, max_iter: int = 200
) -> TabularRegressor:
    """Fit boosted trees to the logarithm of the freight."""
    known = shipments.drop_nulls("freight")
    learner = tabular(log_target=True, learning_rate=learning_rate, max_iter=max_iter)
    return learner.fit(known.select(FEATURES), known["freight"])


def course(clean: pl.DataFrame) -> dict[str, float]:
    """Show the well-known result on line value beside the honest one."""
    return compare_splits(clean)
