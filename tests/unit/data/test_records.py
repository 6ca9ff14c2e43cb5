"""JSON Lines and rows of a database become columns."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal

import polars as pl
import pytest

from bucle.data.records import build_columns, read_json_lines


def test_one_kind_of_value_gives_its_type() -> None:
    content = (
        b'{"a": 1, "b": "x", "c": true, "d": 1.5}\n\n{"a": 2, "b": null, "c": false, "d": 2}\r\n'
    )
    rows = read_json_lines(content, name="f")
    assert rows.frame.rows() == [(1, "x", True, 1.5), (2, None, False, 2.0)]
    assert rows.origin["line"].to_list() == [1, 3]
    assert rows.coercions == ()


def test_mixed_values_become_text_and_are_reported() -> None:
    content = b'{"a": 1, "b": {"y": 1, "x": [2]}}\n{"a": "N/A", "b": null}\n{"a": true, "b": "t"}\n'
    rows = read_json_lines(content, name="f")
    assert rows.frame["a"].to_list() == ["1", "N/A", "true"]
    assert rows.frame["b"].to_list() == ['{"x": [2], "y": 1}', None, "t"]
    assert [(c.column, c.count, c.became) for c in rows.coercions] == [
        ("a", 2, "text"),
        ("b", 1, "text"),
    ]


def test_lines_that_are_no_objects_are_kept_apart() -> None:
    rows = read_json_lines(b'{"a": 1}\n{"a": \n[1]\nnull\n' + b"[" * 100_000, name="f")
    assert rows.frame.rows() == [(1,)]
    assert rows.broken["line"].to_list() == [2, 3, 4, 5]
    assert json.loads(rows.broken["raw"][1]) == {"_line": "[1]"}
    assert rows.broken["reason"][2] == "line is not a JSON object"


def test_a_missing_key_is_null_and_told() -> None:
    rows = read_json_lines(b'{"a": 1}\n{"b": 2}\n', name="f")
    assert rows.frame.rows() == [(1, None), (None, 2)]
    assert "2 lines without every key" in rows.notes[0]


def test_numbers_beyond_64_bits_stay_exact() -> None:
    rows = read_json_lines(
        b'{"a": 123456789012345678901, "b": 9007199254740993}\n{"a": 1, "b": 0.5}\n', name="f"
    )
    assert rows.frame["a"].to_list() == ["123456789012345678901", "1"]
    assert rows.frame["b"].to_list() == ["9007199254740993", "0.5"]


def test_values_of_a_database_keep_their_types() -> None:
    frame, coercions = build_columns(
        ["day", "at", "money", "zoned", "raw"],
        [
            [date(2026, 1, 1), None],
            [datetime(2026, 1, 1), None],  # noqa: DTZ001
            [Decimal("1.50"), None],
            [datetime(2026, 1, 1, tzinfo=UTC), None],
            [b"\x01\xff", None],
        ],
    )
    assert frame.dtypes[:2] == [pl.Date, pl.Datetime("us")]
    assert frame["money"][0] == Decimal("1.50")
    assert frame.dtypes[3] == pl.Datetime("us", "UTC")
    assert frame["raw"].to_list() == ["01ff", None]
    assert [coercion.column for coercion in coercions] == ["raw"]


def test_odd_keys_get_usable_names():
    content = b'{"*": 1, "": 2, "bucle:at": 3, "1": 4}'
    rows = read_json_lines(content, name="a.jsonl")
    assert rows.frame.columns == ["column_1", "column_2", "column_3", "1"]
    assert rows.frame.row(0) == (1, 2, 3, 4)
    assert len(rows.notes) == 3


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("1e40"), time(1, tzinfo=UTC)])
def test_values_that_no_column_type_holds_become_text(value):
    frame, (coercion,) = build_columns(["a"], [[value, None]])
    assert frame["a"].to_list() == [str(value), None]
    assert (coercion.column, coercion.count, coercion.became) == ("a", 1, "text")


def test_a_few_texts_among_numbers_are_what_is_odd_and_no_number_is_reported() -> None:
    frame, coercions = build_columns(["a", "b"], [[1, 2.5, "call us", None], [1, "x", "y", "z"]])
    assert frame["a"].to_list() == ["1", "2.5", "call us", None]
    assert frame["b"].dtype == pl.String
    # Among texts it is the number that is odd.
    assert [(one.column, one.examples) for one in coercions] == [("b", ("1",))]
