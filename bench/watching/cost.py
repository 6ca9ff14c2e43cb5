"""What a report of two Parquet files costs: ours, and what DuckDB takes for histograms alone.

Each work is a process of its own, `cost.py WORK FOLDER`, which prints its seconds once its imports
are done, its CPU, and the most memory it had. The peers get a tenth or a hundredth of the rows.
"""

import datetime as dt
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["make_files", "measure_work"]

ROWS = 10_000_000
DAYS = 40
FILES = ("reference", "current")
TIME = "lpep_pickup_datetime"


def make_files(folder: Path, january: Any, february: Any, *, rows: int) -> None:
    """Write two files of so many rows of taxi trips, with noise, in the order of their days."""
    import numpy as np  # noqa: PLC0415
    import polars as pl  # noqa: PLC0415

    noisy = ("trip_distance", "fare_amount", "tip_amount", "total_amount")
    for number, (name, trips) in enumerate(zip(FILES, (january, february), strict=True)):
        rng = np.random.default_rng(number)
        per_day = rows // DAYS
        parts = folder / f"{name}-{rows}"
        parts.mkdir()
        for day in range(DAYS):
            begin = dt.datetime(2024, 1, 1) + dt.timedelta(  # noqa: DTZ001
                days=DAYS * number + day
            )
            seconds = np.sort(rng.integers(0, 86_400, per_day))
            drawn = trips[rng.integers(0, trips.height, per_day)]
            drawn.with_columns(
                (pl.lit(begin) + pl.duration(seconds=pl.Series(seconds))).alias(TIME),
                *(pl.col(one) + pl.Series(rng.normal(0, 0.01, per_day)) for one in noisy),
            ).write_parquet(parts / f"{day:02}.parquet")
        whole = pl.scan_parquet(parts / "*.parquet")
        whole.sink_parquet(folder / f"{name}-{rows}.parquet", row_group_size=250_000)


def measure_work(python: Path | str, work: str, folder: Path, rows: int) -> dict[str, float] | str:
    """Return seconds, CPU and megabytes of a work in a process of its own, or why it failed."""
    done = subprocess.run(
        [str(python), str(Path(__file__).resolve()), work, str(folder), str(rows)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:200]
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _bucle(known: Path, now: Path, _: dict[str, Any]) -> None:
    from bucle.loop.watching.files import watch_files  # noqa: PLC0415

    yield_to_clock()
    watch_files([known], [now], time=TIME)


def _duckdb(known: Path, now: Path, plan: dict[str, Any]) -> None:
    import duckdb  # noqa: PLC0415

    yield_to_clock()
    con = duckdb.connect()
    words = plan["words"]
    for path in (known, now):
        for name in words:
            con.execute(f"select {name}, count(*) from '{path}' group by 1").fetchall()
        for name in plan["numbers"]:
            low, high = con.execute(f"select min({name}), max({name}) from '{known}'").fetchone()
            con.execute(
                f"select floor(({name} - ({low})) / ({high} - ({low})) * 50)::int, count(*) "
                f"from '{path}' group by 1"
            ).fetchall()


def _evidently(known: Path, now: Path, plan: dict[str, Any]) -> None:
    _monitor("evidently", known, now, plan)


def _nannyml(known: Path, now: Path, plan: dict[str, Any]) -> None:
    _monitor("nannyml", known, now, plan)


def _monitor(name: str, known: Path, now: Path, plan: dict[str, Any]) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))
    import monitor  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    columns = [*plan["words"], *plan["numbers"]]
    yield_to_clock()
    tables = [pd.read_parquet(path, columns=columns) for path in (known, now)]
    monitor.MONITORS[name](*tables, plan["words"])


CLOCK = {"began": 0.0, "cpu": 0.0}


def yield_to_clock() -> None:
    """Begin to count: what came before were imports."""
    CLOCK["began"], CLOCK["cpu"] = time.perf_counter(), time.process_time()


def main() -> None:
    """Do one work and print what it cost."""
    work, folder, rows = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    plan = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    known, now = (folder / f"{name}-{rows}.parquet" for name in FILES)
    works = {"bucle": _bucle, "duckdb": _duckdb, "evidently": _evidently, "nannyml": _nannyml}
    works[work](known, now, plan)
    told = {
        "s": round(time.perf_counter() - CLOCK["began"], 3),
        "cpu_s": round(time.process_time() - CLOCK["cpu"], 3),
        "memory_mb": round(_peak_mb(), 1),
    }
    print(json.dumps(told))


def _peak_mb() -> float:
    """Return the most memory this program has had; `ru_maxrss` would be that of who started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = [one for one in status.read_text().splitlines() if one.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
