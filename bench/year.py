"""A year of a daily loop in the simulator, its invariants checked after every event."""

import json
import os
import statistics
import time

from bucle.testing.options import Faults, Labels, Options, Trainings
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
