"""The entry point: which command, which words, which exit code."""

import json

import pytest

import bucle
from bucle.cli.command_line import _find, main
from bucle.cli.commands import COMMANDS
from bucle.errors import UsageError


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_overview_lists_every_command(capsys, words):
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert all(f"  {command.name} " in out for command in COMMANDS)
    assert err == ""
    assert max(len(line) for line in out.splitlines()) <= 80


@pytest.mark.parametrize("words", [["--json"], ["--json", "--help"], ["help", "--json"]])
def test_overview_is_a_document_when_one_is_asked_for(capsys, words):
    assert main(words) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["command"] for one in listed] == [command.name for command in COMMANDS]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bucle {bucle.__version__}\n"
    assert main(["--version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": bucle.__version__}


@pytest.mark.parametrize(
    ("words", "name", "rest"),
    [
        (["run"], "run", []),
        (["run", "--json"], "run", ["--json"]),
        (["--json", "run"], "run", ["--json"]),
        (["data", "add", "sales", "a.csv"], "data add", ["sales", "a.csv"]),
        (["data", "--json", "add", "sales"], "data add", ["sales", "--json"]),
        (["log"], "log", []),
        (["log", "--last", "3"], "log", ["--last", "3"]),
        (["log", "verify"], "log verify", []),
    ],
)
def test_command_is_found_by_its_longest_name(words, name, rest):
    command, left = _find(words)
    assert (command.name, left) == (name, rest)


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["rnu"], "run"),
        (["promot"], "promote"),
        (["data", "lst"], "data list"),
        (["data", "chek", "sales"], "data check"),
        (["data", "verify"], "data"),
        (["Run"], "run"),
    ],
)
def test_unknown_command_names_the_nearest(words, near):
    with pytest.raises(UsageError) as caught:
        _find(words)
    message = caught.value.render()
    assert near in message
    assert repr(" ".join(words[: 2 if words[0] == "data" else 1])) in message


@pytest.mark.parametrize("words", [["data"], ["data", "--json"], ["data", "--limit", "3"]])
def test_group_alone_asks_for_its_second_word(words):
    with pytest.raises(UsageError, match="needs a second word") as caught:
        _find(words)
    assert "data add" in caught.value.cause


def test_mistake_is_one_message_and_exit_code_2(capsys):
    assert main(["frobnicate"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("There is no command 'frobnicate'.\n")
    assert "Traceback" not in err


def test_mistake_is_a_document_when_one_is_asked_for(capsys):
    assert main(["--json", "data", "ad"]) == 2
    problem = json.loads(capsys.readouterr().out)
    assert problem["error"] == "There is no command 'data ad'"
    assert problem["did_you_mean"][0] == "data add"
    assert problem["code"] == "bucle-101"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["models", "--jsn"], "unrecognized arguments: --jsn"),
        (["promote"], "required: model"),
        (["log", "--last", "three"], "invalid int value: 'three'"),
        (["rollback", "m-1"], "unrecognized arguments: m-1"),
        (["log", "--ver"], "unrecognized arguments: --ver"),
    ],
)
def test_wrong_options_are_told_without_a_usage_dump(capsys, words, text):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert text in err
    assert f"Try: bucle {words[0]} --help" in err
    assert "usage:" not in err


def test_mistyped_option_names_the_nearest(capsys):
    assert main(["models", "--jsno"]) == 2
    assert "Did you mean: --json" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_explains_itself_with_an_example(capsys, command):
    assert main([*command.name.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: bucle {command.name}")
    assert f"  bucle {command.name}" in out.rpartition("example:")[2]


def test_words_after_two_dashes_are_no_options(capsys):
    assert main(["frobnicate", "--", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_folder_without_a_project_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["models"]) == 2
    err = capsys.readouterr().err
    assert f"no bucle.toml in {tmp_path}" in err
    assert "bucle-106" in err


def test_help_of_a_group_lists_its_commands(capsys):
    assert main(["data", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "bucle data add" in shown
    assert "bucle data check" in shown
    assert "bucle run " not in shown
