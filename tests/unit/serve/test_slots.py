"""Which model answers a key."""

from itertools import pairwise
from typing import Any

import pytest

from bucle.serve.slots import Served, Slots, stable_share

KEYS = [f"key-{number}" for number in range(4000)]


def served(model: str) -> Served:
    # Choosing looks at names only.
    nothing: Any = None
    return Served(model=model, package=nothing, reader=nothing, engine=nothing)


def of_canary(share: float, *, canary: str = "m-2") -> set[str]:
    slots = Slots(champion=served("m-1"), challenger=served(canary), share=share)
    return {key for key in KEYS if slots.choose(key).model == canary}


def test_without_a_canary_the_champion_answers_all() -> None:
    slots = Slots(champion=served("m-1"), share=1.0)
    assert {slots.choose(key).model for key in KEYS} == {"m-1"}
    assert [one.model for one in slots.all] == ["m-1"]


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (1.0, 4000, 4000)])
def test_nothing_and_everything_are_exact(share: float, least: int, most: int) -> None:
    assert least <= len(of_canary(share)) <= most


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.9])
def test_a_share_is_about_that_part_of_the_keys(share: float) -> None:
    expected = share * len(KEYS)
    deviation = (expected * (1 - share)) ** 0.5
    assert abs(len(of_canary(share)) - expected) < 4 * deviation


def test_a_key_is_always_answered_by_the_same_model() -> None:
    assert of_canary(0.3) == of_canary(0.3)


def test_a_share_that_grows_keeps_the_keys_it_had() -> None:
    parts = [of_canary(share) for share in (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)]
    assert all(small <= large for small, large in pairwise(parts))


def test_two_canaries_meet_different_keys() -> None:
    first, second = of_canary(0.1), of_canary(0.1, canary="m-3")
    assert len(first & second) < len(first) / 2


def test_the_share_of_a_key_is_the_same_in_every_process_and_version() -> None:
    assert stable_share("key-1", "m-1") == 0.6415
    assert stable_share("😀\ud800", "m-1") == stable_share("😀\ud800", "m-1")


def test_the_champion_comes_first() -> None:
    slots = Slots(champion=served("m-1"), challenger=served("m-2"), share=0.5)
    assert [one.model for one in slots.all] == ["m-1", "m-2"]
