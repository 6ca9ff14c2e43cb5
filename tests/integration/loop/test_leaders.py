"""Real processes that want to lead: killed, paused past their lease, many at once."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bucle.errors import FencedError, LeaseTakenError
from bucle.store.locks import exclusive
from bucle.store.sqlite_leases import SqliteLeases
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.samples import draft
from bucle.types import Lease

SOURCE = Path(__file__).resolve().parents[3] / "src"

# Ten ticks a lease time. A tick appends first and asks after, as a leader does that was paused
# between the two; each line says what happened.
LEADER = """
import os, sys, time
from pathlib import Path
from bucle.clock import SystemClock
from bucle.errors import FencedError
from bucle.loop.leadership import Leadership
from bucle.store.sqlite_leases import SqliteLeases
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft

path, holder, lease_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
log, clock = SqliteLog(path), SystemClock()
leadership = Leadership(SqliteLeases(path), "loop", holder=holder, clock=clock, lease_s=lease_s)

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

standing = ""
while True:
    lease = leadership.lease
    if lease is not None:
        body = {"holder": holder, "token": lease.token}
        try:
            (event,) = log.append([Draft(kind="led", body=body, at="", actor=holder)], fence=lease)
            say("wrote", event.position, lease.token)
        except FencedError:
            say("fenced", lease.token)
    before, standing = standing, leadership.look()
    if standing != before:
        say(standing)
    time.sleep(lease_s / 10)
"""


class Leader:
    """A process that wants to lead, and what it said."""

    def __init__(self, path: Path, name: str, *, lease_s: float) -> None:
        self.name = name
        self.said = path.with_name(f"{name}.said")
        with self.said.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LEADER, str(path), name, str(lease_s)],
                stdout=stream,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
            )

    def lines(self) -> list[str]:
        return self.said.read_text().split("\n")[:-1]

    def leads(self) -> bool:
        standings = [line for line in self.lines() if line in {"leads", "stands by", "lost"}]
        return standings[-1:] == ["leads"]

    def wrote(self) -> list[tuple[int, int]]:
        found = [line.split() for line in self.lines() if line.startswith("wrote ")]
        return [(int(position), int(token)) for _, position, token in found]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def wait_for(happened: Callable[[], bool], *, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def the_leader(leaders: list[Leader]) -> Leader:
    """Return the one that leads, once there is one and no other believes to."""
    found: list[Leader] = []

    def is_one() -> bool:
        found[:] = [leader for leader in leaders if leader.leads()]
        return len(found) == 1

    wait_for(is_one)
    return found[0]


def pause_between_commits(leader: Leader, path: Path) -> None:
    """Stop a process where it keeps nobody else from writing."""
    for _ in range(200):
        leader.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, leader.process.pid, os.WSTOPPED | os.WNOWAIT)
        with (
            contextlib.suppress(OSError, sqlite3.OperationalError),
            exclusive(path.with_suffix(".lock"), wait_s=0),
            contextlib.closing(sqlite3.connect(path, timeout=0)) as connection,
        ):
            connection.execute("BEGIN IMMEDIATE")
            return
        leader.process.send_signal(signal.SIGCONT)
        time.sleep(0.01)
    pytest.fail("it was never idle")


def check(path: Path, leaders: list[Leader]) -> None:
    """Check that leaders wrote one after the other, and nothing acknowledged is missing."""
    log = SqliteLog(path)
    assert log.verify().intact
    events = list(log.read())
    tokens = [event.body["token"] for event in events]
    assert tokens == sorted(tokens)
    holders = {event.body["token"]: event.body["holder"] for event in events}
    assert all(holders[event.body["token"]] == event.body["holder"] for event in events)
    kept = {(event.position, event.body["token"], event.body["holder"]) for event in events}
    for leader in leaders:
        assert {(*wrote, leader.name) for wrote in leader.wrote()} <= kept


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Leader]]:
    leaders: list[Leader] = []

    def begin(name: str, *, lease_s: float = 1.0) -> Leader:
        leaders.append(Leader(tmp_path / "log.db", name, lease_s=lease_s))
        return leaders[-1]

    yield begin
    for leader in leaders:
        leader.end()


def test_a_killed_leader_is_followed_and_nothing_is_lost(tmp_path: Path, start) -> None:
    path = tmp_path / "log.db"
    first = start("a")
    wait_for(lambda: len(first.wrote()) > 2)
    second = start("b")
    wait_for(lambda: second.lines() == ["stands by"])
    first.end()
    wait_for(lambda: len(second.wrote()) > 2)
    second.end()
    assert {token for _, token in second.wrote()} == {2}
    check(path, [first, second])


def test_writes_of_a_leader_paused_past_its_lease_are_refused(tmp_path: Path, start) -> None:
    path = tmp_path / "log.db"
    zombie = start("a")
    wait_for(lambda: len(zombie.wrote()) > 2)
    second = start("b")
    wait_for(lambda: second.lines() == ["stands by"])
    pause_between_commits(zombie, path)
    wait_for(lambda: len(second.wrote()) > 2)
    written = len(zombie.wrote())
    zombie.process.send_signal(signal.SIGCONT)
    wait_for(lambda: zombie.lines()[-1] == "stands by")
    assert "lost" in zombie.lines()
    # Its last append before the pause may not have been said yet.
    assert len(zombie.wrote()) <= written + 1
    old = Lease(name="loop", holder="a", token=1)
    with pytest.raises(FencedError):
        SqliteLog(path).append([draft()], fence=old)
    with pytest.raises(LeaseTakenError):
        SqliteLeases(path).renew(old)
    second.process.send_signal(signal.SIGTERM)
    second.process.wait()
    wait_for(zombie.leads)
    wait_for(lambda: zombie.wrote()[-1][1] == 3)
    zombie.end()
    check(path, [zombie, second])


@pytest.mark.thorough
def test_a_killed_leader_is_followed_within_three_lease_times(tmp_path: Path, start) -> None:
    lease_s = 2.0
    leaders = [start(name, lease_s=lease_s) for name in "abc"]
    wait_for(lambda: any(leader.leads() for leader in leaders))
    wait_for(lambda: all(leader.lines() for leader in leaders))
    for _ in range(2):
        leader = the_leader(leaders)
        leader.end()
        leaders.remove(leader)
        wait_for(lambda: any(other.leads() for other in leaders), within_s=3 * lease_s)


@pytest.mark.thorough
def test_of_five_processes_killed_and_paused_at_random_one_leads(tmp_path: Path, start) -> None:
    path = tmp_path / "log.db"
    leaders = [start(name, lease_s=0.5) for name in "abcde"]
    ended: list[Leader] = []
    for turn in range(12):
        leader = the_leader(leaders)
        wait_for(lambda leader=leader: len(leader.wrote()) > 0)
        if turn % 3 == 2:
            leader.end()
            ended.append(leader)
            leaders.remove(leader)
            leaders.append(start(f"new-{turn}", lease_s=0.5))
        else:
            pause_between_commits(leader, path)
            others = [other for other in leaders if other is not leader]
            wait_for(lambda others=others: any(other.leads() for other in others))
            leader.process.send_signal(signal.SIGCONT)
            wait_for(lambda leader=leader: not leader.leads())
    the_leader(leaders)
    for leader in leaders:
        leader.end()
    lease = SqliteLeases(path).read("loop")
    assert lease is not None
    assert lease.token >= 13
    check(path, leaders + ended)
