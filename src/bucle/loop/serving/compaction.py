"""The process that brings the prediction log into tables, pass after pass.

`python -m bucle.loop.serving.compaction` is started by the supervisor; it may be killed anywhere.
"""

import signal
import sys
import threading
from pathlib import Path
from select import select

import msgspec
from msgspec import Struct

from bucle.errors import BucleError
from bucle.loop.workspace import Workspace, open_workspace

__all__ = ["CompactionSettings", "main"]


class CompactionSettings(Struct, frozen=True, kw_only=True):
    """What the supervisor tells the compactor; `lifeline` is a pipe that ends with it."""

    root: str
    overrides: tuple[str, ...]
    lifeline: int


def main() -> int:
    """Compact until the supervisor goes or says so, and once more at the end."""
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=CompactionSettings)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    workspace = open_workspace(Path(settings.root), overrides=settings.overrides)
    threading.Thread(target=_watch, args=(settings.lifeline, stopping), daemon=True).start()
    while True:
        last = stopping.is_set()
        pause = _pass(workspace)
        if last:
            return 0
        stopping.wait(pause)


def _pass(workspace: Workspace) -> float:
    """Compact once; return how long to wait for the next time."""
    from bucle.serve.compactor import PREDICTIONS, compact, pause_s  # noqa: PLC0415  (heavy)

    tables = workspace.tables
    try:
        done = compact(workspace.home / "serve" / "log", tables)
        for name in done.damaged:
            sys.stderr.write(f"compactor: a part of {name} cannot be read; the file is kept\n")
        return pause_s(tables.version(PREDICTIONS))
    except BucleError as error:
        sys.stderr.write(f"compactor: {error.render()}\n")
        sys.stderr.flush()
        return pause_s(None)


def _watch(lifeline: int, stopping: threading.Event) -> None:
    """Wait for the end of a pipe that nobody writes to: it comes when the supervisor has gone."""
    select([lifeline], [], [])
    stopping.set()


if __name__ == "__main__":
    sys.exit(main())
