"""Numbers and truth values written as text."""

from decimal import Decimal

import polars as pl
import pytest

from bucle.data.numbers import (
    has_leading_zeros,
    read_booleans,
    read_decimals,
    read_floats,
    read_integers,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        (" 2.5\u00a0", 2.5),
        ("-3", -3.0),
        ("+4", 4.0),
        (".5", 0.5),
        ("6.", 6.0),
        ("7e2", 700.0),
        ("1,234.5", 1234.5),
        ("-1,234,567", -1234567.0),
        ("1,234", None),
        ("1,23", None),
        ("12,34.5", None),
        ("1e400", None),
        ("inf", None),
        ("NaN", None),
        ("0x1f", None),
        ("1_000", None),
        ("-", None),
        ("", None),
        ("$5", None),
        ("5 kg", None),
        ("Freight Included in Commodity Cost", None),
        ("1.2.3", None),
        (None, None),
    ],
)
def test_reads_numbers_and_nothing_else(text: str | None, value: float | None) -> None:
    assert read_floats(pl.Series([text], dtype=pl.String)).values.to_list() == [value]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,5", 1.5), ("1.234,5", 1234.5), ("1.234.567", 1234567.0), ("1.5", None), ("7", 7.0)],
)
def test_reads_decimal_commas_on_request(text: str, value: float | None) -> None:
    assert read_floats(pl.Series([text]), decimal=",").values.to_list() == [value]


def test_marks_between_thousands_are_told() -> None:
    read = read_floats(pl.Series(["1,234.5", "7", "1,234"]))
    assert read.rewritten.to_list() == [True, False, False]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", 7),
        ("5.0", 5),
        ("5.", 5),
        ("5.5", None),
        ("1e3", 1000),
        ("15e-1", None),
        ("9007199254740993", 9007199254740993),
        ("9223372036854775807", 9223372036854775807),
        ("9223372036854775808", None),
        ("1e30", None),
        ("1,234,567", 1234567),
        ("x", None),
    ],
)
def test_reads_whole_numbers_exactly(text: str, value: int | None) -> None:
    assert read_integers(pl.Series([text])).values.to_list() == [value]


def test_reads_truth_values() -> None:
    texts = ["TRUE", "no", " y ", "0", "on", None]
    assert read_booleans(pl.Series(texts)).values.to_list() == [
        True,
        False,
        True,
        False,
        None,
        None,
    ]


def test_leading_zeros_are_seen() -> None:
    assert has_leading_zeros(pl.Series(["12", "012"]))
    assert not has_leading_zeros(pl.Series(["0", "0.5", "10"]))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12345678901234567.89", "12345678901234567.89"),
        ("1,234.5", "1234.50"),
        ("2e1", "20.00"),
        ("0.290", "0.29"),
        ("1.005", None),
        ("1e30", None),
        ("1e-999999999", None),
        ("nan", None),
    ],
)
def test_decimals_are_exact_or_are_none(text: str, value: str | None) -> None:
    read = read_decimals(pl.Series([text, None]), pl.Decimal(20, 2))
    assert read.values.to_list() == [value and Decimal(value), None]
    assert read.values.dtype == pl.Decimal(20, 2)
    assert read.rewritten.to_list() == ["," in text, False]
