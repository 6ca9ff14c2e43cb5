"""Sums that are kept of paired rows bound what the rows themselves bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucle.gates.comparison import Rule, finite_or_none
from bucle.gates.gains import bound_gain
from bucle.gates.moments import Moments, bound_moments, merge_moments, moments_of

MANY = Rule(looks="many")
LOSSES = st.tuples(st.floats(-1e3, 1e6, width=32), st.floats(-1e3, 1e6, width=32))


@given(
    rows=st.lists(LOSSES, min_size=2, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    rule=st.sampled_from([MANY, Rule(looks="once"), Rule(looks="many", confidence=0.6)]),
)
def test_sums_of_parts_bound_the_gain_as_all_rows_do(rows, cuts, rule):
    reference, challenger = np.asarray(rows).T
    whole = Moments()
    for part in np.split(np.arange(len(rows)), sorted(min(cut, len(rows)) for cut in cuts)):
        whole = merge_moments(whole, moments_of(reference[part], challenger[part]))
    found = bound_moments(whole, rule=rule)
    gain = bound_gain(reference, challenger, rule=rule)
    for name in ("estimate", "low", "high"):
        wanted = finite_or_none(getattr(gain, name))
        value = getattr(found, name)
        assert (value is None) == (wanted is None)
        if wanted is not None:
            size = max(abs(number) for number in (gain.low, gain.high, 1.0) if np.isfinite(number))
            assert value == pytest.approx(wanted, rel=1e-6, abs=1e-6 * size)


def test_nothing_bounds_nothing():
    assert bound_moments(Moments(), rule=MANY).low is None
    one = moments_of(np.array([2.0]), np.array([1.0]))
    assert bound_moments(one, rule=MANY).low is None
    assert bound_moments(one, rule=MANY).estimate == 0.5


def test_rows_that_differ_alike_are_certain():
    found = bound_moments(moments_of(np.full(40, 0.3), np.full(40, 0.1)), rule=MANY)
    assert found.low == found.high == found.estimate
