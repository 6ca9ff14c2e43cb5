"""The grid of moments over history, and when it is refused."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.errors import RequestError
from bucle.loop.replay.history import Digests
from bucle.loop.replay.survey import (
    _delay,
    _edges,
    _first,
    _last,
    _range,
    _tested,
    _usual_period,
    _warm_up,
    _whole,
)
from bucle.loop.spans import parse_span

SETTINGS = DatasetSettings(event_time="seen", label="price", label_time="known")
WEEK = parse_span("1w")


def day(number):
    return datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=number)


def history(count=100, *, late=2, unlabelled=()):
    """One row a day; each label is known some days later."""
    numbers = list(range(count))
    return pl.DataFrame(
        {
            "seen": [day(number) for number in numbers],
            "known": [day(number + late) for number in numbers],
            "price": [None if number in unlabelled else float(number) for number in numbers],
        }
    )


def first(frame, start=None, span=WEEK):
    return _first(
        *(frame, SETTINGS, Digests(frame, SETTINGS)),
        start=start,
        span=span,
        range_=_range(frame, SETTINGS),
    )


def refused(code, call):
    with pytest.raises(RequestError) as caught:
        call()
    assert caught.value.code == code
    return str(caught.value)


def test_without_a_wish_it_begins_when_a_quarter_of_the_labels_and_30_are_known() -> None:
    # The 51st label of 200 comes on day 52, in the week of day 49.
    assert first(history(200)) == day(56)
    # A quarter of 60 would be 15: the 30th comes on day 31, in the week of day 28.
    assert first(history(60)) == day(35)


def test_a_first_day_must_lie_in_history_and_have_30_labels() -> None:
    frame = history(100)
    assert first(frame, "2026-03-02") == day(56)
    assert "history runs from 2026-01-05 to 2026-04-14" in refused(
        "bucle-260", lambda: first(frame, "2025-01-01")
    )
    refused("bucle-260", lambda: first(frame, "2026-04-14"))
    assert "only 9 labels" in refused("bucle-259", lambda: first(frame, "2026-01-15"))
    assert first(frame, day(31).date().isoformat()) == day(31)
    refused("bucle-259", lambda: first(frame, day(30).date().isoformat()))
    assert "only 29 labels" in refused("bucle-259", lambda: first(history(29)))
    refused("bucle-259", lambda: first(history(40, unlabelled=range(11))))


def test_periods_run_from_the_first_day_to_the_last_row() -> None:
    assert _edges(day(0), day(21), WEEK, whole=True) == [day(7 * n) for n in range(5)]
    # The end that was asked for is not replayed itself.
    assert _edges(day(0), day(21), WEEK, whole=False) == [day(7 * n) for n in range(4)]
    # Nor a period that would end after it.
    assert _edges(day(0), day(20), WEEK, whole=False) == [day(7 * n) for n in range(3)]
    months = _edges(day(26), day(100), parse_span("1mo"), whole=True)
    assert [one.date().isoformat() for one in months] == [
        *("2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30")
    ]


def test_too_few_and_too_many_periods_are_refused() -> None:
    assert "fewer than 2 periods of 1w" in refused(
        "bucle-261", lambda: _edges(day(0), day(6), WEEK, whole=True)
    )
    assert "more than 2,000 periods" in refused(
        "bucle-261", lambda: _edges(day(0), day(2000), parse_span("1d"), whole=True)
    )
    assert len(_edges(day(0), day(1999), parse_span("1d"), whole=True)) == 2001


def test_the_end_is_the_last_row_s_or_an_earlier_one_after_the_beginning() -> None:
    assert _last(None, day(0), day(9)) == day(9)
    assert _last("2026-01-10", day(0), day(9)) == day(5)
    assert _last("2030-01-01", day(0), day(9)) == day(9)
    assert "it begins on 2026-01-05" in refused(
        "bucle-260", lambda: _last("2026-01-05", day(0), day(9))
    )


def test_evidence_from_before_the_first_day_is_asked_by_periods_too() -> None:
    assert _warm_up(day(0), day(-10), WEEK) == [day(-14), day(-7)]
    assert _warm_up(day(0), day(-14), WEEK) == [day(-14), day(-7)]
    assert _warm_up(day(0), day(0), WEEK) == []


@pytest.mark.parametrize(("days", "text"), [(20, "1d"), (200, "1w"), (3000, "1mo")])
def test_the_usual_period_fits_the_length_of_history(days, text) -> None:
    assert _usual_period(day(0), day(days)).text == text


def test_the_delay_of_labels_is_counted_as_it_was_known() -> None:
    frame = history(50, late=4, unlabelled=(3, 5))
    digests = Digests(frame, SETTINGS)
    assert _delay(digests, day(20)) == 4.0
    assert _delay(digests, day(0)) == 0.0


def test_what_judges_is_newer_than_what_a_tested_model_learns_from() -> None:
    frame = history(100)
    digests = Digests(frame, SETTINGS)
    at = day(60).isoformat()
    tested = _tested(digests, frame, SETTINGS, at, "expanding", 0.2)
    # 59 labels are known on day 60, of days 0 to 58: the newest 12 judge.
    assert tested is not None
    assert tested.moment[:10] == tested.asked_from[:10] == day(47).date().isoformat()
    whole = _whole(digests, at, "expanding", tested)
    assert (whole.moment, whole.asked_from) == (at, tested.moment)
    assert whole.view != tested.view
    window = _tested(digests, frame, SETTINGS, at, "last:2w", 0.2)
    assert window is not None
    assert str(window.since)[:10] == day(46).date().isoformat()


def test_a_dataset_without_any_time_is_refused() -> None:
    frame = history(40)
    refused("bucle-258", lambda: _range(frame, DatasetSettings(label="price")))
    empty = frame.with_columns(pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("seen"))
    refused("bucle-258", lambda: _range(empty, SETTINGS))
