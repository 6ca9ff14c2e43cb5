"""The routes of a worker: what may be asked under which path, with which method."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

import bucle
from bucle.serve.app import Handler, Reply, Request
from bucle.serve.counts import Counts, render, total
from bucle.serve.journal import Journal
from bucle.serve.openapi import describe, render_page
from bucle.serve.predictions import Predictor
from bucle.serve.problems import ProblemError
from bucle.serve.slots import Slots

__all__ = ["make_routes", "nobody_yet"]

_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


def make_routes(
    predictor: Predictor,
    slots: Callable[[], Slots],
    counts: Counts,
    journal: Journal,
    *,
    folder: Path,
    worker: int,
) -> Mapping[bytes, Mapping[str, Handler]]:
    """Return path → method → handler.

    Args:
        predictor: Answers and records.
        slots: Who answers now; raises where nobody can.
        counts: This worker's numbers.
        journal: Its prediction log, whose state is among them.
        folder: Where workers leave their numbers for each other.
        worker: The number of this one.
    """
    began = time.monotonic()

    async def healthz(request: Request) -> Reply:
        del request
        return Reply(b'{"status":"ok"}')

    async def readyz(request: Request) -> Reply:
        del request
        return Reply(msgspec.json.encode({"status": "ready", "model": slots().champion.model}))

    async def model(request: Request) -> Reply:
        del request
        champion = slots().champion
        return Reply(
            msgspec.json.encode(
                {
                    "model": champion.model,
                    "engine": champion.package.engine,
                    "signature": champion.package.signature,
                    "keys": champion.reader.keys,
                    "metrics": champion.package.metrics,
                    "card": champion.package.card,
                }
            )
        )

    async def metrics(request: Request) -> Reply:
        del request
        state = journal.state
        counts.gauges = {
            "journal_backlog_records": state.backlog,
            "journal_unsynced_bytes": state.unsynced_bytes,
            "journal_unsynced_seconds": state.unsynced_s,
            "worker_uptime_seconds": time.monotonic() - began,
        }
        return Reply(render(total(counts, folder, worker=worker)), _TEXT)

    async def openapi(request: Request) -> Reply:
        del request
        return Reply(msgspec.json.encode(describe(slots().champion, version=bucle.__version__)))

    async def docs(request: Request) -> Reply:
        del request
        return Reply(render_page(slots().champion), b"text/html; charset=utf-8")

    reading = {
        "/healthz": healthz,
        "/readyz": readyz,
        "/model": model,
        "/metrics": metrics,
        "/openapi.json": openapi,
        "/docs": docs,
    }
    asked: dict[bytes, Mapping[str, Handler]] = {
        path.encode(): {"GET": handler, "HEAD": handler} for path, handler in reading.items()
    }
    return {
        **asked,
        b"/predict": {"POST": predictor.predict},
        b"/feedback": {"POST": predictor.feed_back},
    }


def nobody_yet() -> ProblemError:
    """Return the refusal of a server that has no champion to ask."""
    return ProblemError(
        503,
        "There is no champion to answer yet",
        headers={b"retry-after": b"5"},
        attempt="bucle run, and bucle promote MODEL where the gate is undecided",
        code="bucle-342",
    )
