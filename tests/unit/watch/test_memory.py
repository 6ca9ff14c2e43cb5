"""What a day has of the day before: told from few days, and taken out of what is new."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bucle.watch.memory import Surprises, inflation, memory_of


def days_that_remember(rng: np.random.Generator, days: int, *, memory: float) -> NDArray:
    effects = rng.standard_normal(days)
    for at in range(1, days):
        effects[at] = memory * effects[at - 1] + (1 - memory**2) ** 0.5 * effects[at]
    return effects


def found(seed: int, *, days: int, memory: float, noise: float) -> float:
    rng = np.random.default_rng(seed)
    means = days_that_remember(rng, days, memory=memory) + noise * rng.standard_normal(days)
    means -= means.mean()
    return float(memory_of(np.arange(days), means[:, None], np.ones(1))[0])


@pytest.mark.parametrize(
    ("days", "noise", "off"), [(28, 0.0, 0.05), (60, 0.0, 0.03), (28, 0.7, 0.1), (120, 0.7, 0.03)]
)
def test_few_days_and_noisy_ones_tell_as_much_memory_as_there_is(
    days: int, noise: float, off: float
) -> None:
    told = [found(seed, days=days, memory=0.5, noise=noise) for seed in range(400)]
    assert np.mean(told) == pytest.approx(0.5, abs=off)


def test_days_without_memory_and_few_neighbours_tell_hardly_any() -> None:
    told = [found(seed, days=60, memory=0.0, noise=0.0) for seed in range(400)]
    assert np.mean(told) < 0.08
    apart = np.arange(0, 60, 2)
    assert memory_of(apart, np.ones((30, 1)), np.ones(1)).tolist() == [0.0]


def test_a_mean_of_days_that_remember_varies_as_much_more_as_is_said() -> None:
    rng = np.random.default_rng(1)
    means = [days_that_remember(rng, 14, memory=0.6).mean() for _ in range(4000)]
    told = float(inflation(np.asarray([0.6]), 14)[0]) / 14
    assert np.var(means) == pytest.approx(told, rel=0.08)


def test_what_is_new_in_days_is_standard_and_has_no_memory() -> None:
    rng = np.random.default_rng(2)
    between, within, rows = 0.4, 8.0, 40
    steps = []
    for _ in range(60):
        effects = between**0.5 * days_that_remember(rng, 60, memory=0.7)
        means = 5.0 + effects + (within / rows) ** 0.5 * rng.standard_normal(60)
        surprises = Surprises(5.0, between=between, within=within, memory=0.7)
        steps.append(
            [surprises.take(day, rows=rows, mean=mean).steps for day, mean in enumerate(means)]
        )
    found = np.asarray(steps)
    assert found.var() == pytest.approx(1.0, abs=0.06)
    assert abs((found[:, 1:] * found[:, :-1]).mean()) < 0.04
    # Day means themselves do remember.
    assert (found.mean(axis=1) * 60**0.5).var() == pytest.approx(1.0, abs=0.6)


def test_without_memory_a_day_is_measured_by_itself() -> None:
    surprises = Surprises(2.0, between=0.5, within=10.0, memory=0.0)
    for day, mean in enumerate((3.0, 1.0, 7.0)):
        told = surprises.take(day, rows=20, mean=mean)
        assert told.steps == pytest.approx((mean - 2.0) / (0.5 + 10.0 / 20) ** 0.5)
        assert told.weight == pytest.approx(1.0)


def test_a_lasting_rise_tells_less_each_day_where_days_remember() -> None:
    alike = Surprises(0.0, between=1.0, within=0.0, memory=0.5)
    weights = [alike.take(day, rows=10, mean=1.0).weight for day in range(9)]
    assert weights[0] == pytest.approx(1.0)
    assert weights[-1] == pytest.approx(((1 - 0.5) / (1 + 0.5)) ** 0.5)
    # After a long gap a day is as new as the first one.
    assert alike.take(200, rows=10, mean=1.0).weight == pytest.approx(1.0)


def test_days_that_never_vary_hold_nothing_new() -> None:
    still = Surprises(1.0, between=0.0, within=0.0, memory=0.0)
    told = still.take(0, rows=10, mean=9.0)
    assert (told.steps, told.weight) == (0.0, 0.0)
