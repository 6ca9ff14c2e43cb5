"""As-of views show what was known, and nothing else."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.data.views import as_asked, as_of, cut_time, future_times, view_pair
from bucle.errors import ContractError

SETTINGS = DatasetSettings(event_time="seen", label="price", label_time="known")
ROWS = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "seen": [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)],
        "price": [10.0, 20.0, 30.0, 40.0],
        "known": [datetime(2026, 1, day, tzinfo=UTC) for day in (2, 5, 3, 9)],
    }
)


def moment(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def test_rows_are_seen_strictly_before_and_labels_up_to_the_moment() -> None:
    view = as_of(ROWS, moment(3), SETTINGS)
    assert view["id"].to_list() == [1, 2]
    assert view["price"].to_list() == [10.0, None]
    assert as_of(ROWS, moment(2), SETTINGS)["price"].to_list() == [10.0]


def test_the_time_at_which_a_label_will_come_is_hidden_with_it() -> None:
    assert as_of(ROWS, moment(3), SETTINGS)["known"].to_list() == [moment(2), None]


def test_all_that_is_known_has_every_row_and_label() -> None:
    assert as_of(ROWS, None, SETTINGS).equals(ROWS)


def test_a_label_without_a_time_is_unknown() -> None:
    rows = ROWS.with_columns(pl.when(pl.col("id") > 1).then("known").alias("known"))
    assert as_of(rows, moment(9), SETTINGS)["price"].to_list() == [None, 20.0, 30.0, 40.0]
    assert as_of(rows, None, SETTINGS)["price"][0] is None
    warning = view_pair(rows, SETTINGS, holdout=0.3).warnings[0]
    assert warning.startswith("1 row with a label but without 'known'")
    assert "nothing is learned from it" in warning


def test_a_row_without_event_time_is_in_no_view_and_told() -> None:
    rows = ROWS.with_columns(pl.when(pl.col("id") > 1).then("seen").alias("seen"))
    assert as_of(rows, None, SETTINGS)["id"].to_list() == [2, 3, 4]
    assert "1 row without 'seen': in no view" in view_pair(rows, SETTINGS, holdout=0.3).warnings[0]


@pytest.mark.parametrize(
    "convert",
    [
        pl.col("seen", "known").dt.replace_time_zone(None),
        pl.col("seen", "known").dt.date(),
        pl.col("seen", "known").dt.convert_time_zone("America/Bogota"),
        pl.col("seen", "known").dt.cast_time_unit("ns"),
    ],
)
@pytest.mark.parametrize(
    "text", ["2026-01-03", "2026-01-03T00:00:00+00:00", "2026-01-02T19:00:00-05:00"]
)
def test_dates_and_zones_mean_the_same_moment(convert: pl.Expr, text: str) -> None:
    view = as_of(ROWS.with_columns(convert), text, SETTINGS)
    assert view["price"].to_list() == [10.0, None]


def test_a_naive_moment_is_utc() -> None:
    naive = moment(3).replace(tzinfo=None)
    assert as_of(ROWS, naive, SETTINGS).equals(as_of(ROWS, moment(3), SETTINGS))


def test_without_label_time_labels_are_known_at_once() -> None:
    settings = DatasetSettings(event_time="seen", label="price")
    assert as_of(ROWS, moment(3), settings)["price"].to_list() == [10.0, 20.0]


def test_a_moment_without_event_time_is_refused() -> None:
    with pytest.raises(ContractError, match="no event_time") as caught:
        as_of(ROWS, moment(3), DatasetSettings())
    assert caught.value.code == "bucle-137"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (DatasetSettings(event_time="sen"), "Did you mean: seen"),
        (DatasetSettings(event_time="id"), "holds Int64"),
        (
            DatasetSettings(event_time="seen", label_time="known", label="prise"),
            "Did you mean: price",
        ),
    ],
)
def test_a_wrong_time_or_label_column_is_named(settings: DatasetSettings, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        as_of(ROWS, moment(3), settings)


def test_a_moment_that_is_none_is_refused() -> None:
    with pytest.raises(ContractError, match="Cannot read 'soon' as a moment"):
        as_of(ROWS, "soon", SETTINGS)


def test_the_newest_share_of_labelled_rows_lies_at_or_after_the_cut() -> None:
    assert cut_time(ROWS, SETTINGS, holdout=0.25) == moment(4)
    assert cut_time(ROWS, SETTINGS, holdout=0.5) == moment(3)
    # On the 4th two labels are known, those of the rows of the 1st and 3rd.
    assert cut_time(ROWS, SETTINGS, holdout=0.25, moment=moment(4)) == moment(3)


def test_rows_of_one_event_time_stay_together() -> None:
    rows = ROWS.with_columns(seen=pl.Series([date(2026, 1, day) for day in (1, 2, 2, 2)]))
    assert cut_time(rows, SETTINGS, holdout=0.25) == moment(2)


def test_there_is_always_something_older_than_the_cut() -> None:
    rows = ROWS.with_columns(seen=pl.Series([date(2026, 1, day) for day in (1, 1, 1, 2)]))
    assert cut_time(rows, SETTINGS, holdout=0.9) == moment(2)
    same = ROWS.with_columns(seen=pl.lit(date(2026, 1, 1)))
    assert cut_time(same, SETTINGS, holdout=0.25) is None
    assert cut_time(ROWS.clear(), SETTINGS, holdout=0.25) is None


def test_a_pair_learns_only_what_was_known_at_the_cut() -> None:
    views = view_pair(ROWS, SETTINGS, holdout=0.25)
    assert views.cut == moment(4)
    assert views.train.equals(as_of(ROWS, moment(4), SETTINGS))
    assert views.newer.equals(ROWS)
    assert views.warnings == ()


def test_a_pair_without_any_label_to_learn_from_says_so() -> None:
    rows = ROWS.with_columns(known=pl.lit(moment(9)))
    views = view_pair(rows, SETTINGS, holdout=0.25)
    assert "nothing to learn from" in views.warnings[0]


def test_a_pair_that_cannot_be_cut_keeps_nothing_for_judging() -> None:
    views = view_pair(ROWS.head(1), SETTINGS, holdout=0.25)
    assert (views.cut, views.newer.height) == (None, 0)
    assert "nothing can be kept for judging" in views.warnings[0]


def test_without_event_time_rows_are_split_by_content_the_same_way_each_time() -> None:
    rows = pl.DataFrame({"id": range(1000), "price": range(1000)})
    settings = DatasetSettings(key="id", label="price")
    views = view_pair(rows, settings, holdout=0.2, seed=3)
    again = view_pair(rows.reverse().with_columns(price=pl.lit(0)), settings, holdout=0.2, seed=3)
    other = view_pair(rows, settings, holdout=0.2, seed=4)
    assert set(views.train["id"]) == set(again.train["id"]) != set(other.train["id"])
    assert set(views.train["id"]) | set(views.newer["id"]) == set(range(1000))
    assert set(views.train["id"]) & set(views.newer["id"]) == set()
    assert 150 < views.newer.height < 250
    assert "not by time" in views.warnings[0]


def test_only_times_that_have_not_come_are_told() -> None:
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "day": [date(2026, 1, 5), date(2026, 1, 6), None],
            "at": [now, now + timedelta(seconds=1), now + timedelta(days=9)],
            "price": [1.0, 2.0, None],
        }
    )
    told = future_times(
        frame, DatasetSettings(event_time="day", label="price", label_time="at"), now=now
    )
    assert told == (
        "1 row with 'day' in the future, such as 2026-01-06",
        "1 row with 'at' in the future, such as 2026-01-05 12:00:01+00:00",
    )
    assert future_times(frame, DatasetSettings(event_time="price"), now=now) == ()


def test_what_is_asked_in_a_period_has_the_labels_of_its_beginning() -> None:
    asked = as_asked(ROWS, moment(3), moment(5), SETTINGS)
    assert asked["id"].to_list() == [1, 2, 3, 4]
    # That of 2 came later; that of 3 came at once, but after the beginning.
    assert asked["price"].to_list() == [10.0, None, None, None]
    assert asked["known"].to_list() == [moment(2), None, None, None]
    assert as_asked(ROWS, moment(3), moment(4), SETTINGS)["id"].to_list() == [1, 2, 3]


def test_a_period_of_no_length_is_the_view_of_its_moment() -> None:
    for day in (1, 2, 3, 5, 9):
        asked = as_asked(ROWS, moment(day), moment(day), SETTINGS)
        assert asked.equals(as_of(ROWS, moment(day), SETTINGS))


def test_labels_known_at_once_are_hidden_in_the_period_they_come_in() -> None:
    at_once = DatasetSettings(event_time="seen", label="price")
    asked = as_asked(ROWS, moment(3), moment(5), at_once)
    assert asked["price"].to_list() == [10.0, 20.0, None, None]
    assert asked["known"].to_list() == ROWS["known"].to_list()
