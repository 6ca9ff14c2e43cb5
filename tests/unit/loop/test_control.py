"""The controller: what it looks at, does and writes down, alone or beside others."""

import pytest
from state_samples import NOW, began, crowned, drift, ended, judged

from bucle.clock import FixedClock
from bucle.errors import RequestError, StalePositionError
from bucle.loop.control import Controller
from bucle.loop.decide import Judge, Promote, Retrain
from bucle.loop.events import Decided, draft_fact, read_fact
from bucle.loop.policy import make_policy
from bucle.models.registry import champion
from bucle.store.memory_log import MemoryLog

DAILY = make_policy("every:1d")


class Town:
    """A world in which training always gives a model that passes."""

    def __init__(self, *seen):
        self.seen = list(seen)
        self.done = []

    def observe(self, state, now):
        del state, now
        facts, self.seen = self.seen, []
        return facts

    def perform(self, action, state, now):
        del state, now
        self.done.append(action)
        if isinstance(action, Retrain):
            run = f"r-{action.id}"
            return [began(run, asked=action.id), ended(run, "m-1", action=action.id)]
        if isinstance(action, Judge):
            return [
                judged(
                    run=action.run,
                    model=action.model,
                    champion=action.champion,
                    action=action.id,
                )
            ]
        return [crowned(action.model, action=action.id, previous=action.previous)]


def facts_of(log):
    return [read_fact(event) for event in log.read()]


def write(log, *facts):
    log.append([draft_fact(fact, clock=FixedClock(NOW), actor="ana") for fact in facts])


def test_look_acts_until_nothing_is_left_and_says_what_it_did():
    log, town = MemoryLog(), Town()
    look = Controller(town, DAILY, log).look(NOW)
    assert [type(action) for action in look.did] == [Retrain, Judge, Promote]
    assert look.why == "nothing was trained yet; it was promoted"
    assert facts_of(log)[-1] == Decided(
        policy="every:1d referee",
        did=("retrain", "judge", "promote"),
        why=look.why,
        settled="it was promoted",
    )


def test_look_that_does_nothing_is_on_record_with_its_reason():
    log = MemoryLog()
    look = Controller(Town(), make_policy("never"), log).look(NOW)
    assert look.did == ()
    assert facts_of(log) == [Decided(policy="never referee", did=(), why=look.why)]


def test_facts_carry_the_moment_the_actor_and_the_action_that_caused_them():
    log, town = MemoryLog(), Town(drift())
    Controller(town, DAILY, log, actor="loop-7").look(NOW)
    events = list(log.read())
    assert {event.actor for event in events} == {"loop-7"}
    assert {event.at for event in events} == {"2026-03-01T00:00:00.000000Z"}
    assert [event.cause for event in events] == [
        "",
        *(action.id for action in (town.done[0], town.done[0], town.done[1], town.done[2])),
        "",
    ]


def test_what_is_seen_counts_in_the_same_look():
    log = MemoryLog()
    write(log, crowned("m-0"))
    controller = Controller(Town(drift("2026-03-02")), make_policy("drift", gate="none"), log)
    assert [type(action) for action in controller.look(NOW).did] == [Retrain, Promote]
    assert champion(controller.state.tenures).model == "m-1"


def test_controller_made_again_on_the_log_goes_on_with_what_was_lost():
    log, town = MemoryLog(), Town()
    write(log, began("r-a-1", asked="a-1"))
    look = Controller(town, make_policy("never"), log).look(NOW)
    assert town.done[0].id == "a-1"
    assert isinstance(look.did[0], Retrain)


def test_look_begins_with_what_others_wrote():
    log, town = MemoryLog(), Town()
    controller = Controller(town, make_policy("never"), log)
    write(log, crowned("m-0"))
    controller.look(NOW)
    assert champion(controller.state.tenures).model == "m-0"


class Crowd(Town):
    """A town in which somebody writes to the log while an action is performed."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def perform(self, action, state, now):
        effect = super().perform(action, state, now)
        if len(self.done) == 1:
            write(self.log, drift())
        return effect


def test_effect_of_an_action_that_others_overtook_does_not_count_and_the_next_look_goes_on():
    log = MemoryLog()
    crowd = Crowd(log)
    controller = Controller(crowd, DAILY, log)
    with pytest.raises(StalePositionError):
        controller.look(NOW)
    assert [fact.kind for fact in facts_of(log)] == ["drift_measured"]
    controller.look(NOW)
    assert crowd.done[0].id == crowd.done[1].id
    assert champion(controller.state.tenures).model == "m-1"


class Forgetful(Town):
    """A town whose effects never become facts."""

    def perform(self, action, state, now):
        super().perform(action, state, now)
        return []


def test_effects_that_never_get_on_record_end_the_look_with_one_helpful_error():
    log = MemoryLog()
    with pytest.raises(RequestError, match="Cannot settle retrain under the policy") as caught:
        Controller(Forgetful(), DAILY, log).look(NOW)
    assert caught.value.code == "bucle-253"


class Halting(Town):
    """A town where the start of a run is on record before its end, as with a real process."""

    def perform(self, action, state, now):
        effect = super().perform(action, state, now)
        is_new = isinstance(action, Retrain) and not state.runs
        return effect[:1] if is_new else effect


def test_action_that_takes_two_steps_is_told_once():
    town = Halting()
    look = Controller(town, make_policy("every:1d", gate="none"), MemoryLog()).look(NOW)
    assert [type(action) for action in town.done] == [Retrain, Retrain, Promote]
    assert [type(action) for action in look.did] == [Retrain, Promote]
