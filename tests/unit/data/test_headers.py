"""Headers become usable names and every change is told."""

import pytest

from bucle.data.headers import clean_names, refuse_values
from bucle.errors import SourceError


def test_good_names_stay() -> None:
    assert clean_names(["a", " b ", "<script>", "Ñ"], where="f") == (
        ["a", " b ", "<script>", "Ñ"],
        (),
    )


def test_doubled_and_empty_names_are_numbered_and_told() -> None:
    names, notes = clean_names(["a", "a", "", "a_2", "a"], where="f.csv")
    assert names == ["a", "a_3", "column_3", "a_2", "a_4"]
    assert "f.csv: column 2 'a' is called 'a_3'" in notes


def test_a_name_on_two_lines_becomes_one() -> None:
    assert clean_names(["Line Item\r\nValue", "b"], where="f")[0] == ["Line Item Value", "b"]


def test_names_stay_different_whatever_is_given() -> None:
    given = ["x"] * 50 + ["x_2", "", "column_52", "x\n"]
    names, notes = clean_names(given, where="f")
    assert len(set(names)) == len(given)
    assert "more columns were renamed" in notes[5]


@pytest.mark.parametrize(
    "pair", [("Price", "price"), ("a b", "a  b"), ("é", "e\u0301"), ("a", "a ")]
)
def test_names_that_look_alike_are_told(pair: tuple[str, str]) -> None:
    names, notes = clean_names([*pair, "other"], where="f")
    assert names == [*pair, "other"]
    assert "look alike" in notes[0]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["1", "2.5", "2024-01-01"], "holds values, not names"),
        (["", " "], "holds no name"),
    ],
)
def test_first_lines_without_names_are_refused(names: list[str], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        refuse_values(names, where="f.csv")


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(SourceError, match="the name of column 2 has 10,000 letters"):
        clean_names(["a", "b" * 10_000], where="f.csv")


def test_names_that_would_mean_several_columns_are_numbered_and_told() -> None:
    given = ["*", "^a.*$", "bucle:index", "a*", "$^", "bucle_index"]
    names, notes = clean_names(given, where="f.csv")
    assert names == ["column_1", "column_2", "column_3", "a*", "$^", "bucle_index"]
    assert "f.csv: column 1 '*' is called 'column_1'" in notes
    assert len(notes) == 3


def test_five_thousand_equal_names_take_no_time() -> None:
    names, _ = clean_names(["x"] * 5_000, where="f")
    assert len(set(names)) == 5_000
