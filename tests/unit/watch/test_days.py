"""Days as sums: looked at once, added up in any order."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from bucle.watch.days import Days, profile_days
from bucle.watch.yardsticks import Measure, measures_of, yardsticks_of

START = datetime(2026, 3, 2, tzinfo=UTC)


def rows(count: int, *, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "at": [START + timedelta(hours=float(hour)) for hour in rng.uniform(0, 240, count)],
            "size": rng.normal(10, 3, count),
            "count": rng.integers(0, 4, count),
            "word": rng.choice(["a", "b", "c"], count, p=[0.6, 0.39, 0.01]),
            "flag": rng.random(count) < 0.3,
            "took": [timedelta(seconds=float(value)) for value in rng.exponential(60, count)],
            "on": [date(2026, 1, 1)] * count,
        }
    ).with_columns(pl.when(pl.int_range(pl.len()) % 10 > 0).then(pl.col("size")))


def profile(frame: pl.DataFrame, reference: pl.DataFrame | None = None) -> Days:
    known = (frame if reference is None else reference).drop("at")
    return profile_days(frame, yardsticks_of(known), time="at")


def measures(frame: pl.DataFrame) -> tuple[Measure, ...]:
    return measures_of(yardsticks_of(frame.drop("at")))


def of(days: Days, frame: pl.DataFrame, column: str, kind: str, word: str = "") -> float:
    """Return the mean of a measure over all days."""
    at, measure = next(
        (place, one)
        for place, one in enumerate(measures(frame))
        if (one.column, one.kind, one.word) == (column, kind, word)
    )
    return measure.in_units(float(days.sums.sum(axis=0)[at] / days.counts.sum(axis=0)[at]))


def test_measures_are_means_of_what_they_say() -> None:
    frame = rows(3000)
    days = profile(frame)
    assert days.rows.sum() == 3000
    size = frame["size"].drop_nulls()
    low, high = size.quantile(0.05, "lower"), size.quantile(0.95, "lower")
    assert of(days, frame, "size", "mean") == pytest.approx(size.clip(low, high).mean(), rel=1e-5)
    assert of(days, frame, "size", "null") == pytest.approx(0.1)
    assert of(days, frame, "size", "below") == pytest.approx(0.25, abs=0.001)
    assert of(days, frame, "word", "share", "a") == pytest.approx((frame["word"] == "a").mean())
    assert of(days, frame, "flag", "share", "true") == pytest.approx(frame["flag"].mean())
    assert of(days, frame, "took", "mean") > 0


def test_rare_words_are_pooled_and_new_ones_with_them() -> None:
    frame = rows(3000)
    few = frame.with_columns(
        pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("z")).otherwise("word").alias("word")
    )
    assert "z" not in [one.word for one in measures(few)]
    new = frame.with_columns(word=pl.lit("never seen"))
    assert of(profile(new, frame), frame, "word", "other") == 1.0


def test_dates_and_moments_move_on_and_only_their_nulls_are_counted() -> None:
    assert [one.kind for one in measures(rows(10)) if one.column == "on"] == ["null"]


def test_pieces_added_up_are_the_whole() -> None:
    frame = rows(2000)
    whole = profile(frame)
    parts = [profile(frame[start::3], frame) for start in range(3)]
    for merged in (
        parts[0].merge(parts[1]).merge(parts[2]),
        parts[2].merge(parts[0].merge(parts[1])),
    ):
        assert merged.dates.tolist() == whole.dates.tolist()
        for name in ("rows", "counts", "sums", "squares"):
            assert getattr(merged, name).tolist() == getattr(whole, name).tolist()


def test_days_that_one_lacks_come_from_the_other() -> None:
    frame = rows(500)
    early = frame.filter(pl.col("at") < START + timedelta(days=4))
    late = frame.filter(pl.col("at") >= START + timedelta(days=4))
    merged = profile(late, frame).merge(profile(early, frame))
    assert merged.dates.tolist() == profile(frame).dates.tolist()


def test_a_column_that_is_gone_counts_as_null() -> None:
    frame = rows(200)
    days = profile_days(frame.drop("size"), yardsticks_of(frame.drop("at")), time="at")
    assert of(days, frame, "size", "null") == 1.0


def test_not_a_number_and_infinity_do_not_poison_a_mean() -> None:
    frame = rows(100)
    wild = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 3)
        .then(float("nan"))
        .when(pl.int_range(pl.len()) == 4)
        .then(float("inf"))
        .otherwise("size")
        .alias("size")
    )
    assert np.isfinite(of(profile(wild, frame), frame, "size", "mean"))
    assert of(profile(wild, frame), frame, "size", "null") == pytest.approx(0.11)


def test_rows_without_a_time_are_left_out() -> None:
    frame = rows(50).with_columns(pl.when(pl.int_range(pl.len()) > 9).then(pl.col("at")))
    assert profile(frame).rows.sum() == 40


def test_no_rows_are_no_days() -> None:
    frame = rows(50)
    empty = profile(frame.head(0), frame)
    assert empty.dates.size == 0
    assert empty.merge(profile(frame)).rows.sum() == 50


@pytest.mark.parametrize("zeros", [[0.0, -0.0], [-0.0, 0.0], [-0.0, -0.0]])
def test_there_is_one_zero(zeros: list[float]) -> None:
    frame = pl.DataFrame({"x": [-1.0, *zeros * 3, 1.0]})
    (stick,) = yardsticks_of(frame)
    assert stick.quartiles == (0.0,)
    assert "-0.0" not in str(stick.quartiles)
