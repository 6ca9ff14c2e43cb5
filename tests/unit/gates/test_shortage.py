"""How many more rows would decide, and when nobody would wait for them."""

import numpy as np
import pytest

from bucle.gates.comparison import Rule, bound_mean
from bucle.gates.shortage import LEAST_ROWS, rows_needed
from bucle.gates.units import to_units


def needed(gap, *, count=400, looks="once"):
    rule = Rule(looks=looks)
    units = to_units(np.random.default_rng(3).normal(0.0, 1.0, count))
    return rows_needed(units, bound_mean(units, rule=rule), gap=gap, rule=rule)


@pytest.mark.parametrize("looks", ["once", "many"])
def test_a_smaller_difference_needs_more_rows(looks):
    found = [needed(gap, looks=looks) for gap in (0.1, 0.05, 0.03)]
    assert found == sorted(found)
    assert 0 < found[0] < found[2] <= 100 * 400


@pytest.mark.parametrize("looks", ["once", "many"])
def test_more_than_a_hundred_times_the_rows_is_no_number_to_tell(looks):
    assert needed(0.01, looks=looks) is None
    assert needed(0.0, looks=looks) is None


def test_too_few_rows_to_judge_on_are_always_told():
    assert needed(1e-9, count=12) == LEAST_ROWS - 12
