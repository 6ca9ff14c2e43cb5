"""The demo's story: a new project, its first champion, and everything that can be asked of it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from calls import bucle

CHECK = {"name", "outcome", "estimate", "low", "high", "limit", "labels_needed"}
STEP = {"name", "state", "seconds", "why"}


@pytest.fixture(scope="module")
def story(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the demo after its first run, for the tests of this module, which change little."""
    folder = tmp_path_factory.mktemp("story") / "consignment"
    return Path(shutil.copytree(demo, folder))


@pytest.fixture(scope="module")
def first(demo: Path) -> dict[str, object]:
    """Return what the demo's first run answered."""
    return json.loads((demo / "run.json").read_text())


@pytest.fixture(scope="module")
def changed(demo: Path) -> dict[str, object]:
    """Return what a run with another parameter answered."""
    return json.loads((demo / "changed.json").read_text())


def test_the_first_run_answers_in_the_promised_form(first) -> None:
    assert {"run", "steps", "metrics", "model", "verdict", "champion"} <= first.keys()
    assert all(step.keys() >= STEP for step in first["steps"])
    assert {step["state"] for step in first["steps"]} == {"ran"}
    assert next(step["name"] for step in first["steps"]) == "clean"
    assert first["verdict"]["outcome"] == "pass"
    assert all(check.keys() >= CHECK for check in first["verdict"]["checks"])
    assert first["champion"] == first["model"]
    assert first["promoted"]


def test_the_first_run_says_what_became_of_every_row(first, story: Path) -> None:
    data = first["data"][0]
    lines = (story / "data/items.csv").read_text().splitlines()
    assert data["rows"] + data["quarantined"] == len(lines) - 1
    assert data["quarantined"] > 0
    held = bucle("data", "quarantine", "items", "--json", at=story).json
    assert len(held) == data["quarantined"]
    assert all(row["reasons"] for row in held)


def test_the_verdict_has_a_naive_baseline_with_an_interval(first) -> None:
    checks = {check["name"]: check for check in first["verdict"]["checks"]}
    for name in ("baseline:median", "baseline:last"):
        check = checks[name]
        assert check["low"] < check["estimate"] < check["high"]
        assert check["outcome"] == "pass"
    assert checks["leaks"]["outcome"] == "pass"


def test_the_share_of_the_best_profit_is_reported(first) -> None:
    metrics = first["metrics"]
    assert metrics["optimum.share_of_flat_markup"] < metrics["optimum.share_of_optimum"] <= 1.0


def test_running_again_runs_nothing_and_finds_the_same_model(story: Path, first) -> None:
    again = bucle("run", "--json", at=story).json
    assert {step["state"] for step in again["steps"]} == {"cached"}
    assert (again["model"], again["champion"]) == (first["model"], first["model"])
    assert not again["promoted"]
    assert again["run"] != first["run"]
    assert [event["kind"] for event in bucle("log", "--json", at=story).json].count("promoted") == 1


def test_a_comment_runs_nothing_again(story: Path) -> None:
    pipeline = story / "pipeline.py"
    pipeline.write_text("# a remark\n" + pipeline.read_text())
    again = bucle("run", "--json", at=story).json
    assert {step["state"] for step in again["steps"]} == {"cached"}


def test_a_parameter_on_the_command_line_runs_what_needs_it(changed, first) -> None:
    states = {step["name"]: step["state"] for step in changed["steps"]}
    assert states["clean"] == states["examples"] == states["shelf_weeks"] == "cached"
    assert states["model"] == states["optimum"] == "ran"
    assert "smoothing" in next(step["why"] for step in changed["steps"] if step["name"] == "model")
    assert changed["model"] != first["model"]
    assert changed["champion"] == (changed["model"] if changed["promoted"] else first["model"])
    assert changed["promoted"] == (changed["verdict"]["outcome"] == "pass")


def test_models_are_listed_with_their_runs_and_metrics(story: Path, first) -> None:
    models = bucle("models", "--json", at=story).json
    assert all({"model", "run", "metrics", "champion"} <= model.keys() for model in models)
    assert models[0]["model"] == first["model"]
    assert models[0]["metrics"]["mae"] == first["metrics"]["mae"]
    assert sum(model["champion"] for model in models) == 1


def test_the_history_is_answered_in_the_promised_form(story: Path, first) -> None:
    history = bucle("history", "--json", at=story).json
    assert {"model", "from", "to", "by", "because"} <= history[0].keys()
    assert history[0]["model"] == first["model"]
    assert "gate passed" in history[0]["because"]


@pytest.mark.thorough
def test_a_champion_can_be_named_by_a_person_and_taken_back(story: Path) -> None:
    models = {model["model"]: model for model in bucle("models", "--json", at=story).json}
    champion = next(model for model in models if models[model]["champion"])
    other = next(model for model in models if model != champion)
    if models[other]["verdict"] != "pass":
        refused = bucle("promote", other, at=story, code=2)
        assert "bucle-221" in refused.err
        assert "--because" in refused.err
    bucle("promote", other[:8], "--because", "the buyer says so", at=story)
    assert bucle("promote", other, "--because", "x", "--json", at=story).json["changed"] is False
    back = bucle("rollback", "--because", "odd prices", "--json", at=story).json
    assert back["model"] == champion
    history = bucle("history", "--json", at=story).json
    assert [one["because"] for one in history[-2:]] == ["the buyer says so", "odd prices"]
    assert history[-1]["to"] is None
    assert [one["to"] for one in history[:-1]] == [one["from"] for one in history[1:]]


def test_a_model_and_a_run_can_be_shown_whole(story: Path, first) -> None:
    shown = bucle("show", first["model"], at=story).out
    assert "commission" in shown
    assert "pass" in shown
    document = bucle("show", first["run"], "--json", at=story).json
    started = document["started"]
    assert started["datasets"]["items"] == first["data"][0]["fingerprint"]
    assert all(started[name] for name in ("source", "environment"))
    assert started["parameters"]["model"] == {"smoothing": 1.0, "tolerance": 0.02}
    assert document["finished"]["metrics"] == first["metrics"]


def test_the_log_is_intact_and_says_who_and_why(story: Path) -> None:
    verified = bucle("log", "verify", "--json", at=story).json
    events = bucle("log", "--json", at=story).json
    assert verified["intact"] is True
    assert (verified["events"], verified["head"]) == (len(events), events[-1]["hash"])
    assert all(event["actor"] for event in events)
    before = [event["hash"] for event in events[:-1]]
    assert [event["previous"] for event in events[1:]] == before
    words = bucle("log", "verify", "--head", events[1]["hash"], at=story).out
    assert "intact" in words
    assert (
        bucle("log", "verify", "--head", "0" * 63 + "1", "--json", at=story, code=1).json["intact"]
        is False
    )


def test_the_words_of_a_run_name_each_stage(story: Path, first) -> None:
    said = bucle("run", at=story).out
    stages = ["data", "steps", "model", "gate", "champion"]
    places = [said.index(f"\n{stage}\n") if stage != "data" else 0 for stage in stages]
    assert places == sorted(places)
    assert "baseline:median" in said


def test_data_list_show_and_diff_answer(story: Path) -> None:
    listed = bucle("data", "list", "--json", at=story).json
    assert [dataset["dataset"] for dataset in listed] == ["items"]
    shown = bucle("data", "show", "items", "--json", at=story).json
    assert {column["name"] for column in shown["columns"]} >= {"commission", "arrived"}
    source = story / "data/items.csv"
    lines = source.read_text().splitlines()
    header = lines[0].split(",")
    photo = header.index("photo_score")
    held = {row["origin"] for row in bucle("data", "quarantine", "items", "--json", at=story).json}
    number = next(at for at in range(2, len(lines)) if f"data/items.csv:{at + 1}" not in held)
    cells = lines[number].split(",")
    cells[photo] = "5" if cells[photo] != "5" else "4"
    source.write_text("\n".join([*lines[:number], ",".join(cells), *lines[number + 1 :]]) + "\n")
    added = bucle("data", "add", "items", "--json", at=story).json
    assert (added["version"], added["added"], added["changed"]) == (2, 0, 1)
    diff = bucle("data", "diff", "items", "1", "2", "--json", at=story).json
    assert (diff["added"], diff["removed"], diff["changed"]) == (0, 0, 1)
    assert diff["columns"] == {"photo_score": 1}


def test_an_honest_frame_has_no_leak(story: Path) -> None:
    checked = bucle("data", "check", "items", "--json", at=story, code=None)
    suspects = checked.json["suspects"]
    assert checked.code == (1 if suspects else 0)
    assert not [suspect for suspect in suspects if suspect["kind"] != "late"]
