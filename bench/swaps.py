"""What swaps and a slow disk do to answers: how long an old one is given, and how long they take.

The consignment project, compiled engine, two workers, 500 one-row requests a second, prediction
log on.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import run, workplace
from bench.serving.contenders import ANY_ROW, DATA, HERE, Contender, Running, make_project, start
from bench.serving.processes import end, family
from bucle.loop.events import RolledBack
from bucle.loop.workspace import open_workspace

__all__ = ["measure"]

RATE = 500
WITHIN_S, HALF_S = 1.0, 0.5
SWAP, SLOW, MEMORY = 1.5, 1.2, 2.0
CROWD = 1000
_BUCLE = str(Path(sys.executable).parent / "bucle")


def measure(*, repeats: int) -> None:
    """Print the figures of swaps, of a slow disk and of a crowd."""
    if not DATA.exists():
        print(json.dumps({"figure": "swaps", "skipped": f"{DATA.name} is absent"}))
        return
    with workplace() as folder:
        project, models = _two_models(folder / "swapped")
        _rollbacks(project, models, count=max(20, repeats))
        _first_rollback(project, models, count=3)
        _swaps(project, models, count=100)
        _crowd(project)
        _slow_disk(project, folder, turns=max(9, repeats))


def _two_models(folder: Path) -> tuple[Path, list[str]]:
    """Make a project with two champions behind it."""
    project = make_project(folder, kind="Pipeline")
    learner = project / "learner.py"
    learner.write_text(learner.read_text().replace("max_iter=200", "max_iter=190"))
    # The referee need not like it: it is promoted by hand.
    told = subprocess.run(
        [_BUCLE, "run", "--json"], cwd=project, capture_output=True, text=True, check=False
    )
    run([_BUCLE, "promote", json.loads(told.stdout)["model"], "--because", "measured"], project)
    return project, sorted(path.name for path in (project / ".bucle" / "packages").glob("m-*"))


@contextlib.contextmanager
def _served(
    project: Path, *, workers: int = 2, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    token = project / ".bucle" / "serve" / "token"
    running = start(
        Contender(
            name="bucle",
            command=lambda port: [
                *(_BUCLE, "serve", "--port", str(port), "--workers", str(workers))
            ],
            folder=project,
            path="/predict",
            body=lambda rows: rows[0] if len(rows) == 1 else list(rows),
            headers=lambda: {
                "authorization": f"Bearer {token.read_text().strip() if token.exists() else ''}"
            },
            environment=dict(environment or {}),
        )
    )
    try:
        yield running
    finally:
        end(running.process)


def _watched(running: Running, act: Callable[[], None]) -> dict[str, Any]:
    """Return what was answered, and when, while something was done."""
    wish = {**running.wish([ANY_ROW]), "connections": 32, "rate": RATE}
    with subprocess.Popen(
        [sys.executable, "-m", "bench.serving.paced", json.dumps(wish)],
        cwd=HERE.parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as load:
        time.sleep(2.0)
        act()
        told, _ = load.communicate()
    found: dict[str, Any] = json.loads(told)
    strange = {model for model in found["model"] if not model.startswith("m-")}
    if strange or found["broken"]:
        sys.exit(f"not everything was answered: {strange}, {found['broken']} connections broke")
    return found


def _rollbacks(project: Path, models: Sequence[str], *, count: int) -> None:
    """Roll back to and fro, and look for the last answer of the model that was left."""
    spans: list[tuple[str, float, float]] = []

    def act() -> None:
        for _ in range(count):
            old = _champion(project)
            (new,) = set(models) - {old}
            began = time.time()
            run([_BUCLE, "rollback", "--to", new, "--because", "measured"], project)
            spans.append((old, began, time.time()))
            time.sleep(1.5)

    with _served(project) as running:
        _watched(running, lambda: time.sleep(1.0))
        found = _watched(running, act)
    _tell_rollbacks("rollback until the last old answer", found, spans)


def _first_rollback(project: Path, models: Sequence[str], *, count: int) -> None:
    """Roll back as the first thing after a start, when the other model was never asked for."""
    told: dict[str, Any] = {"due": [], "taken": [], "model": []}
    spans: list[tuple[str, float, float]] = []
    for _ in range(count):
        old = _champion(project)
        (new,) = set(models) - {old}

        def act(old: str = old, new: str = new) -> None:
            began = time.time()
            run([_BUCLE, "rollback", "--to", new, "--because", "measured"], project)
            spans.append((old, began, time.time()))
            time.sleep(6.0)

        with _served(project) as running:
            found = _watched(running, act)
        for name, column in told.items():
            column.extend(found[name])
        time.sleep(1.0)
    _tell_rollbacks("first rollback after a start until the last old answer", told, spans)


def _tell_rollbacks(
    figure: str, found: Mapping[str, Any], spans: Sequence[tuple[str, float, float]]
) -> None:
    ended = [due + taken for due, taken in zip(found["due"], found["taken"], strict=True)]
    after_return, after_start = [], []
    for place, (old, began, returned) in enumerate(spans):
        until = spans[place + 1][1] if place + 1 < len(spans) else float("inf")
        last = max(
            moment
            for moment, model in zip(ended, found["model"], strict=True)
            if model == old and moment < until
        )
        after_return.append(max(0.0, last - returned))
        after_start.append(last - began)
    _tell(
        figure,
        seconds=_p99(after_return),
        target=WITHIN_S,
        met=_p99(after_return) <= WITHIN_S,
        median_s=round(statistics.median(after_return), 3),
        from_start_s=round(_p99(after_start), 3),
        rollbacks=len(spans),
        requests=len(ended),
    )


def _swaps(project: Path, models: Sequence[str], *, count: int) -> None:
    """Compare answers in the half second after a swap with those of the half second before."""
    moments: list[float] = []

    def act(times: int = count) -> None:
        for _ in range(times):
            workspace = open_workspace(project)
            old = _champion(project)
            (new,) = set(models) - {old}
            fact = RolledBack(model=new, previous=old, because="measured")
            workspace.record(fact, expected=workspace.state().position)
            moments.append(time.time())
            time.sleep(1.0)

    with _served(project) as running:
        act(4)
        moments.clear()
        found = _watched(running, act)
    during: list[float] = []
    quiet: list[float] = []
    for due, taken in zip(found["due"], found["taken"], strict=True):
        since = min((due - moment for moment in moments if due >= moment), default=None)
        if since is not None:
            (during if since < HALF_S else quiet).append(taken)
    ratio = _p99(during) / _p99(quiet)
    _tell(
        "p99 in the half second after a swap, by that between swaps",
        ratio=ratio,
        target=SWAP,
        met=ratio <= SWAP,
        p99_ms=[round(_p99(during) * 1000, 2), round(_p99(quiet) * 1000, 2)],
        p50_ms=[round(statistics.median(one) * 1000, 2) for one in (during, quiet)],
        swaps=count,
        requests=len(during) + len(quiet),
    )


def _crowd(project: Path) -> None:
    """Let a thousand connections ask for ten rows at once, and look at the memory of a worker."""
    with _served(project, workers=1) as running:
        (worker,) = [pid for pid in family(running.process.pid) if _is_worker(pid)]
        idle = _kilobytes(worker, "VmRSS")
        wish = {
            **running.wish([ANY_ROW] * 10),
            "connections": CROWD,
            "most": 10 * CROWD,
            "seconds": 120,
        }
        told = subprocess.run(
            [sys.executable, "-m", "bench.serving.load"],
            cwd=HERE.parent.parent,
            input=json.dumps(wish),
            capture_output=True,
            text=True,
            check=True,
        )
        most = _kilobytes(worker, "VmHWM")
    answered = json.loads(told.stdout)
    _tell(
        "memory of a worker in a crowd, by that when idle",
        ratio=most / idle,
        target=MEMORY,
        met=most <= MEMORY * idle and not answered["errors"],
        megabytes=[round(most / 1024, 1), round(idle / 1024, 1)],
        connections=CROWD,
        requests=answered["requests"],
        errors=answered["errors"],
    )


def _slow_disk(project: Path, folder: Path, *, turns: int) -> None:
    """Answer while each fsync takes 0.5 to 5 seconds, in turns with a disk as it is."""
    compiler = shutil.which("cc")
    if compiler is None:
        print(json.dumps({"figure": "slow disk", "skipped": "no C compiler"}))
        return
    library = folder / "slow_disk.so"
    run([compiler, "-shared", "-fPIC", "-o", str(library), str(HERE / "slow_disk.c")], folder)
    own = shutil.copytree(project, folder / "slow")
    preloaded = {"LD_PRELOAD": str(library)}
    fast: list[float] = []
    slow: list[float] = []
    # Both run and are asked in turns, so that both meet the same machine.
    with _served(project) as usual, _served(own, environment=preloaded) as delayed:
        for _ in range(turns):
            for running, taken in ((usual, fast), (delayed, slow)):
                taken.append(_p99(_watched(running, lambda: time.sleep(4.0))["taken"]))
    ratio = statistics.median(one / other for one, other in zip(slow, fast, strict=True))
    _tell(
        "p99 while an fsync takes 0.5 to 5 s, by that of the disk as it is",
        ratio=ratio,
        target=SLOW,
        met=ratio <= SLOW,
        p99_ms=[round(statistics.median(one) * 1000, 2) for one in (slow, fast)],
        turns=turns,
    )


def _champion(project: Path) -> str:
    tenures = open_workspace(project).state().tenures
    return tenures[-1].model


def _is_worker(pid: int) -> bool:
    return "serving.worker" in Path(f"/proc/{pid}/cmdline").read_text()


def _kilobytes(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[min(int(len(values) * 0.99), len(values) - 1)]


def _tell(figure: str, **values: Any) -> None:
    rounded = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in values.items()
    }
    line = {"figure": figure, **rounded, "load": round(os.getloadavg()[0], 2)}
    print(json.dumps(line), flush=True)
