import math

import numpy as np
import pytest
from scipy import stats

from bucle.errors import EvidenceError
from bucle.gates.comparison import Rule
from bucle.gates.influence import bound_metric
from bucle.models.metrics import measure

_REGRESSION = ("wape", "mae", "rmse", "mdape", "r2", "r2_log")
_CLASSIFICATION = ("log_loss", "brier", "auc", "accuracy")


def _prices(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.lognormal(4.0, 0.6, size=rows)
    return truth, truth * np.exp(generator.normal(0.05, 0.3, size=rows))


def _lengths(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.normal(50.0, 5.0, size=rows)
    return truth, truth + generator.normal(0.0, 3.0, size=rows)


def _answers(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    score = generator.normal(size=rows)
    truth = (generator.random(rows) < 1 / (1 + np.exp(-score))).astype(float)
    return truth, 1 / (1 + np.exp(-(score + generator.normal(0, 0.5, size=rows))))


@pytest.mark.parametrize("looks", ["once", "many"])
@pytest.mark.parametrize("metric", [*_REGRESSION, *_CLASSIFICATION])
def test_the_interval_is_around_the_metric(metric: str, looks: str) -> None:
    kind = "regression" if metric in _REGRESSION else "classification"
    truth, prediction = _prices(300) if kind == "regression" else _answers(300)
    interval, units = bound_metric(metric, truth, prediction, rule=Rule(looks=looks))
    assert interval.estimate == pytest.approx(measure(kind, truth, prediction)[metric], rel=1e-9)
    assert interval.low < interval.estimate < interval.high
    assert units.rows == 300


@pytest.mark.parametrize("metric", [*_REGRESSION, *_CLASSIFICATION])
def test_four_times_the_rows_halve_the_interval(metric: str) -> None:
    draw = _lengths if metric in _REGRESSION else _answers
    few, _ = bound_metric(metric, *draw(2000), rule=Rule())
    many, _ = bound_metric(metric, *draw(8000, seed=1), rule=Rule())
    # The width of a median's interval rests on the few rows near its ends.
    tolerance = 0.3 if metric == "mdape" else 0.15
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(2.0, rel=tolerance)


@pytest.mark.parametrize("metric", ["wape", "r2", "r2_log", "rmse", "mdape", "auc"])
def test_the_interval_is_as_wide_as_the_bootstraps(metric: str) -> None:
    kind = "regression" if metric in _REGRESSION else "classification"
    truth, prediction = _lengths(400) if kind == "regression" else _answers(400)
    interval, _ = bound_metric(metric, truth, prediction, rule=Rule())
    generator = np.random.default_rng(7)
    drawn = [
        measure(kind, truth[rows], prediction[rows])[metric]
        for rows in generator.integers(0, 400, size=(600, 400))
    ]
    low, high = np.quantile(drawn, [0.05, 0.95])
    assert (interval.high - interval.low) / (high - low) == pytest.approx(1.0, abs=0.25)
    assert interval.low == pytest.approx(low, abs=0.25 * (high - low))


def test_the_accuracy_interval_is_wilsons() -> None:
    truth = np.array([1.0] * 90 + [0.0] * 10)
    interval, _ = bound_metric("accuracy", truth, np.full(100, 0.9), rule=Rule())
    z = stats.t.ppf(0.95, 99)
    centre = (0.9 + z**2 / 200) / (1 + z**2 / 100)
    reach = z * math.sqrt(0.09 / 100 + z**2 / 40000) / (1 + z**2 / 100)
    assert (interval.low, interval.high) == pytest.approx((centre - reach, centre + reach))


def test_always_right_so_far_is_not_certain_to_be_right() -> None:
    interval, _ = bound_metric("accuracy", np.ones(50), np.ones(50), rule=Rule())
    assert interval.estimate == 1.0
    assert 0.9 < interval.low < 0.96
    assert interval.high == pytest.approx(1.0)


def test_always_right_in_few_clusters_is_less_certain() -> None:
    clusters = np.repeat(np.arange(10), 20)
    alone, _ = bound_metric("accuracy", np.ones(200), np.ones(200), rule=Rule())
    together, _ = bound_metric(
        "accuracy", np.ones(200), np.ones(200), rule=Rule(), clusters=clusters
    )
    assert together.low < alone.low - 0.1


@pytest.mark.parametrize("metric", [*_REGRESSION, *_CLASSIFICATION])
def test_bounds_stay_within_what_the_metric_can_be(metric: str) -> None:
    generator = np.random.default_rng(3)
    if metric in _REGRESSION:
        truth = generator.lognormal(0, 2.5, size=12)
        prediction = truth * np.exp(generator.normal(0, 2, size=12))
        lowest, highest = (-math.inf, 1.0) if metric.startswith("r2") else (0.0, math.inf)
    else:
        truth = np.array([1.0, 0.0] * 6)
        prediction = np.clip(truth + generator.normal(0, 0.3, size=12), 0, 1)
        lowest, highest = 0.0, math.inf if metric == "log_loss" else 1.0
    interval, _ = bound_metric(metric, truth, prediction, rule=Rule())
    assert lowest <= interval.low <= interval.high <= highest


@pytest.mark.parametrize("metric", ["wape", "mdape", "accuracy", "auc"])
def test_copies_of_rows_are_no_more_evidence_when_they_cluster(metric: str) -> None:
    draw = _prices if metric in _REGRESSION else _answers
    truth, prediction = draw(200)
    once, _ = bound_metric(metric, truth, prediction, rule=Rule())
    copied, units = bound_metric(
        metric,
        np.repeat(truth, 5),
        np.repeat(prediction, 5),
        rule=Rule(),
        clusters=np.repeat(np.arange(200), 5),
    )
    assert units.count == 200
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.08)


def test_rows_without_a_relative_error_do_not_count_for_its_median() -> None:
    truth, prediction = _prices(100)
    truth[:40] = 0.0
    interval, units = bound_metric("mdape", truth, prediction, rule=Rule())
    assert units.rows == 60
    assert interval.estimate == measure("regression", truth, prediction)["mdape"]


def test_money_is_bounded_by_its_rows_and_may_be_negative() -> None:
    truth, prediction = _prices(100)
    interval, _ = bound_metric("money", truth, prediction, rule=Rule(), cost=lambda true, _: -true)
    assert interval.high < 0
    assert interval.estimate == pytest.approx(-truth.mean())


def test_money_without_a_cost_is_refused() -> None:
    with pytest.raises(EvidenceError, match="no cost of an error"):
        bound_metric("money", *_prices(40), rule=Rule())


@pytest.mark.parametrize("metric", ["wape", "mae", "rmse", "mdape"])
def test_perfect_predictions_are_bounded_by_zero(metric: str) -> None:
    truth, _ = _prices(60)
    interval, _ = bound_metric(metric, truth, truth, rule=Rule())
    assert interval.low == interval.estimate == interval.high == 0.0
