"""Laws of metrics, columns, signatures and stored estimators."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from strategies_models import frames, pairs, probabilities

from bucle.models.columns import Columns
from bucle.models.metrics import losses, measure
from bucle.models.profile import profile_of, sample_rows
from bucle.models.signature import conform, dtypes_of, signature_of
from bucle.pipeline.estimators import estimator_from_bytes, estimator_to_bytes

REGRESSION = ("wape", "mae", "rmse", "mdape", "r2", "r2_log")


@given(pairs())
def test_a_perfect_prediction_has_no_loss(pair):
    truth, _ = pair
    found = measure("regression", truth, truth)
    assert all(value in (0.0, 1.0) for value in found.values())
    for metric in REGRESSION:
        assert (losses(metric, truth, truth) == 0).all()


@given(pairs(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(pair, random):
    truth, prediction = pair
    order = list(range(truth.size))
    random.shuffle(order)
    before = measure("regression", truth, prediction)
    after = measure("regression", truth[order], prediction[order])
    assert before.keys() == after.keys()
    for metric, value in before.items():
        np.testing.assert_allclose(after[metric], value, rtol=1e-7, atol=1e-9)


@given(pairs(positive=True), st.floats(0.01, 100))
def test_shares_do_not_depend_on_the_currency(pair, rate):
    truth, prediction = pair
    before = measure("regression", truth, prediction)
    after = measure("regression", truth * rate, prediction * rate)
    for metric in ("wape", "mdape"):
        np.testing.assert_allclose(after[metric], before[metric], rtol=1e-9, atol=1e-12)


@given(probabilities())
def test_auc_is_that_of_scikit_learn_and_of_the_row_losses(pair):
    truth, probability = pair
    found = measure("classification", truth, probability)["auc"]
    np.testing.assert_allclose(found, roc_auc_score(truth, probability), atol=1e-12)
    np.testing.assert_allclose(1 - losses("auc", truth, probability).mean(), found, atol=1e-12)


@given(frames(), st.randoms(use_true_random=False))
def test_a_row_gives_the_same_numbers_alone_and_among_others(frame, random):
    columns = Columns().fit(frame)
    whole = columns.transform(frame)
    assert not np.isinf(whole).any()
    row = random.randrange(frame.height)
    names = list(frame.columns)
    random.shuffle(names)
    np.testing.assert_array_equal(
        columns.transform(frame.select(names)[row : row + 1])[0], whole[row]
    )


@given(frames())
def test_words_are_dense_numbers_from_zero(frame):
    columns = Columns().fit(frame)
    for at in range(columns.words):
        found = columns.transform(frame)[:, at]
        known = np.unique(found[~np.isnan(found)])
        np.testing.assert_array_equal(known, np.arange(known.size))


@given(frames())
def test_a_frame_conforms_to_its_own_signature(frame):
    signature = signature_of(frame, kind="regression", target="y")
    assert conform(signature, frame).equals(frame, null_equal=True)
    assert dtypes_of(signature) == dict(frame.schema)


@given(frames())
def test_typical_rows_of_a_profile_fit_what_the_model_takes(frame):
    signature = signature_of(frame, kind="regression", target="y")
    rows = sample_rows(profile_of(frame), dtypes_of(signature))
    assert conform(signature, rows).equals(rows, null_equal=True)
    assert np.isfinite(Columns().fit(frame).transform(rows)).any(axis=1).size == rows.height


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_plain, st.sets(st.text(max_size=3), max_size=5))
def test_what_an_estimator_holds_comes_back_and_is_written_the_same(held, words):
    model = StandardScaler()
    model.held, model.twice, model.words = held, [held, held], words
    content = estimator_to_bytes(model)
    again = estimator_from_bytes(content)
    assert again.held == held
    assert again.twice == [held, held]
    assert again.words == words
    assert estimator_to_bytes(again) == content


@given(st.binary(max_size=60), st.integers(0, 10_000), st.integers(0, 255))
def test_no_bytes_make_reading_raise_anything_else_than_a_refusal(noise, at, value):
    from bucle.errors import BucleError

    good = estimator_to_bytes(StandardScaler())
    damaged = bytearray(good)
    damaged[at % len(good)] = value
    assume(bytes(damaged) != good)
    for content in (noise, good + noise + b"x", bytes(damaged), good[: at % len(good)]):
        try:
            estimator_from_bytes(content)
        except BucleError:
            continue
