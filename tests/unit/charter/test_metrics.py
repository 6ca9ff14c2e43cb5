"""Metrics: directions and bounds that gates and charters rely on."""

import pytest

from bucle.charter.metrics import METRICS, metrics_for


def test_scores_are_better_when_higher_and_everything_else_when_lower() -> None:
    scores = {name for name, metric in METRICS.items() if not metric.lower_is_better}
    assert scores == {"r2", "r2_log", "auc", "accuracy"}


def test_each_kind_has_its_metrics_and_money_judges_both() -> None:
    regression, classification = metrics_for("regression"), metrics_for("classification")
    assert set(regression) | set(classification) == set(METRICS)
    assert set(regression) & set(classification) == {"money"}


@pytest.mark.parametrize(
    ("name", "value", "possible"),
    [
        ("wape", -0.01, False),
        ("wape", 3.0, True),
        ("r2", -5.0, True),
        ("r2", 1.01, False),
        ("auc", 1.0, True),
        ("auc", -0.1, False),
        ("brier", 1.1, False),
        ("log_loss", 9.0, True),
        ("money", -100.0, True),
    ],
)
def test_knows_which_values_are_possible(name: str, value: float, possible: bool) -> None:
    assert METRICS[name].is_possible(value) is possible


@pytest.mark.parametrize("name", METRICS)
def test_a_limit_is_never_stricter_than_itself(name: str) -> None:
    metric = METRICS[name]
    assert not metric.is_stricter(0.5, than=0.5)
    assert metric.is_stricter(0.4, than=0.5) is metric.lower_is_better
    assert metric.is_stricter(0.6, than=0.5) is not metric.lower_is_better
