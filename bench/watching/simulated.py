"""What others say of simulated projects and of losses, day by day: files for them, and their lines.

The projects are those of `alarms`, and the losses those of `power`; each row has the day it came
on, negative in the reference.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.watching.alarms import SIZES
from bench.watching.power import PER_DAY, REFERENCE_DAYS, RISE
from bench.watching.worlds import WORLDS, draw_losses, draw_project

__all__ = ["DAYS", "simulated_lines", "write_simulated"]

DAYS = 60
QUIET, RISEN = "quiet", "risen"


def write_simulated(folder: Path, *, repeats: int) -> None:
    """Write the rows of some projects of each world, and losses with and without a rise."""
    for number in range(repeats):
        for at, world in enumerate(WORLDS):
            rng = np.random.default_rng((at, number))
            per_day, before = SIZES[number % len(SIZES)]
            project = draw_project(world, rng, days=DAYS, per_day=per_day, reference_days=before)
            since = (pl.col("day") - before).alias("day")
            project.rows.with_columns(since).write_parquet(
                folder / f"simulated-{at}-{number}.parquet"
            )
        rng = np.random.default_rng((13, number))
        known, before_day = draw_losses("gamma", rng, days=REFERENCE_DAYS, per_day=PER_DAY)
        for name, rise in ((QUIET, 1.0), (RISEN, RISE)):
            losses, day = draw_losses("gamma", rng, days=DAYS, per_day=PER_DAY)
            pl.DataFrame(
                {
                    "day": np.concatenate([before_day - REFERENCE_DAYS, day]),
                    "loss": np.concatenate([known, losses * rise]),
                }
            ).write_parquet(folder / f"simulated-{name}-{number}.parquet")


def simulated_lines(name: str, told: Mapping[str, Sequence[bool]]) -> Iterator[dict[str, Any]]:
    """Yield what a monitor is worth: days in alarm without a change, and rows until a rise."""

    def of(kind: str) -> list[Sequence[bool]]:
        return [days for stem, days in told.items() if stem.split("-")[1] == kind]

    for at, world in enumerate(WORLDS):
        halves = of(str(at))
        yield {
            "figure": "days in alarm without a change",
            "contender": name,
            "world": world.name,
            "projects": len(halves),
            "days": DAYS,
            "share": round(float(np.mean([day for days in halves for day in days])), 4),
            "projects_alarmed": sum(any(days) for days in halves),
        }
    rows = [
        (list(days).index(True) + 1) * PER_DAY if any(days) else float("inf") for days in of(RISEN)
    ]
    yield {
        "figure": "a loss 30 % larger, by another rule",
        "contender": name,
        "losses": "gamma",
        "cases": len(rows),
        "median_rows": float(np.median(rows)),
        "quiet_days_in_alarm": round(
            float(np.mean([day for days in of(QUIET) for day in days])), 4
        ),
    }
