"""Labels matched to the rows that were asked; rows of periods put under one another."""

import numpy as np
import polars as pl
import pytest

from bucle.errors import OutsideError
from bucle.loop.replay.material import match_labels, stack_rows

DAY = 86_400_000_000


def known(names, days, labels, *, seen=None):
    times = {
        "_at": [day * DAY for day in days],
        "_known": [day * DAY if day is not None else None for day in (seen or days)],
    }
    return pl.DataFrame({"_row": names, **times, "_label": labels}).with_columns(
        pl.from_epoch("_at", "us").dt.replace_time_zone("UTC"),
        pl.from_epoch("_known", "us").dt.replace_time_zone("UTC"),
    )


def asked(*names):
    return pl.DataFrame({"_row": names}).with_row_index("_number")


def matched(rows, *names, at, kind="regression", classes=()):
    return match_labels(
        rows, numbers=asked(*names), at=np.array(at) * DAY, kind=kind, classes=classes
    )


def test_a_label_goes_to_the_row_of_its_name_whatever_the_order() -> None:
    found = matched(known(["c", "a"], [3, 1], [30.0, 10.0]), "a", "b", "c", at=[1, 2, 3])
    assert np.array_equal(found.labels, [10.0, np.nan, 30.0], equal_nan=True)
    assert found.when.tolist() == [DAY, -1, 3 * DAY]


def test_a_label_of_the_time_asked_about_that_nobody_asked_for_is_counted() -> None:
    found = matched(known(["a", "x", "old"], [1, 2, 0], [1.0, 2.0, 3.0]), "a", at=[1])
    assert found.unmatched == 1
    assert found.rows.height == 3


def test_a_label_without_a_time_is_known_and_its_time_is_not() -> None:
    found = matched(known(["a"], [1], [5.0], seen=[None]), "a", at=[1])
    assert (found.labels[0], found.when[0]) == (5.0, -1)


def test_an_answer_in_words_becomes_the_number_of_its_class() -> None:
    rows = known(["a", "b"], [1, 2], ["yes", "no"])
    found = matched(rows, "a", "b", at=[1, 2], kind="classification", classes=("no", "yes"))
    assert found.labels.tolist() == [1.0, 0.0]


def test_what_comes_later_keeps_the_types_of_what_came_before() -> None:
    early, late = pl.DataFrame({"size": [1.5]}), pl.DataFrame({"size": [2]})
    assert stack_rows([early, late]).to_dict(as_series=False) == {"size": [1.5, 2.0]}
    assert stack_rows([pl.DataFrame({"size": [None]}), early])["size"].to_list() == [None, 1.5]


def test_a_column_that_becomes_words_is_refused() -> None:
    frames = [pl.DataFrame({"size": [1.5]}), pl.DataFrame({"size": ["large"]})]
    with pytest.raises(OutsideError, match="changes its type"):
        stack_rows(frames)
