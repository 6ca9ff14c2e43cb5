"""What a load has found, as figures: pure functions of what was noted while it ran.

Imports nothing heavy.
"""

from collections.abc import Mapping, Sequence
from math import ceil

from msgspec import Struct

from bucle.serve.cpu import Spent

__all__ = ["CpuFigures", "Latency", "Measured", "Noted", "rank", "summarise"]

_BUSY = 0.9


class Noted(Struct, kw_only=True):
    """What was noted of requests that were sent while it was measured.

    Args:
        seconds: How long it was measured, until the last answer.
        taken: How long each answer with status 200 took, in seconds.
        statuses: How many answers there were of each status.
        errors: Connections that were refused, or ended before they had answered.
        unanswered: Requests that were waited for in vain.
        own_cpu_s: What asking itself has taken of a processor, in seconds.
        spent: What the server's processes have taken.
        is_stopped: Whether somebody ended it early.
    """

    seconds: float
    taken: Sequence[float]
    statuses: Mapping[int, int]
    errors: int = 0
    unanswered: int = 0
    own_cpu_s: float = 0.0
    spent: Spent | None = None
    is_stopped: bool = False


class Latency(Struct, frozen=True, kw_only=True):
    """How long answers took, from the request's last byte sent to the answer's last, in ms."""

    p50: float
    p90: float
    p99: float
    max: float


class CpuFigures(Struct, frozen=True, kw_only=True):
    """Processor time of the server a request, in ms; and how many requests fill one worker's."""

    worker_ms: float
    other_ms: float
    most_per_worker: float | None


class Measured(Struct, frozen=True, kw_only=True):
    """The figures; throughput and latency are of answers with status 200 alone."""

    seconds: float
    answers: int
    answers_per_second: float
    rows_per_second: float
    latency_ms: Latency | None
    statuses: dict[str, int]
    connection_errors: int
    unanswered: int
    cpu: CpuFigures | None
    client_cpu: float
    stopped: bool

    @property
    def is_client_full(self) -> bool:
        """Tell whether asking took so much that the server may do more than was seen."""
        return self.client_cpu >= _BUSY


def summarise(noted: Noted, *, rows: int) -> Measured:
    """Return the figures of a load whose requests held so many rows each."""
    taken = sorted(noted.taken)
    seconds = max(noted.seconds, 1e-9)
    requests = sum(noted.statuses.values())
    latency = None
    if taken:
        p50, p90, p99 = (rank(taken, part) * 1000 for part in (0.5, 0.9, 0.99))
        latency = Latency(p50=p50, p90=p90, p99=p99, max=taken[-1] * 1000)
    return Measured(
        seconds=noted.seconds,
        answers=len(taken),
        answers_per_second=len(taken) / seconds,
        rows_per_second=len(taken) * rows / seconds,
        latency_ms=latency,
        statuses={str(status): count for status, count in sorted(noted.statuses.items())},
        connection_errors=noted.errors,
        unanswered=noted.unanswered,
        cpu=_cpu(noted.spent, requests),
        client_cpu=noted.own_cpu_s / seconds,
        stopped=noted.is_stopped,
    )


def rank(values: Sequence[float], part: float) -> float:
    """Return the least of sorted values that so large a part of them does not exceed.

    Example:
        >>> rank([1.0, 2.0, 3.0, 4.0], 0.5), rank([1.0, 2.0, 3.0, 4.0], 0.99)
        (2.0, 4.0)
    """
    return values[max(0, ceil(part * len(values)) - 1)]


def _cpu(spent: Spent | None, requests: int) -> CpuFigures | None:
    if spent is None or not requests:
        return None
    each = spent.workers_s / requests
    return CpuFigures(
        worker_ms=each * 1000,
        other_ms=spent.others_s / requests * 1000,
        most_per_worker=1 / each if each > 0 else None,
    )
