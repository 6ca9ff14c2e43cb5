"""Series for charts: each day beside the band in which days of the reference lie."""

import numpy as np
import polars as pl

from bucle.watch.days import profile_days
from bucle.watch.inputs import look_at_inputs
from bucle.watch.series import Series, series_of
from bucle.watch.spread import spread_of
from bucle.watch.yardsticks import measures_of, yardsticks_of


def rows(first: int, days: int, *, shift: float = 0.0, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    dates = np.repeat(np.arange(first, first + days, dtype=np.int32), 200)
    effect = 0.3 * rng.normal(size=days)[dates - first]
    frame = pl.DataFrame(
        {"day": dates, "size": 50 + 5 * (rng.normal(size=dates.size) + effect + shift)}
    )
    return frame.with_columns(pl.col("day").cast(pl.Date))


def make(shift: float = 0.0, days: int = 30) -> dict[str, Series]:
    reference = rows(0, 60)
    sticks = yardsticks_of(reference.drop("day"))
    known = profile_days(reference, sticks, time="day")
    days_seen = profile_days(rows(60, days, shift=shift, seed=1), sticks, time="day")
    measures, spread = measures_of(sticks), spread_of(known)
    looks = [
        look_at_inputs(spread, known, days_seen, measures, date=int(day), level=0.001)
        for day in days_seen.dates
    ]
    found = series_of(spread, known, days_seen, measures, looks=looks)
    return {one.kind: one for one in found}


def test_most_days_lie_in_the_band_and_the_band_in_units() -> None:
    one = make()["mean"]
    inside = [
        low <= value <= high  # type: ignore[operator]
        for low, value, high in zip(one.low, one.values, one.high, strict=True)
    ]
    assert np.mean(inside) >= 0.85
    assert all(40 < value < 60 for value in one.values if value is not None)
    assert len(one.reference_dates) == len(one.reference_values) == 60
    assert (one.dates[0], one.rows[0]) == ("1970-03-02", 200)
    assert not any(one.found)


def test_what_moved_leaves_the_band_and_is_marked() -> None:
    one = make(shift=3.0)["mean"]
    assert all(value > high for value, high in zip(one.values, one.high, strict=True))  # type: ignore[operator]
    assert one.found[-1]


def test_a_share_has_a_band_too() -> None:
    one = make()["null"]
    assert set(one.values) == {0.0}
