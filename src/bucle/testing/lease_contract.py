"""What every keeper of leases must do, with the log that it fences: subclass and name both.

Needs pytest. Must not be imported by anything but tests.
"""

# These are tests, though they ship: asserts, names that say what a docstring would, plain numbers.
# ruff: noqa: D102, PLR2004, S101

import threading

import pytest

from bucle.errors import FencedError, LeaseTakenError, StalePositionError
from bucle.testing.samples import draft
from bucle.types import Lease, Leases, Log

__all__ = ["LeasesContract"]


class LeasesContract:
    """The promises of leases. Override `log` with an empty one and `leases` with its leases."""

    @pytest.fixture
    def log(self) -> Log:
        """Return an empty log of the adapter under test."""
        raise NotImplementedError

    @pytest.fixture
    def leases(self, log: Log) -> Leases:
        """Return the leases that fence that log."""
        raise NotImplementedError

    def test_lease_that_nobody_took_is_none(self, leases: Leases) -> None:
        assert leases.read("loop") is None

    def test_what_was_taken_is_read(self, leases: Leases) -> None:
        lease = leases.take("loop", holder="host ñ:1", over=None)
        assert lease == Lease(name="loop", holder="host ñ:1", token=1)
        assert leases.read("loop") == lease
        assert leases.read("other") is None

    def test_each_taking_has_the_next_token(self, leases: Leases) -> None:
        lease = leases.take("loop", holder="a", over=None)
        for token in range(2, 6):
            lease = leases.take("loop", holder="ab"[token % 2], over=lease)
            assert lease.token == token

    def test_taking_over_anything_but_what_stands_is_refused(self, leases: Leases) -> None:
        first = leases.take("loop", holder="a", over=None)
        second = leases.take("loop", holder="b", over=first)
        beaten = leases.renew(second)
        for stale in (None, first, second):
            with pytest.raises(LeaseTakenError) as refusal:
                leases.take("loop", holder="c", over=stale)
            assert refusal.value.code == "bucle-411"
        assert leases.read("loop") == beaten

    def test_taking_over_a_lease_that_never_was_is_refused(self, leases: Leases) -> None:
        never = Lease(name="loop", holder="a", token=1)
        with pytest.raises(LeaseTakenError):
            leases.take("loop", holder="b", over=never)
        assert leases.read("loop") is None

    def test_each_renewal_is_a_beat(self, leases: Leases) -> None:
        lease = leases.take("loop", holder="a", over=None)
        for beat in range(1, 5):
            lease = leases.renew(lease)
            assert (lease.token, lease.beat) == (1, beat)
            assert leases.read("loop") == lease

    def test_renewal_whose_answer_was_lost_is_renewed_again(self, leases: Leases) -> None:
        lease = leases.take("loop", holder="a", over=None)
        leases.renew(lease)
        assert leases.renew(lease).beat == 2

    def test_renewal_after_a_takeover_is_refused(self, leases: Leases) -> None:
        first = leases.take("loop", holder="a", over=None)
        second = leases.take("loop", holder="b", over=first)
        with pytest.raises(LeaseTakenError):
            leases.renew(first)
        assert leases.read("loop") == second
        with pytest.raises(LeaseTakenError):
            leases.renew(Lease(name="never", holder="a", token=1))

    def test_released_lease_is_taken_with_a_new_token(self, leases: Leases) -> None:
        first = leases.take("loop", holder="a", over=None)
        leases.release(leases.renew(first))
        found = leases.read("loop")
        assert found is not None
        assert found.released
        with pytest.raises(LeaseTakenError):
            leases.renew(first)
        assert leases.take("loop", holder="a", over=found).token == 2

    def test_release_after_a_takeover_changes_nothing(self, leases: Leases) -> None:
        first = leases.take("loop", holder="a", over=None)
        second = leases.take("loop", holder="b", over=first)
        leases.release(first)
        leases.release(Lease(name="never", holder="a", token=1))
        assert leases.read("loop") == second
        assert leases.read("never") is None

    def test_leases_do_not_mix(self, leases: Leases) -> None:
        loop = leases.take("loop", holder="a", over=None)
        other = leases.take("compactor", holder="b", over=None)
        leases.release(other)
        assert leases.read("loop") == loop
        assert other.token == 1

    def test_of_several_takers_one_wins(self, leases: Leases) -> None:
        seen = leases.take("loop", holder="a", over=None)
        won: list[Lease] = []
        lost: list[LeaseTakenError] = []
        together = threading.Barrier(4)

        def take(number: int) -> None:
            together.wait()
            try:
                won.append(leases.take("loop", holder=f"taker-{number}", over=seen))
            except LeaseTakenError as refusal:
                lost.append(refusal)

        threads = [threading.Thread(target=take, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert len(lost) == 3
        assert leases.read("loop") == won[0]

    def test_append_under_a_lease_goes_through(self, log: Log, leases: Leases) -> None:
        lease = leases.take("loop", holder="a", over=None)
        (first,) = log.append([draft(1)], fence=lease)
        leases.renew(lease)
        (second,) = log.append([draft(2)], expected=1, fence=lease)
        assert [first.position, second.position] == [1, 2]
        assert tuple(log.read()) == (first, second)

    def test_append_after_a_takeover_is_refused_and_writes_nothing(
        self, log: Log, leases: Leases
    ) -> None:
        first = leases.take("loop", holder="a", over=None)
        log.append([draft(1)], fence=first)
        second = leases.take("loop", holder="b", over=first)
        before = log.head()
        for drafts in ([draft(2)], []):
            with pytest.raises(FencedError) as refusal:
                log.append(drafts, fence=first)
            assert refusal.value.code == "bucle-410"
        assert log.head() == before
        log.append([draft(2)], fence=second)
        assert log.verify().events == 2

    def test_fence_is_asked_before_the_position(self, log: Log, leases: Leases) -> None:
        first = leases.take("loop", holder="a", over=None)
        log.append([draft(1)], fence=first)
        with pytest.raises(StalePositionError):
            log.append([draft(2)], expected=0, fence=first)
        leases.take("loop", holder="b", over=leases.read("loop"))
        with pytest.raises(FencedError):
            log.append([draft(2)], expected=0, fence=first)

    def test_append_under_a_lease_that_was_given_up_is_refused(
        self, log: Log, leases: Leases
    ) -> None:
        lease = leases.take("loop", holder="a", over=None)
        log.append([draft(1)], fence=lease)
        leases.release(lease)
        with pytest.raises(FencedError):
            log.append([draft(2)], fence=lease)
        assert log.head().position == 1

    def test_append_under_a_lease_of_another_log_is_refused(self, log: Log) -> None:
        stranger = Lease(name="loop", holder="a", token=1)
        with pytest.raises(FencedError):
            log.append([draft(1)], fence=stranger)
        log.append([draft(1)])
        with pytest.raises(FencedError):
            log.append([draft(2)], fence=stranger)
        assert log.head().position == 1

    def test_append_without_a_fence_asks_for_no_lease(self, log: Log, leases: Leases) -> None:
        leases.take("loop", holder="a", over=None)
        log.append([draft(1)])
        assert log.head().position == 1

    def test_leases_leave_the_events_alone(self, log: Log, leases: Leases) -> None:
        log.append([draft(1)])
        before = log.head()
        lease = leases.renew(leases.take("loop", holder="a", over=None))
        leases.release(lease)
        assert log.head() == before
        assert log.verify().intact
