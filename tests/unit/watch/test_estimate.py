"""What rows without a label should lose, if the rules of the world have not changed."""

import numpy as np
import pytest

from bucle.watch.estimate import (
    LossEstimate,
    Validated,
    estimate_loss,
    expected_losses,
    validated_of,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("metric", ["mae", "wape", "rmse", "r2"])
def test_wider_intervals_mean_more_loss(metric: str) -> None:
    scale = RNG.uniform(0.5, 2, 20_000)
    error = RNG.normal(0, scale)
    said = RNG.normal(size=scale.size)
    loss = np.abs(error) if metric in {"mae", "wape"} else error**2
    high = said + 1.645 * scale
    first = slice(0, 10_000)
    validated = validated_of(loss[first], prediction=said[first], high=high[first])
    found = expected_losses(metric, prediction=said, high=high, validated=validated)
    assert found is not None
    rough = scale > 1.6
    assert found[rough].mean() == pytest.approx(loss[rough].mean(), rel=0.08)
    # Of rows such as those at validation, what was lost there: neither more nor less.
    assert found[first].mean() == pytest.approx(validated.loss)


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_without_widths_at_validation_the_labels_that_came_say_how_much(metric: str) -> None:
    scale = RNG.uniform(0.5, 2, 4_000)
    error = np.abs(RNG.normal(0, scale)) ** (1 if metric == "mae" else 2)
    said = np.zeros(scale.size)
    found = expected_losses(metric, prediction=said, high=5 * scale, validated=None)
    assert found is not None
    known, ahead = slice(0, 2_000), scale[2_000:] > 1.6

    def estimate(labels: int) -> LossEstimate | None:
        part = slice(0, labels)
        return estimate_loss(
            metric,
            found[2_000:][ahead],
            past=found[part],
            actual=error[part],
            dates=np.arange(2_000)[part] // 50,
            reference=1.0,
            is_relative=True,
        )

    assert estimate(199) is None
    one = estimate(2_000)
    assert one is not None
    assert one.loss == pytest.approx(error[2_000:][ahead].mean(), rel=0.15)
    assert one.loss > 1.2 * error[known].mean()


@pytest.mark.parametrize("metric", ["log_loss", "brier", "accuracy"])
def test_probabilities_that_can_be_believed_say_what_they_cost(metric: str) -> None:
    p = RNG.uniform(0.01, 0.99, 200_000)
    yes = RNG.random(p.size) < p
    actual = {
        "log_loss": -np.where(yes, np.log(p), np.log1p(-p)),
        "brier": (yes - p) ** 2,
        "accuracy": yes != (p >= 0.3),
    }[metric]
    found = expected_losses(metric, prediction=p, threshold=0.3)
    assert found is not None
    assert found.mean() == pytest.approx(actual.mean(), rel=0.01)


def test_probabilities_are_believed_as_far_as_they_came_true() -> None:
    said = np.full(1000, 0.9)
    bold = expected_losses("brier", prediction=said)
    tame = expected_losses("brier", prediction=said, calibration=[(0.1, 0.3), (0.9, 0.6)])
    assert bold is not None
    assert tame is not None
    assert tame.mean() == pytest.approx(0.6 * 0.01 + 0.4 * 0.81)
    assert tame.mean() > bold.mean()


def test_without_intervals_or_for_other_metrics_nothing_is_said() -> None:
    said = np.ones(30)
    validated = Validated(loss=1.0, half=1.0, square=1.0)
    assert expected_losses("mae", prediction=said, validated=validated) is None
    for metric in ("money", "mdape", "r2_log"):
        assert expected_losses(metric, prediction=said, high=said, validated=validated) is None


def test_no_loss_is_expected_below_nothing() -> None:
    dates = np.repeat(np.arange(40), 50)
    actual = np.where(dates % 8, 0.0, 8.0)
    found = estimate_loss(
        "rmse", np.ones(60), past=np.ones(dates.size), actual=actual, dates=dates, reference=1.0
    )
    assert found is not None
    assert found.high is not None
    assert found.high > 2 * found.loss
    assert found.low == 0.0


def test_it_is_as_sure_as_past_days_were() -> None:
    dates = np.repeat(np.arange(40), 50)
    gaps = np.linspace(-0.2, 0.2, 40)
    past = np.ones(dates.size)
    found = estimate_loss(
        "mae", np.full(60, 1.5), past=past, actual=past + gaps[dates], dates=dates, reference=1.0
    )
    assert found is not None
    assert found.loss == pytest.approx(1.5)
    assert found.compared == 40
    # 37 of the 40 gaps have to be held: ceil(41 * 0.9).
    assert found.high == pytest.approx(1.5 + np.sort(np.abs(gaps))[36])
    assert found.low == pytest.approx(3.0 - (found.high or 0))


def test_few_days_give_no_interval_and_few_rows_nothing() -> None:
    dates = np.repeat(np.arange(8), 50)
    past = np.ones(dates.size)
    found = estimate_loss("mae", np.ones(60), past=past, actual=past, dates=dates, reference=1.0)
    assert found is not None
    assert (found.low, found.high, found.compared) == (None, None, 8)
    none = np.empty(0)
    alone = estimate_loss(
        "mae", np.ones(60), past=none, actual=none, dates=np.empty(0, dtype=np.int64), reference=1.0
    )
    assert alone is not None
    assert alone.compared == 0
    assert (
        estimate_loss("mae", np.ones(19), past=past, actual=past, dates=dates, reference=1.0)
        is None
    )


def test_what_came_puts_the_scale_right() -> None:
    dates = np.repeat(np.arange(10), 50)
    past, actual = np.ones(dates.size), np.full(dates.size, 1.5)
    found = estimate_loss(
        "mae", np.full(60, 2.0), past=past, actual=actual, dates=dates, reference=1.0
    )
    assert found is not None
    assert found.loss == pytest.approx(3.0)
    assert (found.low, found.high) == (pytest.approx(3.0), pytest.approx(3.0))
