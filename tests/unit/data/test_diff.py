"""What changed between two versions."""

from datetime import date

import polars as pl
import pytest

from bucle.data.diff import diff_versions
from bucle.errors import ContractError, UnknownNameError

OLD = pl.DataFrame({"id": ["a", "b", "c"], "price": [1.0, None, 3.0], "size": [1, 2, 3]})


def test_counts_rows_by_key_and_cells_by_column() -> None:
    new = pl.DataFrame({"id": ["d", "c", "b"], "price": [9.0, 3.5, None], "size": [1, 4, 2]})
    found = diff_versions(OLD, new, key=["id"])
    assert (found.added, found.removed, found.changed) == (1, 1, 1)
    assert found.columns == {"price": 1, "size": 1}


def test_shows_only_the_cells_that_differ() -> None:
    new = OLD.with_columns(price=pl.Series([1.0, 2.0, 3.0]))
    (change,) = diff_versions(OLD, new, key=["id"]).examples
    assert (change.kind, change.key) == ("changed", {"id": "b"})
    assert (change.before, change.after) == ({"price": None}, {"price": 2.0})


@pytest.mark.parametrize("key", [["id"], []])
def test_sees_no_difference_in_the_same_rows_in_another_order(key: list[str]) -> None:
    found = diff_versions(OLD, OLD.reverse().select("size", "id", "price"), key=key)
    assert (found.added, found.removed, found.changed, found.columns) == (0, 0, 0, {})
    assert found.examples == ()


def test_treats_nan_as_equal_to_nan_and_not_to_null() -> None:
    old = pl.DataFrame({"id": [1, 2], "x": [float("nan"), float("nan")]})
    new = pl.DataFrame({"id": [1, 2], "x": [float("nan"), None]})
    assert diff_versions(old, new, key=["id"]).columns == {"x": 1}
    unkeyed = diff_versions(old.select("x"), new.select("x"))
    assert (unkeyed.added, unkeyed.removed) == (1, 1)


def test_matches_rows_by_a_key_that_holds_nulls() -> None:
    old = pl.DataFrame({"a": [None, 1], "b": [1, 1], "x": [1, 2]})
    new = old.with_columns(x=pl.Series([1, 3]))
    found = diff_versions(old, new, key=["a", "b"])
    assert (found.added, found.removed, found.changed) == (0, 0, 1)


def test_counts_repeated_rows_without_a_key() -> None:
    old = pl.DataFrame({"x": [1, 1, 2]})
    new = pl.DataFrame({"x": [1, 3, 3]})
    found = diff_versions(old, new)
    assert (found.added, found.removed, found.changed) == (2, 2, 0)
    assert [change.kind for change in found.examples] == ["added", "removed", "removed"]


def test_names_columns_that_only_one_version_has() -> None:
    new = OLD.drop("size").with_columns(colour=pl.lit("red"))
    found = diff_versions(OLD, new, key=["id"])
    assert (found.columns_added, found.columns_removed) == (("colour",), ("size",))
    assert found.changed == 0


def test_compares_values_where_a_column_changed_its_type() -> None:
    new = OLD.with_columns(pl.col("size").cast(pl.Float64), pl.col("id").cast(pl.Categorical))
    assert diff_versions(OLD, new, key=["id"]).changed == 0
    as_text = OLD.with_columns(pl.Series("size", ["1", "2", "three"]))
    assert diff_versions(OLD, as_text, key=["id"]).columns == {"size": 1}


def test_shows_dates_as_text_and_no_more_examples_than_asked_for() -> None:
    old = pl.DataFrame({"id": range(9), "day": [date(2026, 1, 1)] * 9})
    new = old.with_columns(day=pl.lit(date(2026, 1, 2)))
    found = diff_versions(old, new, key=["id"], examples=2)
    assert found.changed == 9
    assert [change.after for change in found.examples] == [{"day": "2026-01-02"}] * 2


def test_compares_empty_versions() -> None:
    found = diff_versions(OLD.clear(), OLD, key=["id"])
    assert (found.added, found.removed, found.changed) == (3, 0, 0)
    assert diff_versions(OLD, OLD.clear()).removed == 3


def test_names_the_nearest_column_for_a_missing_key() -> None:
    with pytest.raises(UnknownNameError, match="no column 'idd'") as raised:
        diff_versions(OLD, OLD, key=["idd"])
    assert raised.value.did_you_mean == ("id",)


def test_refuses_a_key_that_is_not_unique() -> None:
    with pytest.raises(ContractError, match="not unique in the new version"):
        diff_versions(OLD, pl.concat([OLD, OLD]), key=["id"])
