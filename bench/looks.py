"""How long a look at a challenger takes when so many rows were predicted before it.

`python -m bench.looks ROWS` writes a table of ROWS predictions, half of them a shadow's, with a
label for each answer, and times the first look, one after 10,000 rows more, and one that reads all.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from bucle.charter.reading import read_charter
from bucle.clock import FixedClock
from bucle.loop.beside import _kept, _whole
from bucle.loop.workspace import Workspace
from bucle.models.registry import Deployment
from bucle.models.signature import Signature

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
CHARTER = """
[project]
name = "shop"

[charter]
kpis = [{ metric = "mae" }]

[data.sales]
event_time = "day"
label = "price"
"""
PIECE = 500_000
NEW = 10_000
RATE = 1000.0
"""Predictions a second."""


def main() -> None:
    """Write the table, look, and say how long it took."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        clock = FixedClock(BEGAN + timedelta(seconds=(rows + NEW) / RATE) + timedelta(days=1))
        workspace = Workspace(
            Path(folder), loaded=read_charter(CHARTER), actor="bench", clock=clock
        )
        for first in range(0, rows, PIECE):
            write(workspace, first, min(PIECE, rows - first))
        signature = Signature(kind="regression", target="price", features=())
        beside = Deployment(
            model="m-2",
            share=0.0,
            since=BEGAN.isoformat(),
            began=BEGAN.isoformat(),
            by="bench",
            because="so",
        )
        told = {}
        told["first look"] = timed(lambda: _kept(workspace, beside, "m-1", signature, "mae"))
        write(workspace, rows, NEW)
        told[f"look after {NEW:,} more"] = timed(
            lambda: _kept(workspace, beside, "m-1", signature, "mae")
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told["all rows read"] = timed(lambda: _whole(workspace, beside, "m-1", signature))
        whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        kept = sum(one.stat().st_size for one in (workspace.home / "watch" / "pairs").iterdir())
        for name, seconds in told.items():
            sys.stdout.write(f"{rows:>12,} predictions  {name:<24} {seconds:8.2f} s of CPU\n")
        sys.stdout.write(
            f"{rows:>12,} predictions  kept {kept / 1e6:,.0f} MB;"
            f" peak {peak:,.0f} MB, {whole:,.0f} MB with all rows read\n"
        )


def write(workspace: Workspace, first: int, count: int) -> None:
    """Append predictions and their labels to the tables."""
    number = np.arange(first, first + count) // 2
    chance = np.random.default_rng(first)
    at = pl.Series(
        np.datetime64(BEGAN.replace(tzinfo=None), "us") + (number * (2e6 / RATE)).astype("m8[us]")
    ).dt.replace_time_zone("UTC")
    names = pl.Series(
        [f"p-{int(ms):012x}{one:020x}" for ms, one in zip(at.dt.epoch("ms"), number, strict=True)]
    )
    is_shadow = pl.Series(np.arange(first, first + count) % 2 == 1)
    frame = pl.DataFrame({"name": names, "at": at, "is_shadow": is_shadow}).with_columns(
        prediction=pl.Series(chance.normal(10, 3, count)),
        latency_us=pl.Series(chance.integers(80, 4000, count)),
    )
    shadow = pl.col("is_shadow")
    workspace.tables.write(
        "predictions",
        frame.select(
            pl.when(shadow).then(pl.concat_str(pl.lit("s"), "name")).otherwise("name").alias("id"),
            "at",
            pl.when(shadow).then(pl.lit("m-2")).otherwise(pl.lit("m-1")).alias("model"),
            pl.when(shadow).then(pl.lit("shadow")).otherwise(pl.lit("champion")).alias("role"),
            pl.when(shadow).then("name").otherwise(pl.lit("")).alias("of"),
            "prediction",
            pl.lit(None, dtype=pl.Float64).alias("low"),
            pl.lit(None, dtype=pl.Float64).alias("high"),
            pl.lit(None, dtype=pl.String).alias("key"),
            pl.lit("").alias("request"),
            "latency_us",
            pl.lit('{"size":3.5,"brand":"acme","age":12}').alias("features"),
        ),
        mode="append",
    )
    labels = frame.filter(~shadow)
    workspace.tables.write(
        "feedback",
        labels.select(
            pl.col("name").alias("id"),
            pl.col("at") + timedelta(seconds=1),
            pl.Series("label", [f"{one:.3f}" for one in chance.normal(10, 3, labels.height)]),
            pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("label_time"),
            pl.lit("").alias("source"),
        ),
        mode="append",
    )


def timed(call: Callable[[], object]) -> float:
    """Return how many seconds of the processors a call takes, whatever else they do."""
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
