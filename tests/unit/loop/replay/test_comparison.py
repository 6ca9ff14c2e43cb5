import math
import time
from itertools import combinations

import numpy as np
import pytest

from bucle.errors import EvidenceError
from bucle.loop.replay.comparison import (
    LEAST_PERIODS,
    _studentise,
    choose_block,
    compare_losses,
    compare_money,
    resample_blocks,
    say,
)


def _pair(periods: int, *, seed: int = 0, gap: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.Generator(np.random.PCG64(seed))
    b = 10.0 + 5.0 * generator.random(periods)
    return b * (1.0 + gap + 0.2 * (generator.random(periods) - 0.5)), b


def test_the_verdicts_are_three() -> None:
    assert say(0.01, 0.2) == "b is better"
    assert say(-0.2, -0.01) == "a is better"
    for low, high in ((-0.1, 0.1), (0.0, 0.1), (-0.1, 0.0), (0.0, 0.0), (-math.inf, math.inf)):
        assert say(low, high) == "cannot be told apart"


def test_the_difference_is_that_of_the_sums() -> None:
    a, b = _pair(54)
    losses, money = compare_losses(a, b, seed=0), compare_money(a, b, seed=0)
    assert losses.difference == pytest.approx(a.sum() / b.sum() - 1.0, rel=1e-12)
    assert money.difference == pytest.approx(a.sum() - b.sum(), rel=1e-12)
    for found in (losses, money):
        assert found.low < found.difference < found.high
        assert (found.verdict, found.periods, found.why) == ("b is better", 54, "")


@pytest.mark.parametrize("periods", [1, 7, 8, 54])
@pytest.mark.parametrize("compare", [compare_losses, compare_money])
def test_identical_policies_differ_by_exactly_nothing(compare, periods: int) -> None:
    a, _ = _pair(periods)
    found = compare(a, a.copy(), seed=0)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.verdict == "cannot be told apart"


def test_the_order_in_which_rows_were_added_is_no_difference() -> None:
    a, _ = _pair(54)
    found = compare_losses(a, a * (1.0 + 1e-13 * (np.arange(54) % 3 - 1.0)), seed=0)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)


def test_without_any_row_there_is_no_difference() -> None:
    nothing = np.zeros(54)
    found = compare_losses(nothing, nothing, seed=0)
    assert (found.difference, found.low, found.high, found.periods) == (0.0, 0.0, 0.0, 0)
    none = compare_money(np.empty(0), np.empty(0), seed=0)
    assert (none.difference, none.low, none.high, none.periods) == (0.0, 0.0, 0.0, 0)


def test_periods_without_rows_break_nothing() -> None:
    a, b = _pair(54, gap=0.3)
    a[10:34] = b[10:34] = 0.0
    a[50:] = b[50:] = 0.0
    found = compare_losses(a, b, seed=0)
    assert found.difference == pytest.approx(a.sum() / b.sum() - 1.0)
    assert (found.periods, found.verdict) == (26, "b is better")
    assert math.isfinite(found.low)
    assert math.isfinite(found.high)


@pytest.mark.parametrize("compare", [compare_losses, compare_money])
def test_refuses_to_tell_apart_with_few_periods_and_says_why(compare) -> None:
    a, b = _pair(LEAST_PERIODS - 1, gap=1.0)
    found = compare(a, b, seed=0)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.difference > 0.0
    assert found.verdict == "cannot be told apart"
    assert found.why == "they differ in only 7 periods; at least 8 are needed"
    padded = compare(np.append(a, np.zeros(20)), np.append(b, np.zeros(20)), seed=0)
    assert (padded.periods, padded.why) == (7, found.why)
    enough = compare(*_pair(LEAST_PERIODS, gap=1.0), seed=0)
    assert (enough.verdict, enough.why) == ("b is better", "")


def test_a_policy_without_any_loss_cannot_be_divided_by() -> None:
    a, _ = _pair(20)
    found = compare_losses(a, np.zeros(20), seed=0)
    assert (found.difference, found.low, found.high) == (math.inf, -math.inf, math.inf)
    assert found.verdict == "cannot be told apart"
    assert "lost nothing" in found.why
    assert compare_losses(np.zeros(20), a, seed=0).difference == -1.0


@pytest.mark.parametrize("unlucky", [[30], [10, 40], range(20, 27)])
@pytest.mark.parametrize("compare", [compare_losses, compare_money])
def test_a_few_unlucky_periods_are_no_evidence(compare, unlucky) -> None:
    _, b = _pair(54)
    a = b.copy()
    a[unlucky] *= 20.0
    found = compare(a, b, seed=0)
    assert (found.verdict, found.periods) == ("cannot be told apart", len(unlucky))
    assert found.why.startswith(f"they differ in only {len(unlucky)} period")


def test_one_long_stretch_in_the_middle_is_one_event() -> None:
    _, b = _pair(54)
    a = b.copy()
    a[3] *= 1.01
    a[25:36] *= 3.0
    found = compare_losses(a, b, seed=0)
    assert found.why == "they differ within 3 blocks of 8 periods; at least 4 are needed"
    a[:25] *= 1.5
    assert compare_losses(a, b, seed=0).verdict == "b is better"


def test_what_was_before_the_first_difference_says_nothing_against_it() -> None:
    a, b = _pair(40)
    late = compare_losses(np.append(b[:14], a), np.append(b[:14], b), seed=0)
    alone = compare_losses(a, b, seed=0)
    share = b.sum() / (b.sum() + b[:14].sum())
    assert (late.verdict, late.periods) == ("b is better", 40)
    assert late.difference == pytest.approx(share * alone.difference)
    assert late.low == pytest.approx(share * alone.low, rel=0.05)
    assert late.high == pytest.approx(share * alone.high, rel=0.05)


def test_rare_differences_are_judged_among_themselves_too() -> None:
    b = np.full(54, 10.0)
    a = b.copy()
    a[2::6] *= 1.0 + np.array([0.2, 0.2, -0.2, 0.2, 0.4, 0.0, 0.4, 0.3, -0.1])
    found = compare_losses(a, b, seed=0)
    assert (found.verdict, found.periods, found.why) == ("cannot be told apart", 8, "")


def test_how_often_they_differ_is_chance_as_well() -> None:
    a, b = _pair(54, gap=0.3)
    every = compare_losses(a, b, seed=0)
    a[1:][np.random.default_rng(0).random(53) < 0.5] = 0.0
    some = compare_losses(np.where(a == 0.0, b, a), b, seed=0)
    assert some.difference < every.difference
    assert some.high - some.low > every.high - every.low


def test_a_resample_of_blocks_that_are_alike_is_not_endlessly_sure() -> None:
    above, below = np.array([3.0, 1.0, 1.0, -1.0]), np.ones(4)
    starts = np.array([[1, 0], [1, 3]])
    error, steps = _studentise(above, below, 0.5, starts)
    assert error == pytest.approx(2.0 * np.sqrt(np.mean((above - 0.5) ** 2)))
    assert steps == pytest.approx([(2.0 - 1.0) / (0.1 * error), (2.0 - 1.0) / np.sqrt(2 * 8.0)])


def test_a_loss_never_falls_by_more_than_itself() -> None:
    generator = np.random.default_rng(3)
    b = generator.lognormal(0.0, 2.0, size=9)
    found = compare_losses(b * generator.random(9) * 0.1, b, seed=0, level=0.99)
    assert -1.0 <= found.low <= found.difference <= found.high


def test_swapping_the_policies_mirrors_the_money() -> None:
    a, b = _pair(30, gap=0.02)
    there, back = compare_money(a, b, seed=5), compare_money(b, a, seed=5)
    assert (back.difference, back.low, back.high) == (-there.difference, -there.high, -there.low)


def test_the_currency_does_not_matter() -> None:
    a, b = _pair(30)
    small, large = compare_losses(a, b, seed=1), compare_losses(1024.0 * a, 1024.0 * b, seed=1)
    assert small == large
    money, more = compare_money(a, b, seed=1), compare_money(1024.0 * a, 1024.0 * b, seed=1)
    assert (more.low, more.high) == (1024.0 * money.low, 1024.0 * money.high)


def test_a_constant_ratio_is_certain() -> None:
    _, b = _pair(24)
    found = compare_losses(1.25 * b, b, seed=0)
    assert found.low == pytest.approx(0.25)
    assert found.high == pytest.approx(0.25)
    assert found.verdict == "b is better"


def test_more_confidence_makes_the_interval_wider() -> None:
    a, b = _pair(54)
    narrow, wide = compare_losses(a, b, seed=0, level=0.5), compare_losses(a, b, seed=0, level=0.95)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_periods_that_move_together_make_the_interval_wider() -> None:
    b = np.full(54, 10.0)
    steps = np.where(np.arange(54) // 6 % 2 == 0, 0.3, -0.1)
    shuffled = np.random.default_rng(0).permutation(steps)
    together = compare_losses(b * (1.0 + steps), b, seed=0)
    mixed = compare_losses(b * (1.0 + shuffled), b, seed=0)
    assert together.difference == pytest.approx(mixed.difference)
    assert together.high - together.low > 1.3 * (mixed.high - mixed.low)


def test_blocks_are_as_long_as_what_persists_but_four_remain() -> None:
    assert choose_block(54) == 8
    assert choose_block(54, persists=6) == 8
    assert choose_block(54, persists=12) == 12
    assert choose_block(54, persists=40) == 13
    assert [choose_block(periods) for periods in (1, 3, 8, 12, 1000)] == [1, 1, 2, 3, 20]


def test_the_same_seed_gives_the_same_bits_everywhere() -> None:
    a, b = _pair(54, seed=7)
    found = compare_losses(a, b, seed=42)
    bits = [number.hex() for number in (found.difference, found.low, found.high)]
    assert bits == ["0x1.9cb17d883d6ebp-4", "0x1.67e35f55ad2d8p-4", "0x1.d040bd3cf4848p-4"]
    money = compare_money(a, b, seed=42, persists=12)
    bits = [number.hex() for number in (money.difference, money.low, money.high)]
    assert bits == ["0x1.0e4e4de9648ebp+6", "0x1.cecfdfd410587p+5", "0x1.356f2c28c663ep+6"]
    assert compare_losses(a, b, seed=43) != found


def test_all_pairs_see_the_same_resamples() -> None:
    starts = resample_blocks(54, seed=9, resamples=2000, block=8)
    assert starts.shape == (7, 2000)
    assert starts is resample_blocks(54, seed=9, resamples=2000, block=8)
    assert 0 <= starts.min() < starts.max() == 53
    with pytest.raises(ValueError, match="read-only"):
        starts[0, 0] = 1


def test_what_is_compared_is_left_as_it_was() -> None:
    a, b = _pair(54)
    kept = a.copy(), b.copy()
    compare_losses(a, b, seed=0)
    assert np.array_equal(a, kept[0])
    assert np.array_equal(b, kept[1])


def test_all_pairs_of_sixteen_policies_cost_less_than_a_second() -> None:
    policies = [_pair(54, seed=seed)[0] for seed in range(16)]
    started = time.perf_counter()
    for a, b in combinations(policies, 2):
        compare_losses(a, b, seed=0)
        compare_money(a, b, seed=0)
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones(9), np.ones(8)),
        (np.ones((3, 3)), np.ones((3, 3))),
        (np.full(9, np.nan), np.ones(9)),
        (np.ones(9), np.full(9, np.inf)),
    ],
)
@pytest.mark.parametrize("compare", [compare_losses, compare_money])
def test_refuses_arrays_that_do_not_fit(compare, a: np.ndarray, b: np.ndarray) -> None:
    with pytest.raises(EvidenceError, match="period by period") as caught:
        compare(a, b, seed=0)
    assert caught.value.code == "bucle-273"


def test_refuses_a_loss_below_zero() -> None:
    a, b = _pair(9)
    with pytest.raises(EvidenceError, match="below zero"):
        compare_losses(-a, b, seed=0)
    assert compare_money(-a, b, seed=0).difference < 0.0


@pytest.mark.parametrize(("level", "resamples"), [(0.0, 2000), (1.0, 2000), (0.999, 100)])
def test_refuses_a_level_the_resamples_cannot_show(level: float, resamples: int) -> None:
    with pytest.raises(EvidenceError, match="resamples"):
        compare_losses(*_pair(9), seed=0, level=level, resamples=resamples)
