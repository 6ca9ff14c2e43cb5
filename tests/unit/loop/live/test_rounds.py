"""When what is done again and again is due."""

from datetime import UTC, datetime

from bucle.clock import FixedClock
from bucle.loop.live.rounds import Rounds

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_first_time_is_due_and_then_only_after_its_time():
    clock = FixedClock(NOON)
    rounds = Rounds(clock)
    assert rounds.is_due("see", 10.0)
    clock.advance(9.9)
    assert not rounds.is_due("see", 10.0)
    assert rounds.is_due("watch", 10.0)
    clock.advance(0.1)
    assert rounds.is_due("see", 10.0)


def test_wall_clock_that_jumps_makes_nothing_due():
    clock = FixedClock(NOON)
    rounds = Rounds(clock)
    assert rounds.is_due("see", 10.0)
    clock.advance(-86_400)
    assert not rounds.is_due("see", 10.0)
    clock.advance(10)
    assert rounds.is_due("see", 10.0)


def test_what_is_put_off_is_due_only_after_the_pause():
    clock = FixedClock(NOON)
    rounds = Rounds(clock)
    rounds.put_off("retrain", 30.0)
    clock.advance(29)
    assert not rounds.is_due("retrain", 0.0)
    clock.advance(1)
    assert rounds.is_due("retrain", 0.0)


def test_each_trouble_is_said_once_until_it_is_over():
    rounds, said = Rounds(FixedClock(NOON)), []
    for words in ("full", "full", "gone", "full"):
        rounds.complain("see", words, said.append)
    rounds.complain("watch", "full", said.append)
    rounds.is_well("see")
    rounds.complain("see", "full", said.append)
    assert said == ["see: full", "see: gone", "see: full", "watch: full", "see: full"]
