"""Rows that training has seen are taken out, whatever form the event time has."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.errors import PipelineError
from bucle.loop.views import _latest_time, keep_newer

CUT = "2026-01-02T00:00:00.000000Z"


def days(dtype=None, zone=None):
    """Return three days, without a zone unless one is asked for."""
    frame = pl.DataFrame({"day": [date(2026, 1, day) for day in (1, 2, 3)], "row": [1, 2, 3]})
    moments = pl.col("day").cast(pl.Datetime("us"))
    if zone:
        moments = moments.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return frame.with_columns(moments.cast(dtype) if dtype else moments)


@pytest.mark.parametrize(
    "frame",
    [
        days(),
        days(pl.Date),
        days(pl.Datetime("ms")),
        days(pl.Datetime("ns")),
        days(zone="UTC"),
        days(zone="America/Lima"),
        days(zone="Asia/Kolkata"),
    ],
    ids=lambda frame: str(frame.schema["day"]),
)
def test_rows_from_the_cut_on_stay(frame):
    assert keep_newer(frame, event_time="day", cut=CUT)["row"].to_list() == [2, 3]


def test_zoned_time_is_compared_as_a_moment():
    late = datetime(2026, 1, 1, 23, tzinfo=timezone(timedelta(hours=-5)))
    frame = pl.DataFrame({"day": [late.astimezone(UTC)]}).with_columns(
        pl.col("day").dt.convert_time_zone("America/Lima")
    )
    assert keep_newer(frame, event_time="day", cut=CUT).height == 1


def test_row_without_event_time_is_not_unseen():
    frame = pl.DataFrame({"day": [None, date(2026, 1, 5)]})
    assert keep_newer(frame, event_time="day", cut=CUT)["day"].to_list() == [date(2026, 1, 5)]


@pytest.mark.parametrize(
    ("event_time", "cut"), [(None, CUT), ("day", None), ("another column", CUT)]
)
def test_what_has_no_event_times_stays_whole(event_time, cut):
    assert keep_newer(days(), event_time=event_time, cut=cut).height == 3


def test_what_is_no_frame_stays_as_it_is():
    value = np.arange(3)
    assert keep_newer(value, event_time="day", cut=CUT) is value


def test_event_time_turned_into_words_is_refused():
    with pytest.raises(PipelineError, match="'day' holds String") as caught:
        keep_newer(days(pl.String), event_time="day", cut=CUT)
    assert caught.value.code == "bucle-231"


def test_present_of_the_data_is_its_last_event_or_label():
    sold = datetime(2026, 3, 4, 5, tzinfo=UTC).replace(tzinfo=None)
    frame = pl.DataFrame({"day": [date(2026, 1, 1)], "sold": [sold]})
    rules = DatasetSettings(event_time="day", label="price", label_time="sold")
    assert _latest_time(frame, rules) == datetime(2026, 3, 4, 5, tzinfo=UTC)


def test_present_of_zoned_data_is_a_moment_in_utc():
    frame = days(zone="America/Lima")
    assert _latest_time(frame, DatasetSettings(event_time="day")) == datetime(
        2026, 1, 3, tzinfo=UTC
    )


def test_data_without_times_has_no_present():
    assert _latest_time(days(), DatasetSettings()) is None
    empty = days().clear()
    assert _latest_time(empty, DatasetSettings(event_time="day")) is None
