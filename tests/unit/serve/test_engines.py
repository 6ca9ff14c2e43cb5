"""The estimator's engine: what queued is scored together, and a bad row hurts only its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from bucle.models.signature import Feature, Signature
from bucle.serve.engines import EstimatorEngine, OverloadedError, Scored
from bucle.serve.problems import ProblemError

PATIENCE_S = 20


class Doubler:
    """Doubles `x`; remembers its calls, waits to be let through, and chokes on 13."""

    def __init__(self) -> None:
        self.calls: list[list[float | None]] = []
        self.started = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.failure: Exception = ValueError("I do not\n like  13")

    def predict(self, frame: pl.DataFrame) -> Any:
        column = frame["x"]
        self.calls.append(column.to_list())
        self.started.set()
        assert self.free.wait(PATIENCE_S)
        if 13.0 in self.calls[-1]:
            raise self.failure
        return 2 * column.to_numpy()


class Model:
    """As much of a package as an engine asks for."""

    model = "m-1"
    intervals = None

    def __init__(
        self, estimator: Any, dtypes: dict[str, str], *, details: Sequence[str] = ()
    ) -> None:
        self.estimator = estimator
        self.signature = Signature(
            kind="regression",
            target="y",
            features=tuple(Feature(name=name, dtype=dtype) for name, dtype in dtypes.items()),
            details=tuple(Feature(name=name, dtype="Float64") for name in details),
        )


def make(estimator: Any, *, most_waiting: int = 10_000, **dtypes: str) -> EstimatorEngine:
    package: Any = Model(estimator, dtypes or {"x": "Float64"})
    return EstimatorEngine(package, most_waiting=most_waiting)


def story(
    tell: Callable[[Doubler, EstimatorEngine], Coroutine[Any, Any, None]], **more: Any
) -> None:
    """Run a story with an engine that is closed at its end."""

    async def run() -> None:
        doubler = Doubler()
        engine = make(doubler, **more)
        try:
            await asyncio.wait_for(tell(doubler, engine), PATIENCE_S)
        finally:
            doubler.free.set()
            engine.close()

    asyncio.run(run())


async def busy(doubler: Doubler, engine: EstimatorEngine) -> "asyncio.Task[list[Scored]]":
    """Return a request that the estimator is at work on until `free` is set."""
    doubler.free.clear()
    doubler.started.clear()
    task = asyncio.create_task(engine.score([(0.0,)]))
    await asyncio.to_thread(doubler.started.wait, PATIENCE_S)
    return task


async def queue(engine: EstimatorEngine, *rows: float) -> "asyncio.Task[list[Scored]]":
    task = asyncio.create_task(engine.score([(row,) for row in rows]))
    await asyncio.sleep(0)
    return task


def test_rows_are_scored_in_their_order_and_never_at_once() -> None:
    async def tell(_: Doubler, engine: EstimatorEngine) -> None:
        assert engine.score_now([(1.0,)]) is None
        assert await engine.score([(1.0,), (2.0,), (3.0,)]) == [Scored(2), Scored(4), Scored(6)]

    story(tell)


def test_what_queued_while_the_estimator_was_busy_is_scored_in_one_call() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        first = await busy(doubler, engine)
        tasks = [await queue(engine, float(number), 0.5) for number in range(101, 151)]
        doubler.free.set()
        assert await first == [Scored(0)]
        for number, task in enumerate(tasks, start=101):
            assert await task == [Scored(2.0 * number), Scored(1)]
        assert [len(call) for call in doubler.calls] == [1, 100]

    story(tell)


def test_a_request_alone_does_not_wait_for_others() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        for _ in range(3):
            await engine.score([(1.0,)])
        assert doubler.calls == [[1.0], [1.0], [1.0]]

    story(tell)


def test_a_call_takes_no_more_rows_than_a_batch_unless_one_request_has_them() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        first = await busy(doubler, engine)
        tasks = [await queue(engine, *[1.0] * size) for size in (300, 300, 900, 10)]
        doubler.free.set()
        await asyncio.gather(first, *tasks)
        assert [len(call) for call in doubler.calls] == [1, 300, 300, 900, 10]

    story(tell)


def test_a_row_that_the_estimator_refuses_fails_only_its_own_request() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        first = await busy(doubler, engine)
        good, poison, other = [await queue(engine, row) for row in (1.0, 13.0, 3.0)]
        doubler.free.set()
        assert [await first, await good, await other] == [[Scored(0)], [Scored(2)], [Scored(6)]]
        with pytest.raises(ProblemError) as found:
            await poison
        assert (found.value.status, found.value.code) == (422, "bucle-334")
        assert found.value.cause == "I do not like 13"
        assert await engine.score([(4.0,)]) == [Scored(8)]

    story(tell)


@pytest.mark.parametrize("failure", [StopIteration("a"), KeyError("b"), RecursionError()])
def test_whatever_the_estimator_raises_is_a_refusal(failure: Exception) -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        doubler.failure = failure
        with pytest.raises(ProblemError, match="the model refuses a row"):
            await engine.score([(13.0,)])

    story(tell)


class Odd:
    """Gives what no model should."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, frame: pl.DataFrame) -> Any:
        del frame
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        np.array([1.0]),
        np.array([[1.0], [2.0]]),
        np.array([1.0, np.nan]),
        np.array([1.0, np.inf]),
        None,
    ],
)
def test_what_is_not_one_finite_number_a_row_is_refused(answer: Any) -> None:
    async def tell() -> None:
        engine = make(Odd(answer))
        with pytest.raises(ProblemError):
            await engine.score([(1.0,), (2.0,)])
        engine.close()

    asyncio.run(tell())


def test_more_rows_than_may_wait_are_refused_and_then_taken_again() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        first = await busy(doubler, engine)
        waiting = await queue(engine, 1.0, 2.0, 3.0)
        with pytest.raises(ProblemError) as found:
            await engine.score([(4.0,)])
        assert (found.value.status, dict(found.value.headers)[b"retry-after"]) == (503, b"1")
        doubler.free.set()
        await asyncio.gather(first, waiting)
        assert await engine.score([(4.0,)]) == [Scored(8)]

    story(tell, most_waiting=3)


def test_one_request_may_be_larger_than_what_may_wait() -> None:
    async def tell(_: Doubler, engine: EstimatorEngine) -> None:
        assert len(await engine.score([(1.0,)] * 50)) == 50

    story(tell, most_waiting=3)


def test_who_hangs_up_while_waiting_is_not_scored() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        first = await busy(doubler, engine)
        gone, stays = await queue(engine, 7.0), await queue(engine, 8.0)
        gone.cancel()
        doubler.free.set()
        assert (await first, await stays) == ([Scored(0)], [Scored(16)])
        assert doubler.calls == [[0.0], [8.0]]

    story(tell)


def test_who_hangs_up_while_being_scored_does_not_disturb_the_others() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        first = await busy(doubler, engine)
        waiting = await queue(engine, 1.0)
        first.cancel()
        doubler.free.set()
        assert await waiting == [Scored(2)]

    story(tell)


def test_who_hangs_up_takes_no_room_from_others() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        first = await busy(doubler, engine)
        gone = await queue(engine, 1.0, 2.0, 3.0)
        with pytest.raises(OverloadedError):
            await engine.score([(4.0,), (5.0,)])
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        taken = await queue(engine, 4.0, 5.0)
        doubler.free.set()
        assert [one.prediction for one in await taken] == [8.0, 10.0]
        await first
        assert doubler.calls == [[0.0], [4.0, 5.0]]

    story(tell, most_waiting=4)


def test_those_who_all_hung_up_leave_an_engine_that_works() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        first = await busy(doubler, engine)
        gone = [await queue(engine, 1.0) for _ in range(5)]
        for task in (first, *gone):
            task.cancel()
        doubler.free.set()
        assert await engine.score([(2.0,)]) == [Scored(4)]

    story(tell)


def test_what_waits_when_an_engine_is_closed_is_still_scored() -> None:
    async def tell(doubler: Doubler, engine: EstimatorEngine) -> None:
        first = await busy(doubler, engine)
        waiting = await queue(engine, 1.0)
        engine.close()
        doubler.free.set()
        assert (await first, await waiting) == ([Scored(0)], [Scored(2)])

    story(tell)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("Float64", 1.5),
        ("Float32", 0.1),
        ("Int8", -128),
        ("UInt64", 2**63 - 1),
        ("Boolean", True),
        ("String", "é"),
        ("Null", None),
    ],
)
def test_the_estimator_sees_the_types_it_was_trained_with(dtype: str, value: object) -> None:
    seen: list[pl.DataFrame] = []

    class Keeps:
        def predict(self, frame: pl.DataFrame) -> Any:
            seen.append(frame)
            return np.zeros(frame.height)

    async def tell() -> None:
        engine = make(Keeps(), x=dtype, other="Int64")
        assert await engine.score([(value, 1), (None, None)]) == [Scored(0), Scored(0)]
        engine.close()

    asyncio.run(tell())
    assert [str(kind) for kind in seen[0].dtypes] == [dtype, "Int64"]
    assert seen[0].columns == ["x", "other"]
    assert seen[0]["x"].null_count() == (2 if value is None else 1)


class Teller(Doubler):
    """Says of each row how much it is away from 10, and chokes on 13 there too."""

    def details(self, frame: pl.DataFrame) -> pl.DataFrame:
        if 12.0 in frame["x"]:
            raise self.failure
        return frame.select(away=10 - pl.col("x"), none=pl.lit(None, dtype=pl.Float64))


def test_details_come_with_the_prediction_of_their_row() -> None:
    async def run() -> None:
        teller = Teller()
        package: Any = Model(teller, {"x": "Float64"}, details=["away", "none"])
        engine = EstimatorEngine(package)
        good, bad, other = (engine.score([(x,), (x + 1,)]) for x in (3.0, 12.0, 5.0))
        found = await asyncio.gather(good, bad, other, return_exceptions=True)
        engine.close()
        assert found[0] == [
            Scored(6, details={"away": 7.0, "none": None}),
            Scored(8, details={"away": 6.0, "none": None}),
        ]
        assert isinstance(found[1], ProblemError)
        assert (found[1].status, found[1].code) == (422, "bucle-334")
        assert isinstance(found[2], list)
        assert [one.details for one in found[2]] == [
            {"away": 5.0, "none": None},
            {"away": 4.0, "none": None},
        ]

    asyncio.run(run())
