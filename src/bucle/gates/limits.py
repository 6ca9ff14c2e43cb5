"""Limits: what the charter demands of a KPI, and what a package may weigh and cost in time.

Pure numpy; imports nothing that measures a clock or a disk.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bucle.charter.metrics import METRICS
from bucle.charter.settings import Kpi
from bucle.gates.comparison import Interval, Rule, finite_or_none, smallest_detectable
from bucle.gates.influence import bound_metric
from bucle.gates.shortage import LEAST_ROWS, rows_needed, say_shortage
from bucle.gates.wording import say_amount, warn_of_tail
from bucle.grammar import say_count
from bucle.models.metrics import Cost, Floats, Kind, measure
from bucle.types import Check, Outcome

__all__ = ["check_ceiling", "check_limit"]

_LEAST_OF_A_CLASS = 10


def check_limit(
    kpi: Kpi,
    truth: Floats,
    prediction: Floats,
    *,
    kind: Kind,
    rule: Rule,
    clusters: NDArray[Any] | None = None,
    threshold: float = 0.5,
    cost: Cost | None = None,
) -> Check:
    """Answer whether a KPI keeps the limit that the charter demands.

    Pass when the whole interval is on the right side of `must`, fail when all of it is on the
    wrong side, undecided otherwise.

    Args:
        kpi: The metric and its `must`, which must be set.
        truth: Labels, shape (rows,).
        prediction: The challenger's predictions, shape (rows,).
        kind: What is predicted.
        rule: How sure, and how often one looks.
        clusters: Which rows belong together.
        threshold: From which probability on the answer is yes.
        cost: Cost a row, for the metric `money`.

    Raises:
        EvidenceError: The cost function is missing or misbehaves.
    """
    must = math.nan if kpi.must is None else kpi.must
    name = f"must:{kpi.metric}"
    measured = measure(kind, truth, prediction, threshold=threshold, cost=cost)
    if kpi.metric not in measured and (kpi.metric != "money" or truth.size == 0):
        return _without_value(name, kpi.metric, truth, must)
    interval, units = bound_metric(
        kpi.metric,
        truth,
        prediction,
        rule=rule,
        clusters=clusters,
        threshold=threshold,
        cost=cost,
    )
    scarce = _scarce_class(kpi.metric, truth) or say_shortage(units)
    outcome = "undecided" if scarce else _decide(kpi.metric, interval, must)
    labels = rows_needed(units, interval, gap=interval.estimate - must, rule=rule)
    return Check(
        name=name,
        outcome=outcome,
        estimate=measured.get(kpi.metric),
        low=finite_or_none(interval.low),
        high=finite_or_none(interval.high),
        limit=must,
        labels_needed=labels if outcome == "undecided" else None,
        detectable=smallest_detectable(interval, rule=rule),
        why=f"too little to judge on: {scarce}"
        if scarce
        else _explain(outcome, kpi.metric, interval, must, labels),
    )


def check_ceiling(name: str, measured: float | None, *, limit: float, unit: str) -> Check:
    """Answer whether a measured amount, such as a size or a time, is at most its limit.

    Example:
        >>> check_ceiling("size", 12.0, limit=10.0, unit="MB").outcome
        'fail'
    """
    if measured is None or not math.isfinite(measured):
        return Check(
            name=name, outcome="undecided", limit=limit, why=f"the {name} was not measured"
        )
    side = "at most" if measured <= limit else "more than"
    return Check(
        name=name,
        outcome="pass" if measured <= limit else "fail",
        estimate=measured,
        limit=limit,
        why=f"{say_amount(measured)} {unit}, {side} {say_amount(limit)} {unit}",
    )


def _without_value(name: str, metric: str, truth: Floats, must: float) -> Check:
    why = f"{metric} has no value on {say_count(truth.size, 'row')}"
    if metric == "auc" and truth.size:
        why += ": all labels are of one class"
    short = LEAST_ROWS - truth.size
    return Check(
        name=name,
        outcome="undecided",
        limit=must,
        labels_needed=short if short > 0 else None,
        why=why,
    )


def _decide(metric: str, interval: Interval, must: float) -> Outcome:
    if METRICS[metric].lower_is_better:
        kept, broken = interval.high <= must, interval.low > must
    else:
        kept, broken = interval.low >= must, interval.high < must
    return "pass" if kept else "fail" if broken else "undecided"


def _scarce_class(metric: str, truth: Floats) -> str:
    """Say when AUC rests on so few rows of one class that its interval means nothing."""
    if metric != "auc":
        return ""
    fewest = int(min(np.count_nonzero(truth > 0), np.count_nonzero(truth <= 0)))
    if fewest >= _LEAST_OF_A_CLASS:
        return ""
    return f"{say_count(fewest, 'row')} of the rarer class, at least {_LEAST_OF_A_CLASS} are needed"


def _explain(
    outcome: Outcome, metric: str, interval: Interval, must: float, labels: int | None
) -> str:
    demand = "at most" if METRICS[metric].lower_is_better else "at least"
    seen = (
        f"{metric} {say_amount(interval.estimate)}, between {say_amount(interval.low)} and "
        f"{say_amount(interval.high)}; must be {demand} {say_amount(must)}"
    )
    if outcome != "undecided":
        end = f": shown to {'keep' if outcome == 'pass' else 'break'} the limit"
    elif labels is None:
        end = ": too close to tell with any realistic number of labels"
    else:
        end = f": {say_count(labels, 'more label')} would decide"
    return seen + end + warn_of_tail(interval.tail)
