"""Bad words on the command line: exit code 2, one helpful message, and nothing touched."""

import os
from pathlib import Path
from typing import Any

import pytest
from calls import BUCLE, Answer, bucle, obey_permissions, surroundings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project that was never run."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "bucle.toml").write_text(
        '[project]\nname = "p"\n\n[data.sales]\nsource = "sales.csv"\n'
        'contract = "contract.py:Sales"\n'
    )
    (folder / "contract.py").write_text(
        "import dataframely as dy\n\n\nclass Sales(dy.Schema):\n    id = dy.Int64()\n"
    )
    (folder / "sales.csv").write_text("id\n1\n2\n")
    return folder


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _refused(*words: str | Path, at: Path, says: str = "", code: int = 2, **options: Any) -> Answer:
    """Call, and hold the refusal to what every refusal must be; nothing may have been written."""
    before = _tree(at.parent)
    answer = bucle(*words, at=at, code=code, **options)
    assert "Traceback" not in answer.all
    assert "Code: bucle-" in answer.err
    assert answer.out == ""
    assert says in answer.err, answer.err
    # Opening a dataset may make its lock file and nothing else.
    assert {name for name in _tree(at.parent) - before if not name.endswith(".lock")} <= {
        "project/.bucle",
        "project/.bucle/locks",
        "project/.bucle/cache",
        "project/__pycache__",
        "project/.bucle/tables",
    } | {name for name in _tree(at.parent) if "/.bucle/cache/" in name}
    return answer


# ---- 1: commands ------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["promot"], "Did you mean: promote"),
        (["dta"], "Did you mean: data"),
        (["data"], "needs a second word"),
        (["data", "ad"], "Did you mean: data add"),
        (["log", "verfy"], "log"),
        (["RUN"], "Did you mean: run"),
        (["run", "--explian"], "Did you mean: --explain"),
        (["runs", "--lst", "3"], "Did you mean: --last"),
        (["-rf"], "There is no command"),
        ([""], "There is no command"),
        (["promote"], "promote --help"),
        (["data", "diff", "sales", "1"], "--help"),
        (["\u202epromote"], "There is no command"),
        (["x" * 5000], "There is no command"),
    ],
)
def test_a_wrong_command_is_answered_with_the_nearest(project, words, says) -> None:
    _refused(*words, at=project, says=says)


def test_with_json_an_error_is_the_one_document(project) -> None:
    answer = bucle("promot", "--json", at=project, code=2)
    assert answer.json["did_you_mean"] == ["promote"]
    assert answer.json["code"].startswith("bucle-")
    assert {"error", "cause", "where", "try"} <= answer.json.keys()


# ---- 2: files ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "zero", "fifo", "dangling", "loop"])
def test_a_path_that_is_no_file_is_refused(project, tmp_path, kind) -> None:
    path = tmp_path / "rows.csv"
    match kind:
        case "folder":
            path.mkdir()
        case "empty":
            path.touch()
        case "zero":
            path = Path("/dev/zero")
        case "fifo":
            os.mkfifo(path)
        case "dangling":
            path.symlink_to(tmp_path / "nothing.csv")
        case "loop":
            path.symlink_to(path)
    answer = _refused("data", "add", "sales", path, at=project)
    assert path.name in answer.err
    if kind != "folder":
        words = ("new", tmp_path / "made", "--data", path, "--target", "id")
        _refused(*words, at=project)
        assert not (tmp_path / "made").exists()


def test_an_unreadable_file_is_named(project, tmp_path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id\n1\n")
    path.chmod(0)
    words = ("data", "add", "sales", path)
    answer = _refused(*words, at=project, says="rows.csv", preexec_fn=obey_permissions)
    assert "may not read it" in answer.err


def test_a_project_folder_that_is_none_is_named(project, tmp_path) -> None:
    for wrong in (tmp_path / "nowhere", project / "sales.csv", Path("/dev/null")):
        _refused("runs", "--project", wrong, at=project, says="bucle-106")


# ---- 3: names ---------------------------------------------------------------

NAMES = [
    "../escape",
    "a/../../escape",
    "two\nlines",
    "n" * 300,
    "-rf",
    "trailing ",
    "..",
    "~",
    "%2e%2e%2f",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_from_outside_is_never_a_path(project, name) -> None:
    words = [
        ("data", "show", f"--project={project}", "--", name),
        ("promote", "--", name),
        ("show", "--", name),
    ]
    for given in words:
        _refused(*given, at=project)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"..", "../escape"}])
def test_a_project_gets_no_name_that_does_harm(project, name) -> None:
    before = _tree(project)
    answer = bucle(
        "new", "--data", "sales.csv", "--target", "id", "--", name, at=project, code=None
    )
    assert answer.code == 2, answer.all
    assert "Traceback" not in answer.all
    assert _tree(project) == before


def test_a_nul_in_a_name_cannot_even_be_given(project) -> None:
    with pytest.raises(ValueError, match="null byte"):
        bucle("show", "m-\0", at=project)


# ---- 4: numbers -------------------------------------------------------------

NUMBERS = ["-1", "0", "1e309", "nan", "ten", str(2**63), "０"]


@pytest.mark.thorough
@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_cannot_be_is_refused(project, number) -> None:
    for words in (["runs", f"--last={number}"], ["log", f"--last={number}"]):
        if number == str(2**63):
            continue
        if number == "０":  # Python reads digits of any script: this is 0
            assert bucle(*words, at=project, code=2)
            continue
        _refused(*words, at=project)
    answer = bucle("data", "show", "sales", f"--set=gates.holdout={number}", at=project, code=2)
    assert "Traceback" not in answer.all
    shown = bucle("data", "diff", "sales", "--", number, number, at=project, code=2)
    assert "Traceback" not in shown.all


@pytest.mark.parametrize(
    "given",
    [
        "gates.holdout=2",
        "gates.holdout=nan",
        "gates.holdout=inf",
        "gates.holdout=ten",
        "pipeline.seed=-1",
        "pipeline.workers=0",
        "pipeline.workers=9223372036854775808",
        "gates.confidence=1e309",
        "gates.holdout",
        "=1",
        "gates.holdout=",
        "gates=1",
        "a.b=1",
        "gates.holdout=0.1\ngates.looks='many'",
        "gates.hold_out=0.1",
    ],
)
def test_a_setting_that_cannot_be_is_refused(project, given) -> None:
    _refused("run", "--set", given, at=project)


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-02-30", "2026-13-01", "99999-01-01"])
def test_a_moment_that_is_none_is_refused(project, moment) -> None:
    _refused("run", f"--as-of={moment}", at=project, says="moment")


@pytest.mark.parametrize("seed", ["-1", "ten", "1e3"])
def test_a_seed_that_is_none_is_refused(project, tmp_path, seed) -> None:
    words = ("new", tmp_path / "demo", "--template", "consignment", f"--seed={seed}")
    _refused(*words, at=project)
    assert not (tmp_path / "demo").exists()


# ---- what is asked without being there --------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rollback"], "no champion"),
        (["promote", "m-0000"], "no model version"),
        (["show", "m-0000"], "no model version"),
        (["show", "r-0000"], "no run"),
        (["data", "show", "sales"], "no version yet"),
        (["data", "show", "sale"], "Did you mean: sales"),
        (["data", "check", "sales"], "no version yet"),
        (["config", "gate"], "Did you mean: gates"),
        (["new", "x"], "--data"),
        (["new", "x", "--template", "consignmnt"], "Did you mean: consignment"),
        (["new", "x", "--data", "sales.csv", "--target", "idd"], "Did you mean: id"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(project, words, says) -> None:
    _refused(*words, at=project, says=says)


def test_an_empty_project_answers_all_that_lists(project) -> None:
    for words in (["models"], ["history"], ["runs"], ["log"]):
        assert bucle(*words, "--json", at=project).json == []
    assert bucle("log", "verify", "--json", at=project).json["events"] == 0
    assert bucle("data", "list", "--json", at=project).json[0]["version"] == 0
    assert not (project / ".bucle" / "log.db").exists()


def test_an_export_overwrites_nothing(project) -> None:
    (project / "sales.csv").write_text("id\n1\nwords\n")
    bucle("data", "add", "sales", at=project)
    (project / "mine.csv").write_text("precious")
    refused = bucle("data", "quarantine", "sales", "--export", "mine.csv", at=project, code=2)
    assert "exists already" in refused.err
    assert (project / "mine.csv").read_text() == "precious"


def test_the_test_runs_the_command_that_is_installed() -> None:
    assert BUCLE.is_file()
    assert "BUCLE_ACTOR" not in surroundings()
