"""Frames go into tables and come back equal, or are refused with a word."""

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bucle.errors import RequestError
from bucle.store.dtypes import dtype_from_json, dtype_to_json, stored_dtype
from bucle.store.table_form import check_table_name, columns_of, from_stored, in_order_of, to_stored
from bucle.testing.samples import sample_frame


def test_sample_frame_survives_its_stored_form() -> None:
    frame = sample_frame()
    columns = columns_of(frame)
    stored = to_stored(frame, columns)
    assert_frame_equal(from_stored(stored, columns), frame)
    folded = [name.casefold() for name in stored.columns]
    assert len(set(folded)) == len(folded)
    assert not any("\0" in name for name in stored.columns)


def test_names_that_need_no_mending_keep_their_own() -> None:
    frame = pl.DataFrame({"a": [1], "A": [2], "column 1": [3], "b\0": [4]})
    assert [column.stored_name for column in columns_of(frame)] == [
        "a",
        "column 1'",
        "column 1",
        "column 3",
    ]


@pytest.mark.parametrize("dtype", list(sample_frame().schema.values()), ids=str)
def test_type_survives_being_written_as_json(dtype: pl.DataType) -> None:
    assert dtype_from_json(dtype_to_json(dtype)) == dtype


@pytest.mark.parametrize("value", ["Int9", [], ["Enum"], {"a": 1}, None, ["Struct", 3]])
def test_text_that_is_no_type_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no column type"):
        dtype_from_json(value)


@pytest.mark.parametrize("dtype", list(sample_frame().schema.values()), ids=str)
def test_stored_type_is_stored_as_itself(dtype: pl.DataType) -> None:
    stored = stored_dtype(dtype)
    assert stored is not None
    assert stored_dtype(stored) == stored


@pytest.mark.parametrize(
    "dtype",
    [pl.Object(), pl.Struct([]), pl.List(pl.Object()), pl.Struct({"a": pl.Int8, "A": pl.Int8})],
    ids=str,
)
def test_type_that_nothing_holds_is_told(dtype: pl.DataType) -> None:
    assert stored_dtype(dtype) is None


@pytest.mark.parametrize(
    "series",
    [
        pl.Series("when", [1], dtype=pl.Datetime("ns")),
        pl.Series("when", [[1]], dtype=pl.List(pl.Datetime("ns"))),
        pl.Series("when", [2**127 - 1], dtype=pl.Int128),
    ],
)
def test_value_that_would_change_is_refused_by_column(series: pl.Series) -> None:
    frame = series.to_frame()
    with pytest.raises(RequestError, match="'when'") as refusal:
        to_stored(frame, columns_of(frame))
    assert refusal.value.code == "bucle-307"


def test_other_columns_are_named() -> None:
    columns = columns_of(pl.DataFrame({"a": [1], "b": ["x"]}))
    with pytest.raises(RequestError) as refusal:
        in_order_of(columns, pl.DataFrame({"a": [date(2026, 1, 2)], "c": [1]}), name="sales")
    assert "'a' is Date" in refusal.value.cause
    assert "'b' is absent, was String" in refusal.value.cause
    assert "'c' is Int64, was absent" in refusal.value.cause


@pytest.mark.parametrize("name", ["sales", "sales.quarantine", "_x", "0", "a-b_c.d", "x" * 120])
def test_plain_names_are_taken(name: str) -> None:
    check_table_name(name)
