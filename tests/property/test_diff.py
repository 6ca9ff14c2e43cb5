"""A difference accounts for every row and every cell."""

import polars as pl
from hypothesis import given
from strategies_comparison import keyed_frames

from bucle.data.diff import diff_versions


@given(old=keyed_frames(), new=keyed_frames())
def test_accounts_for_every_row(old: pl.DataFrame, new: pl.DataFrame) -> None:
    keyed = diff_versions(old, new, key=["id"])
    assert old.height - keyed.removed + keyed.added == new.height
    unkeyed = diff_versions(old, new)
    assert old.height - unkeyed.removed + unkeyed.added == new.height
    assert unkeyed.added == keyed.added + keyed.changed
    assert unkeyed.removed == keyed.removed + keyed.changed


@given(old=keyed_frames(), new=keyed_frames())
def test_is_the_mirror_of_the_way_back(old: pl.DataFrame, new: pl.DataFrame) -> None:
    there, back = diff_versions(old, new, key=["id"]), diff_versions(new, old, key=["id"])
    assert (there.added, there.removed) == (back.removed, back.added)
    assert (there.changed, there.columns) == (back.changed, back.columns)


@given(frame=keyed_frames())
def test_finds_nothing_between_a_version_and_itself(frame: pl.DataFrame) -> None:
    found = diff_versions(frame, frame.reverse(), key=["id"])
    assert (found.added, found.removed, found.changed, found.columns) == (0, 0, 0, {})


@given(frame=keyed_frames())
def test_counts_the_one_cell_that_was_edited(frame: pl.DataFrame) -> None:
    edited = frame.with_columns(
        word=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("edited")).otherwise("word")
    )
    found = diff_versions(frame, edited, key=["id"])
    assert found.columns == ({"word": 1} if frame.height else {})
