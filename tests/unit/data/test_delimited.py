"""Delimited text as it is in the world."""

import json

import pytest

from bucle.charter.settings import DatasetSettings
from bucle.data.delimited import read_delimited
from bucle.data.rows import SourceRows
from bucle.errors import SourceError


def read(content: bytes | str, **settings: object) -> SourceRows:
    plain = content.encode() if isinstance(content, str) else content
    return read_delimited(plain, name="f.csv", settings=DatasetSettings(**settings))


def test_every_value_is_text_with_its_line() -> None:
    rows = read("a,b\n1,007\nN/A,2024-01-01\n")
    assert rows.frame.rows() == [("1", "007"), ("N/A", "2024-01-01")]
    assert rows.origin.rows() == [("f.csv", 2), ("f.csv", 3)]


def test_mixed_line_ends_and_quoted_ones() -> None:
    rows = read('a,b\r1,"x\r\ny\rz"\r\n2,"q""q"\n3,4')
    assert rows.frame.rows() == [("1", "x\r\ny\rz"), ("2", 'q"q'), ("3", "4")]
    assert rows.origin["line"].to_list() == [2, 5, 6]


def test_only_declared_words_are_null() -> None:
    assert read('a,b\n,""\nN/A,-\n').frame.rows() == [(None, None), ("N/A", "-")]
    assert read("a,b\n,-\n", null_values=("-",)).frame.rows() == [("", None)]
    assert read('a,b\n"",-\n', null_values=()).frame.rows() == [("", "-")]


def test_ragged_rows_are_kept_apart_with_their_values_and_reason() -> None:
    rows = read("a,b,c\n1,2\n1,2,3\n1,2,3,4\n")
    assert rows.frame.rows() == [("1", "2", "3")]
    assert rows.broken["line"].to_list() == [2, 4]
    assert rows.broken["reason"].to_list() == [
        "row has 2 fields, header has 3",
        "row has 4 fields, header has 3",
    ]
    assert json.loads(rows.broken["raw"][1]) == {"_fields": ["1", "2", "3", "4"]}


def test_a_broken_quote_costs_one_line_only() -> None:
    rows = read('a,b\n"Big" Jim,1\n2,3\n"never closed,4\n5,6\n7,"x\ny"\n')
    assert rows.frame.rows() == [("2", "3"), ("5", "6"), ("7", "x\ny")]
    assert rows.origin["line"].to_list() == [3, 5, 6]
    assert rows.broken.select("line", "reason").rows() == [
        (2, "a quote is closed in the middle of a value"),
        (4, "a quote is closed in the middle of a value"),
    ]


def test_a_quote_that_is_never_closed_is_told() -> None:
    rows = read('a,b\n1,2\n"x,3\n4,5\n')
    assert rows.frame.rows() == [("1", "2"), ("4", "5")]
    assert rows.broken["reason"].to_list() == ["a quote is opened and never closed"]
    assert json.loads(rows.broken["raw"][0]) == {"_line": '"x,3'}


def test_a_quote_within_a_value_is_content() -> None:
    assert read('a,b\n5" pipe,1\n').frame.rows() == [('5" pipe', "1")]


def test_blank_lines_are_counted_and_in_one_column_are_empty_values() -> None:
    rows = read("a,b\n1,2\n\n\n3,4\n")
    assert rows.frame.height == 2
    assert rows.notes == ("f.csv: 2 blank lines were passed over",)
    assert read("a\n1\n\n2\n").frame.rows() == [("1",), (None,), ("2",)]


def test_blank_lines_may_stand_before_the_header() -> None:
    rows = read("\n\na,b\n1,2\n")
    assert rows.frame.rows() == [("1", "2")]
    assert rows.origin["line"].to_list() == [4]


@pytest.mark.parametrize("tail", ["", "\n", "\r", "\r\n"])
def test_a_header_alone_has_no_rows(tail: str) -> None:
    assert read("a,b" + tail).frame.shape == (0, 2)


def test_the_slow_way_reads_what_the_fast_way_reads() -> None:
    body = 'a,b,c\r\n1,"x,\ny",\n"q""q",2\n\n3,,"z"\r'
    fast, slow = read(body + "4,x,y\n"), read(body + '4,x"x,y\n')
    assert slow.frame.rows()[:-1] == fast.frame.rows()[:-1]
    assert slow.origin.rows() == fast.origin.rows()
    assert slow.broken.rows() == fast.broken.rows()
    assert slow.notes == fast.notes


def test_a_separator_is_found_or_given() -> None:
    assert read("a;b\n1,5;2\n").frame.rows() == [("1,5", "2")]
    assert read("a:b\n1:2\n", separator=":").frame.rows() == [("1", "2")]


def _wide(columns: int) -> str:
    return ",".join(f"c{i}" for i in range(columns)) + "\n" + ",".join(["1"] * columns) + "\n"


def test_five_thousand_columns() -> None:
    assert read(_wide(5_000)).frame.shape == (1, 5_000)


def test_more_columns_than_can_be_kept_are_refused() -> None:
    with pytest.raises(SourceError, match="it has 5,001 columns"):
        read(_wide(5_001))


def test_long_values_are_read_either_way() -> None:
    long = "x" * 300_000
    assert read(f"a,b\n{long},1\n").frame["a"][0] == long
    assert read(f'a,b\n{long},1"\n').frame["a"][0] == long


def test_marks_that_polars_takes_for_comments_are_content() -> None:
    assert read("a,b\n#x,1\n").frame.rows() == [("#x", "1")]


@pytest.mark.parametrize(
    ("text", "words"),
    [("1,2\n3,4\n", "values, not names"), ('"a,b\n1,2\n', "header in line 1"), ("\n\n", "no text")],
)
def test_a_file_without_usable_header_is_refused(text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read(text)
