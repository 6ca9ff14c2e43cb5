"""The cost of a step that does nothing: a thousand in a chain and in a fan-out."""

import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import workplace
from bucle.pipeline.cache import Cache
from bucle.pipeline.code import CodeReader
from bucle.pipeline.engine import Engine
from bucle.pipeline.graph import read_graph
from bucle.pipeline.kept import FileKept
from bucle.pipeline.modules import Modules
from bucle.pipeline.tasks import Task
from bucle.store.file_blobs import FileBlobs

__all__ = ["measure"]

STEPS = 1000
TARGET_MS = 1.0


def measure(*, repeats: int) -> None:
    """Print milliseconds a step, run and found in the cache."""
    for shape in ("chain", "fan-out"):
        taken: dict[str, list[float]] = {"run": [], "cached": []}
        for _ in range(max(repeats // 3, 3)):
            with workplace() as folder:
                (folder / "pipeline.py").write_text("\n".join(_lines(shape)))
                taken["run"].append(_execute(folder, "ran"))
                taken["cached"].append(_execute(folder, "cached"))
        for kind, turns in taken.items():
            median = statistics.median(turns)
            line = {
                "figure": f"{STEPS} steps in a {shape}, {kind}",
                "ms_a_step": round(median, 3),
                "target": TARGET_MS,
                "met": median <= TARGET_MS,
                "range": [round(min(turns), 3), round(max(turns), 3)],
                "turns": len(turns),
                "load": round(os.getloadavg()[0], 2),
            }
            print(json.dumps(line), flush=True)


def _lines(shape: str) -> Iterator[str]:
    yield "def s0(): return 0"
    for number in range(1, STEPS):
        source = f"s{number - 1}" if shape == "chain" else "s0"
        yield f"def s{number}({source}): return {number}"


def _execute(folder: Path, expected: str) -> float:
    """Plan and execute everything with fresh objects; return milliseconds a step."""
    began = time.perf_counter()
    reader = CodeReader(Modules(folder, memory=folder / ".bucle" / "facts"))
    graph = read_graph(reader.modules.of_file("pipeline.py"))
    tasks = [
        Task(
            name=step.name,
            call=step.call,
            code=reader.of_project(step.call),
            inputs={name: name for name in step.inputs},
        )
        for step in graph.steps
    ]
    blobs, kept = FileBlobs(folder / ".bucle" / "blobs"), FileKept(folder / ".bucle" / "cache")
    with Engine(reader, blobs=blobs, cache=Cache(kept)) as engine:
        results = engine.execute(tasks)
    taken = (time.perf_counter() - began) * 1000 / STEPS
    if {result.state for result in results.values()} != {expected}:
        raise SystemExit(f"not every step was {expected}")
    return taken
