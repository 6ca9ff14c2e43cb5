"""Watching: false alarms, what is found and how soon, and what a report costs, beside the peers.

`python -m bench watch` prints a line of JSON for each figure, and keeps them, their chart and their
tables in docs. On two quiet cores it takes an hour; `--only cost` measures one part, in some
minutes, and leaves the lines of the others as they are. `python -m bench.watch` draws and writes
again what is kept.
"""

import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bench.figures import workplace
from bench.watching.alarms import false_alarms
from bench.watching.cost import ROWS, make_files, measure_work
from bench.watching.findings import ORDER, draw_again, keep_part
from bench.watching.hours import busy_alarms, gross_harm
from bench.watching.own import false_reports, found_nulls, watch_days
from bench.watching.power import power
from bench.watching.simulated import simulated_lines, write_simulated
from bench.watching.tables import (
    CODES,
    NUMBERS,
    PLANTED,
    PLANTED_DAYS,
    PLANTS,
    Table,
    freight_days,
    plant,
    taxi,
    write_tables,
)
from bench.watching.worlds import WORLDS

__all__ = ["measure"]

REPOSITORY = Path(__file__).resolve().parent.parent
PEERS = REPOSITORY / ".env-watching" / "bin" / "python"
REPEATS = {"bucle": 300, "evidently": 10, "nannyml": 40, "ks": 200}
NULLS = {"bucle": 100, "ks": 40, "nannyml": 10, "evidently": 5}
SIMULATED = {"ks": 8, "evidently": 2}
YEARS = (2010, 2012, 2014)
"""Years of deliveries, each judged by the two before it."""

PROJECTS = 1_000
BUSY = 300
TURNS = 5
Lines = Iterator[dict[str, Any]]


def measure(*, repeats: int, only: Sequence[str] = ()) -> None:
    """Print the figures of watching, and keep them; a few of all turns are enough."""
    unknown = set(only) - set(PARTS)
    if unknown:
        sys.exit(f"--only takes {', '.join(PARTS)}; not {', '.join(sorted(unknown))}")
    for part in only or PARTS:
        lines = []
        for line in PARTS[part](min(repeats, TURNS)):
            line["load"] = round(os.getloadavg()[0], 2)
            lines.append(line)
            print(json.dumps(line), flush=True)
        keep_part(part, lines)


def _alarms(_: int) -> Lines:
    yield from false_alarms(projects=PROJECTS, worlds=WORLDS)
    yield from busy_alarms(projects=BUSY)


def _power(_: int) -> Lines:
    yield from power(repeats=400)
    yield from gross_harm(repeats=20)


def _own(_: int) -> Lines:
    with workplace() as folder:
        tables = write_tables(folder)
    if "taxi" not in tables:
        yield {"figure": "monitors", "contender": "bucle", "skipped": "the taxi trips are absent"}
        return
    pairs: dict[str, list[int]] = {}
    for name in ("taxi", "freight"):
        if name in tables:
            pairs |= false_reports(tables[name], repeats=REPEATS["bucle"])
    days = {}
    first, last = PLANTED_DAYS
    if "february" in tables:
        february = tables["february"]
        days["february"] = watch_days(tables["taxi"], february.rows)
        for name in PLANTS:
            found = watch_days(tables["taxi"], plant(february, name))
            days[f"planted-{name}"] = {
                day: columns for day, columns in found.items() if first <= day <= last
            }
    yield _judged("bucle", {"pairs": pairs, "days": days})


def _peers(_: int) -> Lines:
    with workplace() as folder:
        write_tables(folder)
        for name in ("ks", "nannyml", "evidently"):
            told = _ask_peer(name, folder, REPEATS[name], "tables")
            if isinstance(told, str):
                yield {"figure": "monitors", "contender": name, "skipped": told}
            else:
                yield _judged(name, told)


def _simulated(_: int) -> Lines:
    with workplace() as folder:
        write_simulated(folder, repeats=max(SIMULATED.values()))
        for name, repeats in SIMULATED.items():
            told = _ask_peer(name, folder, repeats, "simulated")
            if isinstance(told, str):
                yield {"figure": "days in alarm", "contender": name, "skipped": told}
            else:
                yield from simulated_lines(name, told)


def _nulls(_: int) -> Lines:
    figure = "1 % nulls in one column of a report"
    with workplace() as folder:
        tables = write_tables(folder)
        for name, repeats in NULLS.items():
            if name == "bucle":
                told: dict[str, Any] | str = {
                    one: found_nulls(tables[one], repeats=repeats)
                    for one in ("taxi", "freight")
                    if one in tables
                }
            else:
                told = _ask_peer(name, folder, repeats, "nulls")
            if isinstance(told, str):
                yield {"figure": figure, "contender": name, "skipped": told}
                continue
            for table, named in told.items():
                yield {
                    "figure": figure,
                    "contender": name,
                    "table": table,
                    "named": named,
                    "of": repeats,
                }
    yield from _freight_years()


def _freight_years() -> Lines:
    table = freight_days()
    if table is None:
        yield {"figure": "days of deliveries", "skipped": "the consignment file is absent"}
        return
    assert table.time is not None
    year = pl.col(table.time).dt.year()
    for one in YEARS:
        known = table.rows.filter(year.is_between(one - 2, one - 1))
        known_table = Table(name=table.name, rows=known, words=table.words, time=table.time)
        days = watch_days(known_table, table.rows.filter(year == one))
        named = Counter(column for columns in days.values() for column in columns)
        yield {
            "figure": "days of deliveries",
            "contender": "bucle",
            "year": one,
            "days": len(days),
            "days_named": sum(bool(columns) for columns in days.values()),
            "columns": dict(named.most_common(3)),
        }


def _ask_peer(name: str, folder: Path, repeats: int, work: str) -> dict[str, Any] | str:
    """Return what a monitor of another environment told, or why it did not."""
    if not PEERS.exists():
        return ".env-watching is not there; try: make bench"
    script = Path(__file__).resolve().parent / "watching" / "peers" / "monitor.py"
    done = subprocess.run(
        [str(PEERS), str(script), name, str(folder), str(repeats), work],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _judged(name: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return what a monitor is worth: false reports and days, and days until a plant is named."""
    days = {key: list(found.values()) for key, found in told["days"].items()}
    line: dict[str, Any] = {
        "figure": "monitors",
        "contender": name,
        "false_reports": {
            key: {"share": round(alarms / repeats, 4), "repeats": repeats}
            for key, (alarms, repeats) in told["pairs"].items()
        },
    }
    if "february" in days:
        february = days["february"]
        line["days"] = len(february)
        line["false_days"] = sum(bool(columns) for columns in february)
        line["found"] = {
            key: _found(days[f"planted-{key}"], february[14:20], PLANTED[key]) for key in PLANTS
        }
    if name == "bucle":
        line["met"] = (
            all(
                one["share"] <= 0.01 + 2.6 * (0.01 / one["repeats"]) ** 0.5
                for one in line["false_reports"].values()
            )
            and line.get("false_days", 0) <= line.get("days", 12) / 12
        )
    return line


def _found(planted: list[list[str]], plain: list[list[str]], column: str) -> dict[str, Any]:
    """Tell after how many days the planted column is named, and how often it is without a plant."""
    named = [column in columns for columns in planted]
    return {
        "delay_days": named.index(True) + 1 if any(named) else None,
        "days_named": sum(named),
        "of": len(named),
        "named_without": sum(column in columns for columns in plain),
    }


def _cost(turns: int) -> Lines:
    january, february = taxi(1), taxi(2)
    if january is None or february is None:
        yield {"figure": "cost of a report", "skipped": "the taxi trips are absent"}
        return
    with workplace() as folder:
        columns = {"words": CODES, "numbers": NUMBERS}
        (folder / "columns.json").write_text(json.dumps(columns), encoding="utf-8")
        for rows in (ROWS, ROWS // 10):
            make_files(folder, january.rows, february.rows, rows=rows)
        yield from _costs(folder, turns)


def _costs(folder: Path, turns: int) -> Lines:
    works: list[tuple[str, str, int]] = [("bucle", sys.executable, ROWS)]
    if PEERS.exists():
        works.append(("duckdb", str(PEERS), ROWS))
    found: dict[str, list[dict[str, float]]] = {name: [] for name, _, _ in works}
    for turn in range(turns + 1):
        for name, python, rows in works:
            told = measure_work(python, name, folder, rows)
            if isinstance(told, str):
                yield {"figure": "cost of a report", "contender": name, "skipped": told}
            elif turn:  # the first turn warms the disk's cache
                found[name].append(told)
    medians = {name: _medians(turns) for name, turns in found.items() if turns}
    for name, one in medians.items():
        yield {
            "figure": "cost of a report",
            "contender": name,
            "rows": f"{ROWS:,} + {ROWS:,}",
            **one,
        }
    if set(medians) == {"bucle", "duckdb"}:
        pairs = list(zip(found["bucle"], found["duckdb"], strict=True))
        ratio = statistics.median(ours["s"] / theirs["s"] for ours, theirs in pairs)
        cpu = statistics.median(ours["cpu_s"] / theirs["cpu_s"] for ours, theirs in pairs)
        yield {
            "figure": "cost of a report, of DuckDB's histograms",
            "ratio": round(ratio, 3),
            "cpu_ratio": round(cpu, 3),
            "at_most": 1.5,
            "memory_mb": medians["bucle"]["memory_mb"],
            "met": ratio <= 1.5 and medians["bucle"]["memory_mb"] < 500,
        }
    few = ROWS // 10
    for name in ("bucle", "nannyml", "evidently"):
        if name != "bucle" and not PEERS.exists():
            continue
        python = sys.executable if name == "bucle" else str(PEERS)
        told = measure_work(python, name, folder, few)
        detail = {"skipped": told} if isinstance(told, str) else told
        asked = f"{few:,} + {few:,}"
        yield {"figure": "cost of a report", "contender": name, "rows": asked, **detail}


def _medians(turns: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(turn[key] for turn in turns), 3) for key in turns[0]}


PARTS: dict[str, Callable[[int], Lines]] = {
    "power": _power,
    "alarms": _alarms,
    "simulated": _simulated,
    "own": _own,
    "peers": _peers,
    "nulls": _nulls,
    "cost": _cost,
}
assert tuple(PARTS) == ORDER


if __name__ == "__main__":
    draw_again()
