"""Taking over: how soon after its end a leader is followed, and what a sign of life costs."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.figures import workplace
from bucle.store.sqlite_leases import SqliteLeases

__all__ = ["measure"]

_LEASE_S = 2.0
_TICK_S = 0.2
_MOST_LEASE_TIMES = 3.0
_BEATS = 200

_LEADER = """
import os, sys, time
from pathlib import Path
from bucle.clock import SystemClock
from bucle.loop.leadership import Leadership
from bucle.store.sqlite_leases import SqliteLeases
leadership = Leadership(
    SqliteLeases(Path(sys.argv[1])), "loop", holder=str(os.getpid()), clock=SystemClock(),
    lease_s=float(sys.argv[2]),
)
while True:
    leadership.look()
    time.sleep(float(sys.argv[3]))
"""


def measure(*, repeats: int) -> None:
    """Print the median and the longest time to take over, and the cost of a sign of life."""
    with workplace() as folder:
        path = folder / "log.db"
        leaders = [_start(path) for _ in range(3)]
        taken: dict[str, list[float]] = {"kill -9": [], "SIGSTOP": []}
        try:
            for turn in range(repeats):
                for way, seen in taken.items():
                    seen.append(_end_leader(path, leaders, way=way, turn=turn) / _LEASE_S)
        finally:
            for leader in leaders:
                leader.kill()
                leader.wait()
        for way, seen in taken.items():
            figure = {
                "benchmark": f"lease times until a leader is followed after {way}",
                "median": round(statistics.median(seen), 2),
                "longest": round(max(seen), 2),
                "target": _MOST_LEASE_TIMES,
                "met": max(seen) <= _MOST_LEASE_TIMES,
                "turns": len(seen),
            }
            print(json.dumps(figure))
        print(json.dumps(_beats(path)))


def _start(path: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", _LEADER, str(path), str(_LEASE_S), str(_TICK_S)]
    return subprocess.Popen(words, env=dict(os.environ))


def _end_leader(
    path: Path, leaders: list[subprocess.Popen[bytes]], *, way: str, turn: int
) -> float:
    """End or pause the leader at some place of its beat; return the seconds until another leads."""
    leases = SqliteLeases(path)
    by_pid = {str(leader.pid): leader for leader in leaders}
    while (lease := leases.read("loop")) is None or lease.holder not in by_pid:
        time.sleep(0.01)
    # Every one that stands by has seen this leader for a while, and the beat's place varies.
    time.sleep(_LEASE_S * (0.7 + 0.07 * turn))
    leader = by_pid[lease.holder]
    leader.send_signal(signal.SIGKILL if way == "kill -9" else signal.SIGSTOP)
    began = time.monotonic()
    while (now := leases.read("loop")) is None or now.token == lease.token:
        time.sleep(0.002)
    seconds = time.monotonic() - began
    if way == "kill -9":
        leader.wait()
        leaders.remove(leader)
        leaders.append(_start(path))
    else:
        leader.send_signal(signal.SIGCONT)
    return seconds


def _beats(path: Path) -> dict[str, object]:
    leases = SqliteLeases(path)
    lease = leases.take("other", holder="bench", over=leases.read("other"))
    spent = []
    for _ in range(_BEATS):
        began = time.perf_counter()
        lease = leases.renew(lease)
        spent.append(time.perf_counter() - began)
    return {
        "benchmark": "milliseconds of a sign of life",
        "median": round(statistics.median(spent) * 1e3, 3),
        "p99": round(statistics.quantiles(spent, n=100)[98] * 1e3, 3),
        "turns": len(spent),
    }
