"""Predictions that are answered at once are on record together, and before any of them leaves."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from bucle.models.signature import Feature, Signature
from bucle.serve.app import App, Quick, Reply, Request
from bucle.serve.compactor import read_log
from bucle.serve.counts import Counts
from bucle.serve.engines import Scored, Scores
from bucle.serve.guard import Guard
from bucle.serve.journal import BacklogFullError, Journal
from bucle.serve.pairing import Pairing
from bucle.serve.predictions import Predictor
from bucle.serve.problems import ProblemError
from bucle.serve.rows import RowReader
from bucle.serve.slots import Served, Slots
from bucle.store.memory_tables import MemoryTables

JSON = {b"content-type": b"application/json"}
PATH = b"/predict"


class Engine:
    """Answers with the value times a factor."""

    name = "test"
    refused = -1.0

    def __init__(self, factor: float, *, is_quick: bool = True) -> None:
        self.factor, self.is_quick = factor, is_quick
        self.calls: list[int] = []

    def score_now(self, rows: Any) -> list[Scored] | None:
        if len(rows) > 3:
            return None
        return [Scored(self.factor * row[0], 0.0, 9.0) for row in rows]

    def score_columns(self, columns: Any) -> Scores:
        self.calls.append(len(columns[0]))
        if self.refused in columns[0]:
            raise ProblemError(422, f"Cannot predict {self.refused}")
        found = [self.factor * value for value in columns[0]]
        return Scores(found, [0.0] * len(found), [9.0] * len(found))

    async def score(self, rows: Any) -> list[Scored]:
        return [Scored(self.factor * row[0], 0.0, 9.0) for row in rows]

    def close(self) -> None:
        """Do nothing."""


SIGNATURE = Signature(kind="regression", target="y", features=(Feature(name="x", dtype="Float64"),))


def served(model: str, engine: Any) -> Served:
    nothing: Any = None
    return Served(
        model=model, package=nothing, reader=RowReader(SIGNATURE, keys=["id"]), engine=engine
    )


class Shop:
    """A predictor with its log; `slots` may be changed between two requests."""

    def __init__(self, folder: Path, slots: Slots, journal: Any = None) -> None:
        self.folder, self.slots, self.counts = folder, slots, Counts()
        self.journal = journal or Journal(folder, name="w0")
        self.pairing = Pairing(self.journal, self.counts)
        self.predictor = Predictor(lambda: self.slots, self.journal, self.counts, self.pairing)

    def ask(self, body: Any, **headers: bytes) -> Any:
        given = JSON | {name.encode(): value for name, value in headers.items()}
        reply = self.predictor.predict_now(Request(given, json.dumps(body).encode(), b""))
        if reply is not None and not isinstance(reply, Reply):
            self.predictor.keep()
            reply = reply.take()
        return None if reply is None else json.loads(reply.body)

    def log(self) -> pl.DataFrame:
        self.journal.close()
        return read_log(self.folder, MemoryTables(), name="predictions")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, Slots(champion=served("m-1", Engine(2.0))))


def test_what_was_answered_is_on_record_once_it_is_kept(shop: Shop) -> None:
    one, several = shop.ask({"x": 1, "id": "a"}), shop.ask([{"x": 2}, {"x": 3}])
    assert shop.journal.state.records == 0
    assert shop.counts.predictions == {}
    shop.predictor.keep()
    shop.predictor.keep()
    log = shop.log()
    assert log["id"].to_list() == [one["id"], *(each["id"] for each in several)]
    assert log["prediction"].to_list() == [2.0, 4.0, 6.0]
    assert log["key"].to_list() == ["a", None, None]
    assert log["role"].to_list() == ["champion"] * 3
    assert shop.counts.predictions == {"m-1\tchampion": 3}


def test_the_answer_is_the_one_of_the_long_way(shop: Shop) -> None:
    many = [{"x": number, "id": f"k{number}"} for number in range(40)]
    for body in ({"x": 1.5, "id": "a"}, [{"x": 2}], [{"x": 2}, {"x": 3}], many):
        found = shop.ask(body)
        reply = asyncio.run(shop.predictor.predict(Request(JSON, json.dumps(body).encode(), b"")))
        wanted = json.loads(reply.body)
        for one in [found, wanted]:
            for row in one if isinstance(one, list) else [one]:
                assert row.pop("id").startswith("p-")
        assert found == wanted


def test_many_rows_are_on_record_as_few_are(shop: Shop) -> None:
    rows = [{"x": number / 2, "id": number if number % 3 else None} for number in range(100)]
    few = [one for at in range(0, 100, 2) for one in shop.ask(rows[at : at + 2])]
    many = shop.ask(rows)
    asyncio.run(shop.predictor.predict(Request(JSON, json.dumps(rows).encode(), b"")))
    shop.predictor.keep()
    assert shop.journal.state.records == 300
    assert shop.counts.predictions == {"m-1\tchampion": 300}
    log = shop.log().sort("id")
    assert log["id"].to_list()[:100] == [one["id"] for one in few]
    assert set(log["id"]) > {one["id"] for one in many}
    told = ("model", "role", "prediction", "low", "high", "key", "request", "features")
    parts = [log.select(told)[at : at + 100] for at in (0, 100, 200)]
    assert parts[0].equals(parts[1])
    assert parts[0].equals(parts[2])
    assert parts[0].row(4, named=True)["features"] == '{"x":2.0,"id":4}'


def test_more_rows_than_are_scored_in_one_go_have_to_wait(shop: Shop) -> None:
    assert len(shop.ask([{"x": 1}] * 256)) == 256
    assert shop.ask([{"x": 1}] * 257) is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"order 7/a", "order 7/a"),
        (b"x" * 128, "x" * 128),
        (b"x" * 129, ""),
        (b"", ""),
        (b"a\tb", ""),
        (b"a\x7f", ""),
        ("ñ".encode(), ""),
    ],
)
def test_the_clients_own_id_is_on_record_where_it_is_plain(
    shop: Shop, given: bytes, kept: str
) -> None:
    named = {"x-request-id": given}
    shop.ask({"x": 1}, **named)
    shop.ask([{"x": 2}, {"x": 3}], **named)
    shop.ask({"x": 4})
    shop.predictor.keep()
    headers = JSON | {b"x-request-id": given}
    asyncio.run(shop.predictor.predict(Request(headers, b'{"x": 5}', b"")))
    assert shop.log()["request"].to_list() == [kept, kept, kept, "", kept]


def test_a_refused_row_is_refused_and_leaves_nothing(shop: Shop) -> None:
    with pytest.raises(ProblemError):
        shop.ask({"x": "word"})
    shop.predictor.keep()
    assert shop.log().is_empty()


def test_what_has_to_wait_goes_the_long_way(shop: Shop) -> None:
    assert shop.ask([{"x": 1}] * 4) is None
    assert shop.ask({"x": 1}, accept=b"application/vnd.apache.arrow.stream") is None
    slow = served("m-2", Engine(3.0, is_quick=False))
    champion = shop.slots.champion
    shop.slots = Slots(champion=slow)
    assert shop.ask({"x": 1}) is None
    shop.slots = Slots(champion=champion, challenger=slow, share=0.5)
    assert shop.ask({"x": 1}) is None


def test_after_a_swap_others_wait_until_the_first_are_on_record(shop: Shop) -> None:
    first = shop.ask({"x": 1})
    shop.slots = Slots(champion=served("m-2", Engine(5.0)))
    assert shop.ask({"x": 1}) is None
    shop.predictor.keep()
    second = shop.ask({"x": 1})
    shop.predictor.keep()
    assert [first["model"], second["model"]] == ["m-1", "m-2"]
    log = shop.log()
    assert dict(zip(log["id"], log["model"], strict=True)) == {
        first["id"]: "m-1",
        second["id"]: "m-2",
    }


def test_a_shadow_scores_the_same_rows_once_they_are_on_record(tmp_path: Path) -> None:
    shadow = served("m-2", Engine(7.0))
    shop = Shop(tmp_path, Slots(champion=served("m-1", Engine(2.0)), challenger=shadow))

    async def story() -> Any:
        answers = [shop.ask({"x": 1}), shop.ask({"x": 2})]
        answers += shop.ask([{"x": number} for number in range(3, 33)])
        shop.predictor.keep()
        await shop.pairing.finish(seconds=20)
        return answers

    answers = asyncio.run(story())
    assert {one["shadow"] for one in answers} == {"m-2"}
    beside = shop.log().filter(pl.col("role") == "shadow").sort("prediction")
    assert beside["prediction"].to_list() == [7.0 * number for number in range(1, 33)]
    assert beside["of"].to_list() == [one["id"] for one in answers]


class Line:
    """A connection that remembers what left, and how much was on record then."""

    def __init__(self, journal: Any) -> None:
        self.journal = journal
        self.left: list[tuple[int, int]] = []

    def leave(self, reply: Reply, *, keeps_open: bool) -> None:
        assert keeps_open
        self.left.append((reply.status, self.journal.state.records))


def app_of(shop: Shop) -> App:
    quick = Quick(handlers={PATH: shop.predictor.predict_now}, keep=shop.predictor.keep)
    return App({}, Guard("t" * 32), shop.counts, quick=quick)


def put(app: App, line: Line, body: bytes) -> bool | None:
    return app.answer_now(PATH, Request(JSON, body, b""), to=line, keeps_open=True)


def test_no_answer_leaves_before_all_of_its_turn_are_on_record(shop: Shop) -> None:
    app, line = app_of(shop), Line(shop.journal)
    asked = [put(app, line, body) for body in (b'{"x": 1}', b'{"x": "no"}', b'{"x": 2}')]
    assert asked == [True, False, False]
    assert line.left == []
    app.settle()
    assert line.left == [(200, 2), (422, 2), (200, 2)]
    app.settle()
    assert len(line.left) == 3
    assert shop.counts.requests == {"/predict\t200": 2, "/predict\t422": 1}
    shop.journal.close()


def many_of(*values: float) -> bytes:
    return json.dumps([{"x": value} for value in values for _ in range(10)]).encode()


class Listener(Line):
    """A connection that remembers what it was told."""

    def __init__(self, journal: Any) -> None:
        super().__init__(journal)
        self.told: list[Any] = []

    def leave(self, reply: Reply, *, keeps_open: bool) -> None:
        super().leave(reply, keeps_open=keeps_open)
        self.told.append(json.loads(reply.body))


def test_long_requests_of_a_turn_are_answered_together_each_with_its_own(shop: Shop) -> None:
    app, line = app_of(shop), Listener(shop.journal)
    for body in (many_of(1), b'{"x": 2}', many_of(-1), many_of(3, 4)):
        put(app, line, body)
    assert line.left == []
    assert shop.counts.predictions == {}
    app.settle()
    assert line.left == [(200, 31), (200, 31), (422, 31), (200, 31)]
    first, single, _, last = line.told
    assert [one["prediction"] for one in first] == [2.0] * 10
    assert single["prediction"] == 4.0
    assert [one["prediction"] for one in last] == [6.0] * 10 + [8.0] * 10
    assert shop.counts.predictions == {"m-1\tchampion": 31}
    log = shop.log()
    told = {one["id"]: one["prediction"] for one in (*first, single, *last)}
    assert dict(zip(log["id"], log["prediction"], strict=True)) == told


@pytest.mark.parametrize(
    ("refused", "calls"), [(False, [10 + 20 + 40]), (True, [10 + 20 + 40 + 10, 10, 20, 40, 10])]
)
def test_the_model_is_called_once_for_all_unless_it_refuses_one(
    shop: Shop, refused: bool, calls: list[int]
) -> None:
    app, line = app_of(shop), Listener(shop.journal)
    bodies = [many_of(1), many_of(2, 3), many_of(4, 5, 6, 7)] + [many_of(-1)] * refused
    for body in bodies:
        put(app, line, body)
    app.settle()
    engine: Any = shop.slots.champion.engine
    assert engine.calls == calls
    assert [status for status, _ in line.left] == [200] * 3 + [422] * refused
    found = [[one["prediction"] for one in told[::10]] for told in line.told[:3]]
    assert found == [[2.0], [4.0, 6.0], [8.0, 10.0, 12.0, 14.0]]
    assert shop.log().height == 70


def test_no_more_than_eight_long_requests_wait_for_each_other(shop: Shop) -> None:
    app, line = app_of(shop), Line(shop.journal)
    full = []
    for _ in range(8):
        put(app, line, b'{"x": 1}')
        put(app, line, many_of(1))
        full.append(app.is_full)
    assert full == [False] * 7 + [True]
    app.settle()
    assert len(line.left) == 16
    put(app, line, many_of(1))
    assert not app.is_full
    app.settle()
    shop.journal.close()


class Full:
    """A journal whose disk and memory are full."""

    def append_many(self, records: Any) -> None:
        raise BacklogFullError(f"Cannot keep {len(records)} predictions")


def test_what_cannot_be_recorded_is_not_answered(tmp_path: Path) -> None:
    full: Any = Full()
    shop = Shop(tmp_path, Slots(champion=served("m-1", Engine(2.0))), full)
    with Journal(tmp_path, name="w1") as other:
        app, line = app_of(shop), Line(other)
        for body in (b'{"x": 1}', b'{"x": "no"}', many_of(2), many_of(-1)):
            put(app, line, body)
        app.settle()
    assert [status for status, _ in line.left] == [503, 422, 503, 422]
    assert shop.counts.predictions == {}
    assert shop.counts.events["refused for the disk"] == 2


class _Noting(RowReader):
    """Reads rows and notes in which thread."""

    threads: list[threading.Thread]

    def read(self, body: bytes) -> Any:
        self.threads.append(threading.current_thread())
        return super().read(body)


def test_a_long_body_is_read_aside_so_that_nobody_waits_for_it(tmp_path: Path) -> None:
    plain = served("m-1", Engine(2.0))
    reader = _Noting(SIGNATURE, keys=["id"])
    reader.threads = []
    champion = msgspec.structs.replace(plain, reader=reader)
    shop = Shop(tmp_path, Slots(champion=champion))
    long = Request(JSON, json.dumps([{"x": "no number"}] * 9000).encode(), b"")
    assert shop.predictor.predict_now(long) is None
    assert reader.threads == []
    with pytest.raises(ProblemError):
        asyncio.run(shop.predictor.predict(long))
    assert reader.threads[0] is not threading.main_thread()
    asyncio.run(shop.predictor.predict(Request(JSON, b'{"x": 1}', b"")))
    assert reader.threads[1:] == [threading.main_thread()]
