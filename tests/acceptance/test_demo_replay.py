"""The demo's store replayed from the command line."""

import pytest
from calls import bucle


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    bucle("new", "demo", "--template", "consignment", at=folder)
    return folder / "demo"


@pytest.mark.thorough
def test_a_few_weeks_of_the_store_are_lived_through(demo):
    words = ("--from", "2025-08-11", "--policy", "every:4w", "--gate", "none", "--explore", "0.15")
    found = bucle("replay", "--json", *words, at=demo).json
    (one,) = found["policies"]
    assert found["periods"] == 8
    assert found["recorded_share"] < 0.8 < one["share"] < one["plain_share"] < 1.0
    assert one["retrains"] == 1
    assert one["regret"] == one["money"] > 0.0


@pytest.mark.slow
def test_two_years_of_the_store_without_an_option(demo):
    found = bucle("replay", "--json", at=demo).json
    policies = {one["name"]: one for one in found["policies"]}
    assert found["periods"] == 104
    assert len(policies) == 7
    never, often, moved = (policies[name] for name in ("never", "every:8w", "every:8w explore 15%"))
    assert found["recorded_share"] + 0.05 < never["share"] < often["share"] - 0.03
    assert moved["share"] < moved["plain_share"]
    assert found["oracle"]["money"] == 0.0
    short = bucle("replay", "--json", "--to", "2024-09-30", "--policy", "every:8w", at=demo).json
    exact = ("at", "rows", "money", "upkeep", "champion", "did", "why")
    for one in short["policies"]:
        whole = policies[one["name"]]["timeline"]
        for tick, same in zip(one["timeline"], whole, strict=False):
            assert [tick[name] for name in exact] == [same[name] for name in exact]
