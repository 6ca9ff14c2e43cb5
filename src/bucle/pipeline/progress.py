"""Progress of an execution for people: one living line on a terminal, plain lines elsewhere.

Writes to the stream it is given, standard error by default, and to nothing else. Must not import
anything heavy.
"""

import shutil
import sys
import time
from typing import Protocol, TextIO

from bucle.pipeline.tasks import TaskResult

__all__ = [
    "CountProgress",
    "LineProgress",
    "Progress",
    "SilentProgress",
    "TerminalProgress",
    "choose_progress",
]

_WORDS = {"ran": "done", "cached": "kept", "failed": "FAILED", "skipped": "skipped"}
_CLEAR = "\r\x1b[K"
_TENTHS = 10


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


class CountProgress:
    """Counts the tasks of large executions, and names none once it is done.

    On a terminal it keeps one living line; elsewhere it writes a line after each tenth of an
    execution of ten tasks or more. What was found in the cache alone is not worth a line.

    Args:
        stream: Where to write; standard error by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._living = self._stream.isatty()
        self._total = self._done = self._ran = self._failed = self._told = 0
        self._running: dict[str, None] = {}

    def begin(self, total: int) -> None:
        """Begin to count."""
        self._total = total
        self._done = self._ran = self._failed = self._told = 0
        self._running = {}

    def start(self, name: str, why: str) -> None:
        """Show a task as running."""
        del why
        self._running[name] = None
        self._show()

    def finish(self, result: TaskResult) -> None:
        """Count a task."""
        self._done += 1
        self._ran += result.state != "cached"
        self._failed += result.state == "failed"
        self._running.pop(result.name, None)
        tenth = self._done * _TENTHS // self._total
        if self._living:
            self._show()
        elif self._ran and self._total >= _TENTHS and tenth > self._told:
            self._told = tenth
            self._stream.write(f"{self._counts()}  {result.name}\n")
            self._stream.flush()

    def end(self) -> None:
        """Take the living line away."""
        if self._living:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def _show(self) -> None:
        if self._living and self._running:
            width = shutil.get_terminal_size((80, 24)).columns
            text = f"{self._counts()}  {', '.join(self._running)}"
            self._stream.write(_CLEAR + text[: max(width - 1, 10)])
            self._stream.flush()

    def _counts(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        return f"  {self._done}/{self._total}{failed}"


def choose_progress(
    stream: TextIO | None = None, *, quiet: bool = False, counts: bool = False
) -> Progress:
    """Return the progress that fits a stream: a living line only on a terminal that can show it.

    Args:
        stream: Where it goes; standard error by default.
        quiet: Tell nothing.
        counts: Tell how many tasks are done, not which.
    """
    chosen = stream or sys.stderr
    if quiet:
        return SilentProgress()
    if counts:
        return CountProgress(chosen)
    return TerminalProgress(chosen) if chosen.isatty() else LineProgress(chosen)


def _line(result: TaskResult) -> str:
    seconds = f"{result.seconds:7.2f} s" if result.state in {"ran", "failed"} else " " * 9
    return f"  {_WORDS[result.state]:<7} {seconds}  {result.name}  ({result.why})"
