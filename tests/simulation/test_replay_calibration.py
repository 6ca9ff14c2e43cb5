"""What the intervals between policies promise, counted on histories whose truth is known.

Rows have heavy tails (log-normal size times the absolute value of t with 3 degrees of freedom),
periods differ in how many rows they have, how dear those are, and how far a and b are apart; the
last two follow AR(1). The true difference of expected losses is 10 % unless said. Seeds are fixed.
"""

import math

import numpy as np
import pytest

from bucle.loop.replay.comparison import (
    Difference,
    choose_block,
    compare_losses,
    compare_money,
    resample_blocks,
)

_TRUE = 0.1


def _autoregress(generator: np.random.Generator, periods: int, rho: float) -> np.ndarray:
    """Return a stationary AR(1) series with mean 0 and standard deviation 1."""
    series = generator.normal(size=periods)
    for period in range(1, periods):
        fresh = math.sqrt(1.0 - rho * rho) * series[period]
        series[period] = rho * series[period - 1] + fresh
    return series


def _draw_history(
    generator: np.random.Generator,
    *,
    periods: int,
    rho: float,
    true: float = _TRUE,
    rows: int = 40,
    spread: float = 0.3,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses per period of a and b, on the same rows."""
    apart = math.log1p(true) - spread**2 / 2 + spread * _autoregress(generator, periods, rho)
    dear = 0.3 * _autoregress(generator, periods, rho)
    counts = generator.poisson(rows * np.exp(0.4 * generator.normal(size=periods) - 0.08))
    period = np.repeat(np.arange(periods), counts)
    size = np.exp(generator.normal(size=period.size) + dear[period])
    errors = np.abs(generator.standard_t(3, size=(2, period.size)))
    a = np.bincount(period, size * errors[0] * np.exp(apart[period]), periods)
    return a, np.bincount(period, size * errors[1], periods)


def _count_held(
    *, periods: int, rho: float, repeats: int, true: float = _TRUE, rows: int = 40
) -> dict[str, float]:
    """Return how often the interval held the truth, missed it on each side, and told apart."""
    generator = np.random.default_rng([periods, round(10 * rho), rows])
    counts = dict.fromkeys(("held", "too_low", "too_high", "told", "percentile"), 0)
    widths = []
    for repeat in range(repeats):
        a, b = _draw_history(generator, periods=periods, rho=rho, true=true, rows=rows)
        found = compare_losses(a, b, seed=repeat % 4, resamples=1000)
        counts["held"] += found.low <= true <= found.high
        counts["too_low"] += found.high < true
        counts["too_high"] += found.low > true
        counts["told"] += found.verdict != "cannot be told apart"
        counts["percentile"] += _holds_by_percentile(a, b, true)
        widths.append(found.high - found.low)
    shares = {name: count / repeats for name, count in counts.items()}
    return shares | {"width": float(np.median(widths))}


def _holds_by_percentile(a: np.ndarray, b: np.ndarray, true: float) -> bool:
    """Return whether the plain percentile interval holds the truth, with the same blocks."""
    block = choose_block(a.size)
    starts = resample_blocks(a.size, seed=0, resamples=1000, block=block)
    taken = (starts[:, np.newaxis, :] + np.arange(block)[:, np.newaxis]) % a.size
    low, high = np.quantile(a[taken].sum(axis=(0, 1)) / b[taken].sum(axis=(0, 1)), [0.05, 0.95])
    return bool(low <= 1.0 + true <= high)


@pytest.mark.slow
@pytest.mark.parametrize(("rho", "least"), [(0.0, 0.88), (0.3, 0.86), (0.6, 0.83)])
@pytest.mark.parametrize("periods", [24, 54, 120])
def test_an_interval_holds_the_truth_nearly_as_often_as_it_says(
    periods: int, rho: float, least: float
) -> None:
    counted = _count_held(periods=periods, rho=rho, repeats=1000)
    assert least <= counted["held"] <= 0.95
    assert counted["held"] > counted["percentile"] + 0.02
    assert max(counted["too_low"], counted["too_high"]) <= 0.11


@pytest.mark.slow
@pytest.mark.parametrize("periods", [8, 12])
def test_few_periods_make_wide_intervals_rather_than_wrong_ones(periods: int) -> None:
    counted = _count_held(periods=periods, rho=0.3, repeats=1000)
    assert 0.85 <= counted["held"] <= 0.95
    assert counted["told"] <= 0.2


@pytest.mark.slow
@pytest.mark.parametrize("periods", [24, 54])
def test_equal_policies_are_told_apart_about_as_often_as_said(periods: int) -> None:
    counted = _count_held(periods=periods, rho=0.3, repeats=1000, true=0.0)
    assert 0.04 <= counted["told"] <= 0.14


def _tell_by_episodes(*, periods: int, episodes: int, length: int, repeats: int) -> float:
    """Return how often policies are told apart that differ in a few episodes, by luck only.

    Within an episode one of them loses 30 % more or less, with one standard deviation, all along.
    """
    generator = np.random.default_rng([periods, episodes, length])
    told = 0
    for _ in range(repeats):
        free = generator.choice(periods - episodes * length + 1, episodes, replace=False)
        apart = np.zeros(periods)
        for place, start in enumerate(np.sort(free)):
            here = slice(start + place * length, start + place * length + length)
            apart[here] = 0.3 * generator.normal() + 0.15 * generator.normal(size=length)
        b = generator.lognormal(0.0, 0.4, size=periods)
        a = b * np.maximum(1.0 + apart, 0.05)
        found = compare_losses(a, b, seed=0, resamples=1000, persists=length)
        told += found.verdict != "cannot be told apart"
    return told / repeats


@pytest.mark.slow
@pytest.mark.parametrize(
    ("length", "episodes"), [(1, 2), (1, 8), (3, 3), (3, 6), (6, 2), (6, 4), (12, 2), (12, 4)]
)
def test_a_few_lucky_episodes_are_told_apart_hardly_more_often_than_said(
    length: int, episodes: int
) -> None:
    told = _tell_by_episodes(periods=54, episodes=episodes, length=length, repeats=600)
    assert told <= 0.19


@pytest.mark.slow
def test_a_difference_of_money_is_held_as_often_as_one_of_losses() -> None:
    generator = np.random.default_rng(11)
    true, repeats, held = 54 * 300.0, 1000, 0
    for _ in range(repeats):
        noise = 800.0 * _autoregress(generator, 54, 0.3) + 400.0 * generator.standard_t(3, size=54)
        a, b = 2000.0 + noise, np.full(54, 1700.0)
        found: Difference = compare_money(a, b, seed=0, resamples=1000)
        held += found.low <= true <= found.high
    assert 0.85 <= held / repeats <= 0.93


def test_a_large_difference_is_told_apart_on_two_years_of_months() -> None:
    generator = np.random.default_rng(12)
    told = [
        compare_losses(*_draw_history(generator, periods=24, rho=0.3, true=1.0), seed=0).verdict
        for _ in range(60)
    ]
    assert told.count("b is better") >= 50
    assert "a is better" not in told
