"""Alarms that end because another model answers: an event of their own says so, and why."""

from datetime import timedelta

import pytest
from state_samples import NOW, alarm, began, crowned, ended, judged, made

from bucle.clock import FixedClock
from bucle.loop.alarms.closing import alarms_ended_by
from bucle.loop.alarms.messages import MessageFold
from bucle.loop.control import Controller
from bucle.loop.events import draft_fact, read_fact
from bucle.loop.policy import make_policy
from bucle.store.memory_log import MemoryLog

OPEN = (crowned("m-0"), alarm(), alarm("brand", layer="inputs"), alarm("volume", layer="contract"))
WHY = "m-1 is champion now, and this was seen of m-0"


def test_errors_and_inputs_of_the_one_before_are_over_and_the_contract_stays():
    over = alarms_ended_by(made(*OPEN), "m-1")
    assert [(one.name, one.why) for one in over] == [("harm: loss", WHY), ("inputs: brand", WHY)]


@pytest.mark.parametrize("facts", [OPEN[1:], (*OPEN, crowned("m-1"))])
def test_nothing_is_over_where_no_other_model_answers(facts):
    assert alarms_ended_by(made(*facts), "m-1") == ()


class Town:
    """A world in which a model is trained, judged and promoted as it is asked for."""

    def observe(self, state, now):
        del state, now
        return []

    def perform(self, action, state, now):
        del state, now
        match action.name:
            case "retrain":
                run = f"r-{action.id}"
                return [began(run, asked=action.id), ended(run, "m-1", action=action.id)]
            case "judge":
                verdict = {"run": action.run, "model": action.model, "champion": action.champion}
                return [judged(action=action.id, **verdict)]
        return [crowned(action.model, action=action.id, previous=action.previous)]


def test_loop_puts_the_end_of_alarms_on_record_with_the_promotion():
    log = MemoryLog()
    before = FixedClock(NOW - timedelta(days=9))
    log.append([draft_fact(fact, clock=before, actor="ana") for fact in OPEN])
    controller = Controller(Town(), make_policy("every:1d"), log)
    controller.look(NOW)
    facts = [read_fact(event) for event in log.read()]
    place = next(at for at, fact in enumerate(facts) if fact.kind == "promoted" and at)
    assert [one.name for one in facts[place + 1 : place + 3]] == ["harm: loss", "inputs: brand"]
    assert set(controller.state.alarms) == {"contract: volume"}
    told = MessageFold("shop")
    said = [one for event in log.read() for one in told.apply(event)]
    assert [(one.status, one.why) for one in said[3:]] == [("resolved", WHY), ("resolved", WHY)]
    assert controller.look(NOW).did == ()
