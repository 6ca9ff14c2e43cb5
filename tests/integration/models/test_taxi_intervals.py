"""Intervals on real trips: how often they hold on later weeks, and how wide they are."""

import numpy as np
import polars as pl
import pytest

from bucle.models.intervals import fit_intervals
from bucle.models.tabular import tabular

FEATURES = [
    "trip_distance",
    "passenger_count",
    "PULocationID",
    "DOLocationID",
    "RatecodeID",
    "lpep_pickup_datetime",
]
ZONES = ["PULocationID", "DOLocationID"]


@pytest.fixture(scope="module")
def trips(shared_data):
    frame = pl.concat(
        [
            pl.read_parquet(shared_data / f"green_taxi_2024_{month}.parquet")
            for month in ("01", "02")
        ]
    )
    picked_up = pl.col("lpep_pickup_datetime")
    minutes = (pl.col("lpep_dropoff_datetime") - picked_up).dt.total_seconds() / 60
    return (
        frame.with_columns(minutes=minutes)
        .filter(
            pl.col("minutes").is_between(1, 120),
            pl.col("trip_distance") > 0,
            picked_up.is_between(pl.datetime(2024, 1, 1), pl.datetime(2024, 3, 1)),
        )
        .sort("lpep_pickup_datetime")
    )


def test_intervals_of_trip_durations_hold_as_promised_on_the_weeks_after(trips):
    picked_up = pl.col("lpep_pickup_datetime")
    train = trips.filter(picked_up < pl.datetime(2024, 1, 24))
    settle = trips.filter(
        picked_up >= pl.datetime(2024, 1, 24), picked_up < pl.datetime(2024, 2, 1)
    )
    later = trips.filter(picked_up >= pl.datetime(2024, 2, 1))
    model = tabular(categories=ZONES).fit(train.select(FEATURES), train["minutes"])
    band = fit_intervals(
        settle.select(FEATURES), settle["minutes"], model.predict(settle.select(FEATURES))
    )
    predicted = model.predict(later.select(FEATURES))
    low, high = band.around(later.select(FEATURES), predicted)
    truth = later["minutes"].to_numpy()
    held = (low <= truth) & (truth <= high)
    assert held.mean() == pytest.approx(0.9, abs=0.015)
    assert (high - low).mean() < 12.4
    distance = later["trip_distance"].to_numpy()
    parts = np.digitize(distance, np.quantile(distance, [0.2, 0.4, 0.6, 0.8]))
    assert min(held[parts == part].mean() for part in range(5)) > 0.8
