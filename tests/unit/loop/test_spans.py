"""Spans: how they are read, added to a moment and cut into periods."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bucle.errors import RequestError
from bucle.loop.spans import parse_span


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["1d", "2w", "6mo", "1y", "9999d"])
def test_span_is_written_as_it_is_read(text):
    assert parse_span(text).text == text


@pytest.mark.parametrize(
    "text", ["", "0d", "01d", "-1d", "d", "1", "1m", "1h", "1 d", "1.5d", "10000d", "1D", "1d\n"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(RequestError) as caught:
        parse_span(text)
    assert caught.value.code == "bucle-252"


@pytest.mark.parametrize(
    ("moment", "span", "times", "expected"),
    [
        ("2026-01-31", "1d", 1, "2026-02-01"),
        ("2026-01-31", "1w", 2, "2026-02-14"),
        ("2026-01-31", "1mo", 1, "2026-02-28"),
        ("2024-01-31", "1mo", 1, "2024-02-29"),
        ("2026-01-31", "1mo", 2, "2026-03-31"),
        ("2026-03-31", "1mo", -1, "2026-02-28"),
        ("2026-05-31", "1mo", 1, "2026-06-30"),
        ("2025-12-31", "2mo", 1, "2026-02-28"),
        ("2026-01-15", "1mo", -1, "2025-12-15"),
        ("2026-01-15", "13mo", 1, "2027-02-15"),
        ("2024-02-29", "1y", 1, "2025-02-28"),
        ("2024-02-29", "4y", 1, "2028-02-29"),
        ("2024-02-29", "1y", -1, "2023-02-28"),
        ("2026-01-31", "1mo", 0, "2026-01-31"),
    ],
)
def test_a_day_that_the_month_does_not_have_becomes_its_last(moment, span, times, expected):
    assert parse_span(span).after(at(moment), times=times) == at(expected)


@pytest.mark.parametrize("span", ["9999y", "9999mo", "9999w", "9999d"])
def test_a_span_ends_with_the_calendar(span):
    assert parse_span(span).after(at("2026-01-31"), times=400).year == 9999
    assert parse_span(span).after(at("2026-01-31"), times=-400).year == 1


def test_the_time_of_day_stays():
    assert parse_span("1mo").after(at("2026-01-31T23:59")) == at("2026-02-28T23:59")


@pytest.mark.parametrize(
    ("span", "expected"),
    [("1d", "2026-03-04"), ("1w", "2026-03-02"), ("1mo", "2026-03-01"), ("1y", "2026-01-01")],
)
def test_floor_is_where_the_period_began(span, expected):
    assert parse_span(span).floor(at("2026-03-04T15:30")) == at(expected)
    assert parse_span(span).floor(at(expected)) == at(expected)


def test_floor_counts_days_in_utc():
    east = datetime(2026, 3, 1, 3, tzinfo=timezone(timedelta(hours=9)))
    assert parse_span("1mo").floor(east) == at("2026-02-01")


def test_days_are_those_of_an_average_year():
    assert parse_span("2w").days == 14
    assert parse_span("12mo").days == pytest.approx(parse_span("1y").days) == 365.2425
