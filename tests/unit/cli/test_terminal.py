"""Words and answers: never both on one stream, nothing that steers a terminal."""

import json

import pytest

from bucle.cli.terminal import Terminal, columns


def test_words_go_to_stdout(capsys):
    terminal = Terminal()
    terminal.say("done")
    terminal.answer({"a": 1})
    assert capsys.readouterr() == ("done\n", "")


def test_with_json_stdout_holds_one_document(capsys):
    terminal = Terminal(json=True)
    terminal.say("done")
    terminal.warn("careful")
    terminal.answer({"name": "Ñandú\x1b", "n": None})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"name": "Ñandú\x1b", "n": None}
    assert out.isascii()
    assert err == "done\ncareful\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\tb", r"a\tb"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff", r"\udcff"),
        ("\x00", r"\x00"),
        ("Ñandú 日本", "Ñandú 日本"),
    ],
)
def test_what_could_steer_a_terminal_is_escaped(capsys, text, shown):
    Terminal().say(text)
    assert capsys.readouterr().out == shown + "\n"


def test_paragraphs_are_folded_to_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    Terminal().paragraph("word " * 30, indent="  ")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 3
    assert all(len(line) <= 40 and line.startswith("  ") for line in lines)


@pytest.mark.parametrize(("given", "used"), [("40", 40), ("300", 100), ("", 80)])
def test_width_is_that_of_the_terminal_within_reason(capsys, monkeypatch, given, used):
    monkeypatch.setenv("COLUMNS", given)
    assert Terminal().width == used


def test_numbers_are_aligned_to_the_right():
    assert columns([["a", "1"], ["bcd", "1,020"]], header=["name", "rows"]) == [
        "name   rows",
        "a         1",
        "bcd   1,020",
    ]


def test_words_are_aligned_to_the_left_even_where_one_is_a_number():
    assert columns([["x", "12"], ["y", "many"]]) == ["x  12", "y  many"]


def test_long_last_cells_are_folded_under_themselves():
    lines = columns([["event", "word " * 40]], width=60)
    assert all(len(line) <= 60 for line in lines)
    assert lines[1].startswith(" " * 7 + "word")


def test_narrow_terminal_leaves_the_last_column_room():
    lines = columns([["a" * 30, "word " * 9]], width=40)
    assert max(len(line) for line in lines) <= 30 + 2 + 20


def test_line_breaks_in_cells_do_not_break_rows():
    assert columns([["ana\nben", "a\nb"], ["eva", "c"]]) == ["ana ben  a b", "eva      c"]


def test_rows_of_different_length_are_filled():
    assert columns([["a"], ["b", "c"]]) == ["a", "b  c"]


def test_no_rows_are_no_lines():
    assert columns([]) == []
    assert columns([], header=["name"]) == ["name"]


@pytest.mark.parametrize("name", ["next", "a rather long name of what is said"])
def test_a_command_at_the_end_of_words_is_never_broken(capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    call = "bucle approve m-0123456789ab --as business"
    Terminal().paragraph(f"it waits for business: {call}", indent=f"{name}  ")
    for line in columns([[name, f"it waits for business: {call}"]], width=80):
        Terminal().say(line)
    out = capsys.readouterr().out
    assert out.count(call) == 2
    assert max(map(len, out.splitlines())) <= 80
