from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from msgspec import Struct

from bucle.charter.settings import GateSettings, Kpi
from bucle.errors import EvidenceError
from bucle.gates.evidence import Evidence
from bucle.gates.referee import choose_rule, deciding_metric, judge
from bucle.types import Check, Verdict

_DAY = 86_400_000_000


class _Suspect(Struct, frozen=True):
    columns: tuple[str, ...]
    kind: str
    evidence: str


def _evidence(rows: int = 800, *, error: float = 0.2, seed: int = 0, **words) -> Evidence:
    """Return a challenger with an error of its own beside a champion with one of 0.3."""
    generator = np.random.default_rng(seed)
    truth = generator.lognormal(4.0, 0.5, size=rows)
    shared = generator.normal(size=rows)
    own = generator.normal(size=rows)
    fields = {
        "truth": truth,
        "challenger": truth * np.exp(error * (0.8 * shared + 0.6 * own)),
        "champion": truth * np.exp(0.3 * shared),
        "baselines": {"median": np.full(rows, np.median(truth) if rows else 0.0)},
        "challenger_model": "m-2",
        "champion_model": "m-1",
    }
    return Evidence(**(fields | words))


def _judge(evidence: Evidence, kpis: Sequence[Kpi] = (), **settings) -> Verdict:
    return judge(evidence, settings=GateSettings(**settings), kpis=kpis, kind="regression")


def _named(verdict: Verdict, name: str) -> Check:
    (found,) = [check for check in verdict.checks if check.name == name]
    return found


def test_passes_a_better_challenger_with_evidence_for_each_answer() -> None:
    verdict = _judge(_evidence(), [Kpi(metric="wape", goal=0.1, must=0.25)])
    assert verdict.outcome == "pass"
    assert [check.name for check in verdict.checks] == [
        "predictions",
        "must:wape",
        "champion",
        "baseline:median",
        "leaks",
    ]
    assert (verdict.rows, verdict.challenger, verdict.champion) == (800, "m-2", "m-1")
    assert all(check.why for check in verdict.checks)


def test_one_failed_check_fails_the_verdict() -> None:
    verdict = _judge(_evidence(), [Kpi(metric="wape", must=0.05)])
    assert verdict.outcome == "fail"
    assert _named(verdict, "champion").outcome == "pass"
    assert _named(verdict, "must:wape").outcome == "fail"


def test_one_undecided_check_leaves_the_verdict_undecided() -> None:
    verdict = _judge(_evidence(rows=60, error=0.29))
    assert verdict.outcome == "undecided"
    assert _named(verdict, "champion").labels_needed is not None


def test_failure_outweighs_doubt() -> None:
    verdict = _judge(_evidence(rows=60, error=0.29), max_latency_ms=1.0)
    assert _named(verdict, "latency").outcome == "undecided"
    failed = _judge(_evidence(rows=60, error=0.29, latency_ms=2.0), max_latency_ms=1.0)
    assert failed.outcome == "fail"


def test_a_worse_challenger_fails_against_the_champion() -> None:
    assert _named(_judge(_evidence(error=0.45)), "champion").outcome == "fail"


def test_a_kpi_without_a_must_is_no_gate() -> None:
    verdict = _judge(_evidence(), [Kpi(metric="wape", goal=0.01)])
    assert not any(check.name.startswith("must:") for check in verdict.checks)


def test_the_first_kpi_decides_who_errs_less() -> None:
    assert deciding_metric([Kpi(metric="rmse"), Kpi(metric="wape")], kind="regression") == "rmse"
    assert deciding_metric([], kind="regression") == "wape"
    evidence = _evidence()
    challenger = evidence.challenger.copy()
    challenger[:8] += 1e4
    evidence = msgspec.structs.replace(evidence, challenger=challenger)
    squared = _named(_judge(evidence, [Kpi(metric="rmse")]), "champion")
    relative = _named(_judge(evidence, [Kpi(metric="mdape")]), "champion")
    assert squared.estimate is not None
    assert squared.estimate < 0
    assert relative.estimate is not None
    assert relative.estimate > 0


@pytest.mark.parametrize("rows", [0, 1, 2, 29])
def test_too_few_rows_are_undecided_and_say_so(rows: int) -> None:
    verdict = _judge(_evidence(rows), [Kpi(metric="wape", must=0.5)])
    assert verdict.outcome == "undecided"
    assert any(check.labels_needed for check in verdict.checks)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_no_numbers_fail_with_their_row(bad: float) -> None:
    evidence = _evidence()
    challenger = evidence.challenger.copy()
    challenger[16] = bad
    verdict = _judge(msgspec.structs.replace(evidence, challenger=challenger))
    assert verdict.outcome == "fail"
    assert _named(verdict, "predictions").why == (
        "the challenger: 1 of 800 are not finite numbers, first in row 17"
    )
    assert _named(verdict, "leaks").outcome == "pass"


def test_predictions_beyond_all_measure_fail_with_their_row() -> None:
    evidence = _evidence()
    challenger = evidence.challenger.copy()
    challenger[4] = -1e300
    verdict = _judge(msgspec.structs.replace(evidence, challenger=challenger))
    assert "beyond 1e+100" in _named(verdict, "predictions").why


def test_labels_that_are_no_numbers_fail() -> None:
    evidence = _evidence()
    truth = evidence.truth.copy()
    truth[3] = np.nan
    verdict = _judge(msgspec.structs.replace(evidence, truth=truth))
    assert "the labels: 1 of 800" in _named(verdict, "predictions").why


def test_a_champion_that_predicts_no_numbers_leaves_the_choice_to_people() -> None:
    evidence = _evidence()
    champion = evidence.champion.copy()
    champion[:5] = np.nan
    verdict = _judge(msgspec.structs.replace(evidence, champion=champion))
    assert verdict.outcome == "undecided"
    assert "5 of 800" in _named(verdict, "champion").why


def test_a_baseline_that_predicts_no_numbers_is_undecided() -> None:
    evidence = _evidence(baselines={"last": np.full(800, np.nan)})
    assert _named(_judge(evidence), "baseline:last").outcome == "undecided"


def test_a_first_champion_must_be_shown_to_beat_every_baseline() -> None:
    first = {"champion": None, "champion_model": None}
    assert _judge(_evidence(**first)).outcome == "pass"
    evidence = _evidence(**first)
    twin = evidence.challenger * np.exp(np.random.default_rng(9).normal(0, 0.01, 800))
    naive = {"median": evidence.baselines["median"], "last": twin}
    verdict = _judge(_evidence(**first, baselines=naive))
    assert _named(verdict, "baseline:median").outcome == "pass"
    assert _named(verdict, "baseline:last").outcome == "undecided"


def test_a_challenger_with_a_champion_to_beat_must_not_be_worse_than_a_baseline() -> None:
    evidence = _evidence()
    twin = evidence.challenger * np.exp(np.random.default_rng(9).normal(0, 0.01, 800))
    check = _named(_judge(_evidence(baselines={"last": twin})), "baseline:last")
    assert check.outcome == "pass"
    assert "not shown to be worse" in check.why


def test_failing_against_one_of_several_baselines_takes_more_than_against_the_only_one() -> None:
    median = _evidence().baselines["median"]
    alone = _named(_judge(_evidence()), "baseline:median")
    several = _judge(_evidence(baselines={"median": median, "last": median + 1.0}))
    shared = _named(several, "baseline:median")
    assert alone.high is not None
    assert shared.high is not None
    assert shared.high > alone.high
    assert shared.low == alone.low


@pytest.mark.parametrize("champion", [True, False])
def test_a_model_that_a_baseline_beats_fails(champion: bool) -> None:
    words = {} if champion else {"champion": None, "champion_model": None}
    evidence = _evidence(**words)
    better = evidence.truth * 1.02
    verdict = _judge(_evidence(**words, baselines={"last": better}))
    assert _named(verdict, "baseline:last").outcome == "fail"
    assert verdict.outcome == "fail"


def test_nothing_to_compare_with_is_no_reason_to_pass() -> None:
    verdict = _judge(_evidence(champion=None, champion_model=None, baselines={}))
    assert verdict.outcome == "undecided"
    assert "nothing to compare with" in _named(verdict, "evidence").why


def test_a_suspected_leak_fails_with_what_was_seen() -> None:
    suspect = _Suspect(("insurance",), "ratio", "0.16 % of the target in every year")
    verdict = _judge(_evidence(suspects=(suspect,)))
    assert verdict.outcome == "fail"
    assert _named(verdict, "leaks").why == "insurance (ratio): 0.16 % of the target in every year"


def test_size_and_latency_are_held_against_their_limits() -> None:
    evidence = _evidence(package_bytes=12_000_000, latency_ms=3.0)
    verdict = _judge(evidence, max_megabytes=10.0, max_latency_ms=5.0)
    assert _named(verdict, "size").outcome == "fail"
    assert _named(verdict, "size").estimate == 12.0
    assert _named(verdict, "latency").outcome == "pass"


def test_slices_are_compared_with_the_champion_only() -> None:
    mode = np.array(["air", "sea"] * 400)
    assert _named(_judge(_evidence(slices={"mode": mode})), "slice:mode").outcome == "pass"
    first = _judge(_evidence(slices={"mode": mode}, champion=None, champion_model=None))
    assert not any(check.name.startswith("slice:") for check in first.checks)


def test_clusters_make_the_referee_more_careful() -> None:
    clusters = np.repeat(np.arange(20), 40)
    alone = _named(_judge(_evidence()), "champion")
    together = _named(_judge(_evidence(clusters=clusters)), "champion")
    assert together.estimate == pytest.approx(alone.estimate, rel=1e-9)
    few = _named(_judge(_evidence(clusters=np.repeat(np.arange(4), 200))), "champion")
    assert few.outcome == "undecided"


def test_warns_when_rows_of_one_day_move_together() -> None:
    days = np.repeat(np.arange(20), 40)
    truth = np.full(800, 100.0)
    moved = np.random.default_rng(0).normal(0, 10, size=20)[days]
    evidence = _evidence(
        truth=truth, challenger=truth + moved, champion=truth + 20.0, event_time=days * _DAY
    )
    assert "set gates.cluster" in _named(_judge(evidence), "champion").why
    clustered = msgspec.structs.replace(evidence, clusters=days)
    assert "set gates.cluster" not in _named(_judge(clustered), "champion").why


def test_a_second_look_is_more_careful_than_the_first() -> None:
    settings = GateSettings()
    assert choose_rule(_evidence(), settings).looks == "once"
    second = choose_rule(_evidence(looks=1), settings)
    assert (second.looks, second.confidence) == ("many", pytest.approx(0.975))
    many = choose_rule(_evidence(looks=5), GateSettings(looks="many"))
    assert (many.looks, many.confidence) == ("many", pytest.approx(0.95))
    first, again = (_named(_judge(_evidence(looks=looks)), "champion") for looks in (0, 1))
    assert first.low is not None
    assert again.low is not None
    assert again.low < first.low


def test_challengers_on_the_same_rows_share_the_error() -> None:
    rule = choose_rule(_evidence(earlier_challengers=4), GateSettings())
    assert rule.confidence == pytest.approx(0.99)
    assert rule.looks == "once"


def test_the_same_evidence_gives_the_same_verdict_to_the_last_bit() -> None:
    words = {"slices": {"mode": np.array(["air", "sea"] * 400)}, "clusters": np.arange(800) // 4}
    verdicts = {
        msgspec.json.encode(_judge(_evidence(**words), [Kpi(metric="wape", must=0.2)]))
        for _ in range(3)
    }
    assert len(verdicts) == 1


@pytest.mark.parametrize("metric", ["log_loss", "brier", "auc", "accuracy"])
def test_judges_a_classification(metric: str) -> None:
    generator = np.random.default_rng(0)
    score = 2 * generator.normal(size=2000)
    truth = (generator.random(2000) < 1 / (1 + np.exp(-score))).astype(float)
    evidence = Evidence(
        truth=truth,
        challenger=1 / (1 + np.exp(-score)),
        champion=1 / (1 + np.exp(-(score + 3 * generator.normal(size=2000)))),
        baselines={"median": np.full(2000, truth.mean())},
    )
    verdict = judge(
        evidence, settings=GateSettings(), kpis=[Kpi(metric=metric)], kind="classification"
    )
    assert verdict.outcome == "pass"


def test_one_class_leaves_auc_undecided_without_a_crash() -> None:
    evidence = Evidence(
        truth=np.ones(100), challenger=np.full(100, 0.7), champion=np.full(100, 0.6)
    )
    kpis = [Kpi(metric="auc", must=0.6)]
    verdict = judge(evidence, settings=GateSettings(), kpis=kpis, kind="classification")
    assert verdict.outcome == "undecided"
    assert "one class" in _named(verdict, "evidence").why


def test_a_probability_out_of_range_fails_with_its_value() -> None:
    evidence = Evidence(truth=np.array([0.0, 1.0] * 50), challenger=np.full(100, 1.5))
    verdict = judge(evidence, settings=GateSettings(), kpis=[], kind="classification")
    assert _named(verdict, "predictions").outcome == "fail"
    assert "(1.5)" in _named(verdict, "predictions").why


def test_labels_that_are_not_yes_or_no_fail_a_classification() -> None:
    evidence = Evidence(truth=np.array([1.0, 2.0] * 50), challenger=np.full(100, 0.5))
    verdict = judge(evidence, settings=GateSettings(), kpis=[], kind="classification")
    assert "the labels: 50 of 100 are not 0 or 1" in _named(verdict, "predictions").why


def test_money_is_judged_by_the_cost_of_the_project() -> None:
    def cost(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        return np.where(prediction < truth, truth - prediction, 0.3 * (prediction - truth))

    kpis = [Kpi(metric="money", must=50.0)]
    verdict = judge(_evidence(), settings=GateSettings(), kpis=kpis, kind="regression", cost=cost)
    assert verdict.outcome == "pass"
    with pytest.raises(EvidenceError, match="no cost of an error"):
        judge(_evidence(), settings=GateSettings(), kpis=kpis, kind="regression")


def test_a_verdict_is_written_as_plain_numbers() -> None:
    for rows in (0, 1, 2, 40, 800):
        verdict = _judge(_evidence(rows, latency_ms=1.0), max_latency_ms=2.0)
        assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
