"""Fingerprints and merges treat rows as a multiset."""

import math
from collections import Counter
from collections.abc import Hashable

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from strategies_data import frames

from bucle.data.fingerprint import fingerprint, row_digests
from bucle.data.merging import merge_by_key, unite_rows


def counted(frame: pl.DataFrame) -> Counter[Hashable]:
    return Counter(tuple(map(plain, row)) for row in frame.iter_rows())


def plain(value: object) -> object:
    """Give equal values one form: NaN is one value and zero has no sign."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    return value


@given(frames(), frames())
def test_fingerprints_are_equal_exactly_when_the_multisets_are(
    one: pl.DataFrame, other: pl.DataFrame
) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (counted(one) == counted(other))


@given(frames(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_order_and_chunks_leave_a_fingerprint_as_it_is(
    frame: pl.DataFrame, random: object, pieces: int
) -> None:
    order = list(range(frame.height))
    random.shuffle(order)
    mixed = frame[order]
    size = max(1, frame.height // pieces)
    parts = [mixed.slice(start, size) for start in range(0, frame.height, size)]
    layout = pl.concat([frame.clear(), *parts], rechunk=False)
    assert fingerprint(layout.select("t", "n", "x")) == fingerprint(frame)


@given(frames(), st.data())
def test_any_changed_cell_changes_the_fingerprint(frame: pl.DataFrame, data: st.DataObject) -> None:
    if frame.is_empty():
        return
    row = data.draw(st.integers(0, frame.height - 1))
    column = data.draw(st.sampled_from(frame.columns))
    fresh = {"n": 99, "x": 99.5, "t": "zz"}[column]
    index = pl.int_range(pl.len()) == row
    changed = frame.with_columns(pl.when(index).then(pl.lit(fresh)).otherwise(column).alias(column))
    assert fingerprint(changed) != fingerprint(frame)


@given(frames())
def test_row_digests_are_equal_exactly_when_rows_are(frame: pl.DataFrame) -> None:
    rows = [tuple(map(plain, row)) for row in frame.iter_rows()]
    assert len(set(row_digests(frame))) == len(set(rows))


@given(frames(), frames())
def test_a_union_has_each_row_as_often_as_the_side_that_has_it_most(
    old: pl.DataFrame, new: pl.DataFrame
) -> None:
    merged = unite_rows(old, new)
    assert counted(merged.frame) == counted(old) | counted(new)
    assert merged.added + merged.unchanged == new.height
    assert unite_rows(merged.frame, new).added == 0
    assert fingerprint(unite_rows(new, old).frame) == fingerprint(merged.frame)


@given(frames(), frames())
def test_an_upsert_holds_the_new_rows_and_the_untouched_old_ones(
    old: pl.DataFrame, new: pl.DataFrame
) -> None:
    old, new = (f.drop_nulls("n").unique("n", maintain_order=True) for f in (old, new))
    merged = merge_by_key(old, new, key=["n"])
    untouched = old.join(new, on="n", how="anti")
    assert counted(merged.frame) == counted(new) + counted(untouched)
    assert merged.added + merged.changed + merged.unchanged == new.height
    again = merge_by_key(merged.frame, new, key=["n"])
    assert (again.added, again.changed) == (0, 0)
    assert again.frame.equals(merged.frame)
