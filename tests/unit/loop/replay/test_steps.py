"""Predictions in blocks: no row's answer depends on how many come after it."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from bucle.errors import BucleError
from bucle.loop.replay.steps import BLOCK, _row_names, predict_blocks
from bucle.models.signature import signature_of

DAY = 86_400_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = round(START.timestamp() * 1e6)


class Doubling:
    """Answers twice the size; refuses what is larger than its limit; tells what it was asked."""

    def __init__(self, limit=np.inf):
        self.limit = limit
        self.asked = []

    def predict(self, frame):
        self.asked.append(frame.height)
        size = frame["size"].to_numpy()
        if (size > self.limit).any():
            raise ValueError("too large")
        return 2.0 * size


def rows(sizes):
    return pl.DataFrame(
        {"_at": [FIRST + number * DAY for number in range(len(sizes))], "size": sizes},
        schema={"_at": pl.Int64, "size": pl.Float64},
    )


def predicted(model, sizes, *, start="2026-01-01"):
    frame = rows(sizes)
    signature = signature_of(
        pl.DataFrame({"size": [1.0, 2.0]}), kind="regression", target="price", classes=()
    )
    return predict_blocks(model, signature, frame, start=start)


def test_every_call_has_the_same_number_of_rows() -> None:
    model = Doubling()
    sizes = np.arange(BLOCK + 5, dtype=float)
    assert np.array_equal(predicted(model, sizes.tolist()), 2 * sizes)
    assert model.asked == [BLOCK, BLOCK]


def test_rows_before_the_moment_are_not_asked_by_the_block() -> None:
    model = Doubling()
    start = datetime.fromtimestamp((FIRST + (BLOCK + 2) * DAY) / 1e6, tz=UTC).isoformat()
    answers = predicted(model, [1.0] * (2 * BLOCK), start=start)
    assert model.asked == [BLOCK]
    assert np.isnan(answers[:BLOCK]).all()
    assert (answers[BLOCK:] == 2.0).all()


def test_no_rows_are_no_answers() -> None:
    assert predicted(Doubling(), []).size == 0


def test_a_row_that_is_refused_undoes_no_other_answer() -> None:
    sizes = [float(number % 50) for number in range(BLOCK + 100)]
    for place in (0, 7, BLOCK - 1, BLOCK, BLOCK + 99):
        changed = list(sizes)
        changed[place] = 1e6
        answers = predicted(Doubling(limit=100.0), changed)
        assert np.flatnonzero(np.isnan(answers)).tolist() == [place]
        assert (np.delete(answers, place) == 2 * np.delete(sizes, place)).all()


def test_after_many_refusals_the_rest_is_not_asked_and_what_was_before_stays() -> None:
    sizes = [1.0] * 10 + [1e6] * 200 + [1.0] * BLOCK
    model = Doubling(limit=100.0)
    answers = predicted(model, sizes)
    assert (answers[:10] == 2.0).all()
    assert np.isnan(answers[10:]).all()
    assert len(model.asked) < 1500


def test_a_model_that_refuses_every_row_is_none() -> None:
    with pytest.raises(BucleError, match="raised ValueError") as caught:
        predicted(Doubling(limit=-1.0), [1.0, 2.0])
    assert caught.value.code == "bucle-168"


def test_rows_with_equal_names_are_numbered_in_their_order() -> None:
    frame = pl.DataFrame({"id": [1, 2, 1, None], "size": [1.0, 2.0, 3.0, 4.0]})
    assert _row_names(frame, ["id"]).to_list() == [
        '{"id":"1"}',
        '{"id":"2"}',
        '{"id":"1"} 1',
        '{"id":null}',
    ]
    assert _row_names(frame, ["id", "size"]).is_unique().all()
