"""A loop that runs as a user starts it, its customers, and what a test wants to know of both."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
from calls import BUCLE, bucle, surroundings

from bucle.loop.serving.presence import find_servers
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Event

__all__ = [
    "PATIENCE_S",
    "QUICK",
    "Customers",
    "Loop",
    "await_that",
    "events",
    "free_port",
    "right",
    "up",
    "wrong",
]

PATIENCE_S = 240.0

QUICK = (
    *("--set", "deploy.steps=[0.0,0.5]"),
    *("--set", "deploy.pairs=50"),
    *("--set", "deploy.bake_minutes=0.02"),
    *("--set", "deploy.requests=20"),
)
"""A rollout of two short steps; it asks for no labels."""


class Loop(NamedTuple):
    """A `bucle up` that goes on; `mark` stands in the environment of all its processes."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    port: int
    mark: str
    out: Path
    err: Path

    @property
    def token(self) -> str:
        """What clients must show."""
        return (self.folder / ".bucle" / "serve" / "token").read_text().strip()

    @property
    def told(self) -> str:
        """What it has said so far."""
        return self.out.read_text() + self.err.read_text()

    def processes(self, module: str = "") -> list[int]:
        """Return all processes of it that are there, those of one module if asked."""
        return marked(self.mark, module)

    def await_word(self, words: str, *, times: int = 1) -> None:
        """Wait until it has said something."""
        await_that(
            lambda: self.told.count(words) >= times,
            what=lambda: f"{words!r} {times} times; it said:\n{self.told}",
        )

    def await_event(self, kind: str, *, after: int = 0) -> Event:
        """Wait for the first event of a kind after a position."""
        found: list[Event] = []

        def came() -> bool:
            found[:] = [one for one in events(self.folder, kind) if one.position > after]
            return bool(found)

        await_that(came, what=lambda: f"{kind}; it said:\n{self.told}")
        return found[0]

    def client(self) -> httpx.Client:
        """Return a client that shows the token."""
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30)

    def stop(self, how: int = signal.SIGINT) -> int:
        """End it by a signal and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


@contextmanager
def up(
    folder: Path,
    *words: str,
    port: int | None = None,
    name: str = "up",
    env: Mapping[str, str | None] | None = None,
) -> Iterator[Loop]:
    """Start `bucle up`; whatever happens, none of its processes is left behind.

    With `--port` of a server that is there it stands by; else it answers when this returns.
    """
    place, mark = port or free_port(), uuid.uuid4().hex
    out, err = folder / f"{name}.out", folder / f"{name}.err"
    with out.open("wb") as told, err.open("wb") as complained:
        process = subprocess.Popen(
            [BUCLE, "up", "--port", str(place), *words],
            cwd=folder,
            env=surroundings({"LOOP_OF_A_TEST": mark, **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=complained,
            start_new_session=True,
        )
    loop = Loop(process, folder, place, mark, out, err)
    try:
        await_that(
            lambda: process.poll() is not None or _is_there(loop),
            what=lambda: f"it answers or stands by; it said:\n{loop.told}",
        )
        assert process.poll() is None, loop.told
        yield loop
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                loop.stop(signal.SIGTERM)
        for one in loop.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        process.wait(PATIENCE_S)


def _is_there(loop: Loop) -> bool:
    notes = find_servers(loop.folder / ".bucle" / "serve")
    return "standing by" in loop.told or loop.process.pid in {one.pid for one in notes}


def marked(mark: str, module: str = "") -> list[int]:
    """Return the processes that have a mark in their environment, those of one module if asked."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            number = int(entry.name)
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            words = (entry / "cmdline").read_text()
            is_own = f"LOOP_OF_A_TEST={mark}" in (entry / "environ").read_text()
            if is_own and state not in "ZX" and module in words:
                found.append(number)
    return sorted(found)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def events(folder: Path, *kinds: str) -> list[Event]:
    """Return what is on record, of some kinds if asked."""
    log = SqliteLog(folder / ".bucle" / "log.db")
    return [one for one in log.read() if not kinds or one.kind in kinds]


def await_that(
    condition: Callable[[], bool], *, what: Callable[[], str], within_s: float = PATIENCE_S
) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} seconds: {what()}"
        time.sleep(0.05)


def champion(folder: Path) -> str:
    """Return who is champion."""
    return str(bucle("history", "--json", at=folder).json[-1]["model"])


def candidate(folder: Path) -> str:
    """Return the other one of two models."""
    names = {one.name for one in (folder / ".bucle" / "packages").glob("m-*")}
    (found,) = names - {champion(folder)}
    return found


def kinds(folder: Path, after: int) -> list[str]:
    """Return what became of models after a position."""
    found = events(folder, "deployed", "withdrawn", "promoted", "rolled_back")
    return [one.kind for one in found if one.position > after]


def came_in(folder: Path) -> int:
    """Return the position of the last event."""
    return events(folder)[-1].position


def right(size: float) -> float:
    """Return what a thing is worth where a line with `bend` 1 is right."""
    return 10 + 3 * size


def wrong(size: float) -> float:
    """Return what a thing is worth where a line with `bend` 0.7 is right."""
    return 10 + 0.7 * 3 * size


class Customers:
    """Ask for predictions until they are stopped, and say later what things were worth.

    `answered` are the answers by id, `labelled` the labels that were taken, `broken` what became
    of requests that were not answered with 200, `models` who answered how many rows.

    Args:
        loop: Who is asked; the port may be served by another one later.
        worth: What a thing of a size is worth; None gives no labels.
        rows: How many things are asked about at once.
        pause_s: How long to wait between two requests.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        worth: Callable[[float], float] | None = None,
        rows: int = 10,
        pause_s: float = 0.1,
    ) -> None:
        self.worth = worth
        self.answered: dict[str, dict[str, Any]] = {}
        self.labelled: dict[str, float] = {}
        self.broken: list[str] = []
        self.models: Counter[str] = Counter()
        self._loop, self._rows, self._pause_s = loop, rows, pause_s
        self._chance = random.Random(5)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish the request under way; stopping twice is stopping once."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        with self._loop.client() as client:
            while not self._done.wait(self._pause_s):
                try:
                    self._ask(client)
                except httpx.HTTPError as error:
                    self.broken.append(repr(error))

    def _ask(self, client: httpx.Client) -> None:
        sizes = [round(self._chance.uniform(1, 20), 3) for _ in range(self._rows)]
        answer = client.post("/predict", json=[{"size": size} for size in sizes])
        if answer.status_code != httpx.codes.OK:
            self.broken.append(f"{answer.status_code}: {answer.text}")
            return
        given = answer.json()
        for one in given:
            self.answered[one["id"]] = one
            self.models[one["model"]] += 1
        if self.worth is None:
            return
        labels = {
            one["id"]: round(self.worth(size) + self._chance.gauss(0, 1), 3)
            for one, size in zip(given, sizes, strict=True)
        }
        body = [{"id": name, "label": value} for name, value in labels.items()]
        answer = client.post("/feedback", json=body)
        if answer.status_code in {200, 202}:
            self.labelled |= labels
        else:
            self.broken.append(f"feedback {answer.status_code}: {answer.text}")
