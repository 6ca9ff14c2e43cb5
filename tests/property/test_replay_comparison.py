import math

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from bucle.loop.replay.comparison import Difference, compare_losses, compare_money

_LOSSES = st.one_of(st.just(0.0), st.floats(1e-100, 1e100), st.floats(0.1, 10.0))
_SEEDS = st.integers(0, 2**63)


@st.composite
def _pairs(draw: st.DrawFn, cell: st.SearchStrategy[float]) -> tuple[np.ndarray, np.ndarray]:
    """Draw sums per period of two policies, equal in many periods."""
    periods = draw(st.integers(0, 40))
    b = draw(st.lists(cell, min_size=periods, max_size=periods))
    a = [draw(st.one_of(st.just(one), cell)) for one in b]
    return np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)


def _check(found: Difference) -> None:
    assert found.low <= found.difference <= found.high
    assert bool(found.why) == (math.isinf(found.low) and math.isinf(found.high))
    if found.verdict != "cannot be told apart":
        assert (found.difference > 0.0) == (found.verdict == "b is better")


@given(pair=_pairs(_LOSSES), seed=_SEEDS)
def test_any_losses_have_an_interval_around_their_difference(
    pair: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    found = compare_losses(*pair, seed=seed, resamples=200)
    _check(found)
    assert found.low >= -1.0 or found.why
    assert found == compare_losses(*pair, seed=seed, resamples=200)


@given(pair=_pairs(st.floats(-1e100, 1e100)), seed=_SEEDS)
def test_any_money_has_an_interval_that_swaps_with_the_policies(
    pair: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    a, b = pair
    there = compare_money(a, b, seed=seed, resamples=200)
    back = compare_money(b, a, seed=seed, resamples=200)
    _check(there)
    assert (back.difference, back.low, back.high) == (-there.difference, -there.high, -there.low)


@given(pair=_pairs(st.floats(0.1, 10.0)), power=st.integers(-200, 200), seed=_SEEDS)
def test_the_unit_of_the_loss_does_not_matter(
    pair: tuple[np.ndarray, np.ndarray], power: int, seed: int
) -> None:
    a, b = pair
    assume(a.size)
    scaled = compare_losses(np.ldexp(a, power), np.ldexp(b, power), seed=seed, resamples=200)
    assert scaled == compare_losses(a, b, seed=seed, resamples=200)
