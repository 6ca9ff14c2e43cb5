"""What was answered lately shows only the quick labels yet."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from bucle.loop.ripeness import usual_wait
from bucle.serve.records import PredictionIds

BEGAN = datetime(2025, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def feedback(waits: list[tuple[float, float]]) -> pl.DataFrame:
    """Return labels of answers given some days after the beginning, each after its wait."""
    ids = PredictionIds()
    told = [
        (
            ids.take(now_ms=int((BEGAN + day * DAY).timestamp() * 1000))[0],
            BEGAN + (day + wait) * DAY,
        )
        for day, wait in waits
    ]
    return pl.DataFrame(
        told, schema={"id": pl.String(), "at": pl.Datetime("us", "UTC")}, orient="row"
    )


def test_nothing_is_waited_for_where_no_label_ever_came() -> None:
    assert usual_wait(feedback([]), BEGAN) == timedelta(0)


def test_nine_in_ten_of_the_labels_of_old_answers_count() -> None:
    waits = [(float(day), 1.0 if day % 4 else 12.0) for day in range(100)]
    assert usual_wait(feedback(waits), BEGAN + 120 * DAY) == 12 * DAY


def test_quick_labels_of_young_answers_do_not_hide_slow_ones() -> None:
    old = [(float(day), 84.0 if day % 2 else 2.0) for day in range(60)]
    young = [(100.0 + day / 10, 1.0) for day in range(400)]
    assert usual_wait(feedback(old + young), BEGAN + 150 * DAY) == 84 * DAY


def test_a_correction_that_comes_late_makes_no_label_slow() -> None:
    told = feedback([(float(day), 1.0) for day in range(40)])
    again = told.with_columns(pl.col("at") + timedelta(days=30))
    assert usual_wait(pl.concat([told, again]), BEGAN + 80 * DAY) == DAY


@pytest.mark.parametrize("count", [1, 5])
def test_few_labels_are_taken_as_they_are(count: int) -> None:
    waits = [(float(day), 3.0) for day in range(count)]
    assert usual_wait(feedback(waits), BEGAN + 10 * DAY) == 3 * DAY
