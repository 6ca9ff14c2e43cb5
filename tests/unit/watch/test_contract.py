"""Rows that come too few, too many, too late or in another form."""

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from bucle.watch.contract import VolumeDay, is_larger_share, judge_gap, judge_volume, volume_breach

LEVEL = 0.1 / 180 / 4


def volume(
    days: int,
    *,
    seed: int = 0,
    mean: float = 500.0,
    weekly: float = 0.0,
    effect: float = 0.1,
    since: int = 10_000,
    times: float = 1.0,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    dates = np.arange(20_000, 20_000 + days)
    level = mean * np.exp(effect * rng.normal(size=days) + weekly * np.sin(2 * np.pi * dates / 7))
    level *= np.where(np.arange(days) >= since, times, 1.0)
    return dates, rng.poisson(level).astype(np.float64)


def found(*args: object, **fields: float) -> list[int]:
    days = judge_volume(*volume(*args, **fields), level=LEVEL)  # type: ignore[arg-type]
    return [at for at, day in enumerate(days) if day.is_found]


STEADY = [{}, {"weekly": 0.5}, {"effect": 0.4}, {"mean": 3.0}, {"mean": 40.0, "effect": 0.0}]


@pytest.mark.parametrize("fields", STEADY)
def test_days_like_those_before_are_no_news(fields: dict[str, float]) -> None:
    assert found(120, **fields) == []


@pytest.mark.thorough
@pytest.mark.parametrize("fields", STEADY)
def test_false_findings_stay_within_the_level(fields: dict[str, float]) -> None:
    # 40 projects of 166 judged days: 0.9 findings at most on average, so 5 are 99.6 % sure.
    days = [len(found(180, seed=seed, **fields)) for seed in range(40)]
    assert sum(bool(count) for count in days) <= 5


def test_a_day_without_rows_is_found_at_once() -> None:
    dates, rows = volume(40)
    rows[-1] = 0
    days = judge_volume(dates, rows, level=LEVEL)
    breach = volume_breach(days)
    assert breach is not None
    assert (breach.found, breach.since) == (0, days[-1].date)
    assert breach.expected == pytest.approx(500, rel=0.3)
    assert "0 rows" in breach.why


def test_half_the_rows_are_found_and_become_usual_after_a_month() -> None:
    at = found(120, since=60, times=0.4)
    assert at[0] == 60
    assert set(range(60, 80)) <= set(at)
    assert at[-1] < 110


def test_a_fall_that_one_day_hides_a_week_shows() -> None:
    days = judge_volume(*volume(70, since=60, times=0.55, effect=0.18), level=LEVEL)
    assert any(day.is_found and day.span == 7 for day in days[60:])


def test_since_is_the_first_day_of_what_goes_on() -> None:
    days = [
        VolumeDay(date=f"2026-01-{number:02}", rows=1, expected=9.0, is_found=number in {3, 5, 7})
        for number in range(1, 8)
    ]
    breach = volume_breach(days)
    assert breach is not None
    assert breach.since == "2026-01-03"
    assert volume_breach(days[:4]) is None
    assert volume_breach([]) is None


def test_two_weeks_are_needed_to_judge_by() -> None:
    days = judge_volume(*volume(20), level=LEVEL)
    assert [day.expected is None for day in days] == [True] * 14 + [False] * 6
    assert all(day.low <= day.expected <= day.high for day in days if day.expected is not None)  # type: ignore[operator]


def test_equal_days_promise_no_equal_day() -> None:
    dates = np.arange(30)
    rows = np.full(30, 50.0)
    rows[-1] = 44
    assert not judge_volume(dates, rows, level=LEVEL)[-1].is_found
    rows[-1] = 5
    assert judge_volume(dates, rows, level=LEVEL)[-1].is_found


def test_what_is_said_of_days_can_be_written() -> None:
    dates = np.arange(20_000, 20_030)
    rows = np.where(np.arange(30) < 29, 100.0, 5.0)
    days = judge_volume(dates, rows, level=LEVEL)
    told = msgspec.json.decode(msgspec.json.encode(days))
    assert [day["is_found"] for day in told] == [False] * 29 + [True]


def test_a_gap_is_judged_by_those_before_it() -> None:
    nights = np.array([8.0, 9.0, 8.5, 9.0, 8.0, 8.5, 9.0] * 2)
    limit = judge_gap(3.0, nights, level=LEVEL)
    assert limit is not None
    assert 11 < limit < 24
    weekends = np.array([15.0, 15.0, 15.0, 15.0, 63.0] * 6)
    longer = judge_gap(3.0, weekends, level=LEVEL)
    assert longer is not None
    assert longer > 63 * 1.2
    assert judge_gap(3.0, nights[:5], level=LEVEL) is None


def test_gaps_of_chance_are_rarely_beyond_the_limit() -> None:
    rng = np.random.default_rng(4)
    beyond = 0
    for _ in range(4000):
        gaps = rng.exponential(2.0, 57)
        limit = judge_gap(0.0, gaps[:56], level=0.001)
        assert limit is not None
        beyond += gaps[56] > limit
    assert beyond <= 16


def test_a_share_is_larger_only_beyond_chance() -> None:
    assert not is_larger_share(1, 100, others_yes=0, others=1000, level=LEVEL)
    assert is_larger_share(9, 100, others_yes=0, others=1000, level=LEVEL)
    assert not is_larger_share(0, 100, others_yes=50, others=100, level=LEVEL)
    assert is_larger_share(6, 10, others_yes=0, others=0, level=LEVEL)
    assert not is_larger_share(5, 10, others_yes=0, others=0, level=LEVEL)
    assert not is_larger_share(0, 0, others_yes=0, others=0, level=LEVEL)
