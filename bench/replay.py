"""The cost of `bucle replay`: over its own trainings, asked again, with eight policies, in memory.

The freight of the consignment file from 2011 on, month by month.
"""

import json
import os
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from bench.figures import run, workplace
from bench.memory import measure_memory

__all__ = ["measure"]

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "scms_consignments.csv"
TRAININGS = Path(__file__).resolve().with_name("trainings.py")
FROM = ["--from", "2011-01-01"]
EIGHT = ["never", "every:1mo", "every:3mo", "every:6mo", "every:1y", "performance:+15%", "drift"]
BEYOND = 1.25
EIGHT_S = 60.0


def measure(*, repeats: int) -> None:
    """Print the figures of a replay."""
    if not DATA.exists():
        print(json.dumps({"figure": "replay", "skipped": f"{DATA.name} is absent"}))
        return
    with workplace() as folder:
        run(["bucle", "new", "freight", "--template", "scms", "--data", str(DATA)], folder)
        project = folder / "freight"
        # Its rows enter the project once: that is no part of what a replay costs.
        run(["bucle", "run"], project)
        (project / ".bucle").rename(folder / "recorded")
        _beyond_trainings(project, folder / "recorded", max(repeats // 3, 1))
        _again(project)
        _eight(project)


def _beyond_trainings(project: Path, recorded: Path, turns: int) -> None:
    """Time a first replay of a project and its trainings alone, in turns; then its peak memory."""
    whole, alone, models = [], [], 0
    for _ in range(turns):
        _forget(project, recorded)
        began = time.perf_counter()
        printed = run(_replay(), project)
        seconds = time.perf_counter() - began
        told = json.loads(run([sys.executable, str(TRAININGS), ".", *FROM], project))
        models = told["models"]
        if json.loads(printed)["trainings"]["trained"] != models:
            sys.exit("the trainings alone are not those of the replay")
        whole.append(seconds)
        alone.append(told["seconds"])
    ratio = statistics.median(whole) / statistics.median(alone)
    _tell(
        "replay over its distinct trainings",
        ratio=round(ratio, 4),
        target=BEYOND,
        met=ratio <= BEYOND,
        trainings=models,
        median_s={"replay": _median(whole), "trainings": _median(alone)},
        range_s={"replay": _range(whole), "trainings": _range(alone)},
        turns=turns,
    )
    # To look at memory takes time of its own.
    _forget(project, recorded)
    _, _, peak = measure_memory(_replay(), project)
    _tell("memory of a replay, all processes", peak_mb=round(peak), target=None)


def _forget(project: Path, recorded: Path) -> None:
    """Set a project back to recorded rows and nothing that was worked out."""
    shutil.rmtree(project / ".bucle", ignore_errors=True)
    shutil.copytree(recorded, project / ".bucle")
    shutil.rmtree(project / ".bucle" / "cache")


def _again(project: Path) -> None:
    """Ask again with one more policy, all of whose training sets have been made."""
    known = ["--policy", "never", "--policy", "every:1mo", "--policy", "every:6mo"]
    more = [*known, "--policy", "every:3mo"]
    run(_replay(*known), project)
    began = time.perf_counter()
    trained = json.loads(run(_replay(*more), project))["trainings"]["trained"]
    taken = time.perf_counter() - began
    _tell(
        "second replay with one more policy",
        trained=trained,
        target=0,
        met=trained == 0,
        seconds=round(taken, 2),
    )


def _eight(project: Path) -> None:
    """Time eight policies over 54 months, trainings apart: they are in the cache."""
    chosen = [part for one in (*EIGHT, "gain") for part in ("--policy", one)]
    command = _replay(*chosen, "--gate", "referee", "--to", "2015-07-01")
    first = json.loads(run(command, project))
    began = time.perf_counter()
    second = json.loads(run(command, project))
    taken = time.perf_counter() - began
    if first["policies"] != second["policies"] or second["trainings"]["trained"]:
        sys.exit("a replay asked twice did not answer twice the same")
    _tell(
        f"{len(second['policies'])} policies on {second['periods']} months beyond training",
        seconds=round(taken, 2),
        target=EIGHT_S,
        met=taken <= EIGHT_S,
    )


def _replay(*more: str) -> list[str]:
    return ["bucle", "replay", "--json", *FROM, *more]


def _median(turns: list[float]) -> float:
    return round(statistics.median(turns), 4)


def _range(turns: list[float]) -> list[float]:
    return [round(min(turns), 4), round(max(turns), 4)]


def _tell(figure: str, **fields: Any) -> None:
    line = {"figure": figure, **fields, "load": round(os.getloadavg()[0], 2)}
    print(json.dumps(line), flush=True)
