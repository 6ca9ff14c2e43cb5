"""New rows merge with those that are there."""

from datetime import date, datetime

import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.data.merging import align_rows, merge_by_key, unite_rows
from bucle.errors import ContractError

OLD = pl.DataFrame({"id": [1, 2, 3], "price": [1.0, None, float("nan")]})


def test_a_key_adds_changes_or_leaves() -> None:
    new = pl.DataFrame({"id": [3, 2, 4], "price": [float("nan"), 5.0, 6.0]})
    merged = merge_by_key(OLD, new, key=["id"])
    assert (merged.added, merged.changed, merged.unchanged) == (1, 1, 1)
    assert merged.frame["id"].to_list() == [1, 2, 3, 4]
    assert merged.frame["price"].to_list()[1] == 5.0
    assert merged.fresh["id"].to_list() == [4]


def test_null_is_a_value_that_changes() -> None:
    new = pl.DataFrame({"id": [1, 2], "price": [None, None]}, schema=OLD.schema)
    merged = merge_by_key(OLD, new, key=["id"])
    assert (merged.changed, merged.unchanged) == (1, 1)


def test_an_empty_side_changes_nothing() -> None:
    assert merge_by_key(OLD, OLD.clear(), key=["id"]).frame.equals(OLD)
    assert merge_by_key(OLD.clear(), OLD, key=["id"]).added == 3
    assert unite_rows(OLD.clear(), OLD).added == 3
    assert unite_rows(OLD, OLD.clear()).added == 0


def test_a_key_shared_in_the_current_version_is_refused() -> None:
    twice = pl.concat([OLD, OLD.head(1)])
    with pytest.raises(ContractError, match="share it"):
        merge_by_key(twice, OLD, key=["id"])


def test_a_multiset_takes_the_larger_count() -> None:
    old = pl.DataFrame({"a": [None, 1.0, float("nan"), -0.0]})
    new = pl.DataFrame({"a": [None, None, float("nan"), 0.0, 1.0, 2.0]})
    merged = unite_rows(old, new)
    assert (merged.added, merged.unchanged) == (2, 4)
    assert unite_rows(merged.frame, new).added == 0


def test_old_rows_take_the_shape_of_a_new_contract() -> None:
    schema = pl.Schema({"id": pl.Int32(), "shop": pl.String()})
    aligned, notes = align_rows(OLD, schema=schema, settings=DatasetSettings())
    assert aligned.rows() == [(1, None), (2, None), (3, None)]
    assert len(notes) == 2


def test_an_old_value_that_its_new_type_cannot_hold_is_not_changed() -> None:
    schema = pl.Schema({"id": pl.Int64()})
    for value in ("x", 1.5, 2.0**70):
        old = OLD.with_columns(id=pl.lit(value))
        with pytest.raises(ContractError, match="3 values of the current version would be lost"):
            align_rows(old, schema=schema, settings=DatasetSettings())
    aligned, _ = align_rows(
        OLD.with_columns(id=pl.lit("7")), schema=schema, settings=DatasetSettings()
    )
    assert aligned["id"].to_list() == [7, 7, 7]


def test_old_moments_that_become_dates_are_told() -> None:
    old = pl.DataFrame({"at": [datetime(2026, 1, 2, 3), datetime(2026, 1, 3)]})  # noqa: DTZ001
    aligned, notes = align_rows(
        old, schema=pl.Schema({"at": pl.Date()}), settings=DatasetSettings()
    )
    assert aligned["at"].to_list() == [date(2026, 1, 2), date(2026, 1, 3)]
    assert notes == ("column 'at': 1 old value became date without its time",)
