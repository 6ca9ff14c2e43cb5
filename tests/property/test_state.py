"""The state is a fold: of the log alone, wherever it is split, however often events arrive."""

import itertools
import json
import os
import subprocess
import sys

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_loop import FACTS, START, histories, sealed, without_place

from bucle.clock import FixedClock
from bucle.loop.events import KINDS, draft_fact, read_fact
from bucle.loop.narration import tell_event
from bucle.loop.state import fold, state_bytes
from bucle.models.registry import champion
from bucle.store.memory_log import MemoryLog


@given(FACTS)
def test_fact_reads_back_as_it_was_written(fact):
    (event,) = sealed([draft_fact(fact, clock=FixedClock(START), actor="ana", cause="c")])
    assert read_fact(event) == fact
    assert (event.kind, event.version) == (type(fact).kind, type(fact).version)


@given(FACTS, st.dictionaries(st.just("a_later_field"), st.integers(), min_size=1))
def test_fields_of_a_later_writer_are_passed_over(fact, more):
    draft = draft_fact(fact, clock=FixedClock(START), actor="ana")
    (event,) = sealed([msgspec.structs.replace(draft, body=draft.body | more)])
    assert read_fact(event) == fact


@given(histories())
def test_folding_twice_gives_the_same_bytes(events):
    assert state_bytes(fold(events)) == state_bytes(fold(list(events)))


@given(histories())
def test_fold_reads_its_events_once_and_in_order(events):
    assert state_bytes(fold(iter(events))) == state_bytes(fold(events))


@given(histories(), st.integers(0, 12))
def test_fold_of_the_first_events_is_the_state_of_that_day(events, count):
    early = fold(events[:count])
    assert early.position == min(count, len(events))
    assert early.head == (events[: early.position][-1].hash if early.position else "")


@given(histories(), st.data())
def test_events_delivered_again_change_nothing(events, data):
    again = [
        copy
        for at, event in enumerate(events)
        for copy in (event, *data.draw(st.lists(st.sampled_from(events[: at + 1]), max_size=2)))
    ]
    assert state_bytes(fold(again)) == state_bytes(fold(events))


@given(FACTS)
def test_fact_said_twice_in_a_row_is_true_once(fact):
    drafts = [draft_fact(fact, clock=FixedClock(START), actor="ana")] * 2
    once, twice = (fold(sealed(drafts[:count])) for count in (1, 2))
    if fact.kind == "data_added":
        assert once.datasets[fact.dataset].current == twice.datasets[fact.dataset].current
        assert once.datasets[fact.dataset].versions == twice.datasets[fact.dataset].versions
    else:
        assert without_place(once) == without_place(twice)


@given(histories())
def test_kinds_and_versions_that_are_not_known_are_counted_and_kept(events):
    state = fold(events)
    strange = [event for event in events if read_fact(event) is None]
    assert sum(state.unknown.values()) == len(strange)
    assert set(state.unknown) == {event.kind for event in strange}
    assert all(tell_event(event) for event in events)


@given(histories())
def test_at_most_one_champion_at_any_time(events):
    state = fold(events)
    lasting = [tenure for tenure in state.tenures if tenure.until is None]
    assert len(lasting) == (1 if state.tenures else 0)
    assert champion(state.tenures) == (lasting[-1] if lasting else None)
    for earlier, later in itertools.pairwise(state.tenures):
        assert earlier.until == later.since
        assert earlier.model != later.model


@given(histories())
def test_every_event_is_told_in_one_line(events):
    texts = [tell_event(event) for event in events]
    assert all(text.strip() for text in texts)
    assert all(
        event.kind in text
        for event, text in zip(events, texts, strict=True)
        if (event.kind not in KINDS)
    )


def test_bytes_are_the_same_in_every_process_zone_and_locale(tmp_path):
    log = MemoryLog()
    events = _example_events(log)
    expected = state_bytes(fold(events))
    kept = tmp_path / "events.json"
    kept.write_text(json.dumps(msgspec.to_builtins(events)))
    program = (
        "import msgspec, sys, pathlib\n"
        "from bucle.loop.state import fold, state_bytes\n"
        "from bucle.types import Event\n"
        "events = msgspec.json.decode(pathlib.Path(sys.argv[1]).read_bytes(), type=list[Event])\n"
        "sys.stdout.buffer.write(state_bytes(fold(events)))\n"
    )
    for seed, zone, place in (("0", "UTC", "C"), ("77", "Asia/Kolkata", "es_ES.UTF-8")):
        surroundings = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": place}
        done = subprocess.run(
            [sys.executable, "-c", program, kept],
            env=os.environ | surroundings,
            capture_output=True,
            check=True,
        )
        assert done.stdout == expected


@settings(max_examples=10)
@given(st.lists(FACTS, min_size=8, max_size=8))
def test_bytes_say_everything_and_read_back(facts):
    clock = FixedClock(START)
    state = fold(sealed([draft_fact(fact, clock=clock, actor="ana") for fact in facts]))
    assert msgspec.json.decode(state_bytes(state), type=type(state)) == state


def _example_events(log):
    clock = FixedClock(START)
    examples = [
        *(("data_added", {"dataset": name}) for name in ("sales", "brands", "zebra", "Ñandú")),
        ("run_started", {"run": "r-1"}),
        ("promoted", {"model": "m-a", "because": "so"}),
    ]
    blanks = {
        "data_added": {
            **dict.fromkeys(("data_version", "table_version", "rows", "read", "added"), 1),
            **dict.fromkeys(("changed", "unchanged", "quarantined"), 0),
            "fingerprint": "f",
        },
        "run_started": {"source": "", "environment": "", "seed": 1}
        | {"parameters": {"b": {"z": 1, "a": 2}, "a": {}}, "datasets": {"y": "1", "x": "2"}},
        "promoted": {},
    }
    for kind, fields in examples:
        fact = msgspec.convert(blanks[kind] | fields, KINDS[kind])
        log.append([draft_fact(fact, clock=clock, actor="ana")])
        clock.advance(1)
    return list(log.read())
