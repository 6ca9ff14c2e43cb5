"""The process that brings the prediction log into tables, pass after pass.

`python -m bucle.loop.serving.compaction` is started by the supervisor; it may be killed anywhere.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from bucle.charter.reading import Loaded
from bucle.clock import SharedClock
from bucle.errors import BucleError
from bucle.loop.serving.lifeline import stop_with
from bucle.loop.serving.voice import tell
from bucle.loop.workspace import Workspace, open_workspace

__all__ = ["CompactionSettings", "main"]

_MERGE_SOON = 6


class CompactionSettings(Struct, frozen=True, kw_only=True):
    """What the supervisor tells the compactor; `lifeline` is a pipe that ends with it."""

    root: str
    loaded: Loaded
    lifeline: int


def main() -> int:
    """Compact until the supervisor goes or says so, and once more at the end."""
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=CompactionSettings)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Answers come first: what is in the log's files is safe there, and can wait.
    os.nice(10)
    workspace = open_workspace(Path(settings.root), loaded=settings.loaded)
    stop_with(settings.lifeline, stopping)
    said = ""
    while True:
        last = stopping.is_set()
        began = time.monotonic()
        words = _pass(workspace)
        # A disk that stays full is told once, not every two seconds.
        if words == said or not words or tell("compactor", words):
            said = words
        if last:
            return 0
        stopping.wait(_pause(time.monotonic() - began))


def _pass(workspace: Workspace) -> str:
    """Compact once; return what a person should know, empty where all is well."""
    from bucle.serve.compactor import MERGE_AFTER, compact  # noqa: PLC0415  (heavy)

    # In simulated time tables are read a hundred times as often as they are added to.
    is_simulated = isinstance(workspace.clock, SharedClock)
    after = _MERGE_SOON if is_simulated else MERGE_AFTER
    try:
        done = compact(workspace.home / "serve" / "log", workspace.tables, merge_after=after)
    except BucleError as error:
        return error.render()
    names = ", ".join(done.damaged)
    return f"a part of {names} cannot be read; kept as .damaged" if names else ""


def _pause(spent_s: float) -> float:
    """Return how long to wait for the next pass."""
    from bucle.serve.compactor import pause_s  # noqa: PLC0415  (heavy)

    return pause_s(spent_s)


if __name__ == "__main__":
    sys.exit(main())
