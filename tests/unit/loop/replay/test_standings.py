"""Who did best, who is highlighted, and how rivals compare with the best."""

import math

import msgspec
import pytest
from findings_samples import build_findings

from bucle.loop.replay.standings import (
    best_of,
    highlight,
    is_lower_better,
    rank_policies,
    rank_rivals,
)


def test_the_best_is_the_cheapest_and_of_equals_the_one_with_the_better_figure() -> None:
    found = build_findings(policies=3)
    a, b, c = (
        msgspec.structs.replace(one, money=money, error=error)
        for one, money, error in zip(found.policies, (5.0, 3.0, 3.0), (0.1, 0.4, 0.3), strict=True)
    )
    found = msgspec.structs.replace(found, policies=(a, b, c))
    assert best_of(found) is c
    assert best_of(msgspec.structs.replace(found, metric="r2")) is b
    assert best_of(msgspec.structs.replace(found, policies=())) is None


def test_a_policy_whose_money_is_no_number_is_never_the_best() -> None:
    found = build_findings(policies=2)
    broken = msgspec.structs.replace(found.policies[0], money=float("nan"))
    assert (
        best_of(msgspec.structs.replace(found, policies=(broken, found.policies[1]))) is not broken
    )


def test_the_best_comes_first_then_never_then_the_nearest_rivals() -> None:
    found = build_findings()
    ranked = sorted(found.policies, key=lambda one: one.money)
    never = next(one for one in found.policies if one.policy == "never")
    shown = highlight(found)
    assert shown[:2] == (ranked[0], never)
    assert shown[2:] == tuple(one for one in ranked[1:] if one is not never)[:4]


def test_never_is_shown_once_when_it_is_the_best() -> None:
    found = build_findings(policies=3)
    free = msgspec.structs.replace(found.policies[0], money=0.0)
    found = msgspec.structs.replace(found, policies=(free, *found.policies[1:]))
    assert [one.policy for one in highlight(found)].count("never") == 1
    assert highlight(found)[0] is free


def test_of_policies_with_the_same_champions_one_gets_a_colour() -> None:
    found = build_findings(policies=5)
    best = best_of(found)
    assert best is not None
    twin = msgspec.structs.replace(best, name="twin", policy="drift")
    with_twin = msgspec.structs.replace(found, policies=(*found.policies, twin))
    assert highlight(with_twin) == highlight(found)


def test_rivals_stand_against_the_best_whichever_side_they_were_given_on() -> None:
    found = build_findings()
    best = best_of(found)
    assert best is not None
    rivals = rank_rivals(found)
    assert {one.b for one in rivals} == {best.name}
    assert [one.a for one in rivals] == [
        one.name for one in sorted(found.policies, key=lambda one: one.money) if one is not best
    ]
    assert all(one.low <= one.difference <= one.high for one in rivals)


def test_turning_a_comparison_turns_its_ratio_its_interval_and_its_verdict() -> None:
    found = build_findings(policies=2)
    best, other = sorted(found.policies, key=lambda one: one.money)
    given = msgspec.structs.replace(
        found.comparisons[0],
        a=best.name,
        b=other.name,
        difference=-0.2,
        low=-0.5,
        high=0.25,
        verdict="a is better",
        money=-10.0,
        money_low=-20.0,
        money_high=5.0,
    )
    (turned,) = rank_rivals(msgspec.structs.replace(found, comparisons=(given,)))
    assert (turned.difference, turned.low, turned.high) == pytest.approx((0.25, -0.2, 1.0))
    assert (turned.money, turned.money_low, turned.money_high) == (10.0, -5.0, 20.0)
    assert turned.verdict == "b is better"


def test_a_rival_stays_where_nothing_could_be_told() -> None:
    found = build_findings(policies=2)
    best, other = sorted(found.policies, key=lambda one: one.money)
    given = msgspec.structs.replace(
        found.comparisons[0], a=best.name, b=other.name, low=-math.inf, high=math.inf
    )
    (turned,) = rank_rivals(msgspec.structs.replace(found, comparisons=(given,)))
    assert (turned.a, turned.b, turned.high) == (other.name, best.name, math.inf)


def test_of_equals_the_one_that_never_retrains_comes_first() -> None:
    found = build_findings(policies=2)
    equal = [
        msgspec.structs.replace(found.policies[0], name=name, policy=name, retrains=0)
        for name in ("every:6mo", "never")
    ]
    ranked = rank_policies(msgspec.structs.replace(found, policies=tuple(equal)))
    assert [one.name for one in ranked] == ["never", "every:6mo"]


def test_a_loss_of_nothing_turns_into_one_beyond_all_bounds() -> None:
    found = build_findings(policies=2)
    best, other = sorted(found.policies, key=lambda one: one.money)
    given = msgspec.structs.replace(
        found.comparisons[0], a=best.name, b=other.name, difference=-1.0, low=-1.0, high=0.1
    )
    (turned,) = rank_rivals(msgspec.structs.replace(found, comparisons=(given,)))
    assert (turned.difference, turned.high) == (math.inf, math.inf)


def test_directions_of_metrics() -> None:
    assert is_lower_better("wape")
    assert not is_lower_better("auc")
    assert is_lower_better("unheard of")
