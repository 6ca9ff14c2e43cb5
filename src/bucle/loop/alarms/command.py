"""Alarms given to a program of the user's choice: without a shell, as JSON on its standard input.

It runs in a session of its own, so that it and all it has started can be ended. Imports nothing
heavy.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import msgspec

from bucle.errors import OutsideError
from bucle.loop.alarms.channels import Failure
from bucle.loop.alarms.messages import Message

__all__ = ["Command"]

_LIMIT_S = 60.0
_DRAIN_S = 0.5
_PIECE = 65_536
_MOST_BYTES = 4096
_MOST_LINES = 20
_TRIES = 5


class Command:
    """A program that is told of alarms.

    Args:
        command: The program and its arguments; a relative path starts in `folder`.
        folder: Where it runs.
        say: Takes each line that it prints, the first twenty of a message.
        limit_s: After this long it is ended, with all that it has started.
    """

    kind = "command"

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        say: Callable[[str], object],
        limit_s: float = _LIMIT_S,
    ) -> None:
        self._command = tuple(command)
        self.name = command[0]
        self._folder = folder
        self._say = say
        self._limit_s = limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    def send(self, message: Message) -> Failure | None:
        """Run the program once."""
        with tempfile.TemporaryFile() as given:
            # A file and no pipe: who does not read what it is given keeps nobody waiting.
            given.write(msgspec.json.encode(message) + b"\n")
            given.seek(0)
            try:
                process = self._start(given)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                return self._failure(f"cannot be run: {reason.lower()}", "bucle-405")
        self._process = process
        output = _Output(process.stdout)
        if self._is_closed:
            self.close()
        try:
            status = process.wait(self._limit_s)
        except subprocess.TimeoutExpired:
            self._end(process)
            status = None
        output.finish()
        for line in output.lines():
            self._say(f"{self.name}: {line}")
        if status is None:
            return self._failure(f"was ended after {self._limit_s:g} s", "bucle-407")
        if status:
            ended = f"was ended by signal {-status}" if status < 0 else f"ended with code {status}"
            return self._failure(ended, "bucle-406")
        return None

    def close(self) -> None:
        """End the program and all that it has started."""
        self._is_closed = True
        if self._process is not None:
            self._end(self._process)

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, given: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            start_new_session=True,
        )

    def _failure(self, what: str, code: str) -> Failure:
        error = OutsideError(f"The command {self.name} {what}", code=code)
        return Failure(error=error, attempts=_TRIES)


class _Output:
    """What a program prints: the beginning is kept, the rest is read and counted."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._kept = b""
        self._dropped = 0
        self._thread = threading.Thread(target=self._read, args=[stream], daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the end, but not for what the program has left running."""
        self._thread.join(_DRAIN_S)

    def lines(self) -> list[str]:
        """Return the first lines, as they may be shown."""
        found = self._kept.decode(errors="replace").splitlines()
        shown = ["".join(one if one.isprintable() else "?" for one in line) for line in found]
        more = [f"({self._dropped:,} bytes more)"] if self._dropped else []
        if len(shown) > _MOST_LINES:
            more = [f"({len(shown) - _MOST_LINES:,} lines more)", *more]
        return [*shown[:_MOST_LINES], *more]

    def _read(self, stream: IO[bytes] | None) -> None:
        if stream is None:
            return
        with stream:
            while piece := os.read(stream.fileno(), _PIECE):
                room = _MOST_BYTES - len(self._kept)
                self._kept += piece[:room]
                self._dropped += max(0, len(piece) - room)
