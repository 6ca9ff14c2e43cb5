"""An unknown package is first loaded in a limited child process, never in this one.

A model that crashes, hangs, eats memory, raises, or gives NaN, the wrong shape or another answer
each time is refused with the reason, and the process that asked goes on. The child is limited in
memory and time; it is not cut off from the network or the disk. Imports nothing heavy: the child
does.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from bucle.errors import OutsideError, PackageError

__all__ = ["TRIAL_S", "LateTrialError", "TrialReport", "require_package", "try_package"]

_MEMORY = 8_000_000_000
TRIAL_S = 25.0
"""How long a trial may take."""

_MOST_PATIENCE = 2.0
_LOOK_S = 0.5
_CHILD = "bucle.models.trial_child"
_MAX_ANSWER = 100_000


class LateTrialError(PackageError):
    """A trial did not end in time: the package hangs, or the machine was busy."""


class TrialReport(Struct, frozen=True, kw_only=True):
    """What a trial has shown; `reason` is empty when the package is fit for use.

    `seconds` is what loading took in the child, `latency_ms` the median time of one row; `is_late`
    says that it was ended before it had shown anything.
    """

    ok: bool
    reason: str = ""
    rows: int = 0
    seconds: float = 0.0
    latency_ms: float = 0.0
    is_late: bool = False


def try_package(
    folder: Path,
    model: str,
    *,
    project: Path | None = None,
    rows: bytes | None = None,
    memory: int = _MEMORY,
    seconds: float = TRIAL_S,
) -> TrialReport:
    """Load a package in a child process, predict some rows twice and each row alone.

    Args:
        folder: Where packages live.
        model: The package's id.
        project: Folder of the project whose classes the estimator may hold.
        rows: Rows to predict as an Arrow IPC file; typical rows of the profile by default.
        memory: Address space of the child in bytes.
        seconds: After which the child is ended, not counting, up to twice as long, how long it
            waited for a processor.

    Returns:
        A report; a package that is refused is no error here.

    Raises:
        OutsideError: The child process could not be started.
    """
    request = msgspec.json.encode(
        {
            "folder": str(folder.resolve()),
            "model": model,
            "project": str(project.resolve()) if project else None,
            "rows": bool(rows),
            "memory": memory,
            "seconds": seconds,
        }
    )
    with tempfile.TemporaryFile() as said:
        code, answer = _run_child(request, rows or b"", said, seconds)
        if answer:
            try:
                return msgspec.json.decode(answer, type=TrialReport)
            except msgspec.DecodeError:
                return TrialReport(ok=False, reason="it answered with something else")
        return TrialReport(
            ok=False,
            reason=_why_no_answer(code, said, seconds),
            is_late=code is None or code == -signal.SIGXCPU,
        )


def require_package(
    folder: Path, model: str, *, project: Path | None = None, seconds: float = TRIAL_S
) -> TrialReport:
    """Try a package as `try_package` does and insist that it is fit for use.

    Raises:
        LateTrialError: The trial did not end in time.
        PackageError: It is not, with the reason.
        OutsideError: The child process could not be started.
    """
    report = try_package(folder, model, project=project, seconds=seconds)
    if not report.ok:
        refusal = LateTrialError if report.is_late else PackageError
        raise refusal(
            f"Cannot use package {model}: it failed its trial",
            cause=report.reason,
            attempt="the same when this machine is less busy, or bucle run"
            if report.is_late
            else "bucle run",
            code="bucle-168",
        )
    return report


def _run_child(
    request: bytes, rows: bytes, said: IO[bytes], seconds: float
) -> tuple[int | None, bytes]:
    """Run the child and return its exit code, None after a time-out, and its answer."""
    environment = {
        **os.environ,
        # Threads reserve address space, which is what is limited.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
    }
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        given.write(len(request).to_bytes(8, "little") + request + rows)
        given.seek(0)
        lifeline, held = os.pipe()
        try:
            # -P keeps the working folder, which may hold a module named like one of ours, out.
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", _CHILD, str(lifeline), str(answer.fileno())],
                stdin=given,
                stdout=said,
                stderr=subprocess.STDOUT,
                pass_fds=(lifeline, answer.fileno()),
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            os.close(held)
            raise OutsideError(
                "Cannot start a process to try a package", cause=str(error), code="bucle-300"
            ) from error
        finally:
            os.close(lifeline)
        try:
            code = _wait(child, seconds)
        finally:
            os.close(held)
            _end(child)
        answer.seek(0)
        return code, answer.read(_MAX_ANSWER) if code == 0 else b""


def _wait(child: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """Return the child's exit code, None after a time-out.

    Time in which it was ready to run and a busy machine did not let it is added, up to twice the
    limit: it says nothing of the package.
    """
    began = time.monotonic()
    while True:
        allowed = seconds + min(_queued_s(child.pid), _MOST_PATIENCE * seconds)
        left = began + allowed - time.monotonic()
        try:
            return child.wait(min(max(left, 0.0), _LOOK_S))
        except subprocess.TimeoutExpired:
            if left <= 0:
                return None


def _queued_s(process: int) -> float:
    """Return how long a process's first thread has waited for a processor, 0 where unknown."""
    try:
        words = Path(f"/proc/{process}/schedstat").read_text().split()
        return int(words[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the child and whatever it has started; all of it is one session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _why_no_answer(code: int | None, said: IO[bytes], seconds: float) -> str:
    said.seek(0)
    words = said.read().decode("utf-8", "replace").strip()
    last = words.splitlines()[-1][:200] if words else ""
    if code is None or code == -signal.SIGXCPU:
        return f"it did not finish within {seconds:g} s"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"it crashed the process ({name})"
    if "MemoryError" in last or "memory" in last:
        return f"it needed more memory than allowed ({last})"
    return f"the process ended with {code}" + (f": {last}" if last else "")
