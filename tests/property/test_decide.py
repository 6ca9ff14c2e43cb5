"""`decide` is pure: it touches no clock, randomness, file or socket, and repeats itself."""

import os
import random
import socket
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pure import watched
from state_samples import crowned, deployed, ran, seen
from strategies_loop import SERVING, START, histories, sealed

from bucle.clock import FixedClock
from bucle.loop.decide import (
    Deploy,
    Judge,
    Promote,
    Refit,
    Retrain,
    RollBack,
    Wait,
    Withdraw,
    decide,
)
from bucle.loop.events import draft_fact
from bucle.loop.policy import GATES, make_policy
from bucle.loop.rollout import Rollout
from bucle.loop.spans import parse_span
from bucle.loop.state import fold, state_bytes
from bucle.types import Draft

TEXTS = [
    "never",
    "every:1d",
    "every:1mo/drift",
    "gain/performance:+5%",
    "drift",
    "harm/age:30d",
    "cron:0 6 * * mon/code",
    "data:+20%/regret",
]
ROLLOUTS = st.sampled_from(
    [None, Rollout(), Rollout(shares=()), Rollout(shares=(0.05,), pairs=1, requests=1, bake_s=0.0)]
)


@st.composite
def policies(draw):
    """Return a policy: triggers, a gate, and the limits and people of a loop that serves."""
    made = make_policy(
        draw(st.sampled_from(TEXTS)),
        gate=draw(st.sampled_from(GATES)),
        window=draw(st.sampled_from(["expanding", "last:1y"])),
        price=draw(st.sampled_from([0.0, 10.0])),
    )
    return msgspec.structs.replace(
        made,
        rollout=draw(ROLLOUTS),
        approval=draw(st.sampled_from([(), ("business",)])),
        cooldown=draw(st.sampled_from([None, parse_span("1d")])),
        most_per_month=draw(st.sampled_from([None, 1])),
        promote=draw(st.sampled_from(["auto", "ask"])),
        zone=draw(st.sampled_from(["UTC", "Europe/Madrid"])),
    )


POLICIES = policies()
ACTIONS = (Retrain, Judge, Refit, Promote, Deploy, Withdraw, RollBack, Wait)
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
    assert isinstance(action, ACTIONS)
    assert action.why
    assert isinstance(action, (Judge, Wait)) or action.id not in state.acted


# A champion, a candidate beside it on its way or the champion before: most paths lead from there.
BEGUN = st.sampled_from(
    [
        [*ran("r-1", "m-a"), crowned("m-a"), *ran("r-2", "m-b")],
        [crowned("m-a"), *ran("r-2", "m-b"), deployed("m-b", champion="m-a", run="r-2")],
        [crowned("m-b"), crowned("m-a"), deployed("m-b", champion="m-a", run="", is_former=True)],
        [crowned("m-a"), deployed("m-b", champion="m-a", run="")],
    ]
)


@given(BEGUN, histories(most=8, facts=SERVING), st.booleans(), POLICIES, MOMENTS)
def test_decision_on_what_serves_touches_nothing_and_is_the_same_again(
    begun, events, is_seen, policy, now
):
    facts = [*begun, *([seen("m-b", champion="m-a")] if is_seen else [])]
    before = [draft_fact(fact, clock=FixedClock(START), actor="loop") for fact in facts]
    after = [msgspec.convert(msgspec.to_builtins(event), Draft) for event in events]
    state = fold(sealed([*before, *after]))
    kept = state_bytes(state)
    (action,), touched = watched(decide, state, policy, now)
    assert touched == []
    assert decide(state, policy, now) == (action,)
    assert state_bytes(state) == kept
    assert isinstance(action, ACTIONS)
    if state.paused is not None:
        assert isinstance(action, (Withdraw, RollBack, Wait))
    # What steps that are gone have begun is guarded still; nothing new is begun.
    if policy.rollout is None and state.deployment is None:
        assert not isinstance(action, (Deploy, Withdraw, RollBack))


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
