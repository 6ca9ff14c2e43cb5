import math

import numpy as np
import pytest

from bucle.charter.settings import Kpi
from bucle.errors import EvidenceError
from bucle.gates.comparison import Rule
from bucle.gates.limits import check_ceiling, check_limit


def _prices(rows: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = generator.lognormal(4.0, 0.5, size=rows)
    return truth, truth * np.exp(generator.normal(0.0, 0.3, size=rows))


def _judge(metric: str, must: float, truth: np.ndarray, prediction: np.ndarray, **words: object):
    return check_limit(
        Kpi(metric=metric, must=must), truth, prediction, rule=Rule(), kind="regression", **words
    )


@pytest.mark.parametrize(
    ("must", "outcome"),
    [(0.30, "pass"), (0.15, "fail"), (0.245, "undecided"), (0.255, "undecided")],
)
def test_an_error_must_be_below_its_limit(must: float, outcome: str) -> None:
    check = _judge("wape", must, *_prices(400))
    assert check.name == "must:wape"
    assert check.outcome == outcome
    assert check.limit == must
    assert (check.labels_needed is not None) == (outcome == "undecided")


@pytest.mark.parametrize(
    ("must", "outcome"), [(0.2, "pass"), (0.8, "fail"), (0.55, "undecided"), (0.48, "undecided")]
)
def test_a_score_must_be_above_its_limit(must: float, outcome: str) -> None:
    check = _judge("r2", must, *_prices(400))
    assert check.outcome == outcome
    assert "must be at least" in check.why


def test_says_how_sure_and_what_would_decide() -> None:
    check = _judge("wape", 0.245, *_prices(400))
    assert check.low is not None
    assert check.high is not None
    assert check.low < 0.245 < check.high
    assert f"{check.labels_needed:,} more labels would decide" in check.why


@pytest.mark.parametrize("rows", [0, 1, 2, 29])
def test_a_handful_of_rows_keeps_no_limit(rows: int) -> None:
    check = _judge("mae", 1e9, *_prices(rows))
    assert check.outcome == "undecided"
    assert check.labels_needed == 30 - rows


def test_all_errors_equal_decide_at_once() -> None:
    truth = np.arange(1.0, 101.0)
    assert _judge("mae", 2.0, truth, truth + 2.0).outcome == "pass"
    assert _judge("mae", 1.9, truth, truth + 2.0).outcome == "fail"


def test_a_constant_truth_leaves_r2_undecided() -> None:
    check = _judge("r2", 0.5, np.full(100, 3.0), np.linspace(0, 1, 100))
    assert check.outcome == "undecided"
    assert check.why == "r2 has no value on 100 rows"


def test_one_class_leaves_auc_undecided() -> None:
    kpi = Kpi(metric="auc", must=0.7)
    check = check_limit(
        kpi, np.ones(100), np.linspace(0, 1, 100), kind="classification", rule=Rule()
    )
    assert check.outcome == "undecided"
    assert "one class" in check.why


def test_a_handful_of_one_class_leaves_auc_undecided() -> None:
    truth = np.array([1.0] * 3 + [0.0] * 500)
    check = check_limit(
        Kpi(metric="auc", must=0.7), truth, truth, kind="classification", rule=Rule()
    )
    assert check.outcome == "undecided"
    assert "3 rows of the rarer class" in check.why


def test_accuracy_is_counted_at_the_threshold() -> None:
    truth = np.array([1.0, 0.0] * 100)
    kpi = Kpi(metric="accuracy", must=0.9)
    prediction = np.where(truth > 0, 0.4, 0.2)
    low = check_limit(kpi, truth, prediction, kind="classification", rule=Rule(), threshold=0.3)
    high = check_limit(kpi, truth, prediction, kind="classification", rule=Rule())
    assert (low.outcome, high.outcome) == ("pass", "fail")


def test_money_needs_its_cost_function() -> None:
    with pytest.raises(EvidenceError, match="money"):
        _judge("money", 1.0, *_prices(50))
    check = _judge("money", 1.0, *_prices(50), cost=lambda true, _: np.zeros_like(true))
    assert check.outcome == "pass"


def test_warns_that_squared_errors_hang_on_a_few_rows() -> None:
    truth = np.full(500, 1.0)
    prediction = truth.copy()
    prediction[0] = 1000.0
    assert "the interval is too narrow" in _judge("rmse", 100.0, truth, prediction).why


def test_numbers_on_the_record_are_finite() -> None:
    for rows in (0, 1, 2, 40):
        check = _judge("wape", 0.2, *_prices(rows))
        numbers = (check.estimate, check.low, check.high, check.limit, check.detectable)
        assert all(number is None or math.isfinite(number) for number in numbers)


@pytest.mark.parametrize(
    ("measured", "outcome"),
    [(5.0, "pass"), (10.0, "pass"), (10.1, "fail"), (None, "undecided"), (math.nan, "undecided")],
)
def test_a_ceiling_holds_what_was_measured(measured: float | None, outcome: str) -> None:
    assert check_ceiling("latency", measured, limit=10.0, unit="ms").outcome == outcome


def test_a_cost_beyond_all_measure_decides_nothing() -> None:
    def ruinous(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return np.full(truth.shape, 1e308)

    with np.errstate(all="ignore"):
        check = _judge("money", 10.0, *_prices(100), cost=ruinous)
    assert (check.outcome, check.estimate) == ("undecided", None)
