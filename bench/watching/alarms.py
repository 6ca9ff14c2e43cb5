"""False alarms: simulated projects in which nothing changes, watched day by day for half a year.

Each day is looked at as `bucle watch` looks at it, with the functions that it uses. A budget of one
false alarm in 180 days allows an alarm somewhere in a half-year to 1 - exp(-1) of the projects, and
to each layer by its part of the budget; the bound is the 99 % point of the binomial law.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, TypeVar

import numpy as np
import polars as pl
from scipy.stats import binom

from bench.watching.worlds import WORLDS, World, draw_project
from bucle.watch.contract import judge_volume
from bucle.watch.days import profile_days
from bucle.watch.harm import SLOTS, detect_harm, loss_days, standard_of
from bucle.watch.inputs import look_at_inputs
from bucle.watch.spread import spread_of
from bucle.watch.yardsticks import measures_of, yardsticks_of

__all__ = ["PARTS", "Half", "false_alarms", "half_year", "half_years"]

DAYS = 180
PARTS = {"harm": 0.6, "inputs": 0.3, "contract": 0.1}
"""What each layer has of the budget."""

SIZES = ((30, 28), (100, 60), (300, 60), (100, 120))
"""Rows a day, and days of the reference: projects take their turns."""

CHECKS = 4
"""Among how many checks the contract's part is shared; volume is the one that has days here."""

_SPAWN = get_context("spawn")
Half = dict[str, int]
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class _Task:
    world: World
    number: int
    days: int


def half_year(world: World, number: int, *, days: int = DAYS) -> Half:
    """Return on how many days each layer says that something is wrong; every alarm is false."""
    rng = np.random.default_rng((WORLDS.index(world), number))
    per_day, reference_days = SIZES[number % len(SIZES)]
    project = draw_project(world, rng, days=days, per_day=per_day, reference_days=reference_days)
    rows = project.rows
    known = rows.filter(pl.col("day") < reference_days)
    sticks = yardsticks_of(known.drop("day"))
    measures = measures_of(sticks)
    whole = profile_days(rows, sticks, time="day")
    reference = whole.take(whole.dates < reference_days)
    live = whole.take(whole.dates >= reference_days)
    spread = spread_of(reference)
    level = PARTS["inputs"] / DAYS
    looks = [
        look_at_inputs(spread, reference, live, measures, date=int(date), level=level)
        for date in live.dates
    ]
    validated = project.days < reference_days
    standard = standard_of(project.losses[validated], project.days[validated])
    assert standard is not None
    # A generator of its own, so that the rows are those of a world without hours.
    slots = np.random.default_rng((23, number)).integers(0, SLOTS, project.days.size)
    losses = loss_days(
        project.losses[~validated], project.days[~validated], standard, slots=slots[~validated]
    )
    harm = detect_harm(losses, standard, days_between=DAYS / PARTS["harm"])
    volume = judge_volume(live.dates, live.rows, level=PARTS["contract"] / DAYS / CHECKS)
    return {
        "harm": sum(harm.standing),
        "inputs": sum(bool(look.findings) for look in looks),
        "contract": sum(day.is_found for day in volume),
    }


def false_alarms(
    *, projects: int, days: int = DAYS, worlds: Sequence[World] = WORLDS, processes: int = 2
) -> Iterator[dict[str, Any]]:
    """Yield, for each world, the share of projects with any false alarm, by layer and over all."""
    with _single_threads(), ProcessPoolExecutor(processes, mp_context=_SPAWN) as pool:
        for world in worlds:
            tasks = [_Task(world=world, number=number, days=days) for number in range(projects)]
            halves = list(pool.map(_run, tasks, chunksize=4))
            yield _line(world, halves)


def half_years(live: Callable[[int], Result], projects: int, *, processes: int = 2) -> list[Result]:
    """Return what becomes of each of so many projects, by their numbers."""
    with _single_threads(), ProcessPoolExecutor(processes, mp_context=_SPAWN) as pool:
        return list(pool.map(live, range(projects), chunksize=4))


@contextlib.contextmanager
def _single_threads() -> Iterator[None]:
    """Let processes that begin meanwhile take one core each."""
    before = dict(os.environ)
    os.environ.update(POLARS_MAX_THREADS="1", OPENBLAS_NUM_THREADS="1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(task: _Task) -> Half:
    return half_year(task.world, task.number, days=task.days)


def _line(world: World, halves: Sequence[Half]) -> dict[str, Any]:
    layers: dict[str, Any] = {}
    for layer, part in {**PARTS, "all": 1.0}.items():
        days = [sum(half.values()) if layer == "all" else half[layer] for half in halves]
        share = sum(day > 0 for day in days) / len(days)
        allowed = 1.0 - math.exp(-part)
        bound = float(binom.ppf(0.99, len(days), allowed)) / len(days)
        layers[layer] = {
            "share": round(share, 4),
            "days_in_alarm": round(sum(days) / len(days), 3),
            "allowed": round(allowed, 4),
            "at_most": round(bound, 4),
            "met": share <= bound,
        }
    return {
        "figure": "false alarms in half a year",
        "world": world.name,
        "projects": len(halves),
        "met": all(layer["met"] for layer in layers.values()),
        **layers,
    }
