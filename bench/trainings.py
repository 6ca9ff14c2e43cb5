"""The distinct trainings of a replay alone: the same training sets through the engine, no more.

`python bench/trainings.py PROJECT ARGUMENT …` looks up which models `bucle replay ARGUMENT …`
made, makes them anew with an empty cache, predicts nothing, and prints the seconds as JSON.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bucle.cli.command_line import main as bucle
from bucle.pipeline.artifacts import keep_value, read_value
from bucle.pipeline.cache import Cache
from bucle.pipeline.code import CodeReader
from bucle.pipeline.engine import Engine
from bucle.pipeline.execution import Execution, Host
from bucle.pipeline.kept import FileKept
from bucle.pipeline.modules import Modules
from bucle.pipeline.progress import Progress
from bucle.pipeline.tasks import Artifact, Task
from bucle.store.file_blobs import FileBlobs

__all__ = ["collect", "train"]

_LEARN = ":learn"


def collect(project: Path, arguments: Sequence[str]) -> dict[str, Task]:
    """Replay once more, from the cache, and return the tasks that train a model by their keys."""
    begun: list[tuple[Execution, Sequence[Task]]] = []
    build = Execution.__init__

    def watch(execution: Execution, host: Host, tasks: Sequence[Task], progress: Progress) -> None:
        build(execution, host, tasks, progress)
        begun.append((execution, tasks))

    Execution.__init__ = watch  # type: ignore[method-assign]  # this process does nothing else
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if bucle(["replay", "--project", str(project), *arguments]):
                sys.exit("the replay failed")
    finally:
        Execution.__init__ = build  # type: ignore[method-assign]
    return {
        execution.wait(task.name).key: task
        for execution, tasks in begun
        for task in tasks
        if task.call.endswith(_LEARN)
    }


def train(project: Path, tasks: Sequence[Task]) -> float:
    """Return the seconds that these trainings take with two workers and nothing in the cache."""
    with tempfile.TemporaryDirectory(dir=project.parent) as folder:
        place = Path(folder)
        blobs = FileBlobs(place / "blobs")
        asked = msgspec.convert(tasks[0].context["asked"], Artifact)
        rows = read_value(asked, blobs=FileBlobs(project / ".bucle" / "blobs"), root=project)
        nothing = msgspec.to_builtins(keep_value(rows.clear(), blobs=blobs, root=project))
        anew = [
            msgspec.structs.replace(
                task,
                name=f"model {number}",
                context=task.context
                | {"asked": nothing, "place": task.context["place"] | {"blobs": str(blobs.folder)}},
            )
            for number, task in enumerate(tasks)
        ]
        reader = CodeReader(Modules(project, memory=place / "facts"))
        began = time.perf_counter()
        with Engine(reader, blobs=blobs, cache=Cache(FileKept(place / "cache"))) as engine:
            results = engine.execute(anew)
        taken = time.perf_counter() - began
    if {result.state for result in results.values()} != {"ran"}:
        sys.exit("not every model was trained")
    return taken


if __name__ == "__main__":
    root = Path(sys.argv[1])
    wanted = list(collect(root, sys.argv[2:]).values())
    print(json.dumps({"models": len(wanted), "seconds": train(root, wanted)}))
