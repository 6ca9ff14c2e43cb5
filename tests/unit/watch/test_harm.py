"""The harm layer: quiet while losses are what they were, quick when they are not."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bucle.watch.harm import Harm, LossDay, Standard, detect_harm, loss_days, standard_of

BETWEEN = 300.0


def losses(
    days: int,
    *,
    seed: int,
    per: int = 100,
    effect: float = 0.0,
    rise: float = 1.0,
    since: int = 0,
    heavy: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    found, dates = [], []
    for day in range(days):
        drawn = rng.exponential(1, per) if heavy else rng.gamma(3.3, 1 / 3.3, per)
        level = np.exp(effect * rng.normal() - effect**2 / 2) * (rise if day >= since else 1.0)
        found.append(drawn * level)
        dates.append(np.full(per, day, dtype=np.int64))
    return np.concatenate(found), np.concatenate(dates)


def watch(seed: int, *, days: int = 180, **fields: Any) -> Harm:
    validated = {name: value for name, value in fields.items() if name not in {"rise", "since"}}
    standard = standard_of(*losses(40, seed=seed, **({"per": 25} | validated)))
    assert standard is not None
    seen = loss_days(*losses(days, seed=seed + 100_000, **fields), standard)
    return detect_harm(seen, standard, days_between=BETWEEN)


@pytest.mark.parametrize("fields", [{}, {"heavy": True}, {"effect": 0.15}, {"per": 10}])
def test_false_alarms_stay_within_the_budget(fields: dict[str, Any]) -> None:
    alarms = sum(watch(seed, **fields).alarm is not None for seed in range(60))
    # At most one in 300 days on average: in 180 days at most 45 % of projects, here 99 % sure.
    assert alarms <= 36


@pytest.mark.parametrize("fields", [{}, {"heavy": True}])
def test_a_third_more_loss_is_found_within_1500_rows(fields: dict[str, Any]) -> None:
    found = [watch(seed, days=40, rise=1.3, **fields).alarm for seed in range(60)]
    in_time = sum(alarm is not None and (alarm + 1) * 100 <= 1500 for alarm in found)
    assert in_time >= 54


def test_it_says_since_when_and_how_much() -> None:
    harm = watch(3, rise=1.6, since=90)
    assert harm.alarm is not None
    assert harm.since is not None
    assert 88 <= harm.since <= harm.alarm <= 95
    assert harm.mean == pytest.approx(1.6, rel=0.1)


def test_a_fall_is_no_harm() -> None:
    assert watch(4, rise=0.5).alarm is None


def test_within_the_tolerance_nothing_is_said() -> None:
    assert watch(5, rise=1.03, days=365).alarm is None


def test_days_with_few_rows_are_joined() -> None:
    standard = Standard(
        floor=0, cap=10, mean=1, error=0.02, limit=1.05, between=0, within=0.3, rows=1000
    )
    days = [LossDay(date=day, rows=7, total=14.0) for day in range(40)]
    harm = detect_harm(days, standard, days_between=BETWEEN)
    assert len(harm.evidence) == 40
    # Seven days of seven rows are no block yet; the eighth makes one.
    assert harm.evidence[6] == 0
    assert harm.evidence[7] > 0
    assert harm.alarm is not None


def test_a_single_monstrous_loss_is_no_alarm() -> None:
    values, dates = losses(40, seed=6)
    standard = standard_of(values, dates)
    assert standard is not None
    seen, days = losses(30, seed=7)
    seen[1000] = 1e12
    harm = detect_harm(loss_days(seen, days, standard), standard, days_between=BETWEEN)
    assert harm.alarm is None


def test_looking_day_by_day_gives_what_looking_at_the_end_gives() -> None:
    values, dates = losses(40, seed=8)
    standard = standard_of(values, dates)
    assert standard is not None
    seen = loss_days(*losses(60, seed=9, rise=1.15), standard)
    whole = detect_harm(seen, standard, days_between=BETWEEN)
    for count in (1, 7, 30):
        part = detect_harm(seen[:count], standard, days_between=BETWEEN)
        assert part.evidence == whole.evidence[:count]


def test_no_days_and_few_rows_say_nothing() -> None:
    assert standard_of(np.ones(19), np.zeros(19, dtype=np.int64)) is None
    standard = standard_of(*losses(40, seed=10))
    assert standard is not None
    assert detect_harm((), standard, days_between=BETWEEN) == Harm(
        evidence=(), alarm=None, since=None, mean=None
    )


def test_constant_losses_have_no_spread_to_judge_by() -> None:
    standard = standard_of(np.ones(100), np.repeat(np.arange(10), 10))
    assert standard is not None
    days = [LossDay(date=day, rows=100, total=100.0) for day in range(9)]
    assert detect_harm(days, standard, days_between=BETWEEN).alarm is None
