"""What a loop decided is decided again, on its recorded log and nothing else."""

from datetime import UTC, datetime

import msgspec
import pytest

from bucle.clock import FixedClock
from bucle.loop.decide import decide
from bucle.loop.events import Decided, Fact, RetrainAsked, RunFinished, RunStarted, draft_fact
from bucle.loop.policy import make_policy
from bucle.loop.state import State
from bucle.store.memory_log import MemoryLog
from bucle.testing.options import draw_options
from bucle.testing.people import PERSON
from bucle.testing.recorded import decide_again
from bucle.testing.simulator import Life
from bucle.types import Event

SEEDS = range(40)


def lived(seed: int) -> Life:
    options = msgspec.structs.replace(draw_options(seed), days=60)
    life = Life(options)
    life.live()
    return life


@pytest.mark.parametrize("seed", SEEDS)
def test_a_recorded_life_gives_the_same_decisions(seed: int) -> None:
    life = lived(seed)
    taken, different = decide_again(life.log.kept.read(), life.options.rules, people={PERSON})
    assert different == ()
    acted = {str(one.body.get("action")) for one in life.log.kept.read() if one.actor != PERSON}
    assert len(taken) >= len(acted - {"", "None"})


def test_a_training_may_come_on_record_after_another_reason_for_one() -> None:
    policy = make_policy("every:1mo")
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    (action,) = decide(State(), policy, clock.now())

    def record(*facts: tuple[str, Fact]) -> list[Event]:
        log = MemoryLog()
        for actor, fact in facts:
            log.append([draft_fact(fact, clock=clock, actor=actor)])
        return list(log.read())

    decided = ("loop", Decided(policy=policy.text, did=("retrain",), why=action.why))
    asked = (PERSON, RetrainAsked(because="to begin with"))
    began = RunStarted(
        run="r-1", source="s", environment="", seed=0, parameters={}, datasets={}, asked=action.id
    )
    ended = RunFinished(action=action.id, run="r-1", state="failed", steps=(), metrics={})
    facts = (asked, ("loop", began), ("loop", ended))
    taken, different = decide_again(record(decided, *facts), policy, people={PERSON})
    assert taken[0] == "retrain"
    assert different == ()
    # Had no look decided on it before the person asked, nobody would have begun it.
    _, different = decide_again(record(*facts), policy, people={PERSON})
    assert [one.effect for one in different] == ["run_started"]


@pytest.mark.thorough
def test_another_policy_would_have_decided_otherwise() -> None:
    found = 0
    for seed in SEEDS:
        events = lived(seed).log.kept.read()
        found += len(decide_again(events, make_policy("never"), people={PERSON})[1])
    assert found > len(SEEDS)


@pytest.mark.thorough
def test_a_decision_that_nobody_took_is_told() -> None:
    def forged(event: Event) -> Event:
        if event.kind != "promoted" or event.actor == PERSON:
            return event
        return msgspec.structs.replace(event, body=event.body | {"action": f"a-{event.position}"})

    promotions = 0
    for seed in SEEDS:
        life = lived(seed)
        events = list(life.log.kept.read())
        acts = [one for one in events if one.kind == "promoted" and one.actor != PERSON]
        _, different = decide_again(map(forged, events), life.options.rules, people={PERSON})
        promotions += len(acts)
        told = {one.position for one in different}
        assert {one.position for one in acts} <= told
    assert promotions > 0
