"""What a worker counts: plain numbers on the way, Prometheus text when asked.

Counting costs a dictionary entry; names, help and escaping are prometheus_client's. Workers write
their numbers into files of one folder, so that any of them can answer for all of its server.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from bucle.store.files import write_whole
from bucle.store.processes import is_alive

__all__ = ["LATENCY_EDGES", "Counts", "forget_ended", "render", "share", "total"]

LATENCY_EDGES = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip
"""Upper edges of the latency histogram in seconds; one bucket more takes the rest."""

_MOST_REASONS = 1000


class Counts(Struct, kw_only=True):
    """The numbers of one worker since it began; labels are joined by tabs."""

    requests: dict[str, int] = field(default_factory=dict)
    predictions: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    treatments: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    serving: dict[str, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_EDGES) + 1))
    seconds: float = 0.0

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer and how long it took."""
        name = f"{route}\t{status}"
        self.requests[name] = self.requests.get(name, 0) + 1
        self.buckets[bisect_left(LATENCY_EDGES, seconds)] += 1
        self.seconds += seconds

    def predicted(self, model: str, role: str, rows: int = 1) -> None:
        """Count predictions of a model in a role."""
        name = f"{model}\t{role}"
        self.predictions[name] = self.predictions.get(name, 0) + rows

    def treated(self, column: str, treatment: str, count: int = 1) -> None:
        """Count values that the model treats: `null`, or `unknown` where it has levels."""
        name = f"{column}\t{treatment}"
        self.treatments[name] = self.treatments.get(name, 0) + count

    def refused(self, reason: str, column: str) -> None:
        """Count a refused row by its reason and column; of many columns the rest is one."""
        name = f"{reason}\t{column.replace(chr(9), ' ')}"
        if name not in self.refusals and len(self.refusals) >= _MOST_REASONS:
            name = f"{reason}\t"
        self.refusals[name] = self.refusals.get(name, 0) + 1

    def let_in(self, *models: tuple[str, str]) -> None:
        """Say who answers from now on: models, each with its role."""
        self.serving = {f"{model}\t{role}": 1 for model, role in models}

    def noted(self, event: str, count: int = 1) -> None:
        """Count something that is no answer: a swap, a shadow that was left out."""
        self.events[event] = self.events.get(event, 0) + count


def share(counts: Counts, folder: Path, *, server: int, worker: int) -> None:
    """Write a worker's numbers where the others find them; a server is named by its process."""
    write_whole(folder / f"counts-{server}-{worker}.json", msgspec.json.encode(counts))


def forget_ended(folder: Path, *, server: int) -> None:
    """Take away what servers that have ended counted, and what an earlier one of this name did."""
    for path in folder.glob("counts-*.json"):
        counted_by = _server(path)
        if counted_by in {None, server} or not is_alive(counted_by or 0):
            path.unlink(missing_ok=True)


def total(
    own: Counts,
    folder: Path,
    *,
    servers: Collection[int] | None = None,
    worker: tuple[int, int] | None = None,
) -> Counts:
    """Return the numbers of all workers: one's own as they are, the others' as last written.

    Args:
        own: What this worker counts.
        folder: Where all write.
        servers: Only their workers; None for all that the folder has, of ended servers too.
        worker: The server and the number of this one; None where it is no worker.
    """
    found = [own]
    for path in sorted(folder.glob("counts-*.json")):
        if worker is not None and path.name == "counts-{}-{}.json".format(*worker):
            continue
        if servers is not None and _server(path) not in servers:
            continue
        try:
            other = msgspec.json.decode(path.read_bytes(), type=Counts)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
        # Another version may have other buckets; its numbers cannot be added to these.
        if len(other.buckets) == len(own.buckets):
            found.append(other)
    return Counts(
        requests=_sum(one.requests for one in found),
        predictions=_sum(one.predictions for one in found),
        events=_sum(one.events for one in found),
        treatments=_sum(one.treatments for one in found),
        refusals=_sum(one.refusals for one in found),
        gauges=own.gauges,
        serving=_sum(one.serving for one in found),
        buckets=[sum(edges) for edges in zip(*(one.buckets for one in found), strict=True)],
        seconds=sum(one.seconds for one in found),
    )


def _server(path: Path) -> int | None:
    """Return the process whose worker wrote a file; None where its name tells none."""
    server, _, worker = path.stem.removeprefix("counts-").partition("-")
    return int(server) if server.isdecimal() and worker else None


def render(counts: Counts) -> bytes:
    """Return the numbers in Prometheus' text format."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415  (only when asked)
    from prometheus_client.exposition import generate_latest  # noqa: PLC0415  (as above)

    registry = CollectorRegistry()
    registry.register(_Collector(counts))
    return generate_latest(registry)


class _Collector:
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import (  # noqa: PLC0415  (only when asked)
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        counts = self._counts
        for name, words, labels, found in (
            (
                "bucle_requests",
                "Answers by route and status.",
                ["route", "status"],
                counts.requests,
            ),
            (
                "bucle_predictions",
                "Predictions by model and role.",
                ["model", "role"],
                counts.predictions,
            ),
            ("bucle_events", "What happened beside answers.", ["event"], counts.events),
            (
                "bucle_treated_values",
                "Nulls, and values never seen, in answered rows.",
                ["column", "treatment"],
                counts.treatments,
            ),
            (
                "bucle_refused_rows",
                "Refused rows by reason and column.",
                ["reason", "column"],
                counts.refusals,
            ),
        ):
            family = CounterMetricFamily(name, words, labels=labels)
            for key, value in sorted(found.items()):
                family.add_metric(key.split("\t"), value)
            yield family
        for name, state in sorted(counts.gauges.items()):
            yield GaugeMetricFamily(f"bucle_{name}", "The state of this worker.", value=state)
        running = 0
        buckets = []
        for edge, count in zip((*map(str, LATENCY_EDGES), "+Inf"), counts.buckets, strict=True):
            running += count
            buckets.append((edge, running))
        latency = HistogramMetricFamily(
            "bucle_latency_seconds", "How long answers took in the worker."
        )
        latency.add_metric([], buckets, sum_value=counts.seconds)
        yield latency


def _sum(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for part in parts:
        found.update(part)
    return dict(found)
