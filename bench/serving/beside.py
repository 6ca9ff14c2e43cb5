"""A server beside its model in a process alone, in turns so short that both meet the same machine.

What else a shared machine does changes from second to second by more than what is to be seen.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.serving.contenders import HERE, ONE_THREAD, Running
from bench.serving.turns import TOGETHER, ask_together

__all__ = ["compare"]

_TURN_S = 0.5


def compare(
    server: Running, project: Path, rows: list[dict[str, Any]], *, connections: int, turns: int
) -> tuple[list[float], list[float]]:
    """Return milliseconds of CPU for a hundred rows: of the server, of the model; for each turn.

    The model has its turn before and after the server, and its figure is the mean of both.

    Args:
        server: Answers with the project's model.
        project: Where the model is.
        rows: What is asked, a hundred at a time.
        connections: As many requests are under way at once.
        turns: How many.
    """
    batches = [rows[at : at + TOGETHER] for at in range(0, len(rows) - TOGETHER + 1, TOGETHER)]
    served: list[float] = []
    alone: list[float] = []
    with subprocess.Popen(
        [sys.executable, str(HERE / "in_process.py"), str(project)],
        env={**os.environ, **ONE_THREAD},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as model:
        if model.stdin is None or model.stdout is None or not model.stdout.readline():
            sys.exit("the model in a process alone does not start")

        def call() -> float:
            print(_TURN_S, file=model.stdin)
            return float(model.stdout.readline())  # type: ignore[union-attr]

        call()
        before = call()
        for _ in range(turns):
            served.append(ask_together(server, batches, connections=connections, seconds=_TURN_S))
            after = call()
            alone.append((before + after) / 2)
            before = after
        model.stdin.close()
    return served, alone
