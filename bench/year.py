"""A year of a daily loop in the simulator, its invariants checked after every event."""

import json
import os
import statistics
import time

from bucle.loop.rollout import Rollout
from bucle.testing.options import Faults, Labels, Live, Options, Trainings
from bucle.testing.simulator import live

__all__ = ["measure"]

TARGET_S = 1.0
YEARS = {
    "a retrain a month": Options(seed=1, policy="every:1mo", gate="referee"),
    "a retrain a day, with refits": Options(seed=2, policy="every:1d", gate="referee+refit"),
    "a retrain a week, under every fault": Options(
        seed=3,
        policy="every:1w",
        gate="referee+refit",
        labels=Labels(missing=0.2, twice=0.2, contradicted=0.1),
        trainings=Trainings(
            fails=0.1,
            repeats=0.1,
            halves=0.5,
            poison=0.1,
            refit_fails=0.1,
            refit_worse=0.2,
            refit_same=0.1,
        ),
        faults=Faults(crash=0.01, jumps=0.02, echoes=0.1, people=0.02),
        controllers=2,
    ),
    "a retrain a month, step by step into service": Options(
        seed=4,
        policy="every:1mo",
        gate="referee",
        aging=0.01,
        live=Live(rollout=Rollout(), cooldown="1d", most_per_month=8, traffic=4000.0),
    ),
    "harm or a retrain a week, step by step, under every fault": Options(
        seed=5,
        policy="harm/every:1w",
        gate="referee+refit",
        aging=0.01,
        controllers=2,
        labels=Labels(missing=0.2, twice=0.2, contradicted=0.1),
        trainings=Trainings(fails=0.1, repeats=0.1, poison=0.1, refit_fails=0.1, refit_worse=0.2),
        faults=Faults(
            crash=0.01,
            jumps=0.02,
            echoes=0.1,
            people=0.02,
            stops=0.01,
            full=0.02,
            dead=0.05,
        ),
        live=Live(
            rollout=Rollout(),
            approval=("business",),
            cooldown="1d",
            most_per_month=8,
            leases=True,
            traffic=4000.0,
            breaks=0.1,
            drags=0.1,
            jobs=True,
            false=0.02,
        ),
    ),
}


def measure(*, repeats: int) -> None:
    """Print the seconds a simulated year takes, and how many events it has."""
    for name, options in YEARS.items():
        live(options)
        turns: list[float] = []
        cpu: list[float] = []
        events = 0
        for _ in range(max(repeats, 3)):
            began, worked = time.perf_counter(), time.process_time()
            events = live(options).events
            turns.append(time.perf_counter() - began)
            cpu.append(time.process_time() - worked)
        median = statistics.median(turns)
        line = {
            "figure": f"a simulated year of a daily loop, {name}",
            "s": round(median, 3),
            "s_of_cpu": round(statistics.median(cpu), 3),
            "target": TARGET_S,
            "met": median <= TARGET_S,
            "range": [round(min(turns), 3), round(max(turns), 3)],
            "events": events,
            "turns": len(turns),
            "load": round(os.getloadavg()[0], 2),
        }
        print(json.dumps(line), flush=True)
