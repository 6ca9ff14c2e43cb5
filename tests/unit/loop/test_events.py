"""Facts enter the log as drafts and come back as they were, or are left alone."""

from datetime import UTC, datetime

import pytest

from bucle.clock import FixedClock
from bucle.errors import LogError
from bucle.loop.events import KINDS, DataAdded, Promoted, draft_fact, read_fact
from bucle.store.memory_log import MemoryLog
from bucle.types import Draft

CLOCK = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))


def logged(**fields):
    draft = Draft(at="2026-01-02T00:00:00.000000Z", actor="ana", **fields)
    (event,) = MemoryLog().append([draft])
    return event


def test_kinds_are_named_as_their_classes():
    assert sorted(KINDS) == [
        "alarm_raised",
        "alarm_resolved",
        "approved",
        "challenger_seen",
        "code_seen",
        "data_added",
        "data_refused",
        "decided",
        "deployed",
        "drift_measured",
        "gain_estimated",
        "log_repaired",
        "paused",
        "promoted",
        "refitted",
        "resumed",
        "retrain_asked",
        "rolled_back",
        "run_finished",
        "run_started",
        "verdict_given",
        "window_judged",
        "withdrawn",
    ]


def test_draft_carries_who_when_and_why():
    fact = Promoted(model="m-1", because="the gate passed")
    draft = draft_fact(fact, clock=CLOCK, actor="ana", cause="abc")
    assert (draft.kind, draft.version, draft.actor, draft.cause, draft.at) == (
        "promoted",
        1,
        "ana",
        "abc",
        "2026-01-02T00:00:00.000000Z",
    )


def test_unknown_kind_is_left_alone():
    assert read_fact(logged(kind="shadowed", body={"model": "m-1"})) is None


def test_later_version_of_a_known_kind_is_left_alone():
    event = logged(kind="promoted", version=2, body={"model": "m-1", "because": "so"})
    assert read_fact(event) is None


def test_missing_fields_take_their_default():
    event = logged(kind="promoted", body={"model": "m-1", "because": "so"})
    assert read_fact(event) == Promoted(model="m-1", because="so", verdict="", previous=None)


@pytest.mark.parametrize("body", [{}, {"model": 3, "because": "so"}, {"model": "m-1"}])
def test_body_that_does_not_fit_is_an_error_that_names_the_event(body):
    with pytest.raises(LogError, match="event 1") as caught:
        read_fact(logged(kind="promoted", body=body))
    assert caught.value.code == "bucle-232"


def test_origin_is_one_of_two():
    body = dict.fromkeys(
        ("data_version", "table_version", "rows", "read", "added", "changed", "unchanged"), 1
    )
    body |= {"dataset": "sales", "fingerprint": "f", "quarantined": 0}
    assert isinstance(read_fact(logged(kind="data_added", body=body)), DataAdded)
    with pytest.raises(LogError, match="data_added"):
        read_fact(logged(kind="data_added", body=body | {"origin": "a guess"}))
