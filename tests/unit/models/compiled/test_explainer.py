"""Contributions of columns add up to the answer, in the space that is named."""

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bucle.errors import PackageError
from bucle.models.compiled.compile import compile_model
from bucle.models.compiled.contributions import Reference
from bucle.models.compiled.explainer import Explainer
from bucle.models.compiled.form import record_from_bytes
from bucle.models.prediction import predict
from bucle.models.signature import signature_of
from bucle.models.tabular import tabular

BACK = {
    "prediction": lambda value: value,
    "log": np.exp,
    "log1p": np.expm1,
    "log-odds": lambda value: 1 / (1 + np.exp(-value)),
}


def explainer_of(compiled):
    assert compiled.engine.name == "compiled", compiled.engine.reason
    reference = msgspec.json.decode(compiled.reference, type=Reference)
    form = record_from_bytes(compiled.record).model
    return Explainer(form, trees=compiled.trees, reference=reference)


def sums(found):
    return np.array([one.base + sum(one.columns.values()) for one in found])


@pytest.fixture(scope="module")
def plain(frame):
    """Return columns that any scikit-learn pipeline takes."""
    return frame.select(
        pl.col("size").fill_null(0.5),
        pl.col("pieces").fill_null(2),
        pl.col("kind").fill_null("a"),
        pl.col("urgent").fill_null(value=False),
    )


def words_and_numbers(learner):
    return make_pipeline(
        ColumnTransformer(
            [
                ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind"]),
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["size", "pieces"]),
            ]
        ),
        learner,
    )


@pytest.mark.parametrize(
    ("log_target", "space"), [(True, "log"), (False, "prediction")], ids=["log", "plain"]
)
def test_the_default_learner_is_explained(frame, price, signature, log_target, space):
    model = tabular(max_iter=6, categories=["code"], log_target=log_target)
    model.fit(frame[:600], price[:600])
    compiled = compile_model(model, signature, frame[600:], known=frame[:600])
    found = explainer_of(compiled).explain(frame[:80].rows())
    assert {one.space for one in found} == {space}
    assert list(found[0].columns) == frame.columns
    assert {one.columns["void"] for one in found} == {0.0}
    np.testing.assert_allclose(BACK[space](sums(found)), model.predict(frame[:80]), rtol=1e-10)


def test_the_base_of_trees_is_the_mean_of_what_they_say_of_the_rows_they_were_fitted_on(
    frame, price, signature
):
    model = tabular(max_iter=6, log_target=True).fit(frame[:600], price[:600])
    compiled = compile_model(model, signature, frame[600:])
    (found,) = explainer_of(compiled).explain(frame[:1].rows())
    assert found.base == pytest.approx(np.log(model.predict(frame[:600])).mean(), rel=1e-9)


def test_a_probability_is_explained_by_its_log_odds(frame, price):
    yes = pl.Series(price > np.median(price))
    signature = signature_of(frame, kind="classification", target="dear", classes=("false", "true"))
    model = tabular(kind="classification", max_iter=6).fit(frame[:600], yes[:600])
    found = explainer_of(compile_model(model, signature, frame[600:])).explain(frame[:60].rows())
    assert found[0].space == "log-odds"
    wanted = model.predict_proba(frame[:60])[:, 1]
    np.testing.assert_allclose(BACK["log-odds"](sums(found)), wanted, rtol=1e-10)


@pytest.mark.parametrize(
    ("learner", "space"),
    [
        (GradientBoostingRegressor(n_estimators=6, random_state=0), "prediction"),
        (RandomForestRegressor(n_estimators=3, max_depth=4, random_state=0), "prediction"),
        (LinearRegression(), "prediction"),
        (
            TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1),
            "log1p",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_a_pipeline_is_explained_by_its_own_columns(plain, price, learner, space):
    signature = signature_of(plain, kind="regression", target="price")
    label = np.clip(price, 0.5, 9)
    if isinstance(learner, TransformedTargetRegressor):
        inner = words_and_numbers(learner.regressor)
        model = TransformedTargetRegressor(
            inner, func=learner.func, inverse_func=learner.inverse_func, check_inverse=False
        )
    else:
        model = words_and_numbers(learner)
    model.fit(plain[:600], label[:600])
    compiled = compile_model(model, signature, plain[600:700], known=plain[:600])
    found = explainer_of(compiled).explain(plain[:50].rows())
    assert list(found[0].columns) == ["size", "pieces", "kind", "urgent"]
    assert found[0].columns["urgent"] == 0.0
    assert found[0].columns["kind"] != 0.0
    assert found[0].space == space
    wanted = predict(model, plain[:50], kind="regression")
    np.testing.assert_allclose(BACK[space](sums(found)), wanted, rtol=1e-8)


def test_weights_add_what_a_value_has_beyond_its_mean(plain, price):
    signature = signature_of(plain, kind="regression", target="price")
    model = words_and_numbers(LinearRegression()).fit(plain[:600], price[:600])
    compiled = compile_model(model, signature, plain[600:], known=plain[:600])
    found = explainer_of(compiled).explain(plain[:600].rows())
    assert found[0].base == pytest.approx(model.predict(plain[:600]).mean(), rel=1e-9)
    for name in ("size", "kind"):
        assert np.mean([one.columns[name] for one in found]) == pytest.approx(0.0, abs=1e-9)


def test_a_yes_or_no_of_weights_is_explained_by_its_log_odds(plain, price):
    yes = pl.Series(price > np.median(price))
    signature = signature_of(plain, kind="classification", target="dear", classes=("false", "true"))
    model = words_and_numbers(LogisticRegression()).fit(plain[:600], yes[:600])
    found = explainer_of(compile_model(model, signature, plain[600:])).explain(plain[:40].rows())
    wanted = model.predict_proba(plain[:40])[:, 1]
    np.testing.assert_allclose(BACK["log-odds"](sums(found)), wanted, rtol=1e-8)


def test_a_row_the_model_refuses_is_not_explained(plain, price):
    signature = signature_of(plain, kind="regression", target="price")
    model = words_and_numbers(LinearRegression()).fit(plain[:600], price[:600])
    explainer = explainer_of(compile_model(model, signature, plain[600:]))
    with pytest.raises(PackageError, match="'kind'"):
        explainer.explain([(0.5, 2, 7, False)])


def test_equal_models_are_explained_by_equal_bytes(frame, price, signature):
    model = tabular(max_iter=3).fit(frame[:600], price[:600])
    first, again = (compile_model(model, signature, frame[600:]) for _ in range(2))
    assert first.reference == again.reference


@pytest.mark.parametrize("reference", [Reference(), Reference(means=(1.0,)), Reference(covers=())])
def test_a_reference_of_another_model_is_refused(frame, price, signature, reference):
    model = tabular(max_iter=5).fit(frame[:300], price[:300])
    compiled = compile_model(model, signature, frame[300:])
    form = record_from_bytes(compiled.record).model
    with pytest.raises(PackageError, match="Cannot explain"):
        Explainer(form, trees=compiled.trees, reference=reference)
