"""What runs in the limited child process of a trial; not for import by anything else.

Limits itself before it reads a byte of the package, loads it, predicts, and writes one answer.
Imports heavy libraries only after the limits are set.
"""

import io
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.errors import BucleError
from bucle.models.trial import TrialReport

if TYPE_CHECKING:
    import polars as pl

__all__ = ["main"]

_REPEATS = 5
_TOLERANCE = 1e-6


def main(arguments: list[str]) -> int:
    """Try the package that standard input asks for and write a report.

    Args:
        arguments: Numbers of two open files: one that ends when the parent does, one for the
            answer.
    """
    lifeline, answer = (int(text) for text in arguments)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    given = sys.stdin.buffer
    request = msgspec.json.decode(given.read(int.from_bytes(given.read(8), "little")))
    _limit(memory=request["memory"], seconds=request["seconds"])
    try:
        report = _try(request, given.read())
    except BucleError as error:
        text = error.what + (f": {error.cause}" if error.cause else "")
        report = TrialReport(ok=False, reason=text)
    except MemoryError:
        report = TrialReport(ok=False, reason="it needed more memory than allowed")
    os.write(answer, msgspec.json.encode(report))
    return 0


def _limit(*, memory: int, seconds: float) -> None:
    """Cap memory and processor time and leave no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, most))
    whole = int(seconds) + 1
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    if most == resource.RLIM_INFINITY or whole < most:
        resource.setrlimit(resource.RLIMIT_CPU, (whole, most))


def _try(request: dict[str, Any], content: bytes) -> TrialReport:
    import numpy as np  # noqa: PLC0415  (after the limits)

    from bucle.models.package import open_package  # noqa: PLC0415  (as above)

    project = Path(request["project"]) if request["project"] else None
    began = time.perf_counter()
    package = open_package(Path(request["folder"]), request["model"], project=project)
    frame = _rows(package, content if request["rows"] else b"")
    first = package.predict(frame)
    seconds = time.perf_counter() - began
    report = TrialReport(ok=True, rows=frame.height, seconds=seconds)
    if not np.array_equal(first, package.predict(frame)):
        return _refuse(report, "the same rows gave another prediction the second time")
    alone = [float(package.predict(frame[row : row + 1])[0]) for row in range(frame.height)]
    if not np.allclose(first, alone, rtol=_TOLERANCE, atol=_TOLERANCE):
        return _refuse(report, "a row alone gave another prediction than among others")
    if package.intervals is not None and package.intervals.quantile is not None:
        low, high = package.interval(frame)
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
            return _refuse(report, "an interval's ends are not numbers in order")
    if package.signature.details:
        for rows in (frame, frame[:1]):
            package.details(rows)
    latency = _latency_ms(lambda: package.predict(frame[:1])) if frame.height else 0.0
    return msgspec.structs.replace(report, latency_ms=latency)


def _rows(package: Any, content: bytes) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415  (after the limits)

    from bucle.models.profile import sample_rows  # noqa: PLC0415  (as above)
    from bucle.models.signature import dtypes_of  # noqa: PLC0415  (as above)

    if content:
        return pl.read_ipc(io.BytesIO(content))
    return sample_rows(package.profile, dtypes_of(package.signature))


def _latency_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return sorted(times)[_REPEATS // 2] * 1000


def _refuse(report: TrialReport, reason: str) -> TrialReport:
    return msgspec.structs.replace(report, ok=False, reason=reason)


def _end_with_parent(lifeline: int) -> None:
    """Wait for the end of a pipe that nobody writes to: it comes when the parent has gone."""
    os.read(lifeline, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
