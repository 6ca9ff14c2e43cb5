"""Dates in several forms within one column."""

from datetime import datetime

import polars as pl
import pytest

from bucle.data.dates import read_moments


def one(text: str, **options: object) -> datetime | None:
    return read_moments(pl.Series("d", [text]), **options).values.to_list()[0]


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2006-06-02", "2006-06-02T00:00:00"),
        ("2006-06-02 10:11:12", "2006-06-02T10:11:12"),
        ("2006-06-02T10:11:12.5", "2006-06-02T10:11:12.500000"),
        ("2006-06-02 10:11", "2006-06-02T10:11:00"),
        ("2006/6/2", "2006-06-02T00:00:00"),
        ("2006-06-02T10:00:00Z", "2006-06-02T10:00:00"),
        ("2006-06-02T10:00:00+02:00", "2006-06-02T08:00:00"),
        ("2006-06-02T10:00:00-0530", "2006-06-02T15:30:00"),
        ("2-Jun-06", "2006-06-02T00:00:00"),
        ("2 June 2006", "2006-06-02T00:00:00"),
        ("June 2, 2006", "2006-06-02T00:00:00"),
        ("2nd Jun 1999", "1999-06-02T00:00:00"),
        ("2.6.2006", "2006-06-02T00:00:00"),
        ("13/6/06", "2006-06-13T00:00:00"),
        ("6/13/06 2:30 PM", "2006-06-13T14:30:00"),
        ("6/6/06", "2006-06-06T00:00:00"),
        ("31-12-1969", "1969-12-31T00:00:00"),
        ("20060602", "2006-06-02T00:00:00"),
        ("1149300000", "2006-06-03T02:00:00"),
        ("1149300000000", "2006-06-03T02:00:00"),
        ("1149300000000000", "2006-06-03T02:00:00"),
        ("0001-01-01", "0001-01-01T00:00:00"),
        ("9999-12-31", "9999-12-31T00:00:00"),
        ("29/02/2024", "2024-02-29T00:00:00"),
        (" 2006-06-02 ", "2006-06-02T00:00:00"),
    ],
)
def test_reads_what_has_one_meaning(text: str, iso: str) -> None:
    assert one(text) == datetime.fromisoformat(iso)


@pytest.mark.parametrize(
    "text",
    [
        "31/02/2006",
        "2006-02-30",
        "2006-13-01",
        "13/13/2006",
        "0000-01-01",
        "2006-06-02 25:00",
        "6/13/06 13:00 PM",
        "2-Foo-06",
        "Date Not Captured",
        "",
        "12",
        "123456789",
        "99999999",
        "9999-12-31T23:00:00-05:00",
        "2006-06-02T10:00:00+99:00",
        "٢٠٠٦-٠٦-٠٢",
    ],
)
def test_what_is_no_date_is_null(text: str) -> None:
    assert one(text) is None


def test_several_forms_in_one_column() -> None:
    texts = ["2-Jun-06", "6/13/06", "2006-06-03", None, "6/2/06 10:00"]
    read = read_moments(pl.Series("d", texts))
    assert [v and v.isoformat()[:13] for v in read.values.to_list()] == [
        "2006-06-02T00",
        "2006-06-13T00",
        "2006-06-03T00",
        None,
        "2006-06-02T10",
    ]
    assert read.notes == (
        "column 'd': dates such as 6/2/06 10:00 were read month-first, as 6/13/06 shows",
    )


def test_day_and_month_are_not_guessed() -> None:
    read = read_moments(pl.Series("d", ["6/2/06", "7/2/06", "2006-01-01"]))
    assert read.ambiguous == ("6/2/06", "7/2/06")
    assert read.values.null_count() == 2


def test_contradicting_evidence_settles_nothing() -> None:
    assert read_moments(pl.Series("d", ["6/13/06", "13/6/06", "1/2/06"])).ambiguous == ("1/2/06",)
    assert read_moments(pl.Series("d", ["6/13/06", "13/6/06"])).ambiguous == ()


def test_the_settings_settle_the_order() -> None:
    assert one("6/2/06", order="day-first") == datetime(2006, 2, 6)  # noqa: DTZ001
    assert one("6/2/06", order="month-first") == datetime(2006, 6, 2)  # noqa: DTZ001
    assert one("6/13/06", order="day-first") is None


def test_zones_and_epochs_are_told() -> None:
    read = read_moments(pl.Series("d", ["2006-06-02T10:00:00Z", "2006-06-02", "1149300000"]))
    assert read.zoned.to_list() == [True, False, True]
    assert read.epochs.to_list() == [False, False, True]
    assert one("1149300000", epochs=False) is None


def test_an_empty_column_stays_empty() -> None:
    assert read_moments(pl.Series("d", [None, None], dtype=pl.String)).values.to_list() == [
        None,
        None,
    ]


@pytest.mark.parametrize("text", ["Mario 3 2006", "3-Decoy-2006", "Junk 5, 2006", "Ma 5 2006"])
def test_a_word_that_begins_like_a_month_is_none(text: str) -> None:
    assert one(text) is None


@pytest.mark.parametrize("text", ["Sept 5 2006", "5-SEP-06", "September 5, 2006"])
def test_a_month_may_be_shortened(text: str) -> None:
    assert str(one(text)) == "2006-09-05 00:00:00"
