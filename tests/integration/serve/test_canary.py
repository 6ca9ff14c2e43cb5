"""A canary that misbehaves: the champion answers in its place, and soon it is asked no more."""

import asyncio
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bucle.errors import PackageError
from bucle.models.signature import Feature, Signature
from bucle.serve.app import Request
from bucle.serve.compactor import read_log
from bucle.serve.counts import Counts
from bucle.serve.engines import Scored
from bucle.serve.journal import Journal
from bucle.serve.pairing import Pairing
from bucle.serve.predictions import Predictor
from bucle.serve.problems import ProblemError
from bucle.serve.rows import RowReader
from bucle.serve.slots import Served, Slots, line_up
from bucle.store.memory_tables import MemoryTables

JSON = {b"content-type": b"application/json"}


def signature(*names: str, **fields: Any) -> Signature:
    features = tuple(Feature(name=name, dtype="Float64") for name in names)
    return Signature(**({"kind": "regression", "target": "y", "features": features} | fields))


class Engine:
    """Answers with the first value times a factor, at once or after a while, or not at all."""

    name = "test"

    def __init__(
        self, factor: float, *, failure: Exception | None = None, waits: bool = False
    ) -> None:
        self.factor, self.failure, self.waits = factor, failure, waits
        self.asked = 0

    def score_now(self, rows: Any) -> list[Scored] | None:
        if self.waits:
            return None
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return [Scored(self.factor * row[0]) for row in rows]

    async def score(self, rows: Any) -> list[Scored]:
        if self.waits:
            self.asked += 1
            await asyncio.sleep(60)
        return self.score_now(rows) or []

    def close(self) -> None:
        """Do nothing."""


def served(model: str, engine: Engine, *names: str) -> Served:
    nothing: Any = None
    parts: Any = engine
    return Served(
        model=model, package=nothing, reader=RowReader(signature(*names), keys=["id"]), engine=parts
    )


def ask(
    folder: Path, canary: Engine, bodies: list[Any], *, share: float = 1.0
) -> tuple[list[Any], pl.DataFrame, Counts]:
    """Let a champion that multiplies by 1 and a canary with its columns in reverse answer."""
    counts = Counts()
    journal = Journal(folder, name="w0")
    slots = Slots(
        champion=served("m-1", Engine(1.0), "x", "z"),
        challenger=served("m-2", canary, "z", "x"),
        share=share,
        places=line_up(signature("x", "z"), signature("z", "x")),
    )

    async def story() -> list[Any]:
        pairing = Pairing(journal, counts)
        predictor = Predictor(lambda: slots, journal, counts, pairing)
        answers = []
        for body in bodies:
            request = Request(JSON, json.dumps(body).encode(), b"")
            answers.append(json.loads((await predictor.predict(request)).body))
        await pairing.finish(seconds=20)
        return answers

    answers = asyncio.run(story())
    journal.close()
    return answers, read_log(folder, MemoryTables(), name="predictions"), counts


def test_a_canary_gets_the_columns_in_its_own_order(tmp_path: Path) -> None:
    answers, log, _ = ask(tmp_path, Engine(10.0), [{"x": 1, "z": 2, "id": "a"}])
    assert [(one["prediction"], one["by"], one["shadow"]) for one in answers] == [
        (20.0, "canary", "m-1")
    ]
    assert log.filter(pl.col("role") == "shadow")["prediction"].to_list() == [1.0]


def test_a_shadow_gets_the_columns_in_its_own_order(tmp_path: Path) -> None:
    answers, log, _ = ask(tmp_path, Engine(10.0), [{"x": 1, "z": 2}], share=0.0)
    assert [(one["prediction"], one["shadow"]) for one in answers] == [(1.0, "m-2")]
    assert log.filter(pl.col("role") == "shadow")["prediction"].to_list() == [20.0]


@pytest.mark.parametrize(
    "failure", [ProblemError(422, "no"), ZeroDivisionError("inside"), MemoryError()]
)
def test_where_a_canary_fails_the_champion_answers(tmp_path: Path, failure: Exception) -> None:
    canary = Engine(10.0, failure=failure)
    answers, log, counts = ask(tmp_path, canary, [[{"x": 1, "z": 2}, {"x": 3, "z": 4}]])
    assert [(one["prediction"], one["model"]) for one in answers[0]] == [(1.0, "m-1"), (3.0, "m-1")]
    assert set(log["role"]) == {"champion"}
    # Once in the answer's path, and once more beside it, row by row.
    assert counts.predictions["m-2\tfailed"] == 4


def test_a_canary_that_fails_on_and_on_is_asked_no_more(tmp_path: Path) -> None:
    canary = Engine(10.0, failure=ValueError("always"))
    bodies = [{"x": number, "z": 0} for number in range(30)]
    answers, _, counts = ask(tmp_path, canary, bodies)
    assert [one["prediction"] for one in answers] == [float(number) for number in range(30)]
    assert counts.events["canary stopped"] == 1
    # Five in the path of answers; beside them it is still asked, where it can do no harm.
    assert counts.predictions["m-2\tfailed"] == 5 + 30


def test_a_canary_that_hangs_costs_nobody_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bucle.serve.predictions._CANARY_S", 0.01)
    monkeypatch.setattr("bucle.serve.pairing._LONGEST_S", 0.01)
    answers, _, counts = ask(tmp_path, Engine(10.0, waits=True), [{"x": 1, "z": 2}] * 8)
    assert [one["prediction"] for one in answers] == [1.0] * 8
    assert counts.predictions["m-2\tfailed"] == 5
    assert counts.events["shadow left out"] == 8


@pytest.mark.parametrize(
    ("challenger", "why"),
    [
        (signature("x", "new"), "have no 'new'"),
        (signature("x", target="other"), "do not answer the same question"),
        (
            Signature(kind="regression", target="y", features=(Feature(name="x", dtype="String"),)),
            "'x' is String for one and Float64 for the other",
        ),
    ],
)
def test_who_cannot_answer_the_champions_requests_is_refused(
    challenger: Signature, why: str
) -> None:
    with pytest.raises(PackageError, match="beside the champion") as refused:
        line_up(signature("x", "z"), challenger)
    assert why in refused.value.cause


def test_fewer_columns_are_enough() -> None:
    assert line_up(signature("x", "z"), signature("z")) == (1,)
    assert line_up(signature("x", "z"), signature("x", "z")) is None
