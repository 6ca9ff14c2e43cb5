"""Two commands at once on one project: both right."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from calls import bucle, start
from shop import rows, write_rows, write_shop


def _both(
    first: tuple[str, ...], second: tuple[str, ...], *, at: Path, code: int = 0
) -> list[dict[str, object]]:
    """Start two commands together; both must be done; return their documents."""
    pair = [
        start(*words, "--json", at=at, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for words in (first, second)
    ]
    answers = [process.communicate(timeout=240) for process in pair]
    for process, (_, err) in zip(pair, answers, strict=True):
        assert process.returncode in {0, code}, err.decode()[-2000:]
    return [json.loads(out) for out, _ in answers]


def test_two_additions_of_different_files_both_count(steps: Path) -> None:
    bucle("data", "add", "sales", at=steps)
    for number, name in enumerate(("a.csv", "b.csv")):
        write_rows(steps / name, rows(100, first=1000 * (number + 1)))
    answers = _both(("data", "add", "sales", "a.csv"), ("data", "add", "sales", "b.csv"), at=steps)
    assert [answer["added"] for answer in answers] == [100, 100]
    assert sorted((answer["version"], answer["rows"]) for answer in answers) == [(2, 160), (3, 260)]
    assert bucle("data", "show", "sales", "--json", at=steps).json["rows"] == 260
    assert bucle("log", "verify", "--json", at=steps).json["intact"]


def test_two_additions_of_the_same_file_count_once(steps: Path) -> None:
    words = ("data", "add", "sales")
    answers = _both(words, words, at=steps)
    assert sorted(answer["added"] for answer in answers) == [0, 60]
    assert {answer["version"] for answer in answers} == {1}
    assert len({answer["fingerprint"] for answer in answers}) == 1


def test_two_first_runs_agree(steps: Path) -> None:
    answers = _both(("run",), ("run",), at=steps)
    results = [[step["artifact"] for step in answer["steps"]] for answer in answers]
    assert results[0] == results[1]
    assert [answer["state"] for answer in answers] == ["done", "done"]
    runs = bucle("runs", "--json", at=steps).json
    assert [run["state"] for run in runs] == ["done", "done"]
    assert len({run["run"] for run in runs}) == 2
    assert bucle("log", "verify", "--json", at=steps).json["intact"]


@pytest.mark.thorough
def test_two_first_runs_with_a_model_crown_one_champion(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop")
    answers = _both(("run",), ("run",), at=folder)
    assert len({answer["model"] for answer in answers}) == 1
    assert {answer["champion"] for answer in answers} == {answers[0]["model"]}
    assert sorted(answer["promoted"] for answer in answers) == [False, True]
    history = bucle("history", "--json", at=folder).json
    assert [one["model"] for one in history] == [answers[0]["model"]]
    assert bucle("log", "verify", "--json", at=folder).json["intact"]


@pytest.mark.slow
def test_two_different_challengers_are_judged_against_who_reigns_then(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop")
    better = ("run", "--set", "model.bend=1.0")
    bad, good = _both(("run",), better, at=folder, code=1)
    history = bucle("history", "--json", at=folder).json
    # The better one wins whichever came first; the other one is judged against it if it came last.
    assert history[-1]["model"] == good["model"]
    assert [one["model"] for one in history] in ([good["model"]], [bad["model"], good["model"]])
    for event in bucle("log", "--kind", "promoted", "--json", at=folder).json:
        verdicts = bucle("log", "--kind", "verdict_given", "--json", at=folder).json
        mine = [one["body"]["verdict"] for one in verdicts if one["position"] < event["position"]]
        assert mine[-1]["challenger"] == event["body"]["model"]
        assert mine[-1]["champion"] == event["body"]["previous"]


@pytest.mark.slow
def test_six_promotions_at_once_leave_one_champion_and_a_chain(shop: Path) -> None:
    first, second = (one["model"] for one in bucle("models", "--json", at=shop).json)
    processes = [
        start("promote", model, "--because", "a race", at=shop) for model in (first, second) * 3
    ]
    codes = [process.wait(240) for process in processes]
    assert set(codes) <= {0, 2}
    history = bucle("history", "--json", at=shop).json
    assert [one["to"] for one in history].count(None) == 1
    assert all(before["to"] == after["from"] for before, after in pairwise(history))
    assert bucle("log", "verify", "--json", at=shop).json["intact"]


@pytest.mark.thorough
def test_what_a_long_run_decides_is_kept_while_other_commands_come_and_go(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop")
    pipeline = folder / "pipeline.py"
    waiting = "    while not Path('go').exists():\n        time.sleep(0.02)\n    known ="
    text = pipeline.read_text().replace("    known =", waiting, 1)
    pipeline.write_text(
        text.replace("import polars", "import time\nfrom pathlib import Path\n\nimport polars", 1)
    )
    run = start("run", "--json", at=folder, stdout=subprocess.PIPE)
    while not bucle("runs", "--json", at=folder).json:
        pass
    for number in range(3):
        more = write_rows(folder / f"more-{number}.csv", rows(5, first=1000 + 5 * number))
        bucle("data", "add", "sales", more, at=folder)
    (folder / "go").touch()
    out, _ = run.communicate(timeout=120)
    assert json.loads(out)["promoted"]
    kinds = [event["kind"] for event in bucle("log", "--json", at=folder).json]
    assert kinds == [
        "data_added",
        "run_started",
        *["data_added"] * 3,
        "run_finished",
        "verdict_given",
        "promoted",
    ]
    assert bucle("log", "verify", "--json", at=folder).json["intact"]
