"""The parent of a server's processes: workers that share one socket, and what goes on beside them.

It answers nothing itself and holds nothing that cannot be lost: a process that dies is started
again, and when the parent dies they end. Imports nothing heavy.
"""

import contextlib
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bucle.clock import SharedClock
from bucle.errors import BucleError, OutsideError
from bucle.loop.serving.caution import caution_path, deaths_noted, forgive
from bucle.loop.serving.compaction import CompactionSettings
from bucle.loop.serving.companions import Companion, CompanionSettings
from bucle.loop.serving.footing import Footing
from bucle.loop.serving.worker_settings import WorkerSettings
from bucle.loop.workspace import Workspace, open_workspace
from bucle.serve.counts import forget_ended

__all__ = ["ADDRESS_TAKEN", "Supervisor", "listen"]

ADDRESS_TAKEN = "bucle-344"

_BACKLOG = 2048
_READY_S = 120.0
_STOP_S = 40.0
_LOOK_S = 0.2
_PAUSES_S = (0.0, 1.0, 2.0, 5.0, 10.0)
_STEADY_S = 30.0
_STEADY_SIMULATED_S = 1.0
_WORKER = "bucle.loop.serving.worker"
_COMPACTION = "bucle.loop.serving.compaction"


class _Part(Struct):
    """One process that has to be there: how it is started, and how it went so far.

    Those of a lower `rank` end first. `note` is where a worker writes whom it has let in, `charged`
    with how many deaths that one was charged after the last.
    """

    name: str
    start: Callable[[], "subprocess.Popen[bytes]"]
    rank: int = 0
    process: Any = None
    began: float = 0.0
    failures: int = 0
    again_at: float = 0.0
    note: Path | None = None
    charged: int = 0


class Supervisor:
    """Runs the processes of one server.

    Args:
        workspace: The project.
        listener: The socket that all workers share; None for companions alone.
        token: What clients must show.
        overrides: Settings of the command line, to read the charter with again.
        workers: How many processes answer.
        say: Told what happens, a line each.
        companions: What else has to go on, each with the places that it watches.
    """

    def __init__(
        self,
        workspace: Workspace,
        listener: socket.socket | None,
        *,
        token: str = "",
        overrides: Sequence[str] = (),
        workers: int = 1,
        say: Callable[[str], object] = lambda _: None,
        companions: Sequence[tuple[Companion, tuple[str, ...]]] = (),
    ) -> None:
        self._workspace = workspace
        self._listener = listener
        self._token = token
        self._overrides = tuple(overrides)
        self._say = say
        self._stopping = False
        self._reloading = False
        # In simulated time a second is days.
        is_simulated = isinstance(workspace.clock, SharedClock)
        self._steady_s = _STEADY_SIMULATED_S if is_simulated else _STEADY_S
        self._lifeline, self._held = os.pipe()
        os.set_inheritable(self._lifeline, True)
        self._ready: list[int] = []
        self._parts = [
            _Part(
                name=f"worker {number}",
                start=partial(self._start_worker, number),
                note=caution_path(workspace.home / "serve", number),
            )
            for number in range(workers if listener is not None else 0)
        ]
        for companion, watched in companions:
            start = partial(self._start_companion, companion, watched)
            self._parts.append(_Part(name=companion.name, start=start))
        if listener is not None:
            # It goes last: it brings home what the workers finished while they stopped.
            self._parts.append(_Part(name="compactor", start=self._start_compactor, rank=1))

    def start(self) -> None:
        """Start every process and wait until the workers answer.

        Raises:
            OutsideError: A worker ended, or did not come up in time.
        """
        # What an earlier server counted is no number of this one's.
        if self._listener is not None:
            forget_ended(self._workspace.home / "serve", server=os.getpid())
        for part in self._parts:
            self._start(part)
        deadline = time.monotonic() + _READY_S
        for part, ready in zip(self._parts, list(self._ready), strict=False):
            if not _wait_ready(ready, deadline):
                code = part.process.poll()
                raise OutsideError(
                    f"Cannot serve: {part.name} "
                    + (f"ended with {code}" if code is not None else "does not come up"),
                    cause="its last words are above",
                    code="bucle-343",
                )
        for ready in self._ready:
            os.close(ready)
        self._ready = []

    def run(self, beside: Callable[[], object] = lambda: None) -> None:
        """Keep every process running until `stop` is called from a signal.

        Args:
            beside: Called again and again; it must not take long.

        Raises:
            OutsideError: The project's records were removed, moved or replaced.
        """
        footing = Footing(self._workspace.home / "log.db")
        while not self._stopping:
            time.sleep(_LOOK_S)
            footing.require()
            beside()
            if self._reloading:
                self._reloading = False
                self._reload()
            for part in self._parts:
                self._tend(part)

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run now, by name."""
        running = [(part.name, part.process) for part in self._parts]
        return {name: process.pid for name, process in running if process is not None}

    def stop(self) -> None:
        """Ask `run` to return; safe in a signal handler."""
        self._stopping = True

    def reload(self) -> None:
        """Ask `run` to start every process anew; safe in a signal handler."""
        self._reloading = True

    def close(self) -> None:
        """End every process: requests under way are finished, then predictions are compacted."""
        for rank in (0, 1):
            parts = [part for part in self._parts if part.rank == rank]
            alive = [part for part in parts if part.process and part.process.poll() is None]
            _end([part.process for part in parts])
            for part in alive:
                if part.note is not None:
                    forgive(part.note, part.process.pid)
        for descriptor in (self._lifeline, self._held):
            os.close(descriptor)
        if self._listener is not None:
            self._listener.close()

    def _reload(self) -> None:
        """Read `bucle.toml` again, and replace one process after the other while all answer."""
        try:
            self._workspace = open_workspace(self._workspace.root, overrides=self._overrides)
        except BucleError as error:
            self._say(f"cannot reload, everything goes on as it was: {error.render()}")
            return
        for part in self._parts:
            if self._stopping:
                return
            former = part.process
            self._start(part)
            ready = self._ready.pop() if self._ready else None
            if ready is None or _wait_ready(ready, time.monotonic() + _READY_S):
                _end([former])
            else:
                self._say(f"{part.name} does not come up; the one before goes on")
                _end([part.process])
                part.process = former
            if ready is not None:
                os.close(ready)
        self._say("reloaded")

    def _tend(self, part: _Part) -> None:
        """Start a process again that has ended, sooner the longer it had run."""
        now = time.monotonic()
        if part.process is not None:
            code = part.process.poll()
            if code is None:
                return
            part.process = None
            part.failures = 0 if now - part.began > self._steady_s else part.failures + 1
            pause = _PAUSES_S[min(part.failures, len(_PAUSES_S) - 1)]
            charged = deaths_noted(part.note) if part.note is not None else 0
            if charged > part.charged:
                # A challenger that kills is found out by dying of it: the sooner, the better.
                pause = 0.0
            part.charged = charged
            part.again_at = now + pause
            self._say(f"{part.name} ended with {code}; it starts again in {pause:g} s")
        if now >= part.again_at and not self._stopping:
            self._start(part)
            for ready in self._ready:
                os.close(ready)
            self._ready = []

    def _start(self, part: _Part) -> None:
        part.process = part.start()
        part.began = time.monotonic()

    def _start_worker(self, number: int) -> "subprocess.Popen[bytes]":
        assert self._listener is not None  # noqa: S101  (without one there are no workers)
        seen, told = os.pipe()
        settings = self._workspace.charter.serve
        content = WorkerSettings(
            root=str(self._workspace.root),
            loaded=self._workspace.loaded,
            server=os.getpid(),
            number=number,
            listener=self._listener.fileno(),
            lifeline=self._lifeline,
            ready=told,
            token=self._token,
            hosts=settings.hosts,
            body_bytes=int(settings.max_body_mb * 1e6),
        )
        process = _run(
            _WORKER, msgspec.json.encode(content), (self._listener.fileno(), self._lifeline, told)
        )
        os.close(told)
        self._ready.append(seen)
        return process

    def _start_companion(
        self, companion: Companion, watched: tuple[str, ...]
    ) -> "subprocess.Popen[bytes]":
        content = CompanionSettings(
            root=str(self._workspace.root),
            loaded=self._workspace.loaded,
            lifeline=self._lifeline,
            watched=watched,
        )
        return _run(companion.module, msgspec.json.encode(content), (self._lifeline,))

    def _start_compactor(self) -> "subprocess.Popen[bytes]":
        content = CompactionSettings(
            root=str(self._workspace.root),
            loaded=self._workspace.loaded,
            lifeline=self._lifeline,
        )
        return _run(_COMPACTION, msgspec.json.encode(content), (self._lifeline,))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; a port of 0 takes a free one.

    Raises:
        OutsideError: The address is taken, or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        raise OutsideError(
            f"Cannot listen on {host}:{port}",
            cause=getattr(error, "strerror", None) or str(error),
            attempt="--port 8001",
            code=ADDRESS_TAKEN,
        ) from error
    return listener


def _run(module: str, content: bytes, kept: tuple[int, ...]) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        # Workers that spin while they wait for each other's threads stand still together.
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "POLARS_MAX_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        pass_fds=kept,
        env=environment,
        # Ctrl-C is for the parent, which ends them in order.
        start_new_session=True,
    )
    assert process.stdin is not None  # noqa: S101  (it was started with a pipe)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(content)
        process.stdin.close()
    return process


def _end(processes: "Sequence[subprocess.Popen[bytes] | None]") -> None:
    """Ask processes to end and wait for it; what does not end in time is killed."""
    running = [process for process in processes if process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + _STOP_S
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(descriptor: int, deadline: float) -> bool:
    """Wait until a worker says that it answers; False when it ended or time is up."""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        left = deadline - time.monotonic()
        if left <= 0 or not selector.select(left):
            return False
        return os.read(descriptor, 1) == b"+"
