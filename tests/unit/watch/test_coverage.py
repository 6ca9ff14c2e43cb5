"""Coverage of intervals: followed day by day, brought back by one step a day."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bucle.watch.coverage import Coverage, adapt_coverage, interval_scores

PER_DAY = 1850
DAYS = 60
SHIFT = 29


def scores(
    *, days: int = DAYS, per: int = PER_DAY, shift: float = 1.0, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return errors as shares of intervals that held nine in ten before the shift."""
    rng = np.random.default_rng(seed)
    dates = np.repeat(np.arange(days), per)
    drawn = np.abs(rng.laplace(0, 1, dates.size)) * np.exp(0.02 * rng.normal(size=days))[dates]
    held = float(np.quantile(np.abs(rng.laplace(0, 1, 100_000)), 0.9))
    return drawn / held * np.where(dates >= SHIFT, shift, 1.0), dates


def follow(**fields: float) -> Coverage:
    found = adapt_coverage(*scores(**fields), level=0.9)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(4))
def test_without_a_shift_no_day_is_harmed(seed: int) -> None:
    found = follow(seed=seed)
    adapted = np.array([day.adapted for day in found.days])
    assert adapted.min() >= 0.865
    assert adapted.max() <= 0.95
    assert adapted.mean() == pytest.approx(0.9, abs=0.01)
    assert found.factor == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("seed", range(4))
def test_after_a_shift_of_three_tenths_coverage_is_back_within_four_days(seed: int) -> None:
    found = follow(shift=1.3, seed=seed)
    after = found.days[SHIFT:]
    # As they are, intervals stay too narrow.
    assert np.mean([day.observed for day in after]) < 0.85
    assert after[0].adapted < 0.88
    first = next(at for at, day in enumerate(after) if day.adapted >= 0.88)
    assert first <= 4
    assert np.mean([day.adapted for day in after[first:]]) == pytest.approx(0.9, abs=0.01)
    assert found.factor == pytest.approx(1.3, abs=0.15)


def test_a_day_is_judged_by_the_days_before_it_alone() -> None:
    values, dates = scores(days=10)
    whole = adapt_coverage(values, dates, level=0.9)
    assert whole is not None
    for last in (1, 4, 9):
        part = adapt_coverage(values[dates < last], dates[dates < last], level=0.9)
        assert part is not None
        assert part.days == whole.days[:last]
        assert part.factor == whole.days[last].factor


def test_the_order_of_rows_within_a_day_changes_nothing() -> None:
    values, dates = scores(days=10, per=200)
    order = np.random.default_rng(1).permutation(dates.size)
    assert adapt_coverage(values[order], dates[order], level=0.9) == adapt_coverage(
        values, dates, level=0.9
    )


def test_few_scores_move_no_width() -> None:
    found = follow(days=4, per=100, shift=3.0)
    assert (found.factor, found.missing) == (1, 100)
    assert all(day.factor == 1 for day in found.days)
    assert follow(days=5, per=100, shift=3.0).missing == 0
    assert adapt_coverage(np.empty(0), np.empty(0, dtype=np.int64), level=0.9) is None


def test_the_step_is_one_a_day_however_many_rows_it_has() -> None:
    found = follow(days=40, shift=20.0, per=3000)
    levels = np.array([day.level for day in found.days])
    assert np.abs(np.diff(levels)).max() <= 0.1
    assert levels.max() <= 0.995
    assert levels.min() >= 0.5


def test_the_share_that_was_held_says_of_which_days_it_is() -> None:
    found = follow(days=40, per=20)
    assert (found.first, found.last, found.rows) == ("1970-01-11", "1970-02-09", 30 * 20)
    few = follow(days=4, per=20)
    assert (few.first, few.last, few.rows) == ("1970-01-01", "1970-01-04", 4 * 20)


def test_a_score_is_the_error_by_the_upper_half() -> None:
    truth, said = np.array([0.0, 5.0, 3.0]), np.array([2.0, 2.0, 3.0])
    high = np.array([6.0, 4.0, 3.0])
    assert interval_scores(truth, said, high).tolist() == [0.5, 1.5, 0.0]
    assert interval_scores(np.array([1.0]), np.array([2.0]), np.array([2.0])) == [1e9]


@pytest.mark.thorough
def test_the_figures_of_the_documentation() -> None:
    quiet, shifted = [], []
    for seed in range(20):
        quiet += [day.adapted for day in follow(seed=seed).days]
        after = follow(seed=seed, shift=1.3).days[SHIFT:]
        shifted.append(next(at for at, day in enumerate(after) if day.adapted >= 0.88))
    assert min(quiet) >= 0.86
    assert max(quiet) <= 0.94
    assert max(shifted) <= 2
