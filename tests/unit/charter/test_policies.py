"""Policies: short texts become triggers with amounts."""

import pytest

from bucle.charter.policies import Trigger, parse_policy
from bucle.errors import CharterError


@pytest.mark.parametrize(
    ("text", "triggers"),
    [
        ("never", ()),
        ("every:2w", (Trigger(kind="every", amount=2, unit="w"),)),
        ("every:1mo", (Trigger(kind="every", amount=1, unit="mo"),)),
        ("performance:+12.5%", (Trigger(kind="performance", amount=0.125),)),
        ("drift:0.5", (Trigger(kind="drift", amount=0.5),)),
        (
            "drift/gain/every:1y",
            (
                Trigger(kind="drift", amount=0.2),
                Trigger(kind="gain"),
                Trigger(kind="every", amount=1, unit="y"),
            ),
        ),
        ("age:90d", (Trigger(kind="age", amount=90, unit="d"),)),
        ("data:+20%", (Trigger(kind="data", amount=0.2),)),
        (
            "harm/regret/code",
            (Trigger(kind="harm"), Trigger(kind="regret"), Trigger(kind="code")),
        ),
        ("cron:0 6 * * mon-fri", (Trigger(kind="cron", expression="0 6 * * mon-fri"),)),
        (
            "harm/cron:*/15 8-18/2 * * */2/drift:0.3/cron:0  6 1 * */age:1y",
            (
                Trigger(kind="harm"),
                Trigger(kind="cron", expression="*/15 8-18/2 * * */2"),
                Trigger(kind="drift", amount=0.3),
                Trigger(kind="cron", expression="0 6 1 * *"),
                Trigger(kind="age", amount=1, unit="y"),
            ),
        ),
    ],
)
def test_reads_each_form(text: str, triggers: tuple[Trigger, ...]) -> None:
    assert parse_policy(text).triggers == triggers
    written = "/".join(trigger.text for trigger in triggers) or "never"
    assert parse_policy(written).triggers == triggers


@pytest.mark.parametrize(
    ("text", "near"),
    [("drifft", "drift"), ("hram", "harm"), ("data:+20", "data:+20%"), ("age:90", "age:90d")],
)
def test_suggests_the_nearest_of_all_forms(text: str, near: str) -> None:
    with pytest.raises(CharterError) as caught:
        parse_policy(f"gain/{text}")
    assert near in caught.value.did_you_mean


@pytest.mark.parametrize("text", ["harm:2", "age:0d", "data:+0%", "data:20%", "code/", "/harm"])
def test_refuses_what_is_no_trigger(text: str) -> None:
    with pytest.raises(CharterError) as caught:
        parse_policy(text)
    assert caught.value.code == "bucle-119"


def test_a_schedule_that_cannot_be_read_says_which_field() -> None:
    with pytest.raises(CharterError, match="between 0 and 23") as caught:
        parse_policy("harm/cron:0 25 * * */gain")
    assert caught.value.code == "bucle-195"


def test_suggests_the_nearest_form() -> None:
    with pytest.raises(CharterError) as caught:
        parse_policy("drifft")
    assert caught.value.did_you_mean == ("drift",)
    assert caught.value.code == "bucle-119"
