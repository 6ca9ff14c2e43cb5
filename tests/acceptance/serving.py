"""A server as a user starts it, and what a test wants to know of it."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import polars as pl
from calls import kill, start

from bucle.store.delta_tables import DeltaTables

__all__ = ["Server", "await_that", "is_alive", "serve", "table"]

_PATIENCE_S = 60.0


class Server(NamedTuple):
    """A server that answers."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    address: str
    token: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])

    def client(self, **options: Any) -> httpx.Client:
        """Return a client that shows the token."""
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=30, **options)

    def parts(self, module: str = "") -> list[int]:
        """Return the processes that it has started, those of one module if asked."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                words = (entry / "cmdline").read_text()
                if int(parent) == self.process.pid and module in words:
                    found.append(int(entry.name))
        return found

    def stop(self) -> int:
        """End it as a service manager does, and return its exit code."""
        return kill(self.process, [signal.SIGTERM])


@contextmanager
def serve(folder: Path, *words: str) -> Iterator[Server]:
    """Start a server on a free port; whatever happens, nothing of it is left behind."""
    with (folder / "serve.err").open("wb") as told:
        process = start(
            *("serve", "--port", "0", "--json", *words),
            at=folder,
            stdout=subprocess.PIPE,
            stderr=told,
        )
    assert process.stdout is not None
    parts: list[int] = []
    try:
        said = _first_document(process.stdout.fileno())
        assert said, (folder / "serve.err").read_text()
        token = (folder / ".bucle" / "serve" / "token").read_text().strip()
        server = Server(process, folder, said["address"], token)
        parts = server.parts()
        yield server
    finally:
        if process.poll() is None:
            try:
                kill(process, [signal.SIGTERM])
            except subprocess.TimeoutExpired:
                kill(process)
        process.stdout.close()
        for part in parts:
            if is_alive(part):
                os.kill(part, signal.SIGKILL)


def _first_document(descriptor: int) -> dict[str, Any]:
    """Return the JSON that a server says once it answers; nothing if it ends or takes too long."""
    said = b""
    while select.select([descriptor], [], [], _PATIENCE_S)[0]:
        piece = os.read(descriptor, 65_536)
        said += piece
        with contextlib.suppress(ValueError):
            found: dict[str, Any] = json.loads(said)
            return found
        if not piece:
            break
    return {}


def is_alive(process: int) -> bool:
    """Tell whether a process of a server is there and has not ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        words = Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return False
    return state not in {"Z", "X"} and "bucle.loop.serving" in words


def await_that(condition: Callable[[], bool], *, what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {_PATIENCE_S:g} seconds"
        time.sleep(0.02)


def table(folder: Path, name: str) -> pl.DataFrame:
    """Return a table of a project as it is."""
    return DeltaTables(folder / ".bucle" / "tables").read(name)
