"""What models are measured on: labels, predictions and mixed frames."""

import datetime as dt

import numpy as np
import polars as pl
from hypothesis import strategies as st

__all__ = ["frames", "pairs", "probabilities"]

_money = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda value: abs(value) > 1e-6 or value == 0)


@st.composite
def pairs(draw, *, positive=False):
    """Draw labels and predictions of the same length."""
    value = st.floats(1e-3, 1e6) if positive else _money
    rows = draw(st.lists(st.tuples(value, value), min_size=1, max_size=30))
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


@st.composite
def probabilities(draw):
    """Draw answers, both kinds among them, and the probability of yes."""
    rows = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=40))
    truth = np.array([float(row[0]) for row in rows])
    truth[:2] = (0.0, 1.0)
    return truth, np.array([row[1] / 20 for row in rows])


@st.composite
def frames(draw):
    """Draw a frame of mixed columns with nulls."""
    rows = draw(st.integers(1, 12))
    columns = {
        "number": st.none() | st.floats(allow_nan=True, allow_infinity=True, width=64),
        "whole": st.none() | st.integers(-(2**62), 2**62),
        "word": st.none() | st.text(max_size=4),
        "flag": st.none() | st.booleans(),
        "day": st.none() | st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)),
        "moment": st.none() | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),  # noqa: DTZ001
    }
    dtypes = {
        "number": pl.Float64,
        "whole": pl.Int64,
        "word": pl.String,
        "flag": pl.Boolean,
        "day": pl.Date,
        "moment": pl.Datetime("us"),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(columns)), min_size=1, unique=True))
    return pl.DataFrame(
        {
            name: pl.Series(draw(st.lists(columns[name], min_size=rows, max_size=rows)))
            for name in chosen
        },
        schema={name: dtypes[name] for name in chosen},
    )
