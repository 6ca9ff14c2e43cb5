"""Predictions are taken in one way, and odd ones are refused."""

import numpy as np
import polars as pl
import pytest

from bucle.errors import PackageError
from bucle.models.prediction import class_names, encode_labels, predict

FRAME = pl.DataFrame({"x": [1.0, 2.0, 3.0]})


class Fixed:
    def __init__(self, answer):
        self.answer = answer

    def predict(self, frame):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Sure(Fixed):
    def predict_proba(self, frame):
        return self.answer


def test_gives_a_number_a_row_and_the_probability_of_yes():
    assert predict(Fixed([1, 2, 3]), FRAME, kind="regression").tolist() == [1.0, 2.0, 3.0]
    table = np.array([[0.9, 0.1], [0.5, 0.5], [0.0, 1.0]])
    assert predict(Sure(table), FRAME, kind="classification").tolist() == [0.1, 0.5, 1.0]
    assert predict(Fixed([0, 1, 1]), FRAME, kind="classification").tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("estimator", "kind", "message"),
    [
        (Fixed([1, 2]), "regression", r"shape \(2,\)"),
        (Fixed([[1], [2], [3]]), "regression", r"shape \(3, 1\)"),
        (Fixed([1, np.nan, np.inf]), "regression", "2 of 3 predictions"),
        (Fixed(["a", "b", "c"]), "regression", "raised ValueError"),
        (Fixed(RuntimeError("no")), "regression", "raised RuntimeError"),
        (Fixed([0, 1, 2]), "classification", "outside 0 to 1"),
        (Sure(np.ones((3, 3)) / 3), "classification", r"shape \(3, 3\)"),
    ],
)
def test_refuses_odd_predictions(estimator, kind, message):
    with pytest.raises(PackageError, match=message) as caught:
        predict(estimator, FRAME, kind=kind)
    assert caught.value.code == "bucle-168"


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([True, None, False], ("false", "true")),
        ([1, 0], ("0", "1")),
        (["yes", "no", "yes"], ("no", "yes")),
    ],
)
def test_the_greater_label_is_yes(labels, classes):
    series = pl.Series("paid", labels)
    assert class_names(series) == classes
    expected = [float(label in {True, "yes"}) for label in labels if label is not None]
    assert encode_labels(series.drop_nulls(), classes).tolist() == expected


@pytest.mark.parametrize("labels", [["maybe", "no"], [None, "no"]])
def test_refuses_labels_that_are_no_answer(labels):
    with pytest.raises(PackageError, match="'paid'"):
        encode_labels(pl.Series("paid", labels), ("no", "yes"))


def test_classes_of_numbers_leave_out_what_is_no_label():
    labels = pl.Series([1.0, 0.0, float("nan"), float("inf"), None])
    assert class_names(labels) == ("0.0", "1.0")
