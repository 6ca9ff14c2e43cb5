"""What a step prints: shown at once on standard error, and kept with its result.

Imports the standard library only.
"""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TextIO

__all__ = ["StepOutput", "captured"]

_KEPT = 64_000
_CLEAR = "\r\x1b[K"


class StepOutput(io.TextIOBase):
    """A stream that passes lines on under the name of the step, and keeps the last of them.

    Args:
        name: The step's name, put before each line.
        stream: Where lines are shown at once; None shows nothing.
    """

    def __init__(self, name: str, stream: TextIO | None) -> None:
        self._prefix = f"{_CLEAR if stream and stream.isatty() else ''}  {name} | "
        self._stream = stream
        self._line = ""
        self._kept: list[str] = []
        self._size = 0

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Take text and show each line that is complete."""
        self._kept.append(text)
        self._size += len(text)
        while self._size > _KEPT and len(self._kept) > 1:
            self._size -= len(self._kept.pop(0))
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._show(line)
        return len(text)

    def finish(self) -> str:
        """Show what is left of a line, and return the text kept."""
        if self._line:
            self._show(self._line)
            self._line = ""
        return "".join(self._kept)[-_KEPT:]

    def _show(self, line: str) -> None:
        if self._stream is not None:
            # A closed terminal must not fail the step.
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(f"{self._prefix}{line}\n")
                self._stream.flush()


@contextlib.contextmanager
def captured(name: str) -> Iterator[StepOutput]:
    """Send what is printed inside to standard error, never to standard output."""
    output = StepOutput(name, sys.stderr)
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        yield output
