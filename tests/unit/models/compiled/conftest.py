"""Rows of every type that a model takes, and a model fitted on them."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from bucle.models.intervals import fit_intervals
from bucle.models.signature import signature_of
from bucle.models.tabular import tabular

COUNT = 1200


@pytest.fixture(scope="session")
def frame():
    rng = np.random.default_rng(5)
    start = dt.datetime(2023, 1, 1)  # noqa: DTZ001
    days = rng.integers(0, 900, COUNT)
    table = pl.DataFrame(
        {
            "size": rng.normal(size=COUNT),
            "weight": np.round(rng.lognormal(size=COUNT), 2),
            "pieces": rng.integers(-3, 12, COUNT),
            "kind": rng.choice(["a", "b", "c d", "ñ", "1"], COUNT).tolist(),
            "code": rng.integers(0, 6, COUNT),
            "urgent": rng.random(COUNT) < 0.4,
            "day": [(start + dt.timedelta(days=int(day))).date() for day in days],
            "moment": [start + dt.timedelta(hours=int(day), microseconds=7) for day in days],
            "span": [dt.timedelta(minutes=int(day)) for day in days],
            "clock": [dt.time(int(day) % 24, 30) for day in days],
        }
    )
    missing = {name: rng.random(COUNT) < 0.06 for name in table.columns}
    table = table.with_columns(
        pl.when(pl.Series(missing[name])).then(None).otherwise(pl.col(name)).alias(name)
        for name in table.columns
    )
    return table.with_columns(nothing=pl.lit(None, dtype=pl.Float64), void=pl.lit(None))


@pytest.fixture(scope="session")
def price(frame):
    rng = np.random.default_rng(6)
    value = (
        frame["size"].fill_null(0).to_numpy()
        + 0.1 * frame["pieces"].fill_null(0).to_numpy() ** 2
        + (frame["kind"] == "a").fill_null(value=False).to_numpy()
        + frame["day"].dt.month().fill_null(0).to_numpy() / 6
        + frame["moment"].dt.hour().fill_null(0).to_numpy() / 12
        + 0.3 * frame["code"].fill_null(2).to_numpy() % 2
    )
    return np.exp(value / 2 + rng.normal(0, 0.1, COUNT))


@pytest.fixture(scope="session")
def signature(frame):
    return signature_of(frame, kind="regression", target="price")


@pytest.fixture(scope="session")
def model(frame, price):
    return tabular(max_iter=25, categories=["code"]).fit(frame[:600], price[:600])


@pytest.fixture(scope="session")
def band(frame, price, model):
    newer = frame[600:]
    return fit_intervals(newer, price[600:], model.predict(newer))
