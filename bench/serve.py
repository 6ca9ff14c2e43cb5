"""Serving: what an answer costs, beside an app that only answers and beside the peers.

All serve the same learner with one worker and OpenMP at one thread; ours keeps its prediction log.
`python -m bench serve` prints a line of JSON for each figure, and keeps them and their chart in
docs; `python -m bench.serve FINDINGS.jsonl` draws from lines that were printed before.
"""

import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figures import workplace
from bench.serving.beside import compare
from bench.serving.contenders import DATA, HERE, Running, make_contenders, start
from bench.serving.processes import end
from bench.serving.sketch import draw
from bench.serving.turns import Figures, take_turns

__all__ = ["judge", "measure"]

REPOSITORY = HERE.parent.parent
PICTURE = REPOSITORY / "docs" / "pictures" / "serve.svg"
FINDINGS = REPOSITORY / "docs" / "why" / "serving-speed.jsonl"
SECONDS = 3.0
COMPILED, ESTIMATOR = "bucle, compiled", "bucle, estimator"
_HUNDRED = "CPU of a hundred rows"
# Requests under way at once share a call of the model, so each engine is also asked one at a time.
_BESIDE = {
    f"{_HUNDRED}, of the compiled model in process": (COMPILED, "compiled", 8),
    f"{_HUNDRED} over one connection, of the compiled model in process": (COMPILED, "compiled", 1),
    f"{_HUNDRED} over one connection, of the estimator in process": (ESTIMATOR, "estimator", 1),
}


def measure(*, repeats: int) -> None:
    """Print the figures of serving, and draw them."""
    if not DATA.exists():
        print(json.dumps({"figure": "serving", "skipped": f"{DATA.name} is absent"}))
        return
    lines: list[dict[str, Any]] = []

    def say(**line: Any) -> None:
        line["load"] = round(os.getloadavg()[0], 2)
        lines.append(line)
        print(json.dumps(line), flush=True)

    with workplace() as folder:
        contenders, rows, missing = make_contenders(folder)
        for name, reason in missing.items():
            say(figure="serving", contender=name, skipped=reason)
        servers: list[Running] = []
        try:
            servers += [start(contender) for contender in contenders]
            found = take_turns(servers, list(rows), repeats=repeats, seconds=SECONDS)
            beside = {
                figure: compare(
                    next(server for server in servers if server.contender.name == name),
                    folder / project,
                    list(rows),
                    connections=connections,
                    turns=4 * repeats,
                )
                for figure, (name, project, connections) in _BESIDE.items()
            }
        finally:
            for server in servers:
                end(server.process)
    for name, figures in found.items():
        say(figure="serving", contender=name, errors=figures.errors, **figures.medians())
    for line in judge(found, beside):
        say(**line)
    kept = "".join(json.dumps(line) + "\n" for line in lines)
    FINDINGS.write_text(kept, encoding="utf-8")
    PICTURE.write_text(draw(lines), encoding="utf-8")


def judge(
    found: dict[str, Figures], beside: dict[str, tuple[list[float], list[float]]]
) -> list[dict[str, Any]]:
    """Return the figures that have a target, each with whether it is met.

    A ratio is the median of the ratios of the turns, in which both met the same machine.
    """
    ok, compiled, estimator = found["ok"], found[COMPILED], found[ESTIMATOR]
    fastapi, mlflow = found.get("FastAPI"), found.get("MLflow")
    lines = [
        _at_most("CPU of a row, of what only answering costs", compiled.cpu_ms, ok.cpu_ms, 2.5),
        _at_most("p99 at 64 connections, of only answering", compiled.p99_ms, ok.p99_ms, 3.0),
        *(_at_most(figure, *costs, 1.3) for figure, costs in beside.items()),
    ]
    if mlflow:
        lines.append(_at_least("CPU of a row, MLflow's", mlflow.cpu_ms, compiled.cpu_ms, 100.0))
    if fastapi:
        lines += [
            _at_least("CPU of a row, FastAPI's with pandas", fastapi.cpu_ms, compiled.cpu_ms, 50.0),
            _at_least(
                "requests a second, estimator engine, of FastAPI's",
                estimator.requests_s,
                fastapi.requests_s,
                10.0,
            ),
        ]
    return lines


def _at_most(figure: str, ours: Sequence[float], other: Sequence[float], target: float) -> Any:
    ratio = _ratio(ours, other)
    return {"figure": figure, "ratio": ratio, "at_most": target, "met": ratio <= target}


def _at_least(figure: str, more: Sequence[float], less: Sequence[float], target: float) -> Any:
    ratio = _ratio(more, less)
    return {"figure": figure, "ratio": ratio, "at_least": target, "met": ratio >= target}


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(above, below, strict=True)), 3)


def main() -> None:
    """Draw what was printed before."""
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    PICTURE.write_text(draw(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
