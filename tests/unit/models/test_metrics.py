"""Metrics against scikit-learn and against what is known by hand."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from bucle.errors import EvidenceError, UnknownNameError
from bucle.models.metrics import find_warnings, losses, measure


@pytest.fixture
def money():
    rng = np.random.default_rng(1)
    truth = rng.lognormal(3, 1, 400)
    return truth, truth * rng.lognormal(0, 0.4, 400)


@pytest.fixture
def answers():
    rng = np.random.default_rng(2)
    probability = np.round(rng.beta(2, 3, 500), 2)  # rounding makes ties
    return (rng.random(500) < probability).astype(float), probability


def test_regression_metrics_agree_with_scikit_learn(money):
    truth, predicted = money
    found = measure("regression", truth, predicted)
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(truth, predicted), rel=1e-12)
    assert found["rmse"] == pytest.approx(
        oracle.root_mean_squared_error(truth, predicted), rel=1e-12
    )
    assert found["r2"] == pytest.approx(oracle.r2_score(truth, predicted), rel=1e-12)
    assert found["r2_log"] == pytest.approx(
        oracle.r2_score(np.log(truth), np.log(predicted)), rel=1e-12
    )
    assert found["wape"] == pytest.approx(
        np.abs(truth - predicted).sum() / np.abs(truth).sum(), rel=1e-12
    )
    assert found["mdape"] == pytest.approx(np.median(np.abs(truth - predicted) / truth), rel=1e-12)


def test_classification_metrics_agree_with_scikit_learn(answers):
    truth, probability = answers
    found = measure("classification", truth, probability, threshold=0.4)
    assert found["log_loss"] == pytest.approx(oracle.log_loss(truth, probability), rel=1e-12)
    assert found["brier"] == pytest.approx(oracle.brier_score_loss(truth, probability), rel=1e-12)
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(truth, probability), rel=1e-12)
    assert found["accuracy"] == pytest.approx(
        oracle.accuracy_score(truth, probability >= 0.4), rel=1e-12
    )


def test_mean_of_the_row_losses_is_the_metric(money, answers):
    truth, predicted = money
    found = measure("regression", truth, predicted)
    assert losses("mae", truth, predicted).mean() == pytest.approx(found["mae"])
    assert losses("wape", truth, predicted).sum() / truth.sum() == pytest.approx(found["wape"])
    assert np.sqrt(losses("rmse", truth, predicted).mean()) == pytest.approx(found["rmse"])
    log_spread = np.log(truth).var()
    assert 1 - losses("r2_log", truth, predicted).mean() / log_spread == pytest.approx(
        found["r2_log"]
    )
    truth, probability = answers
    found = measure("classification", truth, probability)
    assert losses("log_loss", truth, probability).mean() == pytest.approx(found["log_loss"])
    assert losses("brier", truth, probability).mean() == pytest.approx(found["brier"])
    assert 1 - losses("auc", truth, probability).mean() == pytest.approx(found["auc"])
    assert 1 - losses("accuracy", truth, probability).mean() == pytest.approx(found["accuracy"])


def test_row_losses_of_auc_carry_delongs_variance(answers):
    truth, probability = answers
    yes, no = probability[truth == 1], probability[truth == 0]
    wins = (yes[:, None] > no[None, :]) + 0.5 * (yes[:, None] == no[None, :])
    delong = wins.mean(1).var() / yes.size + wins.mean(0).var() / no.size
    rows = losses("auc", truth, probability)
    assert rows.var() / rows.size == pytest.approx(delong, rel=1e-9)


def test_a_metric_without_a_value_is_left_out():
    assert "auc" not in measure("classification", [1, 1], [0.2, 0.9])
    assert "r2" not in measure("regression", [0.1, 0.1, 0.1], [1, 2, 3])
    assert "wape" not in measure("regression", [0.0, 0.0], [1, 2])
    assert "mdape" not in measure("regression", [0.0, 0.0], [1, 2])
    assert "r2_log" not in measure("regression", [-1.0, 0.0], [1, 2])
    assert measure("regression", [], []) == {}


def test_money_is_the_mean_cost_of_a_row():
    cost = lambda truth, prediction: 2 * np.abs(truth - prediction)  # noqa: E731
    assert measure("regression", [1, 2], [2, 4], cost=cost)["money"] == 3.0
    assert losses("money", [1, 2], [2, 4], cost=cost).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("cost", [lambda t, p: 1.0, lambda t, p: (t - p) * np.nan])
def test_refuses_a_cost_that_is_not_one_finite_number_a_row(cost):
    with pytest.raises(EvidenceError, match="Cannot measure money"):
        measure("regression", [1, 2], [2, 4], cost=cost)


def test_negative_predictions_of_positive_money_still_give_a_log_ratio():
    found = measure("regression", [1.0, 10.0, 100.0], [-5.0, 10.0, 100.0])
    assert found["r2_log"] == 1.0  # counts as the smallest positive truth, which is 1
    assert losses("mdape", [1.0, 10.0], [-5.0, 20.0]).tolist() == [0.0, pytest.approx(np.log(2))]


def test_relative_loss_counts_no_row_whose_truth_is_zero():
    assert losses("mdape", [0.0, -4.0], [3.0, -2.0]).tolist() == [0.0, 0.5]
    assert losses("r2_log", [0.0, -4.0], [3.0, -2.0]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("truth", "prediction"),
    [([1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0, np.nan]), ([np.inf, 2.0], [1.0, 2.0])],
)
def test_refuses_rows_it_cannot_pair(truth, prediction):
    with pytest.raises(EvidenceError) as caught:
        measure("regression", truth, prediction)
    assert caught.value.code == "bucle-161"


@pytest.mark.parametrize(("truth", "prediction"), [([0, 2], [0.1, 0.2]), ([0, 1], [0.1, 1.2])])
def test_refuses_what_is_not_a_yes_no_answer(truth, prediction):
    with pytest.raises(EvidenceError):
        measure("classification", truth, prediction)


def test_unknown_metric_names_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        losses("wap", [1], [1])
    assert "wape" in caught.value.did_you_mean


def test_loss_of_auc_needs_both_classes():
    with pytest.raises(EvidenceError, match="AUC"):
        losses("auc", [1, 1], [0.2, 0.3])


def test_warns_when_one_percent_of_the_rows_carries_half_of_the_squared_error():
    truth = np.ones(1000)
    prediction = truth + 0.1
    assert find_warnings("regression", truth, prediction) == ()
    prediction[:10] += 100
    (warning,) = find_warnings("regression", truth, prediction)
    assert warning.startswith("10 of 1000 rows carry 100% of the squared error")


def test_warns_of_few_rows_and_of_a_single_class():
    assert find_warnings("classification", [1.0] * 5, [0.5] * 5) == (
        "few rows: metrics of 5 rows are uncertain",
        "only one class among the labels: AUC has no value",
    )


def test_leaves_out_what_overflows_and_refuses_it_row_by_row():
    found = measure("regression", [1e200, 1.0], [-1e200, 1.0])
    assert found["mae"] == 1e200
    assert "rmse" not in found
    assert find_warnings("regression", [1e200] * 100, [-1e200] * 100) == ()
    with pytest.raises(EvidenceError, match="too large"):
        losses("rmse", [1e200, 1.0], [-1e200, 1.0])


def test_a_truth_next_to_nothing_has_a_finite_relative_loss():
    assert np.isfinite(losses("mdape", [0.0, 1e-308], [0.0, 2.0])).all()
