"""The routes of a worker: what may be asked under which path, with which method."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

import bucle
from bucle.serve.app import Handler, Reply, Request
from bucle.serve.arrow_predictions import ArrowPredictor
from bucle.serve.asking import Asking
from bucle.serve.counts import Counts, render, total
from bucle.serve.explain import ExplainingPredictor
from bucle.serve.journal import Journal
from bucle.serve.kserve import KServe
from bucle.serve.labels import Labels
from bucle.serve.mlflow import Mlflow
from bucle.serve.openapi import PAGE_HEADERS, describe, render_page
from bucle.serve.predictions import Predictor
from bucle.serve.problems import ProblemError
from bucle.serve.slots import Slots

__all__ = ["Routes", "make_routes", "nobody_yet"]

_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


class Routes(dict[bytes, Mapping[str, Handler]]):
    """Path → method → handler, and what is asked where a path is none of them.

    Args:
        fixed: What is always there.
        elsewhere: Returns the methods of a path that comes and goes; None where there is nothing.
    """

    def __init__(
        self,
        fixed: Mapping[bytes, Mapping[str, Handler]],
        elsewhere: Callable[[bytes], Mapping[str, Handler] | None],
    ) -> None:
        super().__init__(fixed)
        self._elsewhere = elsewhere

    def __missing__(self, path: bytes) -> Mapping[str, Handler]:
        found = self._elsewhere(path)
        if found is None:
            raise KeyError(path)
        return found


def make_routes(
    predictor: Predictor,
    slots: Callable[[], Slots],
    counts: Counts,
    journal: Journal,
    *,
    folder: Path,
    worker: tuple[int, int],
    name: str,
    ask: Callable[[str], int] | None = None,
) -> Routes:
    """Return path → method → handler.

    Args:
        predictor: Answers and records.
        slots: Who answers now; raises where nobody can.
        counts: This worker's numbers.
        journal: Its prediction log, whose state is among them.
        folder: Where workers leave their numbers for each other.
        worker: The server and the number of this one.
        name: What clients of the Open Inference Protocol call the model.
        ask: Puts a request for a retrain on record; None where there is no log to put it in.
    """
    reading = {
        **_reading(slots, counts, journal, folder=folder, worker=worker),
        **_describing(slots, name),
    }
    asked: dict[bytes, Mapping[str, Handler]] = {
        path.encode(): {"GET": handler, "HEAD": handler} for path, handler in reading.items()
    }
    kserve = KServe(predictor, slots, name=name, version=bucle.__version__)
    arrow = ArrowPredictor(predictor, slots)
    fixed: dict[bytes, Mapping[str, Handler]] = {
        **asked,
        b"/predict": {"POST": ExplainingPredictor(predictor, slots, arrow.predict).predict},
        b"/feedback": {"POST": Labels(journal, counts, kind=lambda: _kind(slots)).take},
        **Mlflow(predictor, slots, version=bucle.__version__).routes(),
        **kserve.routes(),
    }
    if ask is not None:
        fixed[b"/retrain"] = {"POST": Asking(ask).take}
    return Routes(fixed, kserve.version_routes)


def _kind(slots: Callable[[], Slots]) -> str:
    """Return what the champion predicts; nothing where there is none, and labels come anyway."""
    try:
        kind: str = slots().champion.package.signature.kind
    except ProblemError:
        return ""
    return kind


def _reading(
    slots: Callable[[], Slots],
    counts: Counts,
    journal: Journal,
    *,
    folder: Path,
    worker: tuple[int, int],
) -> Mapping[str, Handler]:
    """Return what is only read: whether it lives, who answers, how much."""
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
        found = total(counts, folder, servers=worker[:1], worker=worker)
        return Reply(render(found), _TEXT)

    return {"/healthz": healthz, "/readyz": readyz, "/model": model, "/metrics": metrics}


def _describing(slots: Callable[[], Slots], name: str) -> Mapping[str, Handler]:
    async def openapi(request: Request) -> Reply:
        del request
        document = describe(slots().champion, version=bucle.__version__, name=name)
        return Reply(msgspec.json.encode(document))

    async def docs(request: Request) -> Reply:
        host = request.headers.get(b"host", b"").decode("ascii", "replace")
        page = render_page(slots().champion, name=name, host=host)
        return Reply(page, b"text/html; charset=utf-8", headers=PAGE_HEADERS)

    return {"/openapi.json": openapi, "/docs": docs}


def nobody_yet() -> ProblemError:
    """Return the refusal of a server that has no champion to ask."""
    return ProblemError(
        503,
        "There is no champion to answer yet",
        headers={b"retry-after": b"5"},
        attempt="bucle status: is there one, it is still being loaded, or the server says why not; "
        "is there none, bucle run",
        code="bucle-342",
    )
