"""Rows are checked against the signature before a model sees them."""

import datetime as dt

import polars as pl
import pytest

from bucle.errors import PackageError
from bucle.models.signature import conform, dtypes_of, signature_of

FRAME = pl.DataFrame(
    {
        "size": [1.5, 2.0],
        "count": [1, 2],
        "kind": ["a", None],
        "day": [dt.date(2024, 1, 1), dt.date(2024, 1, 2)],
        "at": [dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC)] * 2,
        "took": [dt.timedelta(hours=1)] * 2,
    }
)
SIGNATURE = signature_of(FRAME, kind="regression", target="price")


def test_names_types_as_people_write_them():
    assert [(feature.name, feature.dtype) for feature in SIGNATURE.features] == [
        ("size", "Float64"),
        ("count", "Int64"),
        ("kind", "String"),
        ("day", "Date"),
        ("at", "Datetime[us, UTC]"),
        ("took", "Duration[us]"),
    ]
    assert list(dtypes_of(SIGNATURE).values()) == list(FRAME.dtypes)


def test_returns_exactly_the_columns_of_the_signature():
    mixed = FRAME.select(reversed(FRAME.columns)).with_columns(extra=pl.lit(1))
    assert conform(SIGNATURE, mixed).equals(FRAME)


@pytest.mark.parametrize(
    "change",
    [
        {"count": pl.Series([1, 2], dtype=pl.UInt8)},
        {"count": pl.Series([1.0, 2.0])},
        {"kind": pl.Series(["a", None], dtype=pl.Categorical)},
        {"day": pl.Series([dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2)])},  # noqa: DTZ001
        {"at": pl.Series([dt.datetime(2024, 1, 1, 5)] * 2)},  # noqa: DTZ001
    ],
    ids=["smaller", "decimal", "categorical", "moment", "no zone"],
)
def test_takes_another_type_of_the_same_values(change):
    assert conform(SIGNATURE, FRAME.with_columns(**change)).equals(FRAME)


def test_whole_numbers_become_numbers_with_decimals():
    frame = conform(SIGNATURE, FRAME.with_columns(size=pl.Series([3, 4])))
    assert frame["size"].to_list() == [3.0, 4.0]
    assert frame.schema == FRAME.schema


@pytest.mark.parametrize("name", FRAME.columns)
def test_a_column_of_nulls_fits_anything(name):
    frame = conform(SIGNATURE, FRAME.with_columns(pl.lit(None).alias(name)))
    assert frame.schema == FRAME.schema
    assert frame[name].null_count() == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": pl.lit("1.5")}, "'size' holds String instead of Float64"),
        ({"kind": pl.lit(1)}, "'kind' holds Int32 instead of String"),
        ({"day": pl.lit(1.0)}, "'day' holds Float64 instead of Date"),
        ({"count": pl.lit(1.5)}, "'count' holds Float64 values that are no Int64"),
        ({"count": pl.lit(float("nan"))}, "'count' holds Float64 values that are no Int64"),
        ({"took": pl.lit(1)}, "'took' holds Int32 instead of"),
    ],
)
def test_says_which_column_is_of_another_type(change, message):
    with pytest.raises(PackageError) as caught:
        conform(SIGNATURE, FRAME.with_columns(**change))
    assert message in caught.value.cause
    assert caught.value.code == "bucle-166"


def test_names_every_missing_column_and_the_nearest():
    with pytest.raises(PackageError) as caught:
        conform(SIGNATURE, FRAME.rename({"size": "Size", "took": "t"}))
    assert "'size' is missing" in caught.value.cause
    assert "'took' is missing" in caught.value.cause
    assert caught.value.did_you_mean == ("Size",)


def test_refuses_a_column_no_request_can_carry():
    with pytest.raises(PackageError, match="List"):
        signature_of(pl.DataFrame({"parts": [[1]]}), kind="regression", target="x")
