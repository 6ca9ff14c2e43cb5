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
    ],
)
def test_reads_each_form(text: str, triggers: tuple[Trigger, ...]) -> None:
    assert parse_policy(text).triggers == triggers


def test_suggests_the_nearest_form() -> None:
    with pytest.raises(CharterError) as caught:
        parse_policy("drifft")
    assert caught.value.did_you_mean == ("drift",)
    assert caught.value.code == "bucle-119"
