"""How long labels usually take: what was answered later than that shows only the quick ones yet.

Where quick labels are of another kind than slow ones, as sales are beside returns, a comparison on
the labels that are in so far would be wrong. Imports polars.
"""

from datetime import datetime, timedelta

import polars as pl

__all__ = ["MOST_LABELS", "usual_of", "usual_wait"]

MOST_LABELS = 200_000
"""How many of the last labels say how long labels take: enough, however many there are."""

_USUAL = 0.9
_LEAST = 20
_LONGEST_MS = 3650 * 86_400_000
"""An id that tells of a longer wait was not made by a server."""


def usual_wait(feedback: pl.DataFrame, now: datetime) -> timedelta:
    """Return after how long nine in ten of the labels that come have come; 0 without any.

    Args:
        feedback: Labels with the id of the answer, which says when it was given, and their time.
        now: The moment.
    """
    told = feedback.group_by("id").agg(pl.col("at").min())
    answered = told["id"].str.slice(2, 12).str.to_integer(base=16, strict=False)
    return usual_of(
        told.select(
            wait=pl.col("at").dt.epoch("ms") - answered,
            age=round(now.timestamp() * 1000) - answered,
        )
    )


def usual_of(labels: pl.DataFrame) -> timedelta:
    """Return after how long nine in ten of the labels that come have come; 0 without any.

    Told from answers that have waited as long as the slowest label took, where there are enough of
    them: among younger ones only the quick labels are there yet.

    Args:
        labels: Of each label its `wait`, and the `age` of the answer now, in milliseconds.
    """
    waits = labels.filter(pl.col("wait").is_between(0, _LONGEST_MS))
    settled = waits.filter(pl.col("age") >= pl.col("wait").max())
    chosen = settled if settled.height >= _LEAST else waits
    found = chosen["wait"].quantile(_USUAL, interpolation="higher")
    return timedelta(milliseconds=max(0.0, float(found or 0.0)))
