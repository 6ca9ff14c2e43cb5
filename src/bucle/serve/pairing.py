"""The other model's view: what a shadow or the champion says of rows that another has answered.

Scored once the answers have left, from what is at hand; where there is more than can be scored,
rows are left out and counted, and no answer ever waits. Imports nothing heavy.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from bucle.errors import OutsideError
from bucle.serve.counts import Counts
from bucle.serve.engines import OverloadedError, Scored
from bucle.serve.journal import Journal
from bucle.serve.moments import micros, timer
from bucle.serve.records import Prediction, PredictionIds
from bucle.serve.rows import Row
from bucle.serve.slots import Served

__all__ = ["Pairing"]

_MOST_WAITING = 10_000
_TOGETHER = 64
_LONGEST_S = 10.0


class _Answered(Struct, frozen=True):
    """Rows that somebody has answered, as their other model takes them, under their ids."""

    served: Served
    rows: Sequence[Row]
    ids: Sequence[str]


class Pairing:
    """Scores answered rows by the other model and records that beside each answer.

    Args:
        journal: Where it is recorded, as predictions in the role `shadow`.
        counts: Where they are counted; rows left out are the event `shadow left out`.
        most_waiting: Rows that may wait; more are left out.
    """

    def __init__(
        self, journal: Journal, counts: Counts, *, most_waiting: int = _MOST_WAITING
    ) -> None:
        self._journal = journal
        self._counts = counts
        self._most = most_waiting
        self._ids = PredictionIds()
        self._waiting: deque[_Answered] = deque()
        self._rows = 0
        self._woken = asyncio.Event()

    def add(self, served: Served, rows: Sequence[Row], ids: Sequence[str]) -> None:
        """Let a model score rows that were answered under these ids; returns at once."""
        if self._rows + len(rows) > self._most:
            self._counts.noted("shadow left out", len(rows))
            return
        self._rows += len(rows)
        self._waiting.append(_Answered(served, rows, ids))
        self._woken.set()

    async def run(self) -> None:
        """Score what waits, again and again, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                # Answers come first: whatever else is ready has its turn before each batch.
                await asyncio.sleep(0)
                await self._score(self._take())

    async def finish(self, *, seconds: float) -> None:
        """Score what still waits, for so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._waiting:
                    await self._score(self._take())
        if self._rows:
            self._counts.noted("shadow left out", self._rows)

    def _take(self) -> _Answered:
        """Return what came first, with what came right after it for the same model."""
        first = self._waiting.popleft()
        rows, ids = list(first.rows), list(first.ids)
        while self._waiting and len(rows) < _TOGETHER:
            if self._waiting[0].served is not first.served:
                break
            more = self._waiting.popleft()
            rows += more.rows
            ids += more.ids
        self._rows -= len(rows)
        return _Answered(first.served, rows, ids)

    async def _score(self, asked: _Answered) -> None:
        try:
            await self._record(asked)
        except (TimeoutError, OutsideError, OverloadedError):
            self._counts.noted("shadow left out", len(asked.ids))
        except Exception:  # noqa: BLE001  (a model may fail in any way, and nothing ends with it)
            if len(asked.ids) == 1:
                self._counts.predicted(asked.served.model, "failed")
                return
            # One row that is refused must not cost the others.
            for row, name in zip(asked.rows, asked.ids, strict=True):
                await self._score(_Answered(asked.served, [row], [name]))

    async def _record(self, asked: _Answered) -> None:
        served = asked.served
        began = timer()
        async with asyncio.timeout(_LONGEST_S):
            scored = await served.engine.score(asked.rows)
        spent = int((timer() - began) * 1e6)
        at = micros()
        own = self._ids.take(len(asked.ids))
        self._journal.append_many(
            [
                _beside(one, name=name, of=of, at=at, model=served.model, spent=spent)
                for one, name, of in zip(scored, own, asked.ids, strict=True)
            ]
        )
        self._counts.predicted(served.model, "shadow", len(asked.ids))


def _beside(one: Scored, *, name: str, of: str, at: int, model: str, spent: int) -> Prediction:
    return Prediction(
        id=name,
        at=at,
        model=model,
        role="shadow",
        prediction=one.prediction,
        of=of,
        low=one.low,
        high=one.high,
        latency_us=spent,
    )
