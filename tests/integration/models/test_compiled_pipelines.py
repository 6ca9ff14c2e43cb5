"""Scikit-learn pipelines have a compiled form where their parts are known, and say where not."""

import numpy as np
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeRegressor

from bucle.errors import PackageError
from bucle.models.compiled.compile import compile_model
from bucle.models.compiled.form import record_bytes, record_from_bytes
from bucle.models.compiled.scorer import Scorer
from bucle.models.intervals import fit_intervals
from bucle.models.prediction import predict
from bucle.models.signature import signature_of

pytestmark = pytest.mark.thorough

COUNT = 500
WORDS, NUMBERS = ["kind", "place"], ["size", "weight", "pieces"]


@pytest.fixture(scope="module")
def whole():
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "kind": rng.choice(["a", "b", "c d", "ñ"], COUNT).tolist(),
            "size": rng.normal(size=COUNT) * 10,
            "weight": np.round(rng.lognormal(size=COUNT), 2),
            "place": rng.choice([f"p{at}" for at in range(30)], COUNT, p=_falling(30)).tolist(),
            "pieces": rng.integers(-3, 12, COUNT),
            "urgent": rng.random(COUNT) < 0.4,
        }
    )


def _falling(count):
    weights = 0.7 ** np.arange(count)
    return weights / weights.sum()


@pytest.fixture(scope="module")
def holed(whole):
    rng = np.random.default_rng(2)
    return whole.with_columns(
        pl.when(pl.Series(rng.random(COUNT) < 0.1)).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("size", "weight", "pieces")
    )


@pytest.fixture(scope="module")
def price(whole):
    rng = np.random.default_rng(3)
    return np.exp(
        whole["size"].to_numpy() / 10
        + (whole["kind"] == "a").to_numpy()
        + rng.normal(0, 0.2, COUNT)
    )


def check(model, frame, truth, *, kind="regression"):
    """Fit, compile and compare; return the engine's reason."""
    model.fit(frame, truth)
    classes = ("no", "yes") if kind == "classification" else ()
    signature = signature_of(frame, kind=kind, target="price", classes=classes)
    compiled = compile_model(model, signature, frame[250:])
    if compiled.engine.name == "compiled":
        scorer = Scorer(record_from_bytes(compiled.record), trees=compiled.trees)
        wanted = predict(model, frame, kind=kind)
        np.testing.assert_allclose(scorer.many(frame.rows()), wanted, rtol=1e-9)
        np.testing.assert_allclose([scorer.one(row) for row in frame.rows()], wanted, rtol=1e-9)
    return compiled.engine


def columns(words=None, numbers="passthrough", *, sparse_threshold=0.0):
    return ColumnTransformer(
        [
            ("words", words or OneHotEncoder(handle_unknown="ignore"), WORDS),
            ("numbers", numbers, NUMBERS),
        ],
        sparse_threshold=sparse_threshold,
    )


REGRESSORS = [
    HistGradientBoostingRegressor(max_iter=20),
    HistGradientBoostingRegressor(max_iter=20, loss="poisson"),
    GradientBoostingRegressor(n_estimators=20),
    RandomForestRegressor(n_estimators=10, max_depth=7, random_state=0),
    ExtraTreesRegressor(n_estimators=10, max_depth=7, random_state=0),
    DecisionTreeRegressor(max_depth=6, random_state=0),
    LinearRegression(),
    Ridge(),
    Lasso(alpha=0.01),
    ElasticNet(alpha=0.01),
]


@pytest.mark.parametrize("learner", REGRESSORS, ids=lambda learner: repr(learner)[:40])
def test_regressors_behind_one_hot_words(whole, price, learner):
    engine = check(make_pipeline(columns(), learner), whole, price)
    assert engine.name == "compiled", engine.reason


@pytest.mark.parametrize("learner", [RandomForestRegressor(n_estimators=5), Ridge(), Lasso()])
def test_a_sparse_matrix_gives_the_same_answers_and_refusals(whole, price, learner):
    sparse = columns(numbers=MaxAbsScaler(), sparse_threshold=1.0)
    engine = check(make_pipeline(sparse, learner), whole, price)
    assert engine.name == "compiled", engine.reason


CLASSIFIERS = [
    HistGradientBoostingClassifier(max_iter=20),
    GradientBoostingClassifier(n_estimators=20),
    RandomForestClassifier(n_estimators=10, max_depth=7, random_state=0),
    LogisticRegression(max_iter=5000),
]


@pytest.mark.parametrize("learner", CLASSIFIERS, ids=lambda learner: type(learner).__name__)
def test_classifiers_give_the_probability_of_yes(whole, price, learner):
    scaled = columns(numbers=StandardScaler())
    engine = check(make_pipeline(scaled, learner), whole, price > 1, kind="classification")
    assert engine.name == "compiled", engine.reason


SCALERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    MinMaxScaler(),
    MinMaxScaler(clip=True, feature_range=(-1, 2)),
    RobustScaler(),
    MaxAbsScaler(),
    SimpleImputer(),
    SimpleImputer(strategy="median"),
    SimpleImputer(strategy="most_frequent"),
    SimpleImputer(strategy="constant", fill_value=-1.0),
    make_pipeline(SimpleImputer(), StandardScaler(), "passthrough", MinMaxScaler()),
]


@pytest.mark.parametrize("scaler", SCALERS, ids=lambda scaler: " ".join(repr(scaler).split())[:60])
@pytest.mark.parametrize("learner", [Ridge(), HistGradientBoostingRegressor(max_iter=10)])
def test_numbers_through_scalers_and_imputers(whole, holed, price, scaler, learner):
    fills = "Imputer" in repr(scaler)
    frame = holed if fills or not isinstance(learner, Ridge) else whole
    engine = check(make_pipeline(columns(numbers=scaler), learner), frame, price)
    assert engine.name == "compiled", engine.reason


ENCODERS = [
    OneHotEncoder(),
    OneHotEncoder(handle_unknown="ignore", drop="first"),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20),
    OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=4, sparse_output=False),
    OneHotEncoder(handle_unknown="warn", dtype=np.float32),
    OrdinalEncoder(),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
    make_pipeline(SimpleImputer(strategy="most_frequent", missing_values=None), OneHotEncoder()),
    make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none", missing_values=None),
        OneHotEncoder(handle_unknown="ignore"),
    ),
    make_pipeline(OneHotEncoder(handle_unknown="ignore"), StandardScaler(with_mean=False)),
]


@pytest.mark.parametrize(
    "encoder", ENCODERS, ids=lambda encoder: " ".join(repr(encoder).split())[:70]
)
@pytest.mark.parametrize("with_nulls", [False, True])
def test_words_through_encoders(whole, price, encoder, with_nulls):
    frame = whole
    if with_nulls:
        hole = pl.Series(np.arange(COUNT) % 9 == 0)
        frame = whole.with_columns(kind=pl.when(hole).then(None).otherwise("kind"))
    learner = HistGradientBoostingRegressor(max_iter=10)
    engine = check(make_pipeline(columns(encoder, sparse_threshold=0), learner), frame, price)
    assert engine.name == "compiled", engine.reason


def test_a_column_that_makes_nothing_still_refuses_what_it_has_not_learned(whole, price):
    frame = whole.select("size", only=pl.lit("x"))
    table = ColumnTransformer(
        [("only", OneHotEncoder(drop="first"), ["only"])], remainder="passthrough"
    )
    model = make_pipeline(table, Ridge())
    assert check(model, frame, price).name == "compiled"
    signature = signature_of(frame, kind="regression", target="price")
    compiled = compile_model(model, signature, frame)
    scorer = Scorer(record_from_bytes(compiled.record), trees=None)
    with pytest.raises(PackageError, match="'only'"):
        scorer.one((0.5, "y"))
    with pytest.raises(PackageError, match="'only'"):
        scorer.many([(0.5, "x"), (0.5, "y")])


def test_numbers_as_categories_and_a_remainder(whole, price):
    table = ColumnTransformer(
        [
            ("codes", OneHotEncoder(handle_unknown="ignore"), ["pieces", "urgent"]),
            ("ordered", OrdinalEncoder(), ["kind"]),
            ("no", "drop", ["place"]),
        ],
        remainder="passthrough",
    )
    engine = check(make_pipeline(table, Ridge()), whole, price)
    assert engine.name == "compiled", engine.reason


def test_levels_of_the_boosted_trees_themselves(whole, price):
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    trees = HistGradientBoostingRegressor(max_iter=20, categorical_features=[0, 1])
    engine = check(make_pipeline(columns(ordinal), trees), whole, price)
    assert engine.name == "compiled", engine.reason


def test_a_scaler_behind_the_column_transformer(whole, price):
    model = make_pipeline(columns(sparse_threshold=0), StandardScaler(), Ridge())
    assert check(model, whole, price).name == "compiled"


def test_numbers_alone_need_no_column_transformer(whole, price):
    numbers = whole.select(NUMBERS)
    assert check(make_pipeline(StandardScaler(), Ridge()), numbers, price).name == "compiled"
    assert check(RandomForestRegressor(n_estimators=5), numbers, price).name == "compiled"


@pytest.mark.parametrize("name", ["log", "log1p"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_transformed_target(whole, price, name, inside):
    inverse = {"log": np.exp, "log1p": np.expm1}[name]
    trees = HistGradientBoostingRegressor(max_iter=10)

    def around(model):
        return TransformedTargetRegressor(model, func=getattr(np, name), inverse_func=inverse)

    model = (
        around(make_pipeline(columns(), trees))
        if inside
        else make_pipeline(columns(), around(trees))
    )
    assert check(model, whole, price).name == "compiled"


def test_where_the_estimator_refuses_a_null_or_a_word_so_does_the_form(whole, price):
    model = make_pipeline(columns(OneHotEncoder()), Ridge()).fit(whole, price)
    signature = signature_of(whole, kind="regression", target="price")
    compiled = compile_model(model, signature, whole)
    scorer = Scorer(record_from_bytes(compiled.record), trees=None)
    row = whole.row(0, named=True)
    for column, value in [("kind", None), ("kind", "a "), ("size", None), ("size", float("inf"))]:
        changed = tuple({**row, column: value}.values())
        with pytest.raises(PackageError, match=f"'{column}'"):
            scorer.one(changed)
        with pytest.raises(PackageError, match=f"'{column}'"):
            scorer.many([changed])


def test_intervals_of_a_pipeline(whole, price):
    model = make_pipeline(columns(), HistGradientBoostingRegressor(max_iter=20))
    model.fit(whole[:100], price[:100])
    band = fit_intervals(whole[100:], price[100:], model.predict(whole[100:]))
    assert band.scale is not None
    signature = signature_of(whole, kind="regression", target="price")
    compiled = compile_model(model, signature, whole[100:], band=band)
    assert compiled.engine.name == "compiled", compiled.engine.reason
    assert compiled.scale_trees is not None


class Ridge2(Ridge):
    """A class of the project with a name and ways of its own."""

    def predict(self, features):
        return super().predict(features) + 1


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (make_pipeline(columns(), KNeighborsRegressor()), "`KNeighborsRegressor`"),
        (make_pipeline(columns(), Ridge2()), "`Ridge2`"),
        (
            make_pipeline(columns(numbers=PolynomialFeatures()), Ridge()),
            "`PolynomialFeatures` has no compiled form",
        ),
        (
            make_pipeline(columns(numbers=FunctionTransformer(np.abs)), Ridge()),
            "`FunctionTransformer` has no compiled form",
        ),
        (
            TransformedTargetRegressor(
                make_pipeline(columns(), Ridge()), transformer=StandardScaler()
            ),
            "its target is transformed back by `StandardScaler`",
        ),
        (
            Pipeline([("all", columns(numbers=SimpleImputer(add_indicator=True))), ("r", Ridge())]),
            "nulls",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_compiled_form_says_so(whole, price, model, reason):
    engine = check(model, whole, price)
    assert engine.name == "estimator"
    assert reason in engine.reason


def test_a_forest_too_large_to_load_stays_with_the_estimator(whole, price, monkeypatch):
    monkeypatch.setattr("bucle.models.compiled.layout._MOST_NODES", 1000)
    forest = RandomForestRegressor(n_estimators=20, random_state=0)
    engine = check(make_pipeline(columns(), forest), whole, price)
    assert engine.name == "estimator"
    assert "nodes are too many" in engine.reason


def test_small_types_stay_with_the_estimator(whole, price):
    small = whole.with_columns(pl.col("size").cast(pl.Float32))
    engine = check(make_pipeline(columns(numbers=StandardScaler()), Ridge()), small, price)
    assert engine.name == "estimator"
    assert "'size' of type Float32" in engine.reason


def test_a_form_is_json_and_back(whole, price):
    model = make_pipeline(columns(), Ridge()).fit(whole, price)
    signature = signature_of(whole, kind="regression", target="price")
    compiled = compile_model(model, signature, whole)
    record = record_from_bytes(compiled.record)
    assert record.model is not None
    assert record_bytes(record) == compiled.record
