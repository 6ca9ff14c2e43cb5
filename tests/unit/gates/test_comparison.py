import math

import numpy as np
import pytest
from scipy import stats

from bucle.gates.comparison import (
    Interval,
    Rule,
    bound_mean,
    power_factor,
    smallest_detectable,
    steps_from_mean,
    units_needed,
)
from bucle.gates.units import to_units


def _symmetric(rows: int, *, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    half = np.random.default_rng(seed).standard_t(4, size=rows)
    return np.concatenate([half, -half]) + shift


@pytest.mark.parametrize("rows", [2, 5, 60, 1000])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_one_look_at_symmetric_units_is_the_t_test(rows: int, confidence: float) -> None:
    values = _symmetric(rows, shift=0.1)
    found = bound_mean(to_units(values), rule=Rule(confidence=confidence))
    above = stats.ttest_1samp(values, 0.0, alternative="greater")
    below = stats.ttest_1samp(values, 0.0, alternative="less")
    low = above.confidence_interval(confidence).low
    high = below.confidence_interval(confidence).high
    assert found.low == pytest.approx(low, rel=1e-9, abs=1e-12)
    assert found.high == pytest.approx(high, rel=1e-9, abs=1e-12)


def test_skewed_units_only_ever_widen_the_t_interval() -> None:
    values = -np.random.default_rng(1).lognormal(0.0, 1.0, size=200)
    found = bound_mean(to_units(values), rule=Rule())
    plain = stats.ttest_1samp(values, 0.0, alternative="greater").confidence_interval(0.95).low
    upper = stats.ttest_1samp(values, 0.0, alternative="less").confidence_interval(0.95).high
    assert found.low < plain - 0.01
    assert found.high == pytest.approx(upper, rel=1e-9)


def test_the_skewness_correction_mirrors_with_its_units() -> None:
    values = np.random.default_rng(2).lognormal(0.0, 1.0, size=80)
    there = bound_mean(to_units(values), rule=Rule())
    back = bound_mean(to_units(-values), rule=Rule())
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), rel=1e-12)


def test_the_skewness_correction_inverts_the_published_statistic() -> None:
    values = -np.random.default_rng(3).lognormal(0.0, 1.0, size=120)
    low = bound_mean(to_units(values), rule=Rule()).low
    rows = values.size
    student = (values.mean() - low) / values.std(ddof=1)
    skewness = stats.skew(values)
    statistic = math.sqrt(rows) * (
        student + skewness * student**2 / 3 + skewness**2 * student**3 / 27 + skewness / (6 * rows)
    )
    assert statistic == pytest.approx(stats.t.ppf(0.95, rows - 1), rel=1e-9)


def test_the_sequence_is_the_formula_of_the_confidence_sequence() -> None:
    values = _symmetric(300, shift=0.05)
    rows, alpha, planned = values.size, 0.05, 1000
    found = bound_mean(to_units(values), rule=Rule(looks="many", planned=planned))
    doubled = -2 * math.log(2 * alpha)
    rho2 = (doubled + math.log(doubled + 1)) / planned
    reach = math.sqrt(
        2
        * (rows * rho2 + 1)
        / (rows**2 * rho2)
        * math.log(1 + math.sqrt(rows * rho2 + 1) / (2 * alpha))
    )
    assert found.low == pytest.approx(values.mean() - values.std(ddof=1) * reach, rel=1e-9)
    assert found.high == pytest.approx(values.mean() + values.std(ddof=1) * reach, rel=1e-9)


def test_looking_often_is_never_cheaper_than_looking_once() -> None:
    for units in (10.0, 100.0, 1000.0, 1e5):
        assert steps_from_mean(units, rule=Rule(looks="many")) > steps_from_mean(units, rule=Rule())


@pytest.mark.parametrize("units", [30.0, 100.0, 1000.0, 1e5])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("looks", ["once", "many"])
def test_sharing_the_error_is_never_narrower(units: float, confidence: float, looks: str) -> None:
    rule = Rule(confidence=confidence, looks=looks)
    steps = [steps_from_mean(units, rule=rule.shared_by(questions)) for questions in range(1, 9)]
    assert steps == sorted(steps)


def test_a_shared_error_is_a_more_careful_rule() -> None:
    assert Rule(confidence=0.95).shared_by(5).confidence == pytest.approx(0.99)
    assert Rule(confidence=0.95).shared_by(0).confidence == pytest.approx(0.95)


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_units_bound_nothing(rows: int) -> None:
    found = bound_mean(to_units(np.ones(rows)), rule=Rule())
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert smallest_detectable(found, rule=Rule()) is None
    assert units_needed(found, gap=1.0, rule=Rule()) is None


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9, 1e-300])
def test_equal_units_are_certain(value: float) -> None:
    found = bound_mean(to_units(np.full(50, value)), rule=Rule())
    assert found.low == found.high == pytest.approx(value)
    assert found.spread == 0.0


def test_detects_what_the_power_law_says() -> None:
    seen = Interval(estimate=0.0, low=0.0, high=0.0, spread=0.55, units=1000)
    assert smallest_detectable(seen, rule=Rule()) == pytest.approx(
        2.49 * 0.55 / math.sqrt(1000), rel=2e-3
    )


@pytest.mark.parametrize(
    ("gain", "least", "most"), [(0.02, 4400, 5600), (0.05, 700, 900), (0.1, 175, 223)]
)
def test_needs_the_labels_that_real_losses_were_measured_to_need(
    gain: float, least: int, most: int
) -> None:
    for spread in (0.53, 0.60):
        seen = Interval(estimate=gain, low=0.0, high=0.0, spread=spread, units=200)
        needed = units_needed(seen, gap=gain, rule=Rule())
        assert needed is not None
        assert least * 0.98 <= needed <= most * 1.02


@pytest.mark.parametrize("looks", ["once", "many"])
def test_the_needed_units_make_the_gap_detectable(looks: str) -> None:
    rule = Rule(looks=looks)
    seen = Interval(estimate=0.0, low=0.0, high=0.0, spread=1.0, units=50)
    needed = units_needed(seen, gap=0.07, rule=rule)
    assert needed is not None
    then = Interval(estimate=0.0, low=0.0, high=0.0, spread=1.0, units=math.ceil(needed))
    assert smallest_detectable(then, rule=rule) == pytest.approx(0.07, rel=0.01)
    assert power_factor(needed, rule=Rule(looks="many")) > power_factor(needed, rule=Rule())


@pytest.mark.parametrize("looks", ["once", "many"])
@pytest.mark.parametrize("gap", [0.0, 1e-9, math.inf, math.nan])
def test_no_number_of_labels_is_promised_for_a_gap_out_of_reach(looks: str, gap: float) -> None:
    seen = Interval(estimate=0.0, low=0.0, high=0.0, spread=1.0, units=50)
    assert units_needed(seen, gap=gap, rule=Rule(looks=looks)) is None


def test_tells_when_few_units_carry_the_spread() -> None:
    values = np.zeros(200)
    values[0] = 1000.0
    assert bound_mean(to_units(values), rule=Rule()).tail > 0.9
    assert bound_mean(to_units(_symmetric(200, seed=5)), rule=Rule()).tail < 0.5


def test_a_confidence_below_one_half_is_still_a_bound() -> None:
    found = bound_mean(to_units(_symmetric(50)), rule=Rule(confidence=0.4, looks="many"))
    assert found.low < found.estimate < found.high
