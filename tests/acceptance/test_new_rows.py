"""New rows, edited cells and edited rules: the next run notices; champions meet challengers."""

from pathlib import Path

import pytest
from calls import bucle
from shop import CHARTER, rows, write_rows, write_shop


def _run(folder: Path, *words: str, code: int | None = None) -> dict[str, object]:
    answer = bucle("run", "--json", *words, at=folder, code=code)
    if code is None:
        assert answer.code == (1 if answer.json["verdict"]["outcome"] == "fail" else 0)
    return answer.json


def _checks(run) -> dict[str, dict[str, object]]:
    return {check["name"]: check for check in run["verdict"]["checks"]}


# ---- what a run notices (steps without a model) -----------------------------


def test_rows_added_to_the_source_are_a_new_version(ran: Path) -> None:
    write_rows(ran / "sales.csv", rows(75))
    data = bucle("run", "--json", at=ran).json["data"][0]
    assert (data["version"], data["rows"], data["added"]) == (2, 75, 15)
    again = bucle("run", "--json", at=ran).json
    assert (again["data"][0]["version"], again["data"][0]["added"]) == (2, 0)


@pytest.mark.thorough
def test_one_cell_in_row_thirty_thousand_is_noticed(steps: Path) -> None:
    many = rows(40_000)
    write_rows(steps / "sales.csv", many)
    first = bucle("run", "--json", at=steps).json
    number, day, paid, _, price = many[30_000]
    many[30_000] = (number, day, paid, "0.001", price)
    write_rows(steps / "sales.csv", many)
    second = bucle("run", "--json", at=steps).json
    assert second["data"][0]["fingerprint"] != first["data"][0]["fingerprint"]
    assert {step["state"] for step in second["steps"]} == {"ran"}
    diff = bucle("data", "diff", "sales", "1", "2", "--json", at=steps).json
    assert (diff["added"], diff["removed"], diff["changed"]) == (0, 0, 1)
    assert diff["columns"] == {"size": 1}


def test_an_edited_contract_is_applied_to_the_source_again(ran: Path) -> None:
    contract = ran / "contract.py"
    contract.write_text(contract.read_text().replace("min=0", "min=5"))
    data = bucle("run", "--json", at=ran).json["data"][0]
    held = bucle("data", "quarantine", "sales", "--json", at=ran).json
    small = [row for row in rows(60) if float(str(row[3])) < 5]
    assert small
    assert data["quarantined"] == len(held) == len(small)
    assert all("size" in reason for row in held for reason in row["reasons"])


def test_a_remark_in_the_contract_reads_nothing_again(ran: Path) -> None:
    contract = ran / "contract.py"
    contract.write_text(contract.read_text() + "\n# nothing new\n")
    bucle("run", at=ran)
    kinds = [event["kind"] for event in bucle("log", "--json", at=ran).json]
    assert kinds.count("data_added") == 1


def test_rows_held_back_can_be_corrected_and_added_again(steps: Path) -> None:
    content = rows(60)
    content[7] = (*content[7][:3], "-4", content[7][4])
    content[9] = (*content[9][:3], "tall", content[9][4])
    write_rows(steps / "sales.csv", content)
    added = bucle("data", "add", "sales", "--json", at=steps).json
    assert (added["rows"], added["quarantined"]) == (58, 2)
    bucle("data", "quarantine", "sales", "--export", "held.csv", at=steps)
    held = (steps / "held.csv").read_text()
    assert "tall" in held
    (steps / "held.csv").write_text(held.replace("tall", "4.5").replace(",-4,", ",4.0,"))
    corrected = bucle("data", "add", "sales", "held.csv", "--json", at=steps).json
    assert (corrected["rows"], corrected["added"], corrected["quarantined"]) == (60, 2, 0)
    assert bucle("data", "quarantine", "sales", "--json", at=steps).json == []


def test_words_in_a_number_column_are_reported_not_swallowed(steps: Path) -> None:
    content = rows(60)
    content[3] = (*content[3][:4], "Freight Included in Commodity Cost")
    write_rows(steps / "sales.csv", content)
    added = bucle("data", "add", "sales", "--json", at=steps).json
    assert added["coerced"][0] | {"became": "null"} == {
        "column": "price",
        "count": 1,
        "examples": ["Freight Included in Commodity Cost"],
        "became": "null",
    }
    assert "Freight Included" in bucle("data", "add", "sales", at=steps).out or added["rows"] == 60


def test_as_of_shows_only_what_was_known_then(ran: Path) -> None:
    early = bucle("run", "--as-of", "2025-01-11", "--json", at=ran).json
    counts = {step["name"]: step["rows"] for step in early["steps"]}
    # Three sales a day from the first on: thirty before the eleventh.
    assert counts["clean"] == 30


# ---- champions and challengers ----------------------------------------------


@pytest.mark.thorough
def test_a_challenger_is_judged_on_rows_that_neither_has_seen(shop: Path) -> None:
    champion = bucle("models", "--json", at=shop).json[1]["model"]
    write_rows(shop / "sales.csv", rows(750))
    run = _run(shop, "--set", "model.bend=1.0")
    assert run["data"][0]["rows"] == 750
    verdict = run["verdict"]
    assert verdict["champion"] == champion
    check = _checks(run)["champion"]
    # Refitted on a little more of the same line: nobody can tell them apart.
    assert check["outcome"] == "undecided"
    assert verdict["outcome"] == "undecided"
    assert (run["champion"], run["promoted"]) == (champion, False)
    assert check["labels_needed"] is None or check["labels_needed"] > 0
    # The champion's training ended earlier, so what it has not seen contains what this one has not.
    assert verdict["rows"] <= 150
    assert [one["model"] for one in bucle("history", "--json", at=shop).json][-1] == champion


def test_a_worse_challenger_fails_and_the_champion_stays(shop: Path) -> None:
    champion = bucle("models", "--json", at=shop).json[1]["model"]
    charter = shop / "bucle.toml"
    charter.write_text(charter.read_text().replace("must = 50.0", "must = 2.5"))
    run = _run(shop, "--set", "model.bend=0.5", code=1)
    checks = _checks(run)
    assert checks["champion"]["outcome"] == "fail"
    assert (checks["must:mae"]["outcome"], checks["must:mae"]["limit"]) == ("fail", 2.5)
    assert checks["must:mae"]["low"] <= checks["must:mae"]["estimate"] <= checks["must:mae"]["high"]
    assert (run["verdict"]["outcome"], run["champion"]) == ("fail", champion)
    refused = bucle("promote", run["model"], at=shop, code=2)
    assert "bucle-221" in refused.err


@pytest.mark.slow
def test_judging_the_same_again_is_not_another_look(shop: Path) -> None:
    first = _run(shop, "--set", "model.bend=0.9")
    second = _run(shop, "--set", "model.bend=0.9")
    assert second["verdict"] == first["verdict"]
    kinds = [event["kind"] for event in bucle("log", "--json", at=shop).json]
    assert kinds.count("verdict_given") == 3


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    """Return a shop whose champions are made by people, after its first run."""
    folder = write_shop(tmp_path / "shop", charter=CHARTER + 'promote = "ask"\n')
    first = _run(folder, code=0)
    assert (first["verdict"]["outcome"], first["champion"]) == ("pass", None)
    assert not first["promoted"]
    return folder


@pytest.mark.thorough
def test_a_model_that_passed_waits_for_a_person_where_asked(asking: Path) -> None:
    model = bucle("models", "--json", at=asking).json[0]["model"]
    assert f"bucle promote {model}" in bucle("run", at=asking).out
    assert bucle("history", "--json", at=asking).json == []
    bucle("promote", model, at=asking, env={"BUCLE_ACTOR": "Ana"})
    history = bucle("history", "--json", at=asking).json
    assert [(one["model"], one["by"]) for one in history] == [(model, "Ana")]
    event = bucle("log", "--kind", "promoted", "--json", at=asking).json[0]
    verdict = bucle("log", "--kind", "verdict_given", "--json", at=asking).json[0]
    assert event["cause"] == verdict["hash"]


@pytest.mark.thorough
def test_a_refit_ships_only_after_it_was_compared_with_its_tested_twin(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop", charter=CHARTER + "refit = true\n")
    run = _run(folder, "--set", "model.bend=1.0", code=0)
    assert run["promoted"]
    verdict = run["verdict"]
    shipped, tested = run["champion"], verdict["challenger"]
    finished = bucle("show", run["run"], "--json", at=folder).json["finished"]
    assert (finished["model"], finished["tested"]) == (shipped, tested)
    assert shipped != tested
    lineage = (folder / ".bucle/packages" / shipped / "lineage.json").read_text()
    assert tested in lineage
    again = _run(folder, "--set", "model.bend=1.0", code=0)
    assert (again["champion"], again["promoted"]) == (shipped, False)
    back = bucle("rollback", at=folder, code=2)
    assert "no earlier champion" in back.err


def test_too_few_labels_are_undecided_and_say_how_many_are_missing(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop", count=24)
    run = _run(folder, code=0)
    assert run["verdict"]["outcome"] == "undecided"
    assert run["champion"] is None
    undecided = [one for one in run["verdict"]["checks"] if one["outcome"] == "undecided"]
    assert undecided
    assert any(one["labels_needed"] for one in undecided)


def test_times_that_have_not_come_yet_are_warned_of_and_kept(steps: Path) -> None:
    with (steps / "sales.csv").open("a") as file:
        file.write("900,2062-01-01,2062-01-03,1,2\n901,2071-05-06,2071-05-07,1,2\n")
    answer = bucle("run", at=steps)
    assert "! 2 rows with 'sold_at' in the future, such as 2071-05-06" in answer.out
    (steps / "more.csv").write_text("id,sold_at,paid_at,size,price\n902,2080-01-01,,1,\n")
    added = bucle("data", "add", "sales", "more.csv", "--json", at=steps).json
    assert added["warnings"] == ["1 row with 'sold_at' in the future, such as 2080-01-01"]
    assert (added["added"], added["quarantined"]) == (1, 0)
