"""Mixed columns become the same numbers at training and at serving."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from bucle.errors import PackageError
from bucle.models.columns import Columns

FRAME = pl.DataFrame(
    {
        "size": [1.5, None, 3.0, 4.0],
        "kind": ["b", "a", None, "b"],
        "open": [True, False, None, True],
        "day": [dt.date(2024, 2, 29), None, dt.date(1970, 1, 2), dt.date(2024, 2, 29)],
        "at": [dt.datetime(2024, 2, 29, 13, 30, tzinfo=dt.UTC)] * 4,
        "took": [dt.timedelta(minutes=1, microseconds=500_000)] * 4,
        "nothing": [None] * 4,
    }
)


def test_words_come_first_and_the_most_frequent_has_number_zero():
    columns = Columns().fit(FRAME)
    assert columns.outputs == (
        "kind", "size", "open", "day", "day.month", "day.weekday",
        "at", "at.month", "at.weekday", "at.hour", "took", "nothing",
    )  # fmt: skip
    assert columns.words == 1
    matrix = columns.transform(FRAME)
    expected = [0, 1.5, 1, 19782, 2, 4, 19782 + 13.5 / 24, 2, 4, 13, 60.5, 0]
    np.testing.assert_allclose(matrix[0], expected)
    assert np.isnan(matrix[[1, 1, 2], [1, 3, 0]]).all()
    assert matrix[2, 3] == 1


def test_a_row_gives_the_same_numbers_alone_and_in_any_column_order():
    columns = Columns().fit(FRAME)
    whole = columns.transform(FRAME)
    shuffled = FRAME.select(reversed(FRAME.columns)).with_columns(extra=pl.lit("x"))
    for row in range(FRAME.height):
        np.testing.assert_array_equal(columns.transform(shuffled[row : row + 1])[0], whole[row])


def test_a_word_never_seen_is_missing_where_there_was_no_rest():
    columns = Columns().fit(FRAME)
    unseen = FRAME.with_columns(kind=pl.lit("zzz"))
    assert np.isnan(columns.transform(unseen)[:, 0]).all()


def test_a_word_never_seen_is_one_of_the_rest_where_there_was_one():
    words = [f"w{number:04d}" for number in range(300)]
    frame = pl.DataFrame({"kind": words + words[:200]})
    columns = Columns().fit(frame)
    numbers = columns.transform(pl.DataFrame({"kind": ["w0000", "w0199", "w0200", "new", None]}))
    np.testing.assert_array_equal(numbers[:, 0], [0, 199, 200, 200, np.nan])


def test_declared_codes_read_the_same_as_whole_numbers_and_as_floats():
    frame = pl.DataFrame({"code": [7, 9, 7]})
    columns = Columns(["code"]).fit(frame)
    assert columns.words == 1
    as_floats = frame.with_columns(pl.col("code").cast(pl.Float64))
    np.testing.assert_array_equal(columns.transform(as_floats), columns.transform(frame))


def test_a_column_that_held_nothing_takes_anything_later():
    columns = Columns().fit(FRAME)
    later = FRAME.with_columns(nothing=pl.lit("at last"))
    np.testing.assert_array_equal(columns.transform(later), columns.transform(FRAME))


def test_infinities_become_finite_and_keep_their_side():
    frame = pl.DataFrame({"x": [1.0, float("inf"), float("-inf")]})
    numbers = Columns().fit(frame).transform(frame)[:, 0]
    assert np.isfinite(numbers).all()
    assert numbers[2] < numbers[0] < numbers[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (FRAME.drop("size"), "'size' is missing"),
        (FRAME.with_columns(size=pl.lit("big")), "'size' holds String instead of a number"),
        (FRAME.with_columns(kind=pl.lit(1)), "'kind' holds Int32 instead of a word"),
        (FRAME.with_columns(day=pl.lit(1.0)), "'day' holds Float64 instead of a date"),
    ],
)
def test_says_which_column_does_not_fit(change, message):
    columns = Columns().fit(FRAME)
    with pytest.raises(PackageError, match=message) as caught:
        columns.transform(change)
    assert caught.value.code == "bucle-166"


def test_names_the_nearest_column_to_a_missing_one():
    columns = Columns().fit(FRAME)
    with pytest.raises(PackageError) as caught:
        columns.transform(FRAME.rename({"size": "Size "}))
    assert "Size " in caught.value.did_you_mean


@pytest.mark.parametrize(
    ("frame", "categories", "message"),
    [
        (pl.DataFrame({"parts": [[1, 2]]}), (), "'parts' is of type List"),
        (pl.DataFrame(), (), "no columns"),
        (FRAME, ("knd",), "no column 'knd'"),
    ],
)
def test_refuses_to_fit_what_it_cannot_read(frame, categories, message):
    with pytest.raises(PackageError, match=message) as caught:
        Columns(categories).fit(frame)
    assert caught.value.code == "bucle-167"


def test_refuses_to_transform_before_fitting_and_anything_but_a_frame():
    with pytest.raises(PackageError, match="not been fitted"):
        Columns().transform(FRAME)
    with pytest.raises(PackageError, match="got list"):
        Columns().fit(FRAME).transform([1])
