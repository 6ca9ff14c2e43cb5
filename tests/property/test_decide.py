"""`decide` is pure: it touches no clock, randomness, file or socket, and repeats itself."""

import os
import random
import socket
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure import watched
from strategies_loop import START, histories

from bucle.loop.decide import Judge, Promote, Refit, Retrain, Wait, decide
from bucle.loop.policy import GATES, make_policy
from bucle.loop.state import fold, state_bytes

POLICIES = st.builds(
    make_policy,
    st.sampled_from(["never", "every:1d", "every:1mo/drift", "gain/performance:+5%", "drift"]),
    gate=st.sampled_from(GATES),
    window=st.sampled_from(["expanding", "last:1y"]),
    price=st.sampled_from([0.0, 10.0]),
)
MOMENTS = st.integers(-400, 4000).map(lambda days: START + timedelta(days=days))


@given(histories(most=25), POLICIES, MOMENTS)
def test_decision_touches_nothing_outside(events, policy, now):
    _, touched = watched(decide, fold(events), policy, now)
    assert touched == []


@given(histories(most=25), POLICIES, MOMENTS)
def test_decision_is_the_same_when_it_is_taken_again(events, policy, now):
    state = fold(events)
    before = state_bytes(state)
    first = decide(state, policy, now)
    assert first == decide(fold(list(events)), policy, now)
    assert state_bytes(state) == before


@given(histories(most=25), POLICIES, MOMENTS)
def test_decision_is_one_action_that_is_not_done_yet(events, policy, now):
    state = fold(events)
    (action,) = decide(state, policy, now)
    assert isinstance(action, (Retrain, Judge, Refit, Promote, Wait))
    assert action.why
    assert isinstance(action, (Judge, Wait)) or action.id not in state.acted


@given(histories(most=25), POLICIES, MOMENTS, st.integers(0, 23))
def test_decision_does_not_depend_on_the_zone_that_the_moment_is_written_in(
    events, policy, now, hours
):
    state = fold(events)
    elsewhere = now.astimezone(timezone(timedelta(hours=hours - 12)))
    assert decide(state, policy, now) == decide(state, policy, elsewhere)


@pytest.mark.parametrize(
    "outside",
    [
        datetime.now,
        time.time,
        time.monotonic,
        random.random,
        random.Random(7).random,
        lambda: os.urandom(1),
        os.getpid,
        lambda: Path("nowhere").exists(),
        lambda: Path(os.devnull).open().close(),
        lambda: socket.socket().close(),
        lambda: datetime.now(UTC),
    ],
)
def test_what_lies_outside_is_seen(outside):
    _, touched = watched(outside)
    assert touched != []
