"""The referee: puts every question to the evidence and sums the answers up in one verdict.

A pure function of its arguments: no clock, no randomness, no disk. Must not import watch, serve
or loop.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec.structs import replace

from bucle.charter.settings import GateSettings, Kpi
from bucle.gates.comparison import Rule
from bucle.gates.evidence import Evidence
from bucle.gates.gains import bound_gain, check_gain, measure_day_effect
from bucle.gates.integrity import check_predictions, find_fault
from bucle.gates.limits import check_ceiling, check_limit
from bucle.gates.shortage import LEAST_ROWS
from bucle.gates.slices import check_slices
from bucle.models.metrics import Cost, Floats, Kind, losses
from bucle.types import Check, Outcome, Verdict

__all__ = ["choose_rule", "deciding_metric", "judge", "with_check"]

_BYTES_A_MEGABYTE = 1_000_000
_DAY_EFFECT = 1.25
_SHARED_WITH_FIRST_LOOK = 2


def judge(
    evidence: Evidence,
    *,
    settings: GateSettings,
    kpis: Sequence[Kpi],
    kind: Kind,
    cost: Cost | None = None,
) -> Verdict:
    """Judge a challenger: fail if any check fails, else undecided if any is, else pass.

    The same evidence gives the same verdict, to the last bit. Nothing passes for want of
    evidence: too few rows, a missing measurement and nothing to compare with are undecided.

    Args:
        evidence: Labels and predictions on rows newer than the training of both models.
        settings: `[gates]` of the charter.
        kpis: The charter's KPIs; each with a `must` is a limit, the first one decides who errs
            less.
        kind: What is predicted.
        cost: Cost a row, for the metric `money`.

    Raises:
        EvidenceError: A KPI is money and the cost function is missing or misbehaves.
    """
    sound = check_predictions(evidence.truth, {"the challenger": evidence.challenger}, kind=kind)
    checks = [sound]
    if evidence.rows == 0:
        checks.append(_no_rows())
    elif sound.outcome == "pass":
        # Absurd magnitudes overflow into infinities, which bound nothing and so decide nothing.
        with np.errstate(all="ignore"):
            checks += _Bench(evidence, settings, kind, cost).checks(kpis)
    checks += _other_checks(evidence, settings)
    return Verdict(
        outcome=_sum_up(checks),
        checks=tuple(checks),
        rows=evidence.rows,
        challenger=evidence.challenger_model,
        champion=evidence.champion_model,
    )


def with_check(verdict: Verdict, check: Check | None) -> Verdict:
    """Return a verdict with one question more put to the evidence, and what that makes of it.

    Where the answer keeps a model outside it stands before all others: whoever asks why reads that.
    """
    if check is None:
        return verdict
    checks = (*verdict.checks, check) if check.outcome == "pass" else (check, *verdict.checks)
    return replace(verdict, checks=checks, outcome=_sum_up(checks))


def choose_rule(evidence: Evidence, settings: GateSettings) -> Rule:
    """Choose how sure each bound must be from how often one has looked.

    One look at the charter's confidence. From the second look on, asked for or not, the bounds
    hold at all looks together; where one look was agreed and spent, the later ones get half of
    the error. Earlier challengers on the same rows share the error (Bonferroni).
    """
    again = evidence.looks > 0
    rule = Rule(
        confidence=settings.confidence,
        looks="many" if again else settings.looks,
        planned=evidence.planned,
    )
    if again and settings.looks == "once":
        rule = rule.shared_by(_SHARED_WITH_FIRST_LOOK)
    return rule.shared_by(evidence.earlier_challengers + 1)


def deciding_metric(kpis: Sequence[Kpi], *, kind: Kind) -> str:
    """Return the metric whose row losses decide who errs less: the first KPI's.

    Without any KPI, the absolute error of a regression and the log loss of a classification.

    Example:
        >>> deciding_metric((), kind="classification")
        'log_loss'
    """
    if kpis:
        return kpis[0].metric
    return "wape" if kind == "regression" else "log_loss"


class _Bench:
    """The questions that need labels, all put under one rule."""

    def __init__(
        self, evidence: Evidence, settings: GateSettings, kind: Kind, cost: Cost | None
    ) -> None:
        self._evidence = evidence
        self._settings = settings
        self._kind: Kind = kind
        self._cost = cost
        self._rule = choose_rule(evidence, settings)

    def checks(self, kpis: Sequence[Kpi]) -> list[Check]:
        metric = deciding_metric(kpis, kind=self._kind)
        found = [self._limit(kpi) for kpi in kpis if kpi.must is not None]
        if metric == "auc" and len(set(self._evidence.truth.tolist())) < 2:  # noqa: PLR2004
            return [*found, _lone_class()]
        lost = self._losses(metric, self._evidence.challenger)
        found += self._against_champion(metric, lost)
        found += self._against_baselines(metric, lost)
        return found or [_nothing_to_compare()]

    def _limit(self, kpi: Kpi) -> Check:
        return check_limit(
            kpi,
            self._evidence.truth,
            self._evidence.challenger,
            kind=self._kind,
            rule=self._rule,
            clusters=self._evidence.clusters,
            threshold=self._settings.threshold,
            cost=self._cost,
        )

    def _losses(self, metric: str, prediction: Floats) -> Floats:
        return losses(
            metric,
            self._evidence.truth,
            prediction,
            threshold=self._settings.threshold,
            cost=self._cost,
        )

    def _against_champion(self, metric: str, lost: Floats) -> Iterator[Check]:
        champion = self._evidence.champion
        if champion is None:
            return
        fault = find_fault(champion, kind=self._kind)
        if fault:
            why = f"the champion's predictions cannot be measured: {fault}"
            yield Check(name="champion", outcome="undecided", why=why)
            return
        reference = self._losses(metric, champion)
        gain = bound_gain(
            reference,
            lost,
            rule=self._rule,
            margin=self._settings.margin,
            clusters=self._evidence.clusters,
        )
        check = check_gain("champion", gain, over="the champion")
        yield replace(check, why=check.why + self._day_warning(reference - lost))
        yield from check_slices(
            self._evidence.slices,
            champion=reference,
            challenger=lost,
            rule=self._rule,
            margin=self._settings.slice_margin,
            clusters=self._evidence.clusters,
        )

    def _against_baselines(self, metric: str, lost: Floats) -> Iterator[Check]:
        baselines = self._evidence.baselines
        careful = self._rule.shared_by(len(baselines))
        for name, prediction in baselines.items():
            fault = find_fault(prediction, kind=self._kind)
            if fault:
                why = f"the baseline's predictions cannot be measured: {fault}"
                yield Check(name=f"baseline:{name}", outcome="undecided", why=why)
                continue
            reference = self._losses(metric, prediction)
            gain = bound_gain(reference, lost, rule=self._rule, clusters=self._evidence.clusters)
            # Worse than any one of several is more often seen by chance than worse than one.
            high = bound_gain(reference, lost, rule=careful, clusters=self._evidence.clusters).high
            check = check_gain(
                f"baseline:{name}", replace(gain, high=high), over=f"the baseline {name}"
            )
            yield self._spare(check) if not gain.shortage else check

    def _spare(self, check: Check) -> Check:
        """Let a challenger that has a champion to beat pass when a baseline does not beat it."""
        if self._evidence.champion is None or check.outcome != "undecided":
            return check
        return replace(
            check, outcome="pass", labels_needed=None, why=f"{check.why}; not shown to be worse"
        )

    def _day_warning(self, difference: Floats) -> str:
        if self._evidence.clusters is not None or self._evidence.event_time is None:
            return ""
        effect = measure_day_effect(difference, self._evidence.event_time)
        if effect is None or effect < _DAY_EFFECT:
            return ""
        return (
            f"; careful: rows of one day move together and the true error is about "
            f"{effect:.1f} times as wide, set gates.cluster"
        )


def _other_checks(evidence: Evidence, settings: GateSettings) -> Iterator[Check]:
    suspects = evidence.suspects
    yield Check(
        name="leaks",
        outcome="fail" if suspects else "pass",
        why="; ".join(
            f"{', '.join(suspect.columns)} ({suspect.kind}): {suspect.evidence}"
            for suspect in suspects
        )
        or "no column that the model uses is suspected of knowing the answer",
    )
    if settings.max_megabytes is not None:
        size = evidence.package_bytes
        megabytes = None if size is None else size / _BYTES_A_MEGABYTE
        yield check_ceiling("size", megabytes, limit=settings.max_megabytes, unit="MB")
    if settings.max_latency_ms is not None:
        yield check_ceiling(
            "latency", evidence.latency_ms, limit=settings.max_latency_ms, unit="ms"
        )


def _no_rows() -> Check:
    return Check(
        name="evidence",
        outcome="undecided",
        labels_needed=LEAST_ROWS,
        why="no labelled row is newer than the training of both models",
    )


def _nothing_to_compare() -> Check:
    return Check(
        name="evidence",
        outcome="undecided",
        why="no champion, no baseline and no KPI with a must: nothing to compare with",
    )


def _lone_class() -> Check:
    return Check(
        name="evidence",
        outcome="undecided",
        why="all labels are of one class: AUC cannot tell models apart",
    )


def _sum_up(checks: Sequence[Check]) -> Outcome:
    outcomes = {check.outcome for check in checks}
    if "fail" in outcomes:
        return "fail"
    return "undecided" if "undecided" in outcomes else "pass"
