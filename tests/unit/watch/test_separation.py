"""A classifier says what the last week differs in, and that like weeks differ in nothing."""

import msgspec
import numpy as np
import polars as pl
import pytest

from bucle.watch.sample import Sample, code_rows, thin_days, thin_weeks
from bucle.watch.separation import separate_days
from bucle.watch.yardsticks import Yardstick, yardsticks_of


def rows(
    first: int, days: int, *, per: int = 60, shift: float = 0.0, seed: int = 0
) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    dates = np.repeat(np.arange(first, first + days, dtype=np.int32), per)
    size = rng.normal(size=dates.size)
    return pl.DataFrame(
        {
            "day": dates,
            "size": size,
            "width": size * rng.choice([-1.0, 1.0], dates.size)
            if shift
            else np.abs(size) * np.sign(size),
            "word": rng.choice(["red", "blue", "green"], dates.size),
        }
    ).with_columns(pl.col("day").cast(pl.Date), pl.col("size") + shift)


def coded(frame: pl.DataFrame, sticks: tuple[Yardstick, ...]) -> Sample:
    return code_rows(frame, sticks, time="day")


REFERENCE = rows(0, 120)
STICKS = yardsticks_of(REFERENCE.drop("day"))


@pytest.mark.thorough
def test_like_weeks_are_not_told_apart() -> None:
    found = separate_days(
        thin_weeks(coded(REFERENCE, STICKS)), thin_days(coded(rows(120, 7, seed=1), STICKS)), STICKS
    )
    assert found is not None
    assert 0.43 < found.auc < 0.57
    assert found.compared >= 4
    assert found.natural is not None
    assert found.natural < 0.6


@pytest.mark.thorough
def test_a_broken_tie_between_columns_is_seen_and_named() -> None:
    """Each column alone is nearly as it was; only together they tell."""
    window = thin_days(coded(rows(120, 7, seed=2, shift=0.1), STICKS))
    found = separate_days(thin_weeks(coded(REFERENCE, STICKS)), window, STICKS)
    assert found is not None
    assert found.natural is not None
    assert found.auc > found.natural + 0.1
    assert {one.column for one in found.columns[:2]} == {"size", "width"}
    again = separate_days(thin_weeks(coded(REFERENCE, STICKS)), window, STICKS)
    assert again == found


def test_what_weeks_of_the_reference_reach_is_found_once() -> None:
    reference, window = thin_weeks(coded(REFERENCE, STICKS)), coded(rows(120, 7), STICKS)
    found = separate_days(reference, window, STICKS)
    assert found is not None
    assert separate_days(reference, window, STICKS, before=found) == found
    other = msgspec.structs.replace(found, auc=0.9, natural=0.125, compared=99)
    again = separate_days(reference, window, STICKS, before=other)
    assert again is not None
    assert (again.auc, again.natural, again.compared) == (found.auc, 0.125, 99)


def test_too_few_days_or_rows_say_nothing() -> None:
    reference = thin_weeks(coded(REFERENCE, STICKS))
    assert separate_days(reference, coded(rows(120, 1), STICKS), STICKS) is None
    assert separate_days(reference, coded(rows(120, 7, per=5), STICKS), STICKS) is None


def test_a_sample_holds_neither_extremes_nor_rare_words() -> None:
    frame = REFERENCE.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(1e6).otherwise("size").alias("size"),
        pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("secret")).otherwise("word").alias("word"),
        width=pl.lit(None, dtype=pl.Float64),
    )
    sticks = yardsticks_of(frame.drop("day"))
    sample = coded(frame, sticks)
    assert sample.values[:, 0].max() == 65_535
    assert sample.values[7, 2] == len(sticks[2].words)
    # Of a column that is always null only that is told.
    assert set(sample.values[:, 1].tolist()) == {1.0}


def test_samples_are_thin_and_spread() -> None:
    whole = coded(rows(0, 365, per=400), STICKS)
    thin = thin_weeks(whole)
    assert thin.dates.size == 6 * 250
    assert np.unique(thin.dates // 7).size == 6
    assert thin.dates.min() < 7
    assert thin.dates.max() >= 357
    few = thin_days(whole)
    assert few.dates.size == 1000
    assert np.unique(few.dates).size == 365
    empty = whole.take(np.zeros(whole.dates.size, dtype=np.bool_))
    assert thin_weeks(empty).dates.size == 0
