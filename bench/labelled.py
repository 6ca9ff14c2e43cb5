"""How long a look at a champion's losses takes when so many days were answered and labelled before.

`python -m bench.labelled DAYS ROWS` writes ROWS answers a day, each with a label an hour later, and
times the first look, one after 1,000 rows more, and one that reads all.
"""

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from bench.looks import timed
from bucle.charter.reading import read_charter
from bucle.clock import FixedClock
from bucle.loop.watching.kept_labels import labelled_rows
from bucle.loop.watching.sightings import labelled_since
from bucle.loop.workspace import Workspace
from bucle.models.signature import Signature

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
NEW = 1_000
MODEL = "m-1"
SIGNATURE = Signature(kind="regression", target="price", features=())


def main() -> None:
    """Write the tables, look, and say how long it took."""
    days, rows = (int(one) for one in (*sys.argv[1:], "100", "10000")[:2])
    now = BEGAN + timedelta(days=days + 1)
    with tempfile.TemporaryDirectory() as folder:
        loaded = read_charter('[project]\nname = "shop"\n')
        clock = FixedClock(now)
        workspace = Workspace(Path(folder), loaded=loaded, actor="bench", clock=clock)
        (workspace.home / "serve" / "log").mkdir(parents=True)
        for day in range(days):
            write(workspace, day, 0, rows)

        def look() -> pl.DataFrame:
            return labelled_rows(workspace, BEGAN.date(), model=MODEL, signature=SIGNATURE, now=now)

        told = {"first look": timed(look)}
        write(workspace, days - 1, rows, NEW)
        told[f"look after {NEW:,} more"] = timed(look)
        told["all rows read"] = timed(
            lambda: labelled_since(
                workspace, BEGAN.date(), model=MODEL, signature=SIGNATURE, until=now
            )
        )
        kept = sum(one.stat().st_size for one in (workspace.home / "watch").rglob("*.arrow"))
        for name, seconds in told.items():
            sys.stdout.write(f"{days * rows:>12,} answers  {name:<24} {seconds:8.2f} s of CPU\n")
        sys.stdout.write(f"{days * rows:>12,} answers  kept {kept / 1e6:,.0f} MB\n")


def write(workspace: Workspace, day: int, first: int, count: int) -> None:
    """Append the answers of a day, spread over it, and their labels."""
    chance = np.random.default_rng((day, first))
    begin = BEGAN + timedelta(days=day)
    at = [begin + timedelta(hours=20) * (number / count) for number in range(count)]
    names = [
        f"p-{round(one.timestamp() * 1000):012x}{first + number:020x}"
        for number, one in enumerate(at)
    ]
    said = chance.normal(10, 3, count)
    nothing = pl.lit(None, dtype=pl.String)
    rows = pl.DataFrame({"id": names, "at": at}, schema_overrides={"at": pl.Datetime("us", "UTC")})
    workspace.tables.write(
        "predictions",
        rows.select(
            "id",
            "at",
            pl.lit(MODEL).alias("model"),
            pl.lit("champion").alias("role"),
            pl.lit("").alias("of"),
            pl.Series("prediction", said),
            pl.lit(None, dtype=pl.Float64).alias("low"),
            pl.Series("high", said + 3.0),
            nothing.alias("key"),
            pl.lit("").alias("request"),
            pl.lit(90, dtype=pl.Int64).alias("latency_us"),
            pl.lit('{"size":3.5}').alias("features"),
        ),
        mode="append",
    )
    workspace.tables.write(
        "feedback",
        rows.select(
            "id",
            pl.col("at") + timedelta(hours=1),
            pl.Series("label", [f"{one:.3f}" for one in said + chance.normal(0, 2, count)]),
            pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("label_time"),
            pl.lit("").alias("source"),
        ),
        mode="append",
    )


if __name__ == "__main__":
    main()
