import math

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies_gates import arrays, evidences, names

from bucle.charter.settings import GateSettings, Kpi
from bucle.gates.comparison import Rule, bound_mean
from bucle.gates.evidence import Evidence
from bucle.gates.gains import bound_gain
from bucle.gates.referee import judge
from bucle.gates.report import describe
from bucle.gates.units import to_units
from bucle.types import Verdict

_RULES = st.builds(
    Rule,
    confidence=st.floats(min_value=0.9, max_value=0.999),
    looks=st.sampled_from(["once", "many"]),
    planned=st.integers(min_value=1, max_value=10**6),
)
_REGRESSION = st.sampled_from(["wape", "mae", "rmse", "mdape", "r2", "r2_log"])
_CLASSIFICATION = st.sampled_from(["log_loss", "brier", "auc", "accuracy"])


@given(evidence=evidences(), metric=_REGRESSION, must=st.floats(-2, 2), margin=st.floats(0, 0.5))
def test_any_regression_evidence_gets_a_verdict_that_can_be_written(
    evidence: Evidence, metric: str, must: float, margin: float
) -> None:
    settings = GateSettings(margin=margin, max_megabytes=10.0, max_latency_ms=10.0)
    kpis = [Kpi(metric=metric, must=must)]
    _check_verdict(evidence, judge(evidence, settings=settings, kpis=kpis, kind="regression"))


@given(evidence=evidences(), metric=_CLASSIFICATION, must=st.floats(0, 1))
def test_any_classification_evidence_gets_a_verdict_that_can_be_written(
    evidence: Evidence, metric: str, must: float
) -> None:
    kpis = [Kpi(metric=metric, must=must)]
    found = judge(evidence, settings=GateSettings(), kpis=kpis, kind="classification")
    _check_verdict(evidence, found)


def _check_verdict(evidence: Evidence, verdict: Verdict) -> None:
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
    outcomes = {check.outcome for check in verdict.checks}
    worst = next(one for one in ("fail", "undecided", "pass") if one in outcomes)
    assert verdict.outcome == worst
    if evidence.rows < 30:
        assert verdict.outcome != "pass"
    for check in verdict.checks:
        assert check.why
        numbers = (check.estimate, check.low, check.high, check.detectable)
        assert all(number is None or math.isfinite(number) for number in numbers)
        assert check.labels_needed is None or check.labels_needed >= 1
        if None not in {check.low, check.high}:
            assert check.low <= check.high
    assert all(len(line) <= 80 for line in describe(verdict))


@given(values=arrays(), rule=_RULES)
def test_bounds_hold_the_mean_and_mirror(values: np.ndarray, rule: Rule) -> None:
    found = bound_mean(to_units(values), rule=rule)
    back = bound_mean(to_units(-values), rule=rule)
    assert found.low <= found.estimate <= found.high
    assert found.low == pytest.approx(-back.high, rel=1e-6, abs=1e-6)


@given(values=arrays(), factor=st.floats(min_value=1e-3, max_value=1e3), shift=st.floats(-1e3, 1e3))
def test_bounds_follow_a_change_of_unit(values: np.ndarray, factor: float, shift: float) -> None:
    assume(values.std() > 1e-3)
    plain = bound_mean(to_units(values), rule=Rule())
    moved = bound_mean(to_units(values * factor + shift), rule=Rule())
    scale = 1e-6 * factor * (1 + abs(values).max())
    assert moved.low == pytest.approx(plain.low * factor + shift, rel=1e-6, abs=scale + 1e-6)
    assert moved.high == pytest.approx(plain.high * factor + shift, rel=1e-6, abs=scale + 1e-6)


@given(values=arrays(), seed=st.integers(0, 99), rule=_RULES)
def test_the_order_of_the_rows_does_not_matter(values: np.ndarray, seed: int, rule: Rule) -> None:
    order = np.random.default_rng(seed).permutation(values.size)
    clusters = np.arange(values.size) // 3
    one = bound_mean(to_units(values, clusters=clusters), rule=rule)
    other = bound_mean(to_units(values[order], clusters=clusters[order]), rule=rule)
    scale = 1e-7 * (1 + abs(values).max())
    assert other.low == pytest.approx(one.low, rel=1e-7, abs=scale)
    assert other.high == pytest.approx(one.high, rel=1e-7, abs=scale)


@given(values=arrays(), rule=_RULES.filter(lambda rule: rule.looks == "once"))
def test_being_surer_is_never_narrower(values: np.ndarray, rule: Rule) -> None:
    surer = bound_mean(to_units(values), rule=rule.shared_by(3))
    plain = bound_mean(to_units(values), rule=rule)
    dust = 1e-9 * (1 + abs(values).max())
    assert surer.low <= plain.low + dust
    assert surer.high >= plain.high - dust


@given(values=arrays(), data=st.data())
def test_clusters_keep_the_mean_over_rows(values: np.ndarray, data: st.DataObject) -> None:
    labels = data.draw(st.lists(names, min_size=values.size, max_size=values.size))
    units = to_units(values, clusters=np.array(labels, dtype=object))
    assert units.values.mean() == pytest.approx(
        values.mean(), rel=1e-9, abs=1e-9 * (1 + abs(values).max())
    )
    assert 1 - 1e-9 <= units.effective <= units.count + 1e-9


@given(losses=arrays(st.floats(min_value=0.01, max_value=1e3)), factor=st.floats(1e-3, 1e3))
def test_a_gain_has_no_unit(losses: np.ndarray, factor: float) -> None:
    challenger = losses[::-1] * 0.9
    plain = bound_gain(losses, challenger, rule=Rule(), margin=0.05)
    scaled = bound_gain(losses * factor, challenger * factor, rule=Rule(), margin=0.05)
    assert scaled.estimate == pytest.approx(plain.estimate, rel=1e-6, abs=1e-9)
    assert scaled.low == pytest.approx(plain.low, rel=1e-4, abs=1e-6)
