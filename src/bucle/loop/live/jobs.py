"""Jobs: what takes long is done by a process of its own, so that the controller never waits.

Imports nothing heavy.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import IO, Protocol

import msgspec

from bucle.errors import OutsideError
from bucle.loop.live.orders import Answer, Order

__all__ = ["Jobs", "ProcessJobs"]

_CHILD = "bucle.loop.live.job"
_STOP_S = 10.0
_MOST_WORDS = 2000
_HOUR_S = 3600.0
_LONGEST_S: Mapping[str, float] = {"retrain": 24 * _HOUR_S, "refit": 24 * _HOUR_S}


class Jobs(Protocol):
    """Does one job of a name at a time, each beside what its owner does meanwhile."""

    def start(self, name: str, order: Order) -> None:
        """Begin a job; one of that name must not be running."""
        ...

    def is_running(self, name: str) -> bool:
        """Tell whether a job of that name goes on, or has an answer that nobody took."""
        ...

    def take(self, name: str) -> Answer | None:
        """Return the answer of a job once; None while it goes on, or where there is none."""
        ...

    def close(self) -> None:
        """End every job; what they have not written is not done."""
        ...


class _Running:
    """A job's process: where it answers, what it says, and until when it may run."""

    def __init__(self, order: Order) -> None:
        self.kind = order.kind
        self.words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the job)
        self.answer: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (as above)
        lifeline, self.held = os.pipe()
        try:
            self.process = subprocess.Popen(
                # -P keeps the working folder, which may hold a module named like ours, out.
                [sys.executable, "-P", "-m", _CHILD, str(lifeline), str(self.answer.fileno())],
                stdin=subprocess.PIPE,
                stdout=self.words,
                stderr=subprocess.STDOUT,
                pass_fds=(lifeline, self.answer.fileno()),
                start_new_session=True,
            )
        except OSError as error:
            os.close(self.held)
            raise OutsideError(
                f"Cannot start a process to {order.kind}", cause=str(error), code="bucle-421"
            ) from error
        finally:
            os.close(lifeline)
        self.until = time.monotonic() + _LONGEST_S.get(order.kind, _HOUR_S)
        assert self.process.stdin is not None  # noqa: S101  (it was started with a pipe)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(msgspec.json.encode(order))
            self.process.stdin.close()

    def poll(self) -> Answer | None:
        """Return how it went; None while it goes on."""
        code = self.process.poll()
        if code is None:
            if time.monotonic() < self.until:
                return None
            self.stop()
            return Answer(error=f"the {self.kind} took too long and was ended", is_outside=True)
        self.stop()
        self.answer.seek(0)
        try:
            return msgspec.json.decode(self.answer.read(), type=Answer)
        except msgspec.DecodeError:
            how = f"by signal {-code}" if code < 0 else f"with {code}"
            return Answer(
                error=f"the {self.kind} ended {how}{self._last_words()}", is_outside=code < 0
            )

    def stop(self) -> None:
        """End the process and whatever it has started."""
        with contextlib.suppress(OSError):
            os.close(self.held)
        if self.process.poll() is None:
            self._tell(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_S)
        # Its own children are of its group, and must not outlive it.
        self._tell(signal.SIGKILL)
        self.process.wait()

    def _tell(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _last_words(self) -> str:
        self.words.seek(0, os.SEEK_END)
        self.words.seek(max(0, self.words.tell() - _MOST_WORDS))
        lines = self.words.read().decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""


class ProcessJobs:
    """Jobs as child processes, which end with the process that owns them.

    A job that takes too long is ended; one that dies answers with how.
    """

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    def start(self, name: str, order: Order) -> None:
        """Begin a job.

        Raises:
            OutsideError: No process could be started.
        """
        self._running[name] = _Running(order)

    def is_running(self, name: str) -> bool:
        """Tell whether a job of that name goes on, or has an answer that nobody took."""
        return name in self._running

    def take(self, name: str) -> Answer | None:
        """Return the answer of a job once; None while it goes on, or where there is none."""
        running = self._running.get(name)
        answer = running.poll() if running is not None else None
        if running is not None and answer is not None:
            del self._running[name]
            running.words.close()
            running.answer.close()
        return answer

    def close(self) -> None:
        """End every job."""
        for running in self._running.values():
            running.stop()
            running.words.close()
            running.answer.close()
        self._running = {}
