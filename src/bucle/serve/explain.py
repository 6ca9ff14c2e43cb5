"""`POST /predict?explain=true`: beside each answer, what every column added to it.

Computed in a thread of its own, one request at a time, and never for who does not ask. What cannot
be explained is refused before anything is predicted. Imports nothing heavy until it is asked.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs

import msgspec

from bucle.errors import PackageError
from bucle.models.compiled.contributions import Contributions
from bucle.serve.app import Handler, Reply, Request
from bucle.serve.columns import read_aside
from bucle.serve.predictions import Predictor, answers_of, request_id, require_json
from bucle.serve.problems import ProblemError
from bucle.serve.rows import Row
from bucle.serve.slots import Served, Slots

if TYPE_CHECKING:
    from bucle.models.compiled.explainer import Explainer

__all__ = ["ExplainingPredictor", "wants_explanation"]

_Found = TypeVar("_Found")

_MOST_WORK = 100_000_000
"""Numbers that may be computed for a request: about a second."""

_MOST_ROWS = 1000
_MOST_WAITING = 4
_KEPT = 3
_PAUSE_S = 1e-4
"""Between two rows, so that the event loop comes to its turn."""


class ExplainingPredictor:
    """Answers `POST /predict` where an explanation is asked for, and leaves the rest to others.

    Args:
        predictor: Scores and records.
        slots: Who answers now; raises where nobody can.
        otherwise: Answers requests that ask for no explanation.
    """

    def __init__(
        self, predictor: Predictor, slots: Callable[[], Slots], otherwise: Handler
    ) -> None:
        self._predictor = predictor
        self._slots = slots
        self._otherwise = otherwise
        self._explainers: dict[str, Explainer] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._waiting = 0

    def predict(self, request: Request) -> Awaitable[Reply]:
        """Answer, with the contributions of the columns where `explain=true` asks for them."""
        if request.query and wants_explanation(request.query):
            return self._predict(request)
        return self._otherwise(request)

    async def _predict(self, request: Request) -> Reply:
        require_json(request)
        slots, body = self._slots(), request.body
        reader = slots.champion.reader
        rows, is_one = await read_aside(lambda: reader.read(body), size=len(body))
        if self._waiting >= _MOST_WAITING:
            raise ProblemError(
                503,
                "Cannot explain now: too many explanations are waiting",
                headers={b"retry-after": b"1"},
                attempt="once more in a second, or without explain",
                code="bucle-354",
            )
        self._waiting += 1
        try:
            for served in slots.all if slots.share else (slots.champion,):
                await self._aside(partial(self._require, served, len(rows)))
            answered = await self._predictor.answer(slots, rows, request=request_id(request))
            values = [slots.champion.reader.values(row) for row in rows]
            asked = slots.fit(answered.served, values)
            found = await self._aside(partial(self._explain, answered.served, asked))
        finally:
            self._waiting -= 1
        answers = [
            msgspec.structs.replace(answer, contributions=one)
            for answer, one in zip(answers_of(answered), found, strict=True)
        ]
        return Reply(msgspec.json.encode(answers[0] if is_one else answers))

    def _aside(self, work: Callable[[], _Found]) -> Awaitable[_Found]:
        """Do some work in the one thread that explains."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="explain")
        return asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _require(self, served: Served, rows: int) -> None:
        """Raise where a model cannot be explained, or not so many rows of it at once."""
        try:
            work = self._explainer(served).work
        except PackageError as error:
            raise ProblemError(
                422, error.what, cause=error.cause, attempt=error.attempt, code=error.code
            ) from error
        most = max(1, min(_MOST_ROWS, _MOST_WORK // max(work, 1)))
        if rows > most:
            raise ProblemError(
                422,
                f"Cannot explain {rows:,} rows at once",
                cause=f"of this model at most {most:,} can be",
                attempt="fewer rows in a request, or without explain",
                code="bucle-354",
            )

    def _explainer(self, served: Served) -> "Explainer":
        found = self._explainers.get(served.model)
        if found is None:
            found = served.package.explainer()
            while len(self._explainers) >= _KEPT:
                self._explainers.pop(next(iter(self._explainers)))
            self._explainers[served.model] = found
        return found

    def _explain(self, served: Served, rows: Sequence[Row]) -> list[Contributions]:
        explainer = self._explainer(served)
        found = []
        for row in rows:
            found += explainer.explain([row])
            time.sleep(_PAUSE_S)
        return found


def wants_explanation(query: bytes) -> bool:
    """Tell whether a query asks for an explanation.

    Raises:
        ProblemError: It says something of `explain` that is neither yes nor no.

    Example:
        >>> wants_explanation(b"explain=true"), wants_explanation(b"a=1")
        (True, False)
    """
    if b"explain" not in query:
        return False
    try:
        asked = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=100)
    except (UnicodeDecodeError, ValueError):
        asked = {"explain": ["?"]}
    said = asked.get("explain", ["false"])
    if said not in (["true"], ["false"]):
        raise ProblemError(
            422,
            "Cannot tell whether an explanation is wanted",
            cause=f"explain is {', '.join(said)[:60]!r}",
            attempt="POST /predict?explain=true",
            code="bucle-354",
        )
    return said == ["true"]
