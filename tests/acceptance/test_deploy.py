"""`bucle deploy`: a challenger that scores or answers beside the champion, seen from outside."""

import contextlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from calls import bucle
from serving import Server, await_that, serve

from bucle.models.package import open_package
from bucle.serve.compactor import read_log
from bucle.store.delta_tables import DeltaTables

ROWS = [{"size": number / 7, "id": f"row-{number}"} for number in range(200)]


@pytest.fixture(scope="module")
def deployed(champions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("deployed") / "shop"
    shutil.copytree(champions, folder, symlinks=True)
    with serve(folder) as found:
        yield found


def models(folder: Path) -> tuple[str, str]:
    """Return the champion and the other model."""
    names = {one.name for one in (folder / ".bucle" / "packages").glob("m-*")}
    found = bucle("history", "--json", at=folder).json[-1]["model"]
    (other,) = names - {found}
    return found, other


def predicted(folder: Path, model: str) -> list[float]:
    package = open_package(folder / ".bucle" / "packages", model, project=folder)
    found: list[float] = package.predict(
        pl.DataFrame({"size": [row["size"] for row in ROWS]})
    ).tolist()
    return found


def ask_each(server: Server) -> list[dict[str, object]]:
    with server.client() as client:
        return [client.post("/predict", json=row).json() for row in ROWS]


def log_of(folder: Path, ids: list[object]) -> pl.DataFrame:
    """Return answers with what stands beside them, as soon as all of it is there."""
    log, tables = folder / ".bucle" / "serve" / "log", DeltaTables(folder / ".bucle" / "tables")

    def found() -> pl.DataFrame:
        rows = read_log(log, tables, name="predictions")
        return rows.filter(pl.col("id").is_in(ids) | pl.col("of").is_in(ids))

    await_that(lambda: found().height >= 2 * len(ids), what="every answer and what is beside it")
    return found()


def deploy(server: Server, *words: str) -> dict[str, object]:
    found: dict[str, object] = bucle("deploy", *words, "--json", at=server.folder).json
    return found


def await_challenger(server: Server, wanted: str | None) -> None:
    with server.client() as client:
        await_that(
            lambda: client.post("/predict", json=ROWS[0]).json().get("shadow") == wanted,
            what=f"{wanted} beside the champion",
        )


def test_a_shadow_scores_every_row_and_answers_none(deployed: Server) -> None:
    champion, other = models(deployed.folder)
    assert deploy(deployed, other, "--shadow")["stage"] == "shadow"
    await_challenger(deployed, other)
    answers = ask_each(deployed)
    assert [one["prediction"] for one in answers] == predicted(deployed.folder, champion)
    assert {(one["model"], one.get("by")) for one in answers} == {(champion, None)}
    ids = [one["id"] for one in answers]
    log = log_of(deployed.folder, ids)
    beside = log.filter(pl.col("role") == "shadow")
    assert set(beside["model"]) == {other}
    assert beside["of"].sort().to_list() == sorted(map(str, ids))
    said = dict(zip(beside["of"], beside["prediction"], strict=True))
    assert [said[name] for name in ids] == predicted(deployed.folder, other)


def test_a_canary_answers_its_share_and_the_champion_stands_beside_it(deployed: Server) -> None:
    champion, other = models(deployed.folder)
    deploy(deployed, other, "--canary", "30%", "--because", "a test")
    with deployed.client() as client:
        await_that(
            lambda: any(
                client.post("/predict", json=row).json().get("by") == "canary" for row in ROWS[:50]
            ),
            what="an answer of the canary",
        )
    answers = ask_each(deployed)
    by = {one["id"]: one for one in answers}
    of_canary = [one for one in answers if one.get("by") == "canary"]
    assert 30 <= len(of_canary) <= 90
    assert {(one["model"], one["shadow"]) for one in of_canary} == {(other, champion)}
    # The same keys, in whatever order they come.
    again = {one["id"]: one.get("by") for one in ask_each(deployed)}
    assert list(again.values()) == [one.get("by") for one in answers]
    wanted = {
        champion: predicted(deployed.folder, champion),
        other: predicted(deployed.folder, other),
    }
    for at, one in enumerate(answers):
        assert one["prediction"] == wanted[str(one["model"])][at]
    log = log_of(deployed.folder, list(by))
    assert dict(zip(log["id"], log["key"], strict=True))[answers[3]["id"]] == "row-3"
    beside = {row["of"]: row for row in log.filter(pl.col("role") == "shadow").to_dicts()}
    for at, one in enumerate(answers):
        row = beside[one["id"]]
        assert row["model"] == one["shadow"]
        assert row["prediction"] == wanted[row["model"]][at]


def test_rolling_back_takes_the_canary_away_and_leaves_the_champion(deployed: Server) -> None:
    champion, other = models(deployed.folder)
    deploy(deployed, other, "--canary", "60%", "--because", "a test")
    done = bucle("rollback", at=deployed.folder)
    assert f"{other} answers no more; {champion} stays champion" in done.out
    await_challenger(deployed, None)
    assert {one["model"] for one in ask_each(deployed)} == {champion}


def test_what_cannot_be_deployed_says_why(deployed: Server) -> None:
    champion, other = models(deployed.folder)
    for words, what in (
        ((champion, "--shadow"), "it is the champion"),
        (("m-none", "--shadow"), "There is no model version"),
        ((other, "--canary", "0%"), "Cannot give a canary '0%' of the keys"),
        ((other, "--canary", "100%"), "bucle promote MODEL for all"),
        ((other, "--canary", "nan"), "Cannot give a canary 'nan'"),
        ((other,), "--shadow"),
        (("--stop",), "no model is deployed"),
    ):
        done = bucle("deploy", *words, at=deployed.folder, code=2)
        assert not done.out, words
        assert what in done.err, words
        assert "Traceback" not in done.err


@pytest.mark.thorough
def test_status_tells_who_answers_and_how_the_two_compare(deployed: Server) -> None:
    champion, other = models(deployed.folder)
    deploy(deployed, other, "--canary", "30%", "--because", "a test")
    await_challenger_or_canary(deployed, other)
    answers = ask_each(deployed)
    log_of(deployed.folder, [one["id"] for one in answers])
    with deployed.client() as client:
        labels = [
            {"id": one["id"], "label": predicted(deployed.folder, champion)[at] + 0.5}
            for at, one in enumerate(answers)
        ]
        assert client.post("/feedback", json=labels).status_code == 202

    def status() -> dict[str, Any]:
        said: dict[str, Any] = bucle("status", "--json", at=deployed.folder).json
        return said

    # A worker shares its counts from time to time.
    await_that(
        lambda: status()["answers"].get("200", 0) >= len(ROWS), what="the counts of every answer"
    )
    found = status()
    assert found["champion"]["model"] == champion
    assert (found["challenger"]["model"], found["challenger"]["stage"]) == (other, "canary")
    assert [one["address"] for one in found["servers"]] == [deployed.address]
    assert found["waiting"] == []
    by_role = {(one["model"], one["role"]): one for one in found["models"]}
    assert by_role[champion, "champion"]["error"] == pytest.approx(0.5)
    answered = [one for one in by_role.values() if one["role"] != "shadow"]
    assert sum(one["share"] for one in answered) == pytest.approx(1.0)
    paired = found["paired"]
    assert paired["labelled"] == len(ROWS)
    assert (paired["champion"], paired["challenger"]) == (champion, other)
    # The champion is half a unit off everywhere; the other one errs by what it differs more.
    wrong = [
        abs(label["label"] - value)
        for label, value in zip(labels, predicted(deployed.folder, other), strict=True)
    ]
    assert paired["gain"] == pytest.approx(1 - sum(wrong) / len(wrong) / 0.5)
    assert paired["high"] < 0
    said = bucle("status", at=deployed.folder).out
    assert "the champion errs less" in said
    assert max(map(len, said.splitlines())) <= 100


def await_challenger_or_canary(server: Server, wanted: str) -> None:
    def takes_part(answer: dict[str, object]) -> bool:
        return wanted in (answer["model"], answer.get("shadow"))

    with server.client() as client:
        await_that(
            lambda: takes_part(client.post("/predict", json=ROWS[0]).json()),
            what=f"{wanted} taking part",
        )


def test_a_reload_replaces_every_process_while_it_answers(deployed: Server) -> None:
    before = set(deployed.parts())
    deployed.process.send_signal(signal.SIGHUP)
    told = deployed.folder / "serve.err"
    with deployed.client() as client:

        def is_reloaded() -> bool:
            assert client.post("/predict", json=ROWS[1]).status_code == 200
            return "reloaded" in told.read_text()

        await_that(is_reloaded, what="a reload")
    assert not before & set(deployed.parts())
    assert len(deployed.parts()) == len(before)


@pytest.mark.thorough
def test_a_charter_that_cannot_be_read_reloads_nothing(deployed: Server) -> None:
    charter = deployed.folder / "bucle.toml"
    good = charter.read_text()
    before = set(deployed.parts())
    charter.write_text(good + "\n[srve]\n")
    try:
        deployed.process.send_signal(signal.SIGHUP)
        told = deployed.folder / "serve.err"
        await_that(lambda: "cannot reload" in told.read_text(), what="a refusal")
    finally:
        charter.write_text(good)
    assert set(deployed.parts()) == before, (deployed.folder / "serve.err").read_text()
    assert len(ask_each(deployed)) == len(ROWS)


@pytest.mark.slow
def test_a_challenger_that_kills_workers_is_soon_left_out(shop: Path) -> None:
    champion, other = models(shop)
    line = shop / "line.py"
    # The champion's bend is 1: only the challenger ends its process, at a size no trial has.
    line.write_text(
        "import os\n"
        + line.read_text().replace(
            "        return self.base_ +",
            "        if self.bend != 1.0 and (X['size'] == 13.0).any():\n"
            "            os.abort()\n"
            "        return self.base_ +",
        )
    )
    with serve(shop) as server:
        deploy(server, other, "--shadow")
        await_challenger(server, other)
        (worker,) = server.parts("serving.worker")
        seen = {worker}

        def is_left_out() -> bool:
            seen.update(server.parts("serving.worker"))
            with contextlib.suppress(httpx.TransportError), server.client() as client:
                answer = client.post("/predict", json={"size": 13.0})
                assert answer.status_code == 200
                return "workers died with" in (shop / "serve.err").read_text()
            return False

        await_that(is_left_out, what="a challenger left out")
        assert len(seen) == 4
        before = server.parts("serving.worker")
        answers = ask_each(server)
        assert {one["model"] for one in answers} == {champion}
        assert server.parts("serving.worker") == before
