"""What was said beside what was."""

import numpy as np
import pytest

from bucle.models.reliability import reliability


def test_bins_hold_as_many_rows_each_from_the_least_to_the_most_probable():
    probability = np.linspace(0, 1, 100)
    bins = reliability(np.zeros(100), probability[::-1])
    assert [part.rows for part in bins] == [10] * 10
    said = [part.probability for part in bins]
    assert said == sorted(said)


def test_what_was_is_near_what_was_said_only_where_it_is_true():
    rng = np.random.default_rng(0)
    probability = rng.random(20_000)
    truth = rng.random(20_000) < probability
    assert all(
        abs(part.probability - part.share_yes) < 0.04 for part in reliability(truth, probability)
    )
    assert any(
        abs(part.probability - part.share_yes) > 0.3 for part in reliability(truth, probability**3)
    )


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_takes_fewer_rows_than_bins(rows):
    bins = reliability(np.ones(rows), np.full(rows, 0.25))
    assert sum(part.rows for part in bins) == rows
    assert len(bins) == rows
    assert all((part.probability, part.share_yes) == (0.25, 1.0) for part in bins)
