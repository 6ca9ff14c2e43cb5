import numpy as np
import pytest
from scipy import stats

from bucle.gates.comparison import Rule
from bucle.gates.gains import bound_gain, check_gain, measure_day_effect

_DAY = 86_400_000_000


def _losses(rows: int, gain: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return losses of two models whose paired difference is symmetric around a gain."""
    generator = np.random.default_rng(seed)
    half = generator.gamma(2.0, size=rows // 2)
    reference = np.concatenate([half, half])
    noise = 0.5 * generator.standard_t(5, size=rows // 2)
    difference = gain * reference.mean() + np.concatenate([noise, -noise])
    return reference, reference - difference


def test_the_gain_is_the_paired_t_test_over_the_reference_loss() -> None:
    reference, challenger = _losses(400, 0.05)
    gain = bound_gain(reference, challenger, rule=Rule())
    oracle = stats.ttest_1samp(reference - challenger, 0.0, alternative="greater")
    low = oracle.confidence_interval(0.95).low
    assert gain.estimate == pytest.approx(0.05, rel=1e-9)
    assert gain.low == pytest.approx(low / reference.mean(), rel=1e-9)


def test_passes_a_challenger_shown_to_be_better() -> None:
    check = check_gain("champion", bound_gain(*_losses(2000, 0.2), rule=Rule()), over="it")
    assert check.outcome == "pass"
    assert check.labels_needed is None
    assert check.low is not None
    assert check.low > 0


def test_fails_a_challenger_shown_to_be_worse() -> None:
    check = check_gain("champion", bound_gain(*_losses(2000, -0.2), rule=Rule()), over="it")
    assert check.outcome == "fail"
    assert "shown to be below" in check.why


def test_says_how_many_labels_would_decide_what_cannot_be_told() -> None:
    gain = bound_gain(*_losses(200, 0.02), rule=Rule())
    check = check_gain("champion", gain, over="the champion")
    assert check.outcome == "undecided"
    assert check.labels_needed is not None
    assert check.labels_needed > 200
    assert f"{check.labels_needed:,} more labels" in check.why
    assert check.detectable is not None
    assert check.detectable > 0.02


def test_a_margin_forgives_a_small_loss_and_no_large_one() -> None:
    slightly, clearly = _losses(4000, -0.01), _losses(4000, -0.2)
    assert (
        check_gain("m", bound_gain(*slightly, rule=Rule(), margin=0.05), over="it").outcome
        == "pass"
    )
    assert (
        check_gain("m", bound_gain(*clearly, rule=Rule(), margin=0.05), over="it").outcome == "fail"
    )
    assert bound_gain(*slightly, rule=Rule(), margin=0.05).limit == -0.05


def test_the_margin_carries_its_own_uncertainty() -> None:
    reference, challenger = _losses(300, 0.0)
    gain = bound_gain(reference, challenger, rule=Rule(), margin=0.3)
    shifted = reference - challenger + 0.3 * reference
    low = stats.ttest_1samp(shifted, 0.0, alternative="greater").confidence_interval(0.95).low
    assert gain.low + 0.3 <= low / reference.mean() + 1e-9
    assert gain.estimate == pytest.approx(0.0, abs=1e-12)


def test_the_same_predictions_gain_nothing_and_ask_for_no_labels() -> None:
    reference, _ = _losses(500, 0.0)
    check = check_gain("champion", bound_gain(reference, reference, rule=Rule()), over="it")
    assert check.outcome == "undecided"
    assert check.labels_needed is None
    assert "nothing to gain" in check.why


def test_the_same_predictions_are_within_a_margin() -> None:
    reference, _ = _losses(500, 0.0)
    gain = bound_gain(reference, reference, rule=Rule(), margin=0.01)
    assert check_gain("champion", gain, over="it").outcome == "pass"


@pytest.mark.parametrize("rows", [0, 1, 2, 29])
def test_a_handful_of_rows_decides_nothing(rows: int) -> None:
    reference = np.linspace(10.0, 20.0, rows)
    check = check_gain("champion", bound_gain(reference, reference / 100, rule=Rule()), over="it")
    assert check.outcome == "undecided"
    assert check.labels_needed is not None
    assert check.labels_needed >= 30 - rows
    assert "at least 30 are needed" in check.why


def test_a_handful_of_clusters_decides_nothing() -> None:
    reference, challenger = _losses(1000, 0.3)
    clusters = np.repeat(np.arange(4), 250)
    gain = bound_gain(reference, challenger, rule=Rule(), clusters=clusters)
    check = check_gain("champion", gain, over="it")
    assert check.outcome == "undecided"
    assert "clusters" in check.why
    assert check.labels_needed is not None
    assert check.labels_needed >= 6 * 250


def test_a_perfect_reference_makes_the_gain_absolute() -> None:
    gain = bound_gain(np.zeros(100), np.full(100, 0.5), rule=Rule())
    assert gain.estimate == -0.5
    assert check_gain("champion", gain, over="it").outcome == "fail"


def test_a_reference_that_earns_money_is_beaten_by_earning_more() -> None:
    earned = -np.random.default_rng(0).gamma(5.0, size=400)
    better = bound_gain(earned, 1.2 * earned, rule=Rule())
    assert better.estimate == pytest.approx(0.2)
    assert better.low > 0
    worse = bound_gain(earned, 0.95 * earned, rule=Rule(), margin=0.1)
    assert worse.estimate == pytest.approx(-0.05)
    assert worse.low > -0.1


def test_says_when_the_interval_hangs_on_a_few_rows() -> None:
    reference = np.full(500, 1.0)
    challenger = reference.copy()
    challenger[0] = -400.0
    gain = bound_gain(reference, challenger, rule=Rule())
    assert "the interval is too narrow" in check_gain("champion", gain, over="it").why


def test_sees_rows_of_one_day_moving_together() -> None:
    generator = np.random.default_rng(0)
    days = np.repeat(np.arange(40), 50)
    times = days * _DAY + np.tile(np.arange(50), 40)
    together = generator.normal(size=40)[days] + generator.normal(size=2000)
    alone = generator.normal(size=2000)
    effect, none = measure_day_effect(together, times), measure_day_effect(alone, times)
    assert effect is not None
    assert none is not None
    assert effect > 3
    assert none < 1.25
    assert measure_day_effect(alone[:100], times[:100]) is None
    assert measure_day_effect(np.zeros(2000), times) is None


def test_nobody_saves_more_than_the_whole_loss():
    # A few rows carry the loss, so that the bound of the mean difference lies beyond it.
    reference = np.r_[np.full(300, 0.01), np.full(3, 50.0)]
    gain = bound_gain(reference, reference * 0.2, rule=Rule())
    assert 0.8 <= gain.high <= 1.0


def test_losses_below_zero_may_be_bettered_without_bound():
    reference = np.r_[np.full(50, 1.0), np.full(50, 0.5)]
    gain = bound_gain(reference, reference - 2.0, rule=Rule())
    assert gain.high > 1.0
