"""What goes between the controller and the process of a job."""

import msgspec
import pytest
from state_samples import crowned, ended, window

from bucle.loop.live.orders import Answer, Order, facts_of, written
from bucle.types import Lease


def test_facts_come_back_from_an_answer_as_they_were():
    facts = (crowned(), ended(), window())
    content = msgspec.json.encode(Answer(facts=written(facts)))
    assert facts_of(msgspec.json.decode(content, type=Answer)) == facts


def test_order_comes_through_whole():
    order = Order(
        kind="see",
        root="/srv/shop",
        details={"baked_s": 2.5},
        overrides=("deploy.pairs=1",),
        fence=Lease(name="loop", holder="a:1", token=3, beat=9),
    )
    assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order


def test_what_is_no_fact_is_refused():
    with pytest.raises(msgspec.ValidationError):
        facts_of(Answer(facts=({"kind": "promoted", "body": {"model": 7}},)))
