"""Fitted models on mixed columns, and rows that nobody expected."""

import datetime as dt

import numpy as np
import polars as pl
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from bucle.models.tabular import tabular

__all__ = ["odd_rows", "pipelines", "tables", "tabulars"]

ROWS = 60
_WORDS = ["a", "b", "a ", "", "ñ", "1", "nan", "None"]

_odd = {
    "number": st.none() | st.floats(width=64),
    "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
    "word": st.none() | st.sampled_from(_WORDS) | st.text(max_size=3),
    "code": st.none() | st.integers(-3, 9) | st.integers(-(2**63), 2**63 - 1),
    "flag": st.none() | st.booleans(),
    "day": st.none() | st.dates(),
    "moment": st.none() | st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),  # noqa: DTZ001
}
_dtypes = {
    "number": pl.Float64,
    "whole": pl.Int64,
    "word": pl.String,
    "code": pl.Int64,
    "flag": pl.Boolean,
    "day": pl.Date,
    "moment": pl.Datetime("us"),
}


@st.composite
def tables(draw, kinds=tuple(_odd), *, nulls=True):
    """Draw a frame to learn from, columns named by their kind, and positive labels."""
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start = dt.datetime(2023, 1, 1)  # noqa: DTZ001
    hours = rng.integers(0, 20_000, ROWS).tolist()
    levels = draw(st.integers(1, len(_WORDS)))
    made = {
        "number": np.round(rng.normal(size=ROWS) * 100, draw(st.sampled_from([0, 2, 12]))).tolist(),
        "whole": rng.integers(-20, 20, ROWS).tolist(),
        "word": rng.choice(_WORDS[:levels], ROWS).tolist(),
        "code": rng.integers(0, 6, ROWS).tolist(),
        "flag": (rng.random(ROWS) < 0.5).tolist(),
        "day": [(start + dt.timedelta(hours=hour)).date() for hour in hours],
        "moment": [start + dt.timedelta(hours=hour) for hour in hours],
    }
    share = draw(st.sampled_from([0.0, 0.2])) if nulls else 0.0
    frame = pl.DataFrame(
        {
            name: pl.Series(
                [None if rng.random() < share else value for value in made[name]],
                dtype=_dtypes[name],
            )
            for name in chosen
        }
    )
    return frame, np.exp(rng.normal(size=ROWS))


def odd_rows(frame):
    """Return a strategy of rows of a frame's types that hold whatever the types can hold."""
    row = st.tuples(*(_odd[name] for name in frame.columns))
    return st.lists(row, min_size=1, max_size=8)


def tabulars():
    """Return a strategy of unfitted default learners."""
    return st.builds(
        lambda log, coded: tabular(
            max_iter=8, log_target=log, categories=["code"] if coded else []
        ),
        st.booleans(),
        st.booleans(),
    )


@st.composite
def pipelines(draw, frame):
    """Draw an unfitted pipeline for a frame of words, codes, flags and numbers."""
    words = [name for name in frame.columns if name in {"word", "code", "flag"}]
    numbers = [name for name in frame.columns if name not in words]
    encoder = draw(
        st.sampled_from(
            [
                OneHotEncoder(handle_unknown="ignore"),
                OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=8),
                OneHotEncoder(drop="if_binary"),
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
                OrdinalEncoder(),
            ]
        )
    )
    scaler = draw(
        st.sampled_from(
            [
                SimpleImputer(strategy="median"),
                make_pipeline(SimpleImputer(), StandardScaler()),
                make_pipeline(SimpleImputer(strategy="constant", fill_value=0), MinMaxScaler()),
                make_pipeline(SimpleImputer(), MinMaxScaler(clip=True)),
                RobustScaler(),
                "passthrough",
            ]
        )
    )
    learner = draw(
        st.sampled_from(
            [
                HistGradientBoostingRegressor(max_iter=8, min_samples_leaf=3),
                GradientBoostingRegressor(n_estimators=8, random_state=0),
                RandomForestRegressor(n_estimators=5, random_state=0),
                ExtraTreesRegressor(n_estimators=5, random_state=0),
                Ridge(),
                LinearRegression(),
            ]
        )
    )
    # One encoder a column: a matrix of mixed columns would make everything objects.
    parts = [(f"word-{name}", encoder, [name]) for name in words]
    if numbers:
        parts.append(("numbers", scaler, numbers))
    return make_pipeline(ColumnTransformer(parts, sparse_threshold=0), learner)
