"""Who did best in a replay, who is worth a colour beside it, and how each compares with the best.

Pure; imports nothing heavy.
"""

import math

from bucle.charter.metrics import METRICS
from bucle.loop.replay.findings import Comparison, Findings, PolicyResult
from bucle.loop.replay.report_words import finite

__all__ = [
    "BETTER",
    "UNCLEAR",
    "WORSE",
    "best_of",
    "highlight",
    "is_lower_better",
    "rank_policies",
    "rank_rivals",
    "turn_share",
]

BETTER, WORSE, UNCLEAR = "a is better", "b is better", "cannot be told apart"
_HIGHLIGHTED = 6


def is_lower_better(metric: str) -> bool:
    """Tell whether a small figure of this metric is good; of an unknown one, assume so."""
    return metric not in METRICS or METRICS[metric].lower_is_better


def best_of(findings: Findings) -> PolicyResult | None:
    """Return the policy that cost least; of equals the one with the better error.

    None where there is no policy.
    """
    return rank_policies(findings)[0] if findings.policies else None


def highlight(findings: Findings) -> tuple[PolicyResult, ...]:
    """Return the few policies that get a colour: the best, `never`, and the nearest rivals.

    Of policies that had the same champions throughout, one: their lines would cover each other.
    """
    ranked = rank_policies(findings)
    never = [one for one in ranked if one.policy == "never"][:1]
    distinct: dict[tuple[str, ...], PolicyResult] = {}
    for one in (*ranked[:1], *never, *ranked):
        distinct.setdefault(tuple(tick.champion for tick in one.timeline), one)
    return tuple(distinct.values())[:_HIGHLIGHTED]


def rank_policies(findings: Findings) -> list[PolicyResult]:
    """Return the policies, cheapest first; of equals the better error, the quieter, `never`."""
    sign = 1.0 if is_lower_better(findings.metric) else -1.0

    def merit(result: PolicyResult) -> tuple[float, float, int, bool]:
        money, error = finite(result.money), finite(result.error)
        return (
            math.inf if money is None else money,
            math.inf if error is None else sign * error,
            result.retrains,
            result.policy != "never",
        )

    return sorted(findings.policies, key=merit)


def rank_rivals(findings: Findings) -> tuple[Comparison, ...]:
    """Return the comparisons with the best policy, each turned so that the best stands as b.

    Turning a ratio of losses with its interval is exact. Cheapest rival first.
    """
    best = best_of(findings)
    if best is None:
        return ()
    place = {one.name: number for number, one in enumerate(rank_policies(findings))}
    turned = [one if one.b == best.name else _turn(one) for one in findings.comparisons]
    against = [one for one in turned if one.b == best.name != one.a]
    return tuple(sorted(against, key=lambda one: place.get(one.a, len(place))))


def turn_share(share: float) -> float:
    """Return by how much b loses more than a, where a loses more than b by a share.

    Example:
        >>> round(turn_share(0.25), 2), turn_share(-1.0), turn_share(float("inf"))
        (-0.2, inf, -1.0)
    """
    return 1.0 / (1.0 + share) - 1.0 if share > -1.0 else math.inf


def _turn(one: Comparison) -> Comparison:
    verdicts = {BETTER: WORSE, WORSE: BETTER}
    return Comparison(
        a=one.b,
        b=one.a,
        difference=turn_share(one.difference),
        low=turn_share(one.high),
        high=turn_share(one.low),
        verdict=verdicts.get(one.verdict, one.verdict),
        money=-one.money,
        money_low=-one.money_high,
        money_high=-one.money_low,
    )
