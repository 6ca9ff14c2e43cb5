"""What a replay recommends, in words, and how sure that is. Pure; imports nothing heavy."""

import math
from collections.abc import Sequence

from bucle.grammar import say_count
from bucle.loop.replay.findings import Comparison, PolicyResult

__all__ = ["choose", "recommend"]

_SHOWN = 3
_FEW = 8
_NEARLY_ALL = 0.9


def choose(results: Sequence[PolicyResult], comparisons: Sequence[Comparison]) -> PolicyResult:
    """Return the policy to take: of those that cost no more than the cheapest, the quietest.

    A policy counts as no dearer when the interval of the difference in money holds zero. The
    quietest is the one with the fewest retrains, then with the least money, then `never`.
    """
    cheapest = min(results, key=lambda one: one.money)
    rivals = [one for one in results if one is cheapest or _is_close(one, cheapest, comparisons)]
    return min(rivals, key=lambda one: (one.retrains, one.money, one.policy != "never"))


def recommend(
    results: Sequence[PolicyResult],
    comparisons: Sequence[Comparison],
    *,
    currency: str,
    level: float,
    drills: bool = True,
) -> str:
    """Say which policy to take, against what, and what cannot be told apart.

    With `drills` faults can be planted in what was replayed.
    """
    if len(results) == 1:
        return f"Only {results[0].name} was replayed: name another policy to compare it with."
    chosen = choose(results, comparisons)
    cheapest = min(results, key=lambda one: one.money)
    dearest = max(results, key=lambda one: one.money)
    said = [f"Take {chosen.name}: {say_count(chosen.retrains, 'retrain')},"]
    said.append(f"{_money(chosen.money, currency)} in all.")
    if chosen is not cheapest:
        said.append(
            f"{cheapest.name} cost {_money(chosen.money - cheapest.money, currency)} less, with "
            f"{say_count(cheapest.retrains, 'retrain')}, but the two cannot be told apart here."
        )
    said += _as_a_calendar(chosen)
    said += _name_equals(chosen, cheapest, results, comparisons)
    said += _price_of_gate(chosen, results, currency, drills=drills)
    against = _pair(chosen, dearest, comparisons)
    if against is not None and dearest is not chosen:
        low, high = against[1], against[2]
        if not (math.isfinite(low) and math.isfinite(high)):
            said.append(f"Too few periods to say how much it saves against {dearest.name}.")
        elif low > 0.0:
            said.append(
                f"Against {dearest.name} it saved {_money(dearest.money - chosen.money, currency)} "
                f"({_money(low, currency)} to {_money(high, currency)}, {level:.0%} interval)."
            )
    return " ".join(said)


def _as_a_calendar(chosen: PolicyResult) -> list[str]:
    """Say when a policy that watches fired nearly always: then it watches nothing."""
    moments = len(chosen.timeline) - 1
    calendar = all(part.startswith("every:") for part in chosen.policy.split("/"))
    if calendar or moments < _FEW or chosen.alarms < _NEARLY_ALL * moments:
        return []
    fired = f"It fired at {chosen.alarms} of {moments} moments"
    return [f"{fired}: a calendar in disguise, compare it with one."]


def _name_equals(
    chosen: PolicyResult,
    cheapest: PolicyResult,
    results: Sequence[PolicyResult],
    comparisons: Sequence[Comparison],
) -> list[str]:
    """Name the policies that did just the same, and those that cannot be told apart."""
    others = [one for one in results if one not in (chosen, cheapest)]
    same = [one.name for one in others if _champions(one) == _champions(chosen)]
    close = [
        one.name for one in others if one.name not in same and _is_close(one, chosen, comparisons)
    ]
    said = []
    if same:
        said.append(f"{_list(same)} shipped the same models on the same days.")
    if close:
        said.append(f"Nor can {_list(close, last='or')} be told apart from it.")
    return said


def _price_of_gate(
    chosen: PolicyResult, results: Sequence[PolicyResult], currency: str, *, drills: bool
) -> list[str]:
    """Say what it would cost to let no model ship without a gate."""
    gated = [one for one in results if one.gate != "none"]
    if chosen.gate != "none" or not chosen.promotions or not gated:
        return []
    safest = min(gated, key=lambda one: one.money)
    more = safest.money - chosen.money
    dearer = f"{_money(abs(more), currency)} {'more' if more >= 0 else 'less'}"
    cost = f"It ships whatever was trained; the cheapest with a gate, {safest.name}, cost {dearer}"
    if not drills:
        return [f"{cost}."]
    return [f"{cost}:", "see what a --fault would have done before going without."]


def _champions(one: PolicyResult) -> tuple[str, ...]:
    return tuple(tick.champion for tick in one.timeline)


def _list(names: Sequence[str], *, last: str = "and") -> str:
    more = len(names) - _SHOWN
    if more > 0:
        return ", ".join(names[:_SHOWN]) + f" {last} {more} more"
    return f" {last} ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _is_close(one: PolicyResult, other: PolicyResult, comparisons: Sequence[Comparison]) -> bool:
    found = _pair(one, other, comparisons)
    return found is not None and found[1] <= 0.0 <= found[2]


def _pair(
    cheap: PolicyResult, dear: PolicyResult, comparisons: Sequence[Comparison]
) -> tuple[float, float, float] | None:
    """Return what the second costs more than the first, with its bounds."""
    for one in comparisons:
        if (one.a, one.b) == (dear.name, cheap.name):
            return one.money, one.money_low, one.money_high
        if (one.a, one.b) == (cheap.name, dear.name):
            return -one.money, -one.money_high, -one.money_low
    return None


def _money(amount: float, currency: str) -> str:
    return f"{amount:,.0f} {currency}".rstrip()
