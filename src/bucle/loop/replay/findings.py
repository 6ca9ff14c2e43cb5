"""What a replay found: plain frozen values, as they stand in `bucle replay --json`.

Values only; imports nothing heavy and nothing of Bucle.
"""

import math
from typing import Any

import msgspec
from msgspec import Struct

__all__ = [
    "Benefit",
    "Comparison",
    "Drill",
    "DrillResult",
    "Findings",
    "OracleResult",
    "PolicyResult",
    "Tick",
    "Trainings",
    "as_document",
]


class Tick(Struct, frozen=True, kw_only=True):
    """One period under one policy: what was decided when it began, and how it went.

    `did` lists what was done at its beginning, of `retrain`, `judge`, `refit` and `promote`; `why`
    is the reason, also for doing nothing. `rows` are those whose label is known in the end;
    `error` (of all of them, in the metric of the replay) and `money` (their cost, without
    retrains and alarms) are hindsight; `error` is None where no label came. `upkeep` is what its
    retrain and its alarm cost.
    """

    at: str
    rows: int
    error: float | None
    money: float
    champion: str
    did: tuple[str, ...]
    why: str
    upkeep: float = 0.0


class PolicyResult(Struct, frozen=True, kw_only=True):
    """How one policy would have done over the whole replay.

    `money` is the cost of errors, retrains and alarms together. `alarms` counts how often a
    trigger fired, `false_alarms` those after which a new model did no better in hindsight.
    `bad_promotions` are champions that did worse than the one they replaced would have done.
    `regret` is the money above that of the oracle.

    In a world that answers, `money` holds what was forgone against the best proposals, `share` is
    what was earned of the most that could be, `plain_share` the same without the chance that
    `exploration` adds; None where history was replayed as it was.
    """

    name: str
    policy: str
    window: str
    gate: str
    error: float | None
    money: float
    retrains: int
    promotions: int
    bad_promotions: int
    alarms: int
    false_alarms: int
    regret: float
    timeline: tuple[Tick, ...]
    exploration: float = 0.0
    share: float | None = None
    plain_share: float | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """Two policies on the same rows: the loss of a over that of b, minus 1, with its interval.

    `verdict` is `a is better`, `b is better` or `cannot be told apart`; `money` is what a costs
    more than b, retrains and alarms included, with its own interval.
    """

    a: str
    b: str
    difference: float
    low: float
    high: float
    verdict: str
    money: float
    money_low: float
    money_high: float


class OracleResult(Struct, frozen=True, kw_only=True):
    """The best that could have been done, in hindsight, with the models that were trained.

    `spent` is what it cost in each period, retrains included; empty where nobody asked.
    """

    money: float
    error: float | None
    retrains: int
    champions: tuple[str, ...]
    spent: tuple[float, ...] = ()


class Benefit(Struct, frozen=True, kw_only=True):
    """What retraining saved of the loss of a model that stays, as shares of that loss.

    `newer` is what the same number of labels, but the newest ones, saves; `more` is what all
    labels save beyond that; `whole` is both. The bounds hold for each at the replay's level.
    `moments` counts the retrains it rests on.
    """

    whole: float
    whole_low: float
    whole_high: float
    newer: float
    newer_low: float
    newer_high: float
    more: float
    more_low: float
    more_high: float
    moments: int
    labels_at_start: int
    labels_at_end: int


class Drill(Struct, frozen=True, kw_only=True):
    """What a planted fault did: `error` and `money` with it, over those without it."""

    fault: str
    labels: int
    policies: tuple["DrillResult", ...]


class DrillResult(Struct, frozen=True, kw_only=True):
    """One policy with and without the fault; `shipped` counts champions that learned from it."""

    name: str
    error: float | None
    clean_error: float | None
    money: float
    clean_money: float
    shipped: int


class Trainings(Struct, frozen=True, kw_only=True):
    """The distinct training sets of a replay: how many models, how many of them were new."""

    distinct: int
    trained: int
    seconds: float


class Findings(Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """Everything a replay found.

    `level` is how sure every interval is. `recorded_share` is the share that was earned as history
    had it, in a world that answers. `baselines` has the error of the naive predictions on
    the same rows. `labels_by` says after how many days 90 % of the labels had arrived.
    """

    project: str
    metric: str
    start: str
    end: str
    period: str
    periods: int
    rows: int
    level: float
    currency: str
    policies: tuple[PolicyResult, ...]
    comparisons: tuple[Comparison, ...]
    oracle: OracleResult
    recommendation: str
    baselines: dict[str, float] = {}
    labels_by: float | None = None
    recorded_share: float | None = None
    benefit: Benefit | None = None
    drill: Drill | None = None
    trainings: Trainings = Trainings(distinct=0, trained=0, seconds=0.0)
    warnings: tuple[str, ...] = ()


def as_document(findings: Findings) -> dict[str, Any]:
    """Return findings as the JSON document people and programs read; an infinite bound is null."""
    document: dict[str, Any] = _without_infinities(msgspec.to_builtins(findings))
    return document


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_infinities(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
