"""Lines: each key of a text is found on its own line, however odd the text."""

import pytest

from bucle.charter.lines import key_lines, line_of
from bucle.errors import CharterError


def test_finds_tables_keys_and_items_of_lists() -> None:
    text = (
        "# [not.a.table]\n"
        "[charter]\n"
        'problem = """\n[gates]\nholdout = 1\n"""\n'
        "kpis = [\n"
        '  {metric = "mae"},  # {metric = "no"}\n'
        '  {metric = "r2"},\n'
        "]\n"
        "[data.'my sales']\n"
        'a.b = [1, "]", 2]\n'
        "[[gate]]\n[[gate]]\nx = 1\n"
    )
    lines = key_lines(text)
    assert lines[("charter",)] == 2
    assert lines[("charter", "problem")] == 3
    assert lines[("charter", "kpis")] == 7
    assert lines[("charter", "kpis", "0")] == 8
    assert lines[("charter", "kpis", "1")] == 9
    assert lines[("data", "my sales", "a", "b")] == 12
    assert lines[("gate", "1", "x")] == 15
    assert not any(path[:1] in {("not",), ("gates",)} for path in lines)


def test_falls_back_on_the_table_around_a_key() -> None:
    lines = key_lines("[gates]\nholdout = {a = 1}\n")
    assert line_of(("gates", "holdout", "a"), lines) == 2
    assert line_of(("gates", "margin"), lines) == 1
    assert line_of(("pipeline",), lines) is None


@pytest.mark.parametrize(
    "text",
    [
        *('"' * 300_000, "'" * 300_001, '"""' + "x\\" * 200_000, "[" * 500_000),
        *("a = {" * 200_000, "\n" * 900_000, "= " * 400_000, "'''\n" * 200_001),
        *('a = "' * 200_000, "#" * 900_000),
    ],
    ids=range(10),
)
def test_gets_through_a_large_text_of_nothing_useful(text: str) -> None:
    # Any of these would not end within the day if the time grew with the square of the length.
    assert len(key_lines(text)) <= 2


@pytest.mark.parametrize("text", ["a." * 500_000 + "b = 1", "[" + "a." * 500_000 + "b]"])
def test_refuses_a_key_of_very_many_parts(text: str) -> None:
    with pytest.raises(CharterError, match="parts"):
        key_lines(text)
