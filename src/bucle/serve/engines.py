"""Engines: how rows become predictions, by the compiled form or by the estimator as it is.

The compiled form answers at once, in the event loop. The estimator answers from a thread of its
own, and what queued while it was busy is scored together: no row waits for a batch to fill.
Imports nothing heavy until an engine of that kind is opened.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from bucle.errors import BucleError
from bucle.models.package import Package
from bucle.serve.problems import ProblemError
from bucle.serve.rows import Row

if TYPE_CHECKING:
    import polars as pl

    from bucle.models.intervals import Band

__all__ = [
    "MOST_AT_ONCE",
    "CompiledEngine",
    "Engine",
    "EstimatorEngine",
    "OverloadedError",
    "Scored",
    "Scores",
    "open_engine",
]

_MOST_TOGETHER = 512
MOST_AT_ONCE = 256
"""Rows that are scored in one go; for more, others would have to wait."""

_MOST_WAITING = 10_000


class Scored(Struct, frozen=True, gc=False):
    """What a model says of one row: the number, its interval and details where it has them."""

    prediction: float
    low: float | None = None
    high: float | None = None
    details: dict[str, Any] | None = None


class Scores(Struct, frozen=True, gc=False):
    """What a model says of some rows; `low` and `high` are None where it has no intervals.

    `known` are columns, by their number, that held only words the model has learned, or numbers.
    """

    prediction: Sequence[float]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    known: frozenset[int] = frozenset()


class Engine(Protocol):
    """Scores rows of one model; used from one event loop.

    `is_quick` says whether it scores few rows at once, and only then has `score_columns`.
    """

    name: str
    is_quick: bool

    def score_now(self, rows: Sequence[Row]) -> list[Scored] | None:
        """Return the scores at once; None where the engine has to be waited for."""
        ...

    def score_columns(self, columns: Sequence[Row]) -> Scores | None:
        """Return the scores of all rows, given by column; None where it is not quick.

        Raises:
            ProblemError: The model refuses a row; none is scored.
        """
        ...

    async def score(self, rows: Sequence[Row]) -> list[Scored]:
        """Return the scores of all rows, in their order.

        Raises:
            ProblemError: The model refuses a row (422), or too many rows are waiting (503).
        """
        ...

    def close(self) -> None:
        """End what the engine has started; scores asked for before are still given."""
        ...


class CompiledEngine:
    """Scores with the compiled form: a row takes microseconds, so nothing waits or queues.

    Args:
        package: The model; it has a compiled form.

    Raises:
        PackageError: It has none.
    """

    name = "compiled"
    is_quick = True

    def __init__(self, package: Package) -> None:
        self._scorer = package.scorer()

    def score_now(self, rows: Sequence[Row]) -> list[Scored] | None:
        """Return the scores at once; None for so many rows that others would have to wait.

        Raises:
            ProblemError: The model refuses a row.
        """
        if len(rows) > MOST_AT_ONCE:
            return None
        try:
            return self._score(rows)
        except BucleError as error:
            raise _refusal(error) from error

    def score_columns(self, columns: Sequence[Row]) -> Scores | None:
        """Return the scores of all rows, given by column: whoever asks knows how many.

        Raises:
            ProblemError: The model refuses a row; none is scored.
        """
        try:
            found, both = self._scorer.answers_by_column(columns)
        except BucleError as error:
            raise _refusal(error) from error
        known = self._scorer.known
        if both is None:
            return Scores(found.tolist(), known=known)
        return Scores(found.tolist(), both[0].tolist(), both[1].tolist(), known)

    async def score(self, rows: Sequence[Row]) -> list[Scored]:
        """Return the scores of many rows, and let others have their turn in between."""
        found: list[Scored] = []
        for first in range(0, len(rows), MOST_AT_ONCE):
            try:
                found += self._score(rows[first : first + MOST_AT_ONCE])
            except BucleError as error:
                raise _refusal(error) from error
            await asyncio.sleep(0)
        return found

    def close(self) -> None:
        """Do nothing: there is nothing to end."""

    def _score(self, rows: Sequence[Row]) -> list[Scored]:
        if len(rows) == 1:
            prediction, one = self._scorer.answer(rows[0])
            return [Scored(prediction) if one is None else Scored(prediction, *one)]
        found, both = self._scorer.answers(rows)
        if both is None:
            return [Scored(value) for value in found.tolist()]
        ends = zip(found.tolist(), both[0].tolist(), both[1].tolist(), strict=True)
        return [Scored(*values) for values in ends]


class EstimatorEngine:
    """Scores with the estimator as it is, one call at a time.

    Args:
        package: The model.
        most_waiting: Rows that may wait; more are refused, so that memory stays bounded.
    """

    name = "estimator"
    is_quick = False

    def __init__(self, package: Package, *, most_waiting: int = _MOST_WAITING) -> None:
        from bucle.models.signature import dtypes_of  # noqa: PLC0415  (imports nothing heavy)

        self._package = package
        self._most_waiting = most_waiting
        self._types = dtypes_of(package.signature)
        self._estimator = package.estimator
        self._band = _band_of(package)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"score-{package.model}")
        self._waiting: deque[tuple[Sequence[Row], asyncio.Future[list[Scored]]]] = deque()
        self._rows_waiting = 0
        self._is_busy = False
        self._is_closed = False

    def score_now(self, rows: Sequence[Row]) -> list[Scored] | None:
        """Return None: an estimator may take long."""
        del rows
        return None

    def score_columns(self, columns: Sequence[Row]) -> Scores | None:
        """Return None: an estimator may take long."""
        del columns
        return None

    async def score(self, rows: Sequence[Row]) -> list[Scored]:
        """Return the scores of all rows, in their order."""
        if self._rows_waiting + len(rows) > self._most_waiting and self._rows_waiting:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Scored]] = loop.create_future()
        self._waiting.append((rows, future))
        self._rows_waiting += len(rows)
        if not self._is_busy:
            self._start_next(loop)
        try:
            return await future
        except asyncio.CancelledError:
            self._forget(future)
            raise

    def close(self) -> None:
        """End the thread once it has scored what was asked."""
        self._is_closed = True
        if not self._is_busy:
            self._thread.shutdown(wait=False)

    def _forget(self, future: "asyncio.Future[list[Scored]]") -> None:
        """Let what nobody waits for any more take no room from others."""
        for place, (rows, asked) in enumerate(self._waiting):
            if asked is future:
                del self._waiting[place]
                self._rows_waiting -= len(rows)
                return

    def _start_next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give everything that waits to the thread, up to a batch."""
        taken: list[tuple[Sequence[Row], asyncio.Future[list[Scored]]]] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0][0]) <= _MOST_TOGETHER):
            asked = self._waiting.popleft()
            self._rows_waiting -= len(asked[0])
            # Whoever hung up meanwhile needs no score.
            if not asked[1].cancelled():
                taken.append(asked)
                count += len(asked[0])
        self._is_busy = bool(taken)
        if taken:
            work = loop.run_in_executor(self._thread, self._score_all, [rows for rows, _ in taken])
            work.add_done_callback(lambda done: self._answer(loop, taken, done))
        elif self._is_closed:
            self._thread.shutdown(wait=False)

    def _answer(
        self,
        loop: asyncio.AbstractEventLoop,
        taken: Sequence[tuple[Sequence[Row], "asyncio.Future[list[Scored]]"]],
        done: "asyncio.Future[list[list[Scored] | Exception]]",
    ) -> None:
        failure = done.exception()
        answers = [failure] * len(taken) if failure else done.result()
        for (_, future), answer in zip(taken, answers, strict=True):
            if future.cancelled():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._start_next(loop)

    def _score_all(self, asked: Sequence[Sequence[Row]]) -> list[list[Scored] | Exception]:
        """Score several requests in one call; where that fails, each on its own."""
        try:
            together = self._score([row for rows in asked for row in rows])
        except Exception as error:  # noqa: BLE001  (the estimator may raise anything)
            if len(asked) == 1:
                return [_refusal(error)]
            return [answer for rows in asked for answer in self._score_all([rows])]
        scored = iter(together)
        return [[next(scored) for _ in rows] for rows in asked]

    def _score(self, rows: Sequence[Row]) -> list[Scored]:
        from bucle.models.prediction import predict  # noqa: PLC0415  (imports numpy)

        frame = self._frame(rows)
        found = predict(self._estimator, frame, kind=self._package.signature.kind)
        ends: list[list[float]] | list[list[None]] = [[None] * len(rows)] * 2
        if self._band is not None:
            ends = [end.tolist() for end in self._band.around(frame, found)]
        return [
            Scored(*values)
            for values in zip(found.tolist(), *ends, self._details(frame), strict=True)
        ]

    def _details(self, frame: "pl.DataFrame") -> Sequence[dict[str, Any] | None]:
        """Return what the estimator says of each row beside its prediction."""
        from bucle.models.details import give_details  # noqa: PLC0415  (where there are any)

        signature = self._package.signature
        if not signature.details:
            return [None] * frame.height
        return give_details(self._estimator, frame, signature=signature).to_dicts()

    def _frame(self, rows: Sequence[Row]) -> "pl.DataFrame":
        import polars as pl  # noqa: PLC0415  (the estimator needs it)

        columns = zip(*rows, strict=True)
        return pl.DataFrame(
            [
                pl.Series(name, values, dtype=dtype, strict=True)
                for (name, dtype), values in zip(self._types.items(), columns, strict=True)
            ]
        )


def open_engine(package: Package) -> Engine:
    """Return the engine that was chosen when a model was packaged, ready to score.

    Raises:
        PackageError: The package cannot be used.
    """
    return (
        CompiledEngine(package) if package.engine.name == "compiled" else EstimatorEngine(package)
    )


class OverloadedError(ProblemError):
    """A server has more to do than it can hold."""

    code = "bucle-333"

    def __init__(self) -> None:
        super().__init__(
            503,
            "Cannot predict now: too many rows are waiting",
            headers={b"retry-after": b"1"},
            attempt="once more in a second, or more workers: bucle serve --workers 2",
        )


def _band_of(package: Package) -> "Band | None":
    """Return the intervals of a package, None where it has none that can be given."""
    record = package.intervals
    if record is None or record.quantile is None:
        return None
    return package.band


def _refusal(error: Exception) -> Exception:
    if isinstance(error, ProblemError | MemoryError):
        return error
    cause = error.cause if isinstance(error, BucleError) else f"{type(error).__name__}: {error}"
    return ProblemError(
        422,
        "Cannot predict: the model refuses a row",
        cause=" ".join(cause.split())[:500],
        code="bucle-334",
    )
