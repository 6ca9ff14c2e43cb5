"""Policies that history answers, and those that it does not."""

from typing import get_args

import pytest

from bucle.charter.policies import Kind, parse_policy
from bucle.errors import BucleError, RequestError
from bucle.loop.replay.answerable import ANSWERED, require_answers, shortest_days

TEXTS = {
    "every": "every:1mo",
    "performance": "performance:+15%",
    "age": "age:90d",
    "data": "data:+20%",
    "cron": "cron:0 6 * * mon",
}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_trigger_is_answered_or_says_why_not(kind: str) -> None:
    text = TEXTS.get(kind, kind)
    if kind in ANSWERED:
        require_answers(f"{text}/gain")
        return
    with pytest.raises(RequestError) as caught:
        require_answers(f"gain/{text}", others=["never", f"gain/{text}", "drift"])
    assert caught.value.code == "bucle-198"
    assert caught.value.cause
    assert caught.value.attempt == "bucle replay --policy never --policy drift"


def test_proposes_policies_where_all_that_were_asked_for_need_a_live_project() -> None:
    with pytest.raises(RequestError) as caught:
        require_answers("harm", others=["harm"])
    assert "--policy every:1mo" in caught.value.attempt


def test_what_is_no_policy_is_told_as_such() -> None:
    with pytest.raises(BucleError) as caught:
        require_answers("harmm")
    assert caught.value.did_you_mean == ("harm",)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("every:2w", 14.0),
        ("age:90d", 90.0),
        ("cron:0 6 * * *", 1.0),
        ("cron:0 6 * * mon-fri", 1.0),
        ("cron:0 6 * * mon", 7.0),
        ("cron:0 6,18 1 * *", 0.5),
        ("gain", 0.0),
        ("drift", 0.0),
    ],
)
def test_a_calendar_says_how_often_it_asks(text: str, days: float) -> None:
    (trigger,) = parse_policy(text).triggers
    assert shortest_days(trigger, zone="UTC") == days
