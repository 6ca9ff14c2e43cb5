"""Watching: false alarms, what is found and how soon, and what a report costs, beside the peers.

`python -m bench watch` prints a line of JSON for each figure, and keeps them and their chart in
docs. It takes a quarter of an hour; `python -m bench.watch FINDINGS.jsonl` draws from lines that
were printed before, `python -m bench.watch power own peers cost alarms` measures some.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.figures import workplace
from bench.watching.alarms import false_alarms
from bench.watching.cost import ROWS, make_files, measure_work
from bench.watching.own import false_reports, watch_days
from bench.watching.power import power
from bench.watching.sketch import draw
from bench.watching.tables import (
    CODES,
    NUMBERS,
    PLANTED,
    PLANTED_DAYS,
    PLANTS,
    plant,
    taxi,
    write_tables,
)
from bench.watching.worlds import WORLDS

__all__ = ["measure"]

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURE = REPOSITORY / "docs" / "pictures" / "watch.svg"
FINDINGS = REPOSITORY / "docs" / "why" / "watching.jsonl"
PEERS = REPOSITORY / ".env-watching" / "bin" / "python"
REPEATS = {"bucle": 300, "evidently": 10, "nannyml": 40, "ks": 200}
PROJECTS = 1_000
TURNS = 5
Lines = Iterator[dict[str, Any]]


def measure(*, repeats: int) -> None:
    """Print the figures of watching, and draw them; a few of all turns are enough."""
    _measure(list(PARTS), turns=min(repeats, TURNS))


def _measure(names: list[str], *, turns: int) -> None:
    lines: list[dict[str, Any]] = []
    for name in names:
        for line in PARTS[name](turns):
            line["load"] = round(os.getloadavg()[0], 2)
            lines.append(line)
            print(json.dumps(line), flush=True)
    if list(PARTS) == names:
        FINDINGS.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        PICTURE.write_text(draw(lines), encoding="utf-8")


def _alarms(_: int) -> Lines:
    yield from false_alarms(projects=PROJECTS, worlds=WORLDS[:3])
    yield from false_alarms(projects=PROJECTS // 5, worlds=WORLDS[3:])


def _power(_: int) -> Lines:
    yield from power(repeats=400)


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
    if not PEERS.exists():
        yield {"figure": "monitors", "skipped": ".env-watching is not there; try: make bench"}
        return
    with workplace() as folder:
        write_tables(folder)
        script = Path(__file__).resolve().parent / "watching" / "peers" / "monitor.py"
        for name in ("ks", "nannyml", "evidently"):
            done = subprocess.run(
                [str(PEERS), str(script), name, str(folder), str(REPEATS[name])],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
                yield {"figure": "monitors", "contender": name, "skipped": reason}
                continue
            yield _judged(name, json.loads(done.stdout.splitlines()[-1]))


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
        rows = f"{few:,} + {few:,}"
        yield {"figure": "cost of a report", "contender": name, "rows": rows, **detail}


def _medians(turns: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(turn[key] for turn in turns), 3) for key in turns[0]}


PARTS: dict[str, Callable[[int], Lines]] = {
    "power": _power,
    "own": _own,
    "peers": _peers,
    "cost": _cost,
    "alarms": _alarms,
}


def main() -> None:
    """Draw what was printed before, or measure some parts."""
    if sys.argv[1] in PARTS:
        _measure(sys.argv[1:], turns=TURNS)
        return
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    PICTURE.write_text(draw(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
