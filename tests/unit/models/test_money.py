"""What an error costs, by name."""

import numpy as np
import pytest

from bucle.charter.checks import MONEY_ERRORS
from bucle.charter.settings import Money
from bucle.errors import CharterError
from bucle.models.money import cost_function

TRUTH = np.array([10.0, 10.0, 10.0])
PREDICTION = np.array([8.0, 10.0, 13.0])


@pytest.mark.parametrize(
    ("money", "expected"),
    [
        (Money(), [2, 0, 3]),
        (Money(error="squared"), [4, 0, 9]),
        (Money(error="asymmetric", under=1.0, over=0.3), [2, 0, 0.9]),
        (Money(error="asymmetric", under=0.0, over=2.0), [0, 0, 6]),
    ],
)
def test_each_side_of_an_error_has_its_price(money, expected):
    np.testing.assert_allclose(cost_function(money)(TRUTH, PREDICTION), expected)


def test_wrong_answers_have_the_price_of_their_kind():
    cost = cost_function(Money(error="zero-one", under=5.0, over=1.0), threshold=0.4)
    truth = np.array([1.0, 1.0, 0.0, 0.0])
    probability = np.array([0.39, 0.4, 0.4, 0.1])
    assert cost(truth, probability).tolist() == [5.0, 0.0, 1.0, 0.0]


def test_every_built_in_gives_one_finite_cost_a_row():
    for name in MONEY_ERRORS:
        found = cost_function(Money(error=name))(np.array([0.0, 1.0]), np.array([0.2, 0.8]))
        assert found.shape == (2,)
        assert np.isfinite(found).all()


def test_unknown_cost_names_the_nearest():
    with pytest.raises(CharterError) as caught:
        cost_function(Money(error="asymetric"))
    assert caught.value.did_you_mean == ("asymmetric",)


def test_a_cost_of_the_project_needs_the_project():
    with pytest.raises(CharterError, match="without a project"):
        cost_function(Money(error="costs.py:freight"))
