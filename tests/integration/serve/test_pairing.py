"""What is scored beside an answer: recorded under it, never waited for, never in its way."""

import asyncio
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bucle.errors import OutsideError
from bucle.serve.compactor import read_log
from bucle.serve.counts import Counts
from bucle.serve.engines import OverloadedError, Scored
from bucle.serve.journal import Journal
from bucle.serve.pairing import Pairing
from bucle.serve.problems import ProblemError
from bucle.serve.slots import Served
from bucle.store.memory_tables import MemoryTables


class Engine:
    """Adds one; refuses 13, and fails as it is told."""

    name = "test"

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.failure: Exception | None = None

    async def score(self, rows: Any) -> list[Scored]:
        self.calls.append(len(rows))
        if self.failure is not None:
            raise self.failure
        if any(row[0] == 13 for row in rows):
            raise ProblemError(422, "Not 13")
        return [Scored(row[0] + 1.0, row[0], row[0] + 2.0) for row in rows]


def served(engine: Engine, model: str = "m-2") -> Served:
    nothing: Any = None
    parts: Any = engine
    return Served(model=model, package=nothing, reader=nothing, engine=parts)


def names(*numbers: int) -> list[str]:
    return [f"p-{number:032x}" for number in numbers]


def tell(
    folder: Path, *asked: tuple[Served, list[int]], most: int = 100
) -> tuple[pl.DataFrame, Counts]:
    """Let rows be scored, and return what is on record."""
    counts = Counts()
    journal = Journal(folder, name="w0")

    async def story() -> None:
        pairing = Pairing(journal, counts, most_waiting=most)
        for one, rows in asked:
            pairing.add(one, [(row,) for row in rows], names(*rows))
        await pairing.finish(seconds=20)

    asyncio.run(story())
    journal.close()
    return read_log(folder, MemoryTables(), name="predictions"), counts


def test_rows_are_scored_together_and_recorded_under_their_answers(tmp_path: Path) -> None:
    engine = Engine()
    one = served(engine)
    predictions, counts = tell(tmp_path, (one, [1]), (one, [2, 3]), (one, [4]))
    assert engine.calls == [4]
    found = predictions.sort("of")
    assert found["of"].to_list() == names(1, 2, 3, 4)
    assert found["prediction"].to_list() == [2.0, 3.0, 4.0, 5.0]
    assert found["low"].to_list() == [1.0, 2.0, 3.0, 4.0]
    assert set(found["role"]) == {"shadow"}
    assert not set(found["id"]) & set(found["of"])
    assert counts.predictions == {"m-2\tshadow": 4}


def test_a_row_that_is_refused_does_not_cost_the_others(tmp_path: Path) -> None:
    one = served(Engine())
    predictions, counts = tell(tmp_path, (one, [1, 13, 3]))
    assert sorted(predictions["of"]) == names(1, 3)
    assert counts.predictions == {"m-2\tfailed": 1, "m-2\tshadow": 2}


def test_two_models_are_not_asked_together(tmp_path: Path) -> None:
    first, second = Engine(), Engine()
    tell(tmp_path, (served(first), [1]), (served(second, "m-3"), [2]), (served(first), [3]))
    assert (first.calls, second.calls) == ([1, 1], [1])


def test_more_than_may_wait_is_left_out_and_counted(tmp_path: Path) -> None:
    one = served(Engine())
    predictions, counts = tell(tmp_path, (one, [1, 2]), (one, [3, 4]), (one, [5]), most=3)
    assert sorted(predictions["of"]) == names(1, 2, 5)
    assert counts.events == {"shadow left out": 2}


@pytest.mark.parametrize("failure", [OverloadedError(), OutsideError("full"), TimeoutError()])
def test_what_cannot_be_scored_now_is_left_out(tmp_path: Path, failure: Exception) -> None:
    engine = Engine()
    engine.failure = failure
    _, counts = tell(tmp_path, (served(engine), [1, 2]))
    assert counts.events == {"shadow left out": 2}
    assert counts.predictions == {}


def test_a_model_that_fails_in_an_unheard_of_way_ends_nothing(tmp_path: Path) -> None:
    engine = Engine()
    engine.failure = ZeroDivisionError("inside")
    other = Engine()
    predictions, counts = tell(tmp_path, (served(engine), [1, 2]), (served(other), [3]))
    assert predictions["of"].to_list() == names(3)
    assert counts.predictions == {"m-2\tfailed": 2, "m-2\tshadow": 1}
