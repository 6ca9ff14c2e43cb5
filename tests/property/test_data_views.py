"""No view can be changed by what comes after its moment."""

from datetime import datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from strategies_data import histories, moments

from bucle.charter.settings import DatasetSettings
from bucle.data.fingerprint import fingerprint
from bucle.data.views import as_of, cut_time, view_pair

SETTINGS = DatasetSettings(event_time="seen", label="price", label_time="known", key="id")
later = st.none() | moments


@given(histories(), moments, st.data())
def test_later_rows_and_labels_leave_a_view_bit_for_bit_as_it_is(
    rows: pl.DataFrame, at: datetime, data: st.DataObject
) -> None:
    view = as_of(rows, at, SETTINGS)
    changed = []
    for row in rows.iter_rows(named=True):
        if row["seen"] >= at:
            if data.draw(st.booleans()):
                continue
            row |= {"price": data.draw(st.floats(-9, 9)), "known": data.draw(later)}
        elif row["known"] is None or row["known"] > at:
            new = data.draw(later)
            # What is only known later may become anything that is still only known later.
            late = new if new is None or new > at else None
            row |= {"price": data.draw(st.floats(-9, 9)), "known": late}
        changed.append(row)
    other = as_of(pl.DataFrame(changed, schema=rows.schema), at, SETTINGS)
    assert other.equals(view)
    assert fingerprint(other) == fingerprint(view)


@given(histories(), moments, moments)
def test_a_later_view_only_adds(rows: pl.DataFrame, one: datetime, two: datetime) -> None:
    early, late = as_of(rows, min(one, two), SETTINGS), as_of(rows, max(one, two), SETTINGS)
    assert set(early["id"]) <= set(late["id"])
    known = early.filter(pl.col("price").is_not_null())
    assert known.join(late, on=known.columns, how="anti", nulls_equal=True).is_empty()
    assert as_of(late, min(one, two), SETTINGS).equals(early)


@given(histories(), st.floats(0.05, 0.9))
def test_the_cut_keeps_its_share_and_something_to_learn_from(
    rows: pl.DataFrame, holdout: float
) -> None:
    labelled = as_of(rows, None, SETTINGS).filter(pl.col("price").is_not_null())
    cut = cut_time(rows, SETTINGS, holdout=holdout)
    if cut is None:
        assert labelled["seen"].n_unique() <= 1
        return
    newer = labelled.filter(pl.col("seen") >= cut).height
    assert 0 < newer < labelled.height
    smallest = labelled.filter(pl.col("seen") > labelled["seen"].min()).height
    assert newer >= min(holdout * labelled.height - 1e-6, smallest)


@given(histories(), st.floats(0.05, 0.9))
def test_nothing_that_judges_was_learned(rows: pl.DataFrame, holdout: float) -> None:
    views = view_pair(rows, SETTINGS, holdout=holdout)
    if views.cut is not None:
        judged = views.newer.filter(pl.col("seen") >= views.cut)
        assert set(judged["id"]) & set(views.train["id"]) == set()
        assert (views.train["known"].drop_nulls() <= views.cut).all()
        assert (views.train["seen"] < views.cut).all()


@given(histories(), st.floats(0.05, 0.9), st.integers(0, 3))
def test_a_split_by_content_loses_and_doubles_nothing(
    rows: pl.DataFrame, holdout: float, seed: int
) -> None:
    views = view_pair(rows, DatasetSettings(key="id"), holdout=holdout, seed=seed)
    assert sorted([*views.train["id"], *views.newer["id"]]) == rows["id"].to_list()
