"""What runs again after an edit, and what does not; steps without a model, so that it is quick."""

from pathlib import Path

from calls import bucle


def _states(folder: Path, *words: str) -> dict[str, str]:
    run = bucle("run", "--json", *words, at=folder).json
    return {step["name"]: step["state"] for step in run["steps"]}


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_comments_docstrings_and_blank_lines_run_nothing(ran: Path) -> None:
    _edit(ran / "pipeline.py", '"""Steps without a model."""', '"""Other words."""\n\n\n# more')
    _edit(ran / "sizes.py", "HALF = 10", "HALF = 10  # centimetres")
    assert set(_states(ran).values()) == {"cached"}


def test_an_edited_helper_runs_exactly_the_steps_that_reach_it(ran: Path) -> None:
    _edit(ran / "sizes.py", "return size * 1", "return size * 2")
    assert _states(ran) == {"clean": "cached", "large": "ran", "total": "cached"}


def test_an_edited_constant_runs_exactly_the_steps_that_reach_it(ran: Path) -> None:
    before = bucle("show", _last_run(ran), "--json", at=ran).json
    _edit(ran / "sizes.py", "HALF = 10", "HALF = 11")
    run = bucle("run", "--json", "--explain", at=ran).json
    assert [step["state"] for step in run["steps"]] == ["cached", "ran", "cached"]
    assert "sizes.HALF" in run["steps"][1]["why"]
    assert run["steps"][1]["artifact"] != before["finished"]["steps"][1]["artifact"]


def _last_run(folder: Path) -> str:
    return str(bucle("runs", "--json", at=folder).json[-1]["run"])


def test_an_edit_that_is_taken_back_finds_the_old_results(ran: Path) -> None:
    _edit(ran / "sizes.py", "HALF = 10", "HALF = 11")
    bucle("run", at=ran)
    _edit(ran / "sizes.py", "HALF = 11", "HALF = 10")
    assert set(_states(ran).values()) == {"cached"}


def test_a_file_that_only_looks_new_runs_nothing(ran: Path) -> None:
    for name in ("sales.csv", "pipeline.py", "sizes.py", "contract.py"):
        (ran / name).touch()
    assert set(_states(ran).values()) == {"cached"}
    assert len(bucle("data", "show", "sales", "--json", at=ran).json["versions"]) == 1


def test_explain_says_why_in_words(ran: Path) -> None:
    _edit(ran / "sizes.py", "return size * 1", "return size * 2")
    words = bucle("run", "--explain", at=ran).out
    assert "sizes.scale" in words
    assert "nothing changed" in words


def test_two_steps_that_need_each_other_are_refused(ran: Path) -> None:
    _edit(ran / "pipeline.py", "def clean(sales:", "def clean(sales, large:")
    answer = bucle("run", at=ran, code=2)
    assert "clean → large → clean" in answer.err


def test_a_pipeline_that_is_no_python_names_the_line(ran: Path) -> None:
    _edit(ran / "pipeline.py", "def clean(", "def clean((")
    answer = bucle("run", at=ran, code=2)
    assert "pipeline.py:" in answer.err
    assert "Traceback" not in answer.all
    assert "bucle/" not in answer.all


def test_a_project_copied_elsewhere_needs_to_run_nothing(ran: Path, tmp_path: Path) -> None:
    moved = ran.rename(tmp_path / "elsewhere")
    assert set(_states(moved).values()) == {"cached"}


def test_from_a_folder_inside_and_from_outside_it_is_the_same_project(ran: Path) -> None:
    (ran / "tests").mkdir()
    inside = bucle("runs", "--json", at=ran / "tests").json
    assert bucle("runs", "--json", "--project", ran, at=ran.parent).json == inside
    nowhere = bucle("runs", at=ran.parent, code=2)
    assert "bucle-106" in nowhere.err


def test_runs_show_the_verdict_that_was_given_before(shop: Path) -> None:
    for words in (["--set", "model.bend=1.0"], [], []):
        bucle("run", *words, at=shop, code=None)
    listed = bucle("runs", "--json", at=shop).json
    first, better, unchanged, worse, again = (run["verdict"] for run in listed)
    assert (first, better, unchanged) == ("pass", "pass", "pass")
    assert worse == again == "fail"
    assert " - " not in bucle("runs", at=shop).out
