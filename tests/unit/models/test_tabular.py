"""The default learner on mixed, small and odd tables."""

import numpy as np
import polars as pl
import pytest

from bucle.errors import PackageError
from bucle.models.tabular import TabularClassifier, TabularRegressor, tabular


@pytest.fixture(scope="module")
def sales():
    rng = np.random.default_rng(0)
    rows = 900
    frame = pl.DataFrame(
        {
            "size": rng.normal(size=rows),
            "kind": rng.choice(["a", "b", "c"], rows).tolist(),
        }
    ).with_columns(kind=pl.when(pl.col("size") > 2).then(None).otherwise(pl.col("kind")))
    level = frame["kind"].replace_strict({"a": 0.0, "b": 1.0, "c": 2.0}, default=3.0).to_numpy()
    price = np.exp(frame["size"].to_numpy() + level + rng.normal(0, 0.1, rows))
    return frame, price


@pytest.fixture(scope="module")
def fitted(sales):
    frame, price = sales
    return tabular(max_iter=25, learning_rate=0.2).fit(frame[:600], price[:600])


def test_learns_words_numbers_and_nulls(sales, fitted):
    frame, price = sales
    predicted = fitted.predict(frame[600:])
    error = np.abs(predicted - price[600:]).sum() / price[600:].sum()
    guess = np.abs(np.median(price[:600]) - price[600:]).sum() / price[600:].sum()
    assert error < 0.5 * guess


def test_takes_the_logarithm_of_positive_skewed_labels_and_says_so(sales, fitted):
    frame, price = sales
    assert fitted.log_target_ is True
    assert (fitted.predict(frame) > 0).all()
    assert tabular(max_iter=2).fit(frame, np.log(price)).log_target_ is False
    assert tabular(max_iter=2).fit(frame, price - price.min()).log_target_ is False
    assert tabular(max_iter=2, log_target=False).fit(frame, price).log_target_ is False


def test_the_same_seed_gives_the_same_predictions(sales, fitted):
    frame, price = sales
    again = tabular(max_iter=25, learning_rate=0.2).fit(frame[:600], price[:600])
    np.testing.assert_array_equal(again.predict(frame), fitted.predict(frame))


def test_one_row_alone_is_predicted_as_among_others(sales, fitted):
    frame, _ = sales
    whole = fitted.predict(frame[:20])
    alone = [fitted.predict(frame[row : row + 1])[0] for row in range(20)]
    np.testing.assert_array_equal(alone, whole)


def test_the_learners_own_encoder_changes_nothing(sales):
    frame, price = sales
    model = tabular(max_iter=15).fit(frame, price)
    assert model.learner_._preprocessor is None
    from sklearn.ensemble import HistGradientBoostingRegressor

    matrix = model.columns_.transform(frame)
    plain = HistGradientBoostingRegressor(
        max_iter=15,
        learning_rate=0.08,
        random_state=0,
        early_stopping=False,
        categorical_features=[0],
    ).fit(matrix, np.log(price))
    unseen = np.vstack([matrix, np.full((1, matrix.shape[1]), np.nan)])
    np.testing.assert_array_equal(model.learner_.predict(unseen), plain.predict(unseen))


def test_classifier_gives_probabilities_and_keeps_the_labels(sales):
    frame, price = sales
    answer = np.where(price > np.median(price), "yes", "no")
    model = tabular(kind="classification", max_iter=15).fit(frame[:600], answer[:600])
    probability = model.predict_proba(frame[600:])
    assert probability.shape == (300, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert model.classes_.tolist() == ["no", "yes"]
    assert (model.predict(frame[600:]) == answer[600:]).mean() > 0.9


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_learns_a_constant_from_very_few_rows(sales, rows):
    frame, price = sales
    predicted = tabular(max_iter=5).fit(frame[:rows], price[:rows]).predict(frame[:4])
    assert np.isfinite(predicted).all()


def test_takes_constant_and_empty_columns():
    frame = pl.DataFrame({"same": [1] * 30, "none": [None] * 30, "nan": [float("nan")] * 30})
    assert np.isfinite(tabular(max_iter=3).fit(frame, np.arange(30.0)).predict(frame)).all()


def test_takes_a_constant_label():
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0] * 10})
    model = tabular(max_iter=3).fit(frame, [7.0] * 30)
    np.testing.assert_allclose(model.predict(frame), 7.0)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([1.0, None, 3.0], {}, "1 of 3 labels are missing"),
        ([1.0, float("nan"), 3.0], {}, "1 labels are not finite"),
        ([1.0, float("inf"), 3.0], {}, "1 labels are not finite"),
        (["a", "b", "c"], {}, "not numbers"),
        ([1.0, 2.0], {}, "3 rows and 2 labels"),
        ([0.0, -1.0, 3.0], {"log_target": True}, "2 labels are not positive"),
        ([1, 1, 1], {"kind": "classification"}, "all 3 labels are 1"),
        ([1, 2, 3], {"kind": "classification"}, "3 different values"),
        ([True, None, False], {"kind": "classification"}, "labels are missing"),
    ],
)
def test_refuses_labels_it_cannot_learn_from(labels, options, message):
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0]})
    with pytest.raises(PackageError, match=message) as caught:
        tabular(**options).fit(frame, labels)
    assert caught.value.code == "bucle-167"


def test_refuses_no_rows_and_predicting_before_fitting():
    frame = pl.DataFrame({"x": [1.0]})
    with pytest.raises(PackageError, match="no rows"):
        tabular().fit(frame[:0], [])
    for model in (TabularRegressor(), TabularClassifier()):
        with pytest.raises(PackageError, match="has not been fitted"):
            model.predict(frame)


def test_follows_scikit_learns_conventions_for_parameters():
    from sklearn.base import clone

    model = tabular(learning_rate=0.3, categories=("x",), seed=4)
    assert clone(model).get_params() == model.get_params()
    assert model.get_params()["learning_rate"] == 0.3
