"""`bucle deploy`: a challenger that scores or answers beside the champion, seen from outside."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from calls import bucle
from serving import Server, await_that, serve, table

from bucle.models.package import open_package

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
    def found() -> pl.DataFrame:
        return table(folder, "predictions").filter(
            pl.col("id").is_in(ids) | pl.col("of").is_in(ids)
        )

    name = folder / ".bucle" / "tables" / "predictions" / "_delta_log"
    await_that(name.is_dir, what="the first predictions in their table")
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
        ((other, "--canary", "100%"), "bucle promote for all"),
        ((other, "--canary", "nan"), "Cannot give a canary 'nan'"),
        ((other,), "--shadow"),
        (("--stop",), "no model is deployed"),
    ):
        done = bucle("deploy", *words, at=deployed.folder, code=2)
        assert not done.out, words
        assert what in done.err, words
        assert "Traceback" not in done.err
