"""`POST /predict?explain=true`: what each column added, beside the very answer it explains."""

import asyncio
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bucle.models.compiled.compile import compile_model
from bucle.models.package import Package, PackageContents, package_bytes
from bucle.models.signature import Signature, signature_of
from bucle.models.tabular import tabular
from bucle.serve import explain
from bucle.serve.app import Reply, Request
from bucle.serve.compactor import PREDICTIONS, read_log
from bucle.serve.counts import Counts
from bucle.serve.engines import open_engine
from bucle.serve.explain import ExplainingPredictor, wants_explanation
from bucle.serve.journal import Journal
from bucle.serve.pairing import Pairing
from bucle.serve.predictions import Predictor
from bucle.serve.problems import ProblemError
from bucle.serve.rows import RowReader
from bucle.serve.slots import Served, Slots
from bucle.store.memory_tables import MemoryTables

JSON = {b"content-type": b"application/json"}
ROW = {"size": 1.5, "kind": "a", "day": "2024-01-31"}


@cache
def packed() -> tuple[Signature, dict[str, bytes]]:
    """Return the signature and the files of a small compiled model."""
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "size": rng.normal(size=200),
            "kind": rng.choice(["a", "b", "c"], 200).tolist(),
            "day": pl.date_range(pl.date(2023, 1, 1), pl.date(2024, 12, 31), eager=True).head(200),
        }
    )
    price = np.exp(frame["size"].to_numpy() + (frame["kind"] == "a").to_numpy())
    model = tabular(max_iter=5, log_target=True).fit(frame, price)
    signature = signature_of(frame, kind="regression", target="price")
    contents = PackageContents(
        estimator=b"",
        signature=signature,
        metrics={},
        profile={},
        lineage={},
        card="",
        compiled=compile_model(model, signature, frame),
    )
    return signature, package_bytes(contents)


def served(name: str, *, explanation: bytes | None = None) -> Served:
    signature, files = packed()
    changed = {
        "explanation.json": files["explanation.json"] if explanation is None else explanation
    }
    whole = {one: content for one, content in {**files, **changed}.items() if content}
    package = Package(name, whole, project=None)
    return Served(
        model=name, package=package, reader=RowReader(signature), engine=open_engine(package)
    )


@pytest.fixture(scope="module")
def champion() -> Served:
    return served("m-1")


def ask(
    folder: Path, slots: Slots, story: Callable[[ExplainingPredictor], Any]
) -> tuple[Any, pl.DataFrame]:
    """Run a story with a predictor; return what it gave and the predictions on record."""
    journal = Journal(folder, name="w0")

    async def run() -> Any:
        counts = Counts()
        predictor = Predictor(lambda: slots, journal, counts, Pairing(journal, counts))
        return await story(ExplainingPredictor(predictor, lambda: slots, predictor.predict))

    try:
        found = asyncio.run(run())
    finally:
        journal.close()
    return found, read_log(folder, MemoryTables(), name=PREDICTIONS)


def post(body: Any, query: bytes = b"explain=true") -> Request:
    return Request(JSON, json.dumps(body).encode(), query)


def test_contributions_add_up_to_the_answer_they_stand_beside(
    champion: Served, tmp_path: Path
) -> None:
    async def story(of: ExplainingPredictor) -> list[Reply]:
        return [
            await of.predict(post(ROW)),
            await of.predict(post([ROW, ROW | {"kind": "new"}, ROW | {"size": None}])),
            await of.predict(post(ROW, b"")),
            await of.predict(post(ROW, b"explain=false")),
        ]

    replies, kept = ask(tmp_path, Slots(champion=champion), story)
    one, many, plain, refused = (json.loads(reply.body) for reply in replies)
    for answer in (one, *many):
        found = answer["contributions"]
        assert found["space"] == "log"
        assert list(found["columns"]) == ["size", "kind", "day"]
        total = found["base"] + sum(found["columns"].values())
        assert np.exp(total) == pytest.approx(answer["prediction"], rel=1e-9)
    assert one["contributions"] == many[0]["contributions"]
    assert one["contributions"]["columns"]["kind"] > many[1]["contributions"]["columns"]["kind"]
    assert "contributions" not in plain
    assert "contributions" not in refused
    assert one["prediction"] == plain["prediction"]
    assert set(kept["id"]) == {answer["id"] for answer in (one, *many, plain, refused)}


def test_the_canary_that_answers_is_explained(champion: Served, tmp_path: Path) -> None:
    canary = served("m-22")
    both = Slots(champion=champion, challenger=canary, share=1.0)
    replies, _ = ask(tmp_path, both, lambda of: of.predict(post([ROW])))
    (answer,) = json.loads(replies.body)
    assert answer["by"] == "canary"
    assert answer["model"] == "m-22"
    assert set(answer["contributions"]["columns"]) == set(ROW)


def refusal(folder: Path, slots: Slots, request: Request) -> ProblemError:
    """Return why a request is refused; nothing of it is on record."""

    async def story(of: ExplainingPredictor) -> ProblemError:
        with pytest.raises(ProblemError) as found:
            await of.predict(request)
        return found.value

    found, kept = ask(folder, slots, story)
    assert kept.is_empty()
    return found


def test_a_package_of_before_cannot_be_explained_and_says_why(tmp_path: Path) -> None:
    old = served("m-333", explanation=b"")
    found = refusal(tmp_path, Slots(champion=old), post(ROW))
    assert (found.status, found.code) == (422, "bucle-353")
    assert "not in its package" in found.cause


def test_a_damaged_explanation_is_refused_before_anything_is_predicted(tmp_path: Path) -> None:
    odd = served("m-333", explanation=b'{"covers":[1.0]}')
    found = refusal(tmp_path, Slots(champion=odd), post(ROW))
    assert (found.status, found.code) == (422, "bucle-355")


def test_a_challenger_that_might_answer_must_be_explainable(
    champion: Served, tmp_path: Path
) -> None:
    old = served("m-333", explanation=b"")
    both = Slots(champion=champion, challenger=old, share=0.5)
    assert refusal(tmp_path, both, post(ROW)).status == 422


def test_a_shadow_need_not_be_explainable(champion: Served, tmp_path: Path) -> None:
    old = served("m-333", explanation=b"")
    both = Slots(champion=champion, challenger=old, share=0.0)
    reply, _ = ask(tmp_path, both, lambda of: of.predict(post(ROW)))
    assert "contributions" in json.loads(reply.body)


def test_more_rows_than_can_be_explained_are_refused(champion: Served, tmp_path: Path) -> None:
    found = refusal(tmp_path, Slots(champion=champion), post([ROW] * 1001))
    assert (found.status, found.code) == (422, "bucle-354")
    assert "1,000" in found.cause


def test_a_row_that_is_refused_is_named_as_ever(champion: Served, tmp_path: Path) -> None:
    found = refusal(tmp_path, Slots(champion=champion), post(ROW | {"size": "large"}))
    assert found.errors[0].field == "size"


def test_another_body_than_json_is_refused(champion: Served, tmp_path: Path) -> None:
    request = Request({b"content-type": b"text/csv"}, b"1,2", b"explain=true")
    assert refusal(tmp_path, Slots(champion=champion), request).status == 415


def test_too_many_at_once_are_asked_to_come_again(champion: Served, tmp_path: Path) -> None:
    async def story(of: ExplainingPredictor) -> list[Any]:
        asked = [of.predict(post([ROW] * 50)) for _ in range(20)]
        return await asyncio.gather(*asked, return_exceptions=True)

    found, kept = ask(tmp_path, Slots(champion=champion), story)
    refused = [one for one in found if isinstance(one, ProblemError)]
    assert {(one.status, one.code) for one in refused} == {(503, "bucle-354")}
    assert all(b"retry-after" in dict(one.headers) for one in refused)
    assert 1 <= len(found) - len(refused) <= 4
    assert kept.height == 50 * (len(found) - len(refused))


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (b"explain=true", True),
        (b"a=1&explain=true", True),
        (b"explain=false", False),
        (b"a=explain", False),
        (b"", False),
        (b"explaining=true", False),
    ],
)
def test_a_query_says_whether_to_explain(query: bytes, wanted: bool) -> None:
    assert wants_explanation(query) is wanted


@pytest.mark.parametrize(
    "query",
    [
        *(b"explain", b"explain=", b"explain=1", b"explain=TRUE", b"explain=true&explain=true"),
        *(b"explain=\xff", b"&".join([b"explain=true"] * 200)),
    ],
)
def test_a_query_that_says_it_otherwise_is_refused(query: bytes) -> None:
    with pytest.raises(ProblemError) as found:
        wants_explanation(query)
    assert (found.value.status, found.value.code) == (422, "bucle-354")


def test_every_model_is_explained_by_its_own_trees_and_few_are_kept(
    champion: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "_KEPT", 1)
    made: list[str] = []
    plain = Package.explainer

    def count(package: Package) -> Any:
        made.append(package.model)
        return plain(package)

    monkeypatch.setattr(Package, "explainer", count)
    turns = iter([champion, champion, served("m-22"), champion])

    async def story() -> None:
        counts = Counts()
        journal = Journal(tmp_path, name="w0")
        slots = [Slots(champion=champion)]
        predictor = Predictor(lambda: slots[-1], journal, counts, Pairing(journal, counts))
        of = ExplainingPredictor(predictor, lambda: slots[-1], predictor.predict)
        for one in turns:
            slots.append(Slots(champion=one))
            await of.predict(post(ROW))
        journal.close()

    asyncio.run(story())
    assert made == ["m-1", "m-22", "m-1"]
