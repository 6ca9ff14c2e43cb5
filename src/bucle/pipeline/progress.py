"""Progress of an execution for people: one living line on a terminal, plain lines elsewhere.

Writes to the stream it is given, standard error by default, and to nothing else. Must not import
anything heavy.
"""

import shutil
import sys
import time
from typing import Protocol, TextIO

from bucle.pipeline.tasks import TaskResult

__all__ = ["LineProgress", "Progress", "SilentProgress", "TerminalProgress", "choose_progress"]

_WORDS = {"ran": "done", "cached": "kept", "failed": "FAILED", "skipped": "skipped"}
_CLEAR = "\r\x1b[K"


class Progress(Protocol):
    """What an execution tells while it goes on; called from one thread, in order."""

    def begin(self, total: int) -> None:
        """An execution of this many tasks begins."""
        ...

    def start(self, name: str, why: str) -> None:
        """A task was given to a worker."""
        ...

    def finish(self, result: TaskResult) -> None:
        """A task ended, or was found in the cache."""
        ...

    def end(self) -> None:
        """The execution is over."""
        ...


class SilentProgress:
    """Tells nothing."""

    def begin(self, total: int) -> None:
        """Tell nothing."""

    def start(self, name: str, why: str) -> None:
        """Tell nothing."""

    def finish(self, result: TaskResult) -> None:
        """Tell nothing."""

    def end(self) -> None:
        """Tell nothing."""


class LineProgress:
    """Writes one line for each task that ran, failed or was skipped.

    Args:
        stream: Where to write; standard error by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def begin(self, total: int) -> None:
        """Tell nothing: the tasks speak for themselves."""

    def start(self, name: str, why: str) -> None:
        """Tell nothing until the task is done."""

    def finish(self, result: TaskResult) -> None:
        """Write the line of a task, unless it was found in the cache."""
        if result.state != "cached":
            self._stream.write(_line(result) + "\n")
            self._stream.flush()

    def end(self) -> None:
        """Tell nothing."""


class TerminalProgress:
    """Keeps one line that says what is running, below the lines of what is done.

    Args:
        stream: A terminal; standard error by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._total = 0
        self._done = 0
        self._running: dict[str, float] = {}

    def begin(self, total: int) -> None:
        """Begin to count."""
        self._total, self._done, self._running = total, 0, {}

    def start(self, name: str, why: str) -> None:
        """Show a task as running."""
        del why
        self._running[name] = time.monotonic()
        self._show()

    def finish(self, result: TaskResult) -> None:
        """Write the line of a task above the living one."""
        self._done += 1
        self._running.pop(result.name, None)
        if result.state != "cached":
            self._stream.write(f"{_CLEAR}{_line(result)}\n")
        if self._running or result.state != "cached":
            self._show()

    def end(self) -> None:
        """Take the living line away."""
        self._stream.write(_CLEAR)
        self._stream.flush()

    def _show(self) -> None:
        width = shutil.get_terminal_size((80, 24)).columns
        names = ", ".join(self._running)
        text = f"  {self._done}/{self._total}  {names}" if names else ""
        self._stream.write(_CLEAR + text[: max(width - 1, 10)])
        self._stream.flush()


def choose_progress(stream: TextIO | None = None, *, quiet: bool = False) -> Progress:
    """Return the progress that fits a stream: a living line only on a terminal that can show it."""
    chosen = stream or sys.stderr
    if quiet:
        return SilentProgress()
    return TerminalProgress(chosen) if chosen.isatty() else LineProgress(chosen)


def _line(result: TaskResult) -> str:
    seconds = f"{result.seconds:7.2f} s" if result.state in {"ran", "failed"} else " " * 9
    return f"  {_WORDS[result.state]:<7} {seconds}  {result.name}  ({result.why})"
