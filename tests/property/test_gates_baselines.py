from datetime import datetime, timedelta
from statistics import median

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from strategies_gates import histories

from bucle.gates.baselines import BaselineColumns, last_labels, predict_baselines

_COLUMNS = BaselineColumns(target="label", key="key", event_time="event", label_time="known")


def _usable(past: dict) -> tuple[datetime, datetime]:
    """Return from when on a label could be used, and its event for ties."""
    return max(past["known"], past["event"] + timedelta(microseconds=1)), past["event"]


def _look_back(row: dict, history: list[dict]) -> float:
    """Find the last known label the slow and obvious way."""
    if row["key"] is None or row["event"] is None:
        return np.nan
    seen = [
        past
        for past in history
        if past["key"] == row["key"]
        and None not in {past["event"], past["known"], past["label"]}
        and past["event"] < row["event"]
        and past["known"] <= row["event"]
    ]
    if not seen:
        return np.nan
    latest = max(_usable(past) for past in seen)
    return float(median(past["label"] for past in seen if _usable(past) == latest))


@given(rows=histories(), history=histories())
def test_the_last_label_is_what_a_patient_clerk_would_find(
    rows: pl.DataFrame, history: pl.DataFrame
) -> None:
    found = last_labels(rows, history, columns=_COLUMNS)
    past = history.to_dicts()
    expected = [_look_back(row, past) for row in rows.to_dicts()]
    np.testing.assert_array_equal(found, np.array(expected, dtype=np.float64))


@given(rows=histories(), history=histories(), day=st.integers(min_value=0, max_value=12))
def test_no_prediction_looks_ahead(rows: pl.DataFrame, history: pl.DataFrame, day: int) -> None:
    moment = datetime.fromisoformat("2026-01-01T00:00:00Z") + timedelta(days=day)
    due = rows.filter(pl.col("event") <= moment)
    # Whatever was not known by the moment is scrambled; no prediction due by then may notice.
    later = (pl.col("event") >= moment) | (pl.col("known") > moment)
    scrambled = history.with_columns(
        pl.when(later).then(pl.col("label") * -1000 - 7).otherwise(pl.col("label")).alias("label")
    )
    before = last_labels(due, history, columns=_COLUMNS)
    after = last_labels(due, scrambled, columns=_COLUMNS)
    np.testing.assert_array_equal(before, after)


@given(rows=histories(), history=histories(), seed=st.integers(min_value=0, max_value=99))
def test_the_order_of_the_history_does_not_matter(
    rows: pl.DataFrame, history: pl.DataFrame, seed: int
) -> None:
    shuffled = history.sample(fraction=1.0, shuffle=True, seed=seed)
    before = last_labels(rows, history, columns=_COLUMNS)
    np.testing.assert_array_equal(before, last_labels(rows, shuffled, columns=_COLUMNS))


@given(train=histories(least=1), newer=histories())
def test_every_row_gets_a_finite_prediction(train: pl.DataFrame, newer: pl.DataFrame) -> None:
    train = train.with_columns(pl.col("label").fill_null(1.0))
    found = predict_baselines(["median", "last"], train, newer, columns=_COLUMNS, kind="regression")
    for values in found.values():
        assert values.shape == (newer.height,)
        assert np.isfinite(values).all()


@given(train=histories(least=1), newer=histories())
def test_baselines_of_a_yes_no_target_are_probabilities(
    train: pl.DataFrame, newer: pl.DataFrame
) -> None:
    train, newer = (
        frame.with_columns((pl.col("label").fill_null(1.0) > 0).alias("label"))
        for frame in (train, newer)
    )
    found = predict_baselines(
        ["median", "last"], train, newer, columns=_COLUMNS, kind="classification"
    )
    for values in found.values():
        assert ((values >= 0) & (values <= 1)).all()
