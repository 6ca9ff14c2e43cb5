"""Processes of a server: what they cost and hold, as the kernel counts it (Linux)."""

import os
import signal
import subprocess
import time
from pathlib import Path

__all__ = ["cpu_s", "end", "family", "megabytes"]

_PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """Return a process and all that it started, the dead left out."""
    found = [pid]
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
        children = [int(one) for thread in threads for one in _words(thread / "children")]
    except OSError:
        return found
    return found + [one for child in children for one in family(child)]


def cpu_s(pids: list[int]) -> float:
    """Return the seconds of a processor that processes, and children that ended, have had."""
    ticks = 0
    for pid in pids:
        # What follows the name: state is the first word, utime to cstime the 12th to the 15th.
        words = _text(_PROC / str(pid) / "stat").rpartition(")")[2].split()
        ticks += sum(map(int, words[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def megabytes(pids: list[int]) -> float:
    """Return the memory of processes; what they share is counted once."""
    total = 0.0
    for pid in pids:
        words = _words(_PROC / str(pid) / "smaps_rollup")
        total += int(words[words.index("Pss:") + 1]) / 1024 if "Pss:" in words else 0.0
    return total


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and what it started."""
    pids = family(process.pid)
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    time.sleep(0.2)
    for pid in pids[1:]:
        if (_PROC / str(pid)).exists():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
