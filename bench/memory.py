"""The memory of a command and all its children together, seen once a second."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["Measured", "measure_memory"]

_PAUSE_S = 1.0
_PROC = Path("/proc")

Measured = tuple[str, float, float]


def measure_memory(command: list[str], folder: Path) -> Measured:
    """Run a command; return what it printed, its seconds, and its peak in megabytes.

    Memory that processes share is counted once (proportional set size, Linux only).
    """
    began, peak = time.perf_counter(), 0.0
    # A file holds what a pipe, which nobody reads meanwhile, would not.
    with tempfile.TemporaryFile() as out:
        with subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=subprocess.DEVNULL
        ) as process:
            while _is_running(process):
                peak = max(peak, sum(map(_megabytes, _family(process.pid))))
        taken = time.perf_counter() - began
        out.seek(0)
        printed = out.read().decode()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed with {process.returncode}")
    return printed, taken, peak


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    """Wait for a moment; say whether the process needs more. To look costs time of its own."""
    try:
        process.wait(_PAUSE_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _family(pid: int) -> list[int]:
    found = [pid]
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
        children = [int(one) for thread in threads for one in _words(thread / "children")]
    except OSError:
        return found
    return found + [one for child in children for one in _family(child)]


def _megabytes(pid: int) -> float:
    words = _words(_PROC / str(pid) / "smaps_rollup")
    return int(words[words.index("Pss:") + 1]) / 1024 if "Pss:" in words else 0.0


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        return []
