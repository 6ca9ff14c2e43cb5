import numpy as np
import pytest

from bucle.gates.refit import compare_refit


def _rows(rows: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = generator.lognormal(3.0, 0.5, size=rows)
    return truth, truth * np.exp(generator.normal(0, 0.3, size=rows))


def test_a_refit_like_its_twin_may_ship() -> None:
    truth, tested = _rows(500)
    refit = tested * np.exp(np.random.default_rng(1).normal(0, 0.01, size=500))
    assert compare_refit(truth, tested, refit, metric="wape").outcome == "pass"


def test_a_refit_gone_wrong_may_not_ship() -> None:
    truth, tested = _rows(500)
    check = compare_refit(truth, tested, 1.3 * tested, metric="wape")
    assert check.outcome == "fail"
    assert check.limit == -0.02
    assert "its tested twin" in check.why


def test_a_refit_that_cannot_be_told_does_not_pass() -> None:
    truth, tested = _rows(60)
    generator = np.random.default_rng(2)
    other = truth * np.exp(generator.normal(0, 0.3, size=60))
    assert compare_refit(truth, tested, other, metric="wape").outcome == "undecided"
    assert compare_refit(truth[:9], tested[:9], tested[:9], metric="wape").outcome == "undecided"


def test_a_refit_that_predicts_no_numbers_fails() -> None:
    truth, tested = _rows(100)
    refit = tested.copy()
    refit[7] = np.nan
    check = compare_refit(truth, tested, refit, metric="wape")
    assert check.outcome == "fail"
    assert check.why == "the refit: 1 of 100 are not finite numbers, first in row 8"


def test_a_probability_beyond_one_fails() -> None:
    truth = np.array([0.0, 1.0] * 50)
    tested = np.full(100, 0.5)
    check = compare_refit(truth, tested, tested * 3, metric="brier")
    assert check.outcome == "fail"
    assert "not probabilities" in check.why


@pytest.mark.parametrize("tolerance", [0.0, 0.5])
def test_the_tolerance_is_what_the_twin_may_be_better_by(tolerance: float) -> None:
    truth, tested = _rows(500)
    error = tested - truth
    check = compare_refit(truth, tested, truth + 1.1 * error, metric="mae", tolerance=tolerance)
    assert check.outcome == ("pass" if tolerance else "fail")
