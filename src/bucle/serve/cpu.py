"""How much of a processor the processes of a server have taken, where `/proc` tells.

Imports nothing heavy.
"""

import contextlib
import os
from pathlib import Path

from msgspec import Struct

__all__ = ["Spent", "Taken", "cpu_between", "cpu_of"]

_PROC = Path("/proc")
_WORKER = "bucle.loop.serving.worker"
# Places in /proc/PID/stat after the name: the parent, and ticks in the program and in the kernel.
_PARENT, _USER, _SYSTEM = 1, 11, 12


class Taken(Struct, frozen=True):
    """What one process has taken since it began, in seconds, and whether it is a worker."""

    seconds: float
    is_worker: bool


class Spent(Struct, frozen=True):
    """What the processes of a server took between two looks, in seconds."""

    workers_s: float
    others_s: float


def cpu_of(server: int, *, proc: Path = _PROC) -> dict[int, Taken]:
    """Return what a server and all its descendants have taken; nothing where that is not known.

    Args:
        server: Its first process.
        proc: Where the system tells.
    """
    tick = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for path in proc.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            number = int(path.parent.name)
            seconds[number] = (int(fields[_USER]) + int(fields[_SYSTEM])) / tick
            parents[number] = int(fields[_PARENT])
    return {
        number: Taken(taken, is_worker=_is_worker(proc / str(number)))
        for number, taken in seconds.items()
        if _descends(number, server, parents)
    }


def cpu_between(before: dict[int, Taken], after: dict[int, Taken]) -> Spent | None:
    """Return what was taken between two looks; None where no worker was seen both times.

    A process that began in between counts whole, one that ended not at all.

    Example:
        >>> cpu_between({1: Taken(1.0, True)}, {1: Taken(3.0, True), 2: Taken(0.5, False)})
        Spent(workers_s=2.0, others_s=0.5)
    """
    if not any(one.is_worker for number, one in before.items() if number in after):
        return None
    totals = {True: 0.0, False: 0.0}
    for number, one in after.items():
        earlier = before.get(number)
        totals[one.is_worker] += one.seconds - (earlier.seconds if earlier else 0.0)
    return Spent(totals[True], totals[False])


def _descends(number: int, server: int, parents: dict[int, int]) -> bool:
    # Read one after the other, so they may not fit together: at most so many steps up.
    for _ in range(len(parents)):
        if number == server:
            return True
        if number not in parents:
            return False
        number = parents[number]
    return False


def _is_worker(place: Path) -> bool:
    try:
        return _WORKER in (place / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return False
