"""The steps of this project: a function's name is a step, its parameters are its inputs.

A parameter without a default is another step or a dataset of bucle.toml; one with a default can be
set there or on the command line: `bucle run --set model.learning_rate=0.05`. To add a step, write a
function and name it as a parameter where it is needed.
"""

from typing import Any

import polars as pl

from bucle.models.tabular import tabular

KIND = "regression"
TARGET = "target"
YES = None
FEATURES = ["feature"]
CODES = []


def examples(rows: pl.DataFrame) -> pl.DataFrame:
    """Give the rows that predictions are made for; the place for new columns and for filters.

    What a row holds here must be known at its event time. Later columns are empty until the label
    is known, as they will be on the day of a prediction.
    """
    if YES is not None:
        return rows.with_columns((pl.col(TARGET) == YES).alias(TARGET))
    return rows


def model(examples: pl.DataFrame, learning_rate: float = 0.08, max_iter: int = 200) -> Any:
    """Fit the default learner on the rows whose label is known."""
    known = examples.drop_nulls(TARGET)
    if known[TARGET].dtype.is_float():
        known = known.filter(pl.col(TARGET).is_finite())
    learner = tabular(kind=KIND, learning_rate=learning_rate, max_iter=max_iter, categories=CODES)
    return learner.fit(known.select(FEATURES), known[TARGET])
