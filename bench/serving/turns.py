"""Turns of load: every contender in turn, so that all of them meet the same machine."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.serving.contenders import Running
from bench.serving.processes import cpu_s, family, megabytes

__all__ = ["TOGETHER", "Figures", "ask_together", "take_turn", "take_turns"]

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CONNECTIONS, MANY_CONNECTIONS = 64, 8
TOGETHER, SINGLE = 100, 500


@dataclass
class Figures:
    """What was measured of a contender, a number for each turn; times are in milliseconds.

    `cpu_ms` is what the process that answers takes for a request of one row, `all_cpu_ms` what all
    processes of the server take; the same, with `many`, for requests of a hundred rows.
    """

    cpu_ms: list[float] = field(default_factory=list)
    all_cpu_ms: list[float] = field(default_factory=list)
    requests_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    many_cpu_ms: list[float] = field(default_factory=list)
    many_all_cpu_ms: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)
    errors: int = 0

    def medians(self) -> dict[str, float]:
        """Return the median of each figure that was measured."""
        return {
            name: round(statistics.median(values), 4)
            for name, values in vars(self).items()
            if isinstance(values, list) and values
        }


def take_turns(
    servers: Sequence[Running],
    rows: list[dict[str, Any]],
    *,
    repeats: int,
    seconds: float,
) -> dict[str, Figures]:
    """Return the figures of all servers; the turn that warms them up is left out.

    Args:
        servers: They all run; whoever has no turn waits.
        rows: What is asked, one after the other: single ones, and a hundred at a time.
        repeats: Turns.
        seconds: How long a turn lasts.
    """
    found = {server.contender.name: Figures() for server in servers}
    for turn in range(-1, repeats):
        for server in servers:
            figures = found[server.contender.name] if turn >= 0 else Figures()
            take_turn(server, rows, figures, seconds=seconds if turn >= 0 else min(seconds, 1.0))
    for server in servers:
        found[server.contender.name].start_s.append(server.started_s)
    return found


def take_turn(
    server: Running, rows: list[dict[str, Any]], figures: Figures, *, seconds: float
) -> None:
    """Ask one server for one row at a time over many connections, then for many rows over a few.

    No request has the rows of the last ones: what is asked again and again a processor learns by
    heart.
    """
    single = [[row] for row in rows[:SINGLE]]
    told, own, every = _load(server, single, connections=CONNECTIONS, seconds=seconds)
    figures.errors += told["errors"]
    figures.requests_s.append(told["requests"] / told["seconds"])
    figures.p50_ms.append(told["p50_ms"])
    figures.p99_ms.append(told["p99_ms"])
    figures.cpu_ms.append(own / told["requests"] * 1000)
    figures.all_cpu_ms.append(every / told["requests"] * 1000)
    many = [rows[at : at + TOGETHER] for at in range(0, len(rows) - TOGETHER + 1, TOGETHER)]
    told, own, every = _load(server, many, connections=MANY_CONNECTIONS, seconds=seconds / 2)
    figures.errors += told["errors"]
    figures.many_cpu_ms.append(own / told["requests"] * 1000)
    figures.many_all_cpu_ms.append(every / told["requests"] * 1000)
    figures.memory_mb.append(megabytes(family(server.process.pid)))


def ask_together(
    server: Running,
    batches: Sequence[list[dict[str, Any]]],
    *,
    connections: int,
    seconds: float,
) -> float:
    """Return the milliseconds of CPU a request of many rows takes the process that answers."""
    told, own, _ = _load(server, batches, connections=connections, seconds=seconds)
    if told["errors"]:
        sys.exit(f"{server.contender.name}: {told['errors']} requests were not answered")
    return own / int(told["requests"]) * 1000


def _load(
    server: Running,
    batches: Sequence[list[dict[str, Any]]],
    *,
    connections: int,
    seconds: float,
) -> tuple[dict[str, Any], float, float]:
    """Return how it went, and the CPU of the process that answers and of all processes."""
    wish = {
        **server.wish_in_turn(batches),
        "connections": connections,
        "seconds": seconds,
        "most": 10_000_000,
    }
    pids = family(server.process.pid)
    before = {pid: cpu_s([pid]) for pid in pids}
    done = subprocess.run(
        [sys.executable, "-m", "bench.serving.load"],
        cwd=REPOSITORY,
        input=json.dumps(wish),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{server.contender.name}: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    if told["errors"]:
        print(json.dumps({"contender": server.contender.name, "error": told["error"]}))
    spent = {pid: cpu_s([pid]) - before.get(pid, 0.0) for pid in family(server.process.pid)}
    return told, max(spent.values()), sum(spent.values())
