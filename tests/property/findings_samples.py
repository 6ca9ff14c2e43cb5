"""Findings of a replay as they could have been, for tests of what is shown of them."""

import math
import random
from collections.abc import Iterator

import msgspec

from bucle.loop.replay.findings import (
    Benefit,
    Comparison,
    Drill,
    DrillResult,
    Findings,
    OracleResult,
    PolicyResult,
    Tick,
    Trainings,
)

__all__ = ["build_findings", "edge_cases", "hostile"]

POLICIES = (
    ("never", "none", 0),
    ("every:1mo", "referee", 1),
    ("every:1mo", "none", 1),
    ("every:6mo", "referee", 6),
    ("performance:+15%", "referee", 9),
    ("drift", "referee", 1),
    ("gain", "referee", 7),
    ("gain", "referee+refit", 7),
    ("every:1mo", "referee", 1),
)
RETRAIN, ALARM = 2_500.0, 300.0


def _moments(periods: int, *, daily: bool) -> list[str]:
    if daily:
        return [f"{2012 + n // 360}-{n // 30 % 12 + 1:02}-{n % 30 + 1:02}" for n in range(periods)]
    return [f"{2011 + n // 12}-{n % 12 + 1:02}-01" for n in range(periods)]


def _walk(number: int, every: int, moments: list[str], *, blank: bool) -> Iterator[Tick]:
    chance = random.Random(number)
    age, champion = 0, "m-000000000000"
    for period, at in enumerate(moments):
        did: list[str] = []
        if every and period and period % every == 0:
            did = ["retrain", "judge"]
            if chance.random() < 0.35 or every > 5:
                did.append("promote")
                age, champion = 0, f"m-{number:02x}{period:010x}"
        age += 1
        season = 0.06 * math.sin(period / 1.9) + 0.05 * random.Random(period).gauss(0, 1)
        error = 0.44 + 0.004 * age + season + 0.012 * chance.gauss(0, 1)
        if period == 26:
            error += 0.45
        rows = 20 + period * 3 if not blank else 0
        known = not blank and period not in {9, 10, 40}
        yield Tick(
            at=at,
            rows=rows if known else 0,
            error=round(error, 4) if known else None,
            money=round(error * rows * 1900, 2) if known else 0.0,
            champion=champion,
            did=tuple(did),
            why="a month has passed; the referee saw no gain that is sure" if did else "not due",
            upkeep=(RETRAIN + ALARM) if did else 0.0,
        )


def _policy(number: int, moments: list[str], *, blank: bool) -> PolicyResult:
    policy, gate, every = POLICIES[number % len(POLICIES)]
    window = "last:24mo" if number >= 8 else "expanding"
    timeline = tuple(_walk(number, every, moments, blank=blank))
    errors = [tick.error for tick in timeline if tick.error is not None]
    retrains = sum("retrain" in tick.did for tick in timeline)
    return PolicyResult(
        name=f"{policy} {gate}"
        + (f" {window}" if number >= 8 else "")
        + (f" ({number})" if number >= 9 else ""),
        policy=policy,
        window=window,
        gate=gate,
        error=sum(errors) / len(errors) if errors else None,
        money=sum(tick.money + tick.upkeep for tick in timeline),
        retrains=retrains,
        promotions=sum("promote" in tick.did for tick in timeline),
        bad_promotions=number % 3,
        alarms=retrains,
        false_alarms=retrains // 2,
        regret=0.0,
        timeline=timeline,
    )


def _compare(a: PolicyResult, b: PolicyResult, number: int) -> Comparison:
    difference = a.money / b.money - 1 if b.money else 0.0
    reach = 0.018 + 0.004 * number
    low, high = difference - reach, difference + reach
    verdict = "a is better" if high < 0 else "b is better" if low > 0 else "cannot be told apart"
    gap, spread = a.money - b.money, reach * abs(b.money)
    return Comparison(
        a=a.name,
        b=b.name,
        difference=difference,
        low=low,
        high=high,
        verdict=verdict,
        money=gap,
        money_low=gap - spread,
        money_high=gap + spread,
    )


def build_findings(
    *, policies: int = 9, periods: int = 54, daily: bool = False, blank: bool = False
) -> Findings:
    """Return findings as of a freight project; the same for the same arguments."""
    moments = _moments(periods, daily=daily)
    found = [_policy(number, moments, blank=blank) for number in range(policies)]
    least = [min(one.timeline[period].money for one in found) for period in range(periods)]
    spent = tuple(
        0.985 * money + (RETRAIN if period % 9 == 5 else 0.0) for period, money in enumerate(least)
    )
    oracle = OracleResult(
        money=sum(spent),
        error=None if blank else 0.4412,
        retrains=6,
        champions=("m-000000000000",) * periods,
        spent=spent,
    )
    found = [msgspec.structs.replace(one, regret=one.money - oracle.money) for one in found]
    best = min(found, key=lambda one: one.money)
    others = [one for one in found if one is not best]
    drill = Drill(
        fault="labels-x100:2013-03..2013-05",
        labels=311,
        policies=tuple(
            DrillResult(
                name=one.name,
                error=None if one.error is None else one.error * times,
                clean_error=one.error,
                money=one.money * times,
                clean_money=one.money,
                shipped=shipped,
            )
            for one, (times, shipped) in zip(
                found, [(1.0, 0), (1.012, 0), (8.04, 3), (1.02, 0), (1.33, 1)], strict=False
            )
        ),
    )
    return Findings(
        project="freight",
        metric="wape",
        start=moments[0],
        end="2015-07-01",
        period="1mo",
        periods=periods,
        rows=sum(tick.rows for tick in found[0].timeline),
        level=0.9,
        currency="USD",
        policies=tuple(found),
        # The best stands on either side, as it may.
        comparisons=tuple(
            _compare(one, best, number) if number % 2 else _compare(best, one, number)
            for number, one in enumerate(others)
        ),
        oracle=oracle,
        recommendation=f"Retrain with {best.name}. It cost 1.2 M USD less than never "
        "(90 % interval 1.1 to 1.3 M).\nIt cannot be told apart from every:6mo referee.",
        baselines={"median": 0.8731, "last value": 0.9312},
        labels_by=92.5,
        benefit=Benefit(
            whole=0.129,
            whole_low=0.081,
            whole_high=0.187,
            newer=0.022,
            newer_low=-0.014,
            newer_high=0.058,
            more=0.107,
            more_low=0.061,
            more_high=0.149,
            moments=53,
            labels_at_start=1_214,
            labels_at_end=8_903,
        ),
        drill=drill,
        trainings=Trainings(distinct=62, trained=12, seconds=31.7),
        warnings=("No label came in 3 periods; they count with no error.",),
    )


def hostile(text: str) -> Findings:
    """Return findings in which every text that a project chooses is this one."""
    found = build_findings(policies=3, periods=5)

    def named(one: PolicyResult) -> PolicyResult:
        timeline = tuple(
            msgspec.structs.replace(tick, champion=text, why=text, did=(text,))
            for tick in one.timeline
        )
        return msgspec.structs.replace(
            one, name=text + one.name, policy=text, window=text, gate=text, timeline=timeline
        )

    assert found.drill is not None
    return msgspec.structs.replace(
        found,
        project=text,
        metric=text,
        currency=text,
        period=text,
        start=text,
        end=text,
        recommendation=text,
        policies=tuple(map(named, found.policies)),
        comparisons=tuple(
            msgspec.structs.replace(one, a=text + one.a, b=text + one.b, verdict=text)
            for one in found.comparisons
        ),
        baselines={text: 1.0},
        drill=msgspec.structs.replace(
            found.drill,
            fault=text,
            policies=tuple(
                msgspec.structs.replace(one, name=text + one.name) for one in found.drill.policies
            ),
        ),
        warnings=(text,),
    )


def _scaled(times: float) -> Findings:
    found = build_findings(policies=4, periods=12)

    def stretch(one: PolicyResult) -> PolicyResult:
        timeline = tuple(
            msgspec.structs.replace(
                tick,
                money=tick.money * times,
                error=None if tick.error is None else tick.error * times,
            )
            for tick in one.timeline
        )
        return msgspec.structs.replace(
            one,
            money=one.money * times,
            error=(one.error or 0) * times,
            regret=one.regret * times,
            timeline=timeline,
        )

    return msgspec.structs.replace(
        found,
        policies=tuple(map(stretch, found.policies)),
        comparisons=tuple(
            msgspec.structs.replace(
                one,
                money=one.money * times,
                money_low=one.money_low * times,
                money_high=one.money_high * times,
                difference=7.3,
                low=0.002,
                high=41.0,
            )
            for one in found.comparisons
        ),
        oracle=msgspec.structs.replace(found.oracle, money=found.oracle.money * times, spent=()),
    )


def edge_cases() -> dict[str, Findings]:
    """Return findings at the borders of what can be found, by what is odd about them."""
    whole = build_findings(policies=4, periods=12)
    return {
        "one policy": build_findings(policies=1),
        "one period": build_findings(periods=1),
        "two periods": build_findings(periods=2),
        "no label": build_findings(blank=True),
        "no policy": msgspec.structs.replace(whole, policies=(), comparisons=(), drill=None),
        "no drill": msgspec.structs.replace(whole, drill=None, benefit=None, baselines={}),
        "twenty policies": build_findings(policies=20),
        "daily": build_findings(policies=7, periods=400, daily=True),
        "huge": _scaled(1e290),
        "largest": _scaled(float("inf")),
        "not a number": _scaled(float("nan")),
        "tiny": _scaled(1e-290),
        "all the same": _scaled(0.0),
        "long names": hostile("long-name/" * 30),
    }
