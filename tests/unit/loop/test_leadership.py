"""Leading: signs of life, taking over, being replaced; with a clock that is moved by hand."""

from datetime import UTC, datetime

import pytest

from bucle.clock import FixedClock
from bucle.errors import FencedError
from bucle.loop.leadership import Leadership
from bucle.store.memory_log import MemoryLog
from bucle.testing.samples import draft

LEASE_S = 9.0


@pytest.fixture
def clock():
    return FixedClock(datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def log():
    return MemoryLog()


@pytest.fixture
def join(log, clock):
    return lambda holder: Leadership(
        log.leases, "loop", holder=holder, clock=clock, lease_s=LEASE_S
    )


def test_the_first_leads_and_the_second_stands_by(join) -> None:
    first, second = join("a"), join("b")
    assert (first.look(), second.look()) == ("leads", "stands by")
    assert (first.leader, second.leader) == ("a", "a")
    assert first.lease is not None
    assert second.lease is None


def test_nobody_takes_over_while_the_leader_lives(join, clock) -> None:
    first, second = join("a"), join("b")
    for _ in range(100):
        assert (first.look(), second.look()) == ("leads", "stands by")
        clock.advance(1.0)
    assert first.lease.token == 1
    # Three signs of life a lease time.
    assert first.lease.beat == 33


def test_a_leader_gives_no_more_signs_of_life_than_are_due(join, clock, log) -> None:
    first = join("a")
    for _ in range(1000):
        first.look()
        clock.advance(0.009)
    assert log.leases.read("loop").beat == 2


@pytest.mark.parametrize("tick_s", [0.5, 3.0, 9.0])
def test_a_dead_leader_is_followed_within_three_lease_times(join, clock, log, tick_s) -> None:
    first, second = join("a"), join("b")
    first.look()
    second.look()
    waited = 0.0
    while second.look() == "stands by":
        clock.advance(tick_s)
        waited += tick_s
    assert LEASE_S <= waited <= 3 * LEASE_S
    assert second.lease.token == 2


def test_a_leader_that_was_paused_is_told_once_and_its_writes_are_refused(join, clock, log) -> None:
    first, second = join("a"), join("b")
    first.look()
    fence = first.lease
    second.look()
    clock.advance(LEASE_S)
    assert second.look() == "leads"
    with pytest.raises(FencedError):
        log.append([draft(1)], fence=fence)
    log.append([draft(1)], fence=second.lease)
    assert first.look() == "lost"
    assert first.lease is None
    assert first.look() == "stands by"
    assert first.leader == "b"


def test_a_leader_that_was_paused_leads_on_when_nobody_took_over(join, clock, log) -> None:
    first = join("a")
    first.look()
    clock.advance(100 * LEASE_S)
    assert first.look() == "leads"
    log.append([draft(1)], fence=first.lease)
    assert first.lease.token == 1


def test_a_lease_that_is_given_up_is_taken_at_once(join) -> None:
    first, second = join("a"), join("b")
    first.look()
    second.look()
    first.step_down()
    assert first.lease is None
    assert second.look() == "leads"
    assert first.look() == "stands by"
    first.step_down()
    assert second.look() == "leads"


def test_a_wall_clock_that_jumps_changes_nothing(join, clock) -> None:
    first, second = join("a"), join("b")
    first.look()
    second.look()
    for jump in (-1e9, -86400.0):
        clock.advance(jump)
        assert (first.look(), second.look()) == ("leads", "stands by")
    assert first.lease.token == 1


def test_whoever_comes_late_waits_a_whole_lease_time_of_its_own(join, clock) -> None:
    first = join("a")
    first.look()
    clock.advance(100 * LEASE_S)
    late = join("b")
    assert late.look() == "stands by"
    clock.advance(LEASE_S - 0.1)
    assert late.look() == "stands by"
    clock.advance(0.1)
    assert late.look() == "leads"


def test_a_slow_look_is_not_held_against_the_leader(clock, log) -> None:
    class Slow:
        def __getattr__(self, name):
            return getattr(log.leases, name)

        def read(self, name):
            found = log.leases.read(name)
            clock.advance(LEASE_S)
            return found

    log.leases.take("loop", holder="a", over=None)
    second = Leadership(Slow(), "loop", holder="b", clock=clock, lease_s=LEASE_S)
    assert second.look() == "stands by"
    assert second.look() == "stands by"
    assert second.look() == "leads"
