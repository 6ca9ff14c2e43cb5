"""Two `bucle up` on one project: one leads, the other stands by and takes over."""

import os
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest
from calls import bucle
from loops import QUICK, Customers, Loop, await_that, events, up

from bucle.loop.leadership import LEASE_S
from bucle.loop.live.controlling import LEASE
from bucle.store.sqlite_leases import SqliteLeases

pytestmark = pytest.mark.thorough

CONTROLLER = "bucle.loop.live.controlling"
SLACK_S = 60.0
"""What a busy machine takes to start processes in."""


def leading(folder: Path) -> int:
    """Return the process that holds the lease."""
    lease = SqliteLeases(folder / ".bucle" / "log.db").read(LEASE)
    assert lease is not None
    return int(lease.holder.rpartition(":")[2])


def has_lead(loop: Loop) -> bool:
    return leading(loop.folder) in loop.processes(CONTROLLER)


def answers(loop: Loop) -> bool:
    with loop.client() as client:
        try:
            return client.post("/predict", json={"size": 3.5}).status_code == 200
        except httpx.HTTPError:
            return False


def require_once(folder: Path) -> None:
    """Require that nothing was done twice in effect, and that the log is whole."""
    kinds = ("promoted", "deployed", "withdrawn", "rolled_back", "run_finished", "verdict_given")
    for kind in kinds:
        causes = [one.body["action"] for one in events(folder, kind) if one.body["action"]]
        assert len(causes) == len(set(causes)), kind
    assert bucle("log", "verify", "--json", at=folder).json["intact"]


def test_the_second_stands_by_and_takes_over_when_the_first_is_killed(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        up(shop, name="first") as first,
        up(shop, port=first.port, name="second") as second,
        Customers(first) as customers,
    ):
        second.await_word("is served already")
        second.await_word("loop: standing by: ")
        assert f":{leading(shop)} leads" in second.told
        assert has_lead(first)
        assert len(second.processes("bucle.loop.serving.worker")) == 0
        os.kill(first.process.pid, signal.SIGKILL)
        killed = time.monotonic()
        await_that(
            lambda: has_lead(second), what=lambda: second.told, within_s=3 * LEASE_S + SLACK_S
        )
        led = time.monotonic() - killed
        await_that(
            lambda: answers(second), what=lambda: second.told, within_s=3 * LEASE_S + SLACK_S
        )
        with capsys.disabled():
            both = time.monotonic() - killed
            sys.stdout.write(f"\n  led after {led:.1f} s, answered after {both:.1f} s\n")
        await_that(lambda: not first.processes(), what=lambda: f"{first.processes()} end")
        answered = len(customers.answered)
        await_that(lambda: len(customers.answered) > answered + 50, what=lambda: second.told)
        # It hears people as the first did.
        bucle("pause", "--because", "for a test", at=shop)
        second.await_word("the loop was paused: for a test")
        customers.stop()
        assert second.stop(signal.SIGINT) == 0
        assert second.processes() == []
    require_once(shop)


def test_whoever_slept_past_the_lease_writes_nothing(passed: Path) -> None:
    with (
        up(passed, *QUICK, name="first") as first,
        up(passed, *QUICK, port=first.port, name="second") as second,
        Customers(first) as customers,
    ):
        deployed = first.await_event("deployed")
        (sleeper,) = first.processes(CONTROLLER)
        assert leading(passed) == sleeper
        os.kill(sleeper, signal.SIGSTOP)
        try:
            await_that(lambda: has_lead(second), what=lambda: second.told)
            promoted = second.await_event("promoted", after=deployed.position)
        finally:
            os.kill(sleeper, signal.SIGCONT)
        # The sleeper finds out and stands by; its process goes on.
        first.await_word("loop: standing by: ")
        time.sleep(3)
        assert sleeper in first.processes(CONTROLLER)
        assert has_lead(second)
        customers.stop()
        assert customers.broken == []
        assert promoted.body["model"] != promoted.body["previous"]
    require_once(passed)


def test_a_second_one_that_leaves_in_order_hands_over_at_once(shop: Path) -> None:
    with up(shop, name="first") as first, up(shop, port=first.port, name="second") as second:
        (controller,) = first.processes(CONTROLLER)
        assert first.stop(signal.SIGTERM) == 0
        await_that(lambda: has_lead(second) and answers(second), what=lambda: second.told)
        assert controller not in second.processes()
        with up(shop, port=first.port, name="third") as third:
            third.await_word("loop: standing by: ")
            assert third.stop(signal.SIGINT) == 0
        assert has_lead(second)
        assert answers(second)
