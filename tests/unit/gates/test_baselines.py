from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from bucle.errors import EvidenceError, UnknownNameError
from bucle.gates.baselines import BaselineColumns, last_labels, predict_baselines

_COLUMNS = BaselineColumns(target="price", key="item", event_time="quoted", label_time="known")


def _day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def _frame(*rows: tuple[str | None, int | None, int | None, float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item": [row[0] for row in rows],
            "quoted": [None if row[1] is None else _day(row[1]) for row in rows],
            "known": [None if row[2] is None else _day(row[2]) for row in rows],
            "price": [row[3] for row in rows],
        },
        schema={
            "item": pl.String,
            "quoted": pl.Datetime("us", "UTC"),
            "known": pl.Datetime("us", "UTC"),
            "price": pl.Float64,
        },
    )


def test_the_last_label_is_the_last_one_known_when_it_was_due() -> None:
    history = _frame(("a", 1, 3, 10.0), ("a", 2, 9, 20.0), ("b", 1, 2, 99.0))
    asked = _frame(("a", 2, None, None), ("a", 3, None, None), ("a", 8, None, None))
    found = last_labels(asked, history, columns=_COLUMNS)
    np.testing.assert_array_equal(found, [np.nan, 10.0, 10.0])
    later = last_labels(_frame(("a", 9, None, None)), history, columns=_COLUMNS)
    np.testing.assert_array_equal(later, [20.0])


def test_a_row_does_not_know_its_own_label() -> None:
    rows = _frame(("a", 5, 5, 10.0), ("a", 6, 6, 20.0))
    found = last_labels(rows, rows, columns=_COLUMNS)
    np.testing.assert_array_equal(found, [np.nan, 10.0])


def test_labels_known_at_once_are_known_to_later_rows_only() -> None:
    rows = _frame(("a", 5, None, 10.0), ("a", 5, None, 30.0), ("a", 6, None, 20.0))
    columns = BaselineColumns(target="price", key="item", event_time="quoted")
    found = last_labels(rows, rows, columns=columns)
    np.testing.assert_array_equal(found, [np.nan, np.nan, 20.0])


def test_a_label_that_never_arrived_is_not_known() -> None:
    rows = _frame(("a", 1, None, 10.0), ("a", 9, None, None))
    assert np.isnan(last_labels(rows, rows, columns=_COLUMNS)).all()


def test_rows_without_key_or_time_have_no_last_label() -> None:
    history = _frame(("a", 1, 2, 10.0), (None, 1, 2, 20.0))
    asked = _frame((None, 9, None, None), ("a", None, None, None), ("a", 9, None, None))
    found = last_labels(asked, history, columns=_COLUMNS)
    np.testing.assert_array_equal(found, [np.nan, np.nan, 10.0])


def test_numbers_are_keys_and_dates_are_times() -> None:
    frame = pl.DataFrame(
        {"item": [1, 1, 2], "day": [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]}
    ).with_columns(price=pl.Series([5, 6, 7]))
    columns = BaselineColumns(target="price", key="item", event_time="day")
    found = last_labels(frame, frame, columns=columns)
    np.testing.assert_array_equal(found, [np.nan, 5.0, np.nan])


def test_falls_back_to_the_median_of_the_training_labels() -> None:
    train = _frame(("a", 1, 2, 10.0), ("b", 1, 2, 20.0), ("c", 1, 2, 60.0))
    newer = _frame(("a", 8, 9, 11.0), ("new", 8, 9, 12.0))
    found = predict_baselines(["median", "last"], train, newer, columns=_COLUMNS, kind="regression")
    assert list(found) == ["median", "last"]
    assert found["median"].tolist() == [20.0, 20.0]
    assert found["last"].tolist() == [10.0, 20.0]


def test_newer_labels_move_no_constant() -> None:
    train = _frame(("a", 1, 2, 10.0), ("b", 1, 2, 20.0))
    newer = _frame(("a", 8, 9, 1e9), ("b", 8, 9, 1e9))
    found = predict_baselines(["median"], train, newer, columns=_COLUMNS, kind="regression")
    assert found["median"].tolist() == [15.0, 15.0]


def test_newer_rows_learn_from_newer_labels_that_were_known() -> None:
    train = _frame(("a", 1, 2, 10.0))
    newer = _frame(("a", 5, 6, 50.0), ("a", 7, 8, 70.0))
    found = predict_baselines(["last"], train, newer, columns=_COLUMNS, kind="regression")
    assert found["last"].tolist() == [10.0, 50.0]


@pytest.mark.parametrize("missing", ["key", "event_time"])
def test_without_key_or_time_the_last_label_is_not_offered(missing: str) -> None:
    words = {"target": "price", "key": "item", "event_time": "quoted", missing: None}
    train = _frame(("a", 1, 2, 10.0))
    found = predict_baselines(
        ["median", "last"], train, train, columns=BaselineColumns(**words), kind="regression"
    )
    assert list(found) == ["median"]


def test_a_yes_no_target_gets_rates() -> None:
    train = _frame(
        ("a", 1, 1, 1.0), ("a", 2, 2, 1.0), ("a", 3, 3, 1.0), ("b", 1, 1, 0.0), ("b", 2, 2, 0.0)
    )
    newer = _frame(("a", 9, 9, 1.0), ("b", 9, 9, 0.0), ("c", 9, 9, 0.0))
    found = predict_baselines(
        ["median", "last"], train, newer, columns=_COLUMNS, kind="classification"
    )
    assert found["median"].tolist() == [0.6] * 3
    # Two training rows follow a yes and are yes, one follows a no and is no.
    assert found["last"].tolist() == pytest.approx([2.6 / 3, 0.6 / 2, 0.6])


def test_yes_and_no_may_be_boolean() -> None:
    train = _frame(("a", 1, 1, 1.0), ("b", 2, 2, 0.0)).with_columns(pl.col("price") > 0)
    found = predict_baselines(["median"], train, train, columns=_COLUMNS, kind="classification")
    assert found["median"].tolist() == [0.5, 0.5]


def test_an_unknown_baseline_is_named_with_the_nearest() -> None:
    train = _frame(("a", 1, 2, 10.0))
    with pytest.raises(UnknownNameError) as caught:
        predict_baselines(["medium"], train, train, columns=_COLUMNS, kind="regression")
    assert caught.value.did_you_mean == ("median",)


def test_no_training_label_is_refused() -> None:
    train = _frame(("a", 1, 2, None))
    with pytest.raises(EvidenceError, match="no training row has a label"):
        predict_baselines(["median"], train, train, columns=_COLUMNS, kind="regression")


def test_a_missing_column_is_named_with_the_nearest() -> None:
    train = _frame(("a", 1, 2, 10.0))
    columns = BaselineColumns(target="price", key="itm", event_time="quoted")
    with pytest.raises(EvidenceError) as caught:
        predict_baselines(["last"], train, train, columns=columns, kind="regression")
    assert caught.value.did_you_mean == ("item",)


def test_words_are_no_target_and_no_time() -> None:
    train = _frame(("a", 1, 2, 10.0))
    with pytest.raises(EvidenceError, match="the target is of type String"):
        predict_baselines(
            ["median"], train, train, columns=BaselineColumns(target="item"), kind="regression"
        )
    words = BaselineColumns(target="price", key="item", event_time="item")
    with pytest.raises(EvidenceError, match="the times are of type String"):
        predict_baselines(["last"], train, train, columns=words, kind="regression")


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = _frame(("a", 1, 3, 10.0), ("a", 2, 3, 20.0), ("a", 2, 3, 40.0), ("a", 5, 6, 50.0))
    found = last_labels(rows, rows, columns=_COLUMNS)
    back = last_labels(rows.reverse(), rows.reverse(), columns=_COLUMNS)
    np.testing.assert_array_equal(found, back[::-1])
    assert found[3] == 30.0
