"""One figure: several commands timed in turns, the median of each, and the ratio to a reference."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Contender", "compare", "report", "run", "workplace"]

RESULTS = Path(__file__).resolve().parent / "results"


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """Give a folder beside the benchmarks, on the disk where projects live, not that of /tmp."""
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        yield Path(folder)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to do the work: `prepare` runs before each turn and is not timed."""

    name: str
    command: list[str]
    folder: Path
    prepare: Callable[[], None] = field(default=lambda: None)


def run(command: list[str], folder: Path) -> str:
    """Run a command and return what it printed; a failure ends the benchmark with its words."""
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def compare(
    contenders: list[Contender], *, repeats: int, warm: bool = True
) -> dict[str, list[float]]:
    """Return the seconds of each contender, turn by turn, so that all meet the same machine."""
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for turn in range(-1 if warm else 0, repeats):
        for contender in contenders:
            contender.prepare()
            began = time.perf_counter()
            run(contender.command, contender.folder)
            taken = time.perf_counter() - began
            if turn >= 0:
                seconds[contender.name].append(taken)
    return seconds


def report(
    figure: str,
    seconds: dict[str, list[float]],
    *,
    ours: str,
    reference: str,
    target: float | None = None,
    kind: str = "ratio",
) -> None:
    """Print one line: our median, the reference's, and their ratio or difference.

    Args:
        figure: What is measured.
        seconds: Contender → seconds of each turn.
        ours: The contender that is judged.
        reference: The contender it is judged against.
        target: At most this much, in the kind given.
        kind: `ratio` of medians, or `difference` of medians in seconds.
    """
    mine, other = (statistics.median(seconds[name]) for name in (ours, reference))
    value = mine / other if kind == "ratio" else mine - other
    line = {
        "figure": figure,
        kind: round(value, 4),
        "target": target,
        "met": None if target is None else value <= target,
        "median_s": {name: round(statistics.median(turns), 4) for name, turns in seconds.items()},
        "range_s": {
            name: [round(min(turns), 4), round(max(turns), 4)] for name, turns in seconds.items()
        },
        "ours": ours,
        "reference": reference,
        "turns": len(seconds[ours]),
        "load": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(line), flush=True)
