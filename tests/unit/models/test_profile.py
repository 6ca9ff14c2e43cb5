"""A profile says what columns looked like, and typical rows can be made from it."""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

from bucle.models.profile import profile_of, sample_rows

FRAME = pl.DataFrame(
    {
        "size": [1.0, 2.0, 3.0, None, float("nan"), 1000.0],
        "kind": ["b", "b", "a", None, "c", "a"],
        "open": [True, None, False, True, True, True],
        "day": [dt.date(2024, 1, 1), None, dt.date(2024, 3, 1)] * 2,
        "took": [dt.timedelta(seconds=90)] * 6,
        "none": [None] * 6,
    }
)


def test_describes_each_kind_of_column():
    columns = profile_of(FRAME)["columns"]
    assert columns["size"]["nulls"] == 1
    assert columns["size"]["not_finite"] == 1
    assert (columns["size"]["low"], columns["size"]["high"]) == (1.0, 1000.0)
    assert columns["size"]["quantiles"]["0.5"] == 2.5
    assert columns["kind"]["top"] == [["a", 2], ["b", 2], ["c", 1]]
    assert (columns["kind"]["rest"], columns["kind"]["different"]) == (0, 3)
    assert columns["open"]["yes"] == 4
    assert columns["day"]["first"] == "2024-01-01T00:00:00.000000Z"
    assert columns["took"]["quantiles"]["0.5"] == 90.0
    assert columns["none"] == {"kind": "empty", "nulls": 6}


def test_mean_and_deviation_are_winsorised():
    values = np.arange(1000.0)
    calm = profile_of(pl.DataFrame({"x": values}))["columns"]["x"]
    values[-10:] = 1e9
    wild = profile_of(pl.DataFrame({"x": values}))["columns"]["x"]
    assert wild["mean"] == calm["mean"]
    assert wild["deviation"] == calm["deviation"]


def test_counts_rare_words_as_the_rest():
    words = [f"w{number:02d}" for number in range(30)]
    column = profile_of(pl.DataFrame({"kind": words}))["columns"]["kind"]
    assert len(column["top"]) == 20
    assert (column["rest"], column["different"]) == (10, 30)


def test_is_plain_json():
    assert json.loads(json.dumps(profile_of(FRAME), allow_nan=False)) == profile_of(FRAME)
    assert profile_of(FRAME.clear())["rows"] == 0


@pytest.mark.parametrize("frame", [FRAME, FRAME.clear()], ids=["rows", "no rows"])
def test_typical_rows_have_the_types_asked_for(frame):
    dtypes = dict(FRAME.schema)
    rows = sample_rows(profile_of(frame), dtypes)
    assert rows.schema == FRAME.schema
    assert rows.height == 2


def test_typical_rows_are_taken_from_the_profile():
    rows = sample_rows(profile_of(FRAME), dict(FRAME.schema))
    assert rows["kind"].to_list() == ["a", "b"]
    assert rows["day"].to_list() == [dt.date(2024, 1, 1), dt.date(2024, 3, 1)]
    assert rows["size"].null_count() == 0
    assert rows["took"].to_list() == [dt.timedelta(seconds=90)] * 2
