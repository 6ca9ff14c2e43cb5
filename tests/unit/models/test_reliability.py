"""What was said beside what was."""

import numpy as np
import pytest

from bucle.models.reliability import calibration_error, reliability


def test_bins_hold_as_many_rows_each_from_the_least_to_the_most_probable():
    probability = np.linspace(0, 1, 100)
    bins = reliability(np.zeros(100), probability[::-1])
    assert [part.rows for part in bins] == [10] * 10
    said = [part.probability for part in bins]
    assert said == sorted(said)


def test_probabilities_that_are_true_have_a_small_error_and_others_a_large_one():
    rng = np.random.default_rng(0)
    probability = rng.random(20_000)
    truth = rng.random(20_000) < probability
    assert calibration_error(reliability(truth, probability)) < 0.02
    assert calibration_error(reliability(truth, probability**3)) > 0.2


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_takes_fewer_rows_than_bins(rows):
    bins = reliability(np.ones(rows), np.full(rows, 0.25))
    assert sum(part.rows for part in bins) == rows
    assert len(bins) == rows
    assert calibration_error(bins) == (0.75 if rows else 0.0)
