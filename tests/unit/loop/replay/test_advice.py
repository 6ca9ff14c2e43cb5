"""What a replay recommends, in words."""

import math

import msgspec
from findings_samples import build_findings

from bucle.loop.replay.advice import recommend
from bucle.loop.replay.findings import Comparison, PolicyResult


def two(*, low: float, high: float) -> tuple[tuple[PolicyResult, ...], tuple[Comparison, ...]]:
    """Return a cheap and a dear policy, and what the dear one costs more, with its bounds."""
    found = build_findings(policies=2)
    cheap, dear = (
        msgspec.structs.replace(one, name=name, gate="none", money=money, retrains=retrains)
        for one, name, money, retrains in zip(
            found.policies, ("cheap", "dear"), (100.0, 150.0), (3, 1), strict=True
        )
    )
    pair = msgspec.structs.replace(
        found.comparisons[0], a="dear", b="cheap", money=50.0, money_low=low, money_high=high
    )
    return (cheap, dear), (pair,)


def advise(*, low: float, high: float) -> str:
    results, comparisons = two(low=low, high=high)
    return recommend(results, comparisons, currency="USD", level=0.9)


def test_a_saving_that_is_sure_is_said_with_its_interval() -> None:
    assert advise(low=20.0, high=80.0).startswith("Take cheap: 3 retrains, 100 USD in all.")
    assert "Against dear it saved 50 USD (20 USD to 80 USD, 90% interval)." in advise(
        low=20.0, high=80.0
    )


def test_the_quieter_of_two_that_cannot_be_told_apart_is_taken_and_no_saving_is_claimed() -> None:
    said = advise(low=-20.0, high=80.0)
    assert said.startswith("Take dear: 1 retrain, 150 USD in all. cheap cost 50 USD less")
    assert "cannot be told apart" in said
    assert "saved" not in said


def test_too_few_periods_are_no_saving() -> None:
    said = advise(low=-math.inf, high=math.inf)
    assert "saved" not in said


def test_a_single_policy_is_compared_with_nothing() -> None:
    results, _ = two(low=0.0, high=1.0)
    said = recommend(results[:1], (), currency="USD", level=0.9)
    assert said == "Only cheap was replayed: name another policy to compare it with."
