"""The exported ONNX model answers in onnxruntime what the model answers here."""

import msgspec
import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from bucle.errors import PackageError
from bucle.models.compiled.compile import compile_model
from bucle.models.compiled.export import export_onnx, onnx_inputs
from bucle.models.compiled.export_proof import export_package
from bucle.models.compiled.form import record_from_bytes
from bucle.models.package import open_package, write_package
from bucle.models.prediction import predict
from bucle.models.signature import signature_of
from bucle.models.tabular import tabular
from bucle.pipeline.estimators import estimator_to_bytes

pytestmark = pytest.mark.thorough

COUNT = 400


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(4)
    hours = rng.integers(0, 20_000, COUNT)
    moments = pl.Series(hours * 3_600_000_000).cast(pl.Datetime("us"))
    return pl.DataFrame(
        {
            "kind": rng.choice(["a", "b", "ñ"], COUNT).tolist(),
            "size": rng.normal(size=COUNT),
            "code": rng.integers(0, 5, COUNT),
            "urgent": rng.random(COUNT) < 0.5,
            "day": moments.cast(pl.Date),
            "moment": moments,
            "clock": moments.dt.time(),
            "void": pl.Series([None] * COUNT, dtype=pl.Null),
        }
    ).with_columns(pl.when(pl.col("size") > 1).then(None).otherwise("size").alias("size"))


@pytest.fixture(scope="module")
def price(frame):
    rng = np.random.default_rng(5)
    return np.exp(frame["size"].fill_null(0).to_numpy() + rng.normal(0, 0.1, COUNT))


def columns(scaler, encoder=None):
    words = encoder or OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer(
        [("words", words, ["kind", "code"]), ("numbers", scaler, ["size"])], sparse_threshold=0
    )


MODELS = [
    ("regression", tabular(max_iter=10, categories=["code"])),
    ("regression", tabular(max_iter=10, log_target=True)),
    ("classification", tabular(kind="classification", max_iter=10)),
    (
        "regression",
        make_pipeline(columns("passthrough"), HistGradientBoostingRegressor(max_iter=10)),
    ),
    (
        "regression",
        make_pipeline(
            columns(make_pipeline(SimpleImputer(), MinMaxScaler(clip=True)), OrdinalEncoder()),
            RandomForestRegressor(n_estimators=5, random_state=0),
        ),
    ),
    (
        "regression",
        make_pipeline(columns(make_pipeline(SimpleImputer(), StandardScaler())), Ridge()),
    ),
    ("classification", make_pipeline(columns(SimpleImputer()), LogisticRegression())),
]


@pytest.mark.parametrize(("kind", "model"), MODELS)
def test_onnxruntime_answers_the_same_from_named_inputs(
    contents, frame, price, tmp_path, kind, model
):
    truth = price if kind == "regression" else price > 1
    model.fit(frame, truth)
    classes = ("no", "yes") if kind == "classification" else ()
    signature = signature_of(frame, kind=kind, target="price", classes=classes)
    compiled = compile_model(model, signature, frame)
    assert compiled.engine.name == "compiled", compiled.engine.reason
    whole = msgspec.structs.replace(
        contents,
        estimator=estimator_to_bytes(model),
        signature=signature,
        compiled=compiled,
        intervals=None,
        scale=None,
    )
    package = open_package(tmp_path, write_package(tmp_path, whole))
    exported, rows = export_package(package)
    assert rows > 1000
    onnx.checker.check_model(onnx.load_model_from_string(exported.content), full_check=True)
    session = onnxruntime.InferenceSession(exported.content, providers=["CPUExecutionProvider"])
    assert {given.name for given in session.get_inputs()} == set(exported.inputs)
    found = session.run(None, onnx_inputs(package.record.model, frame.rows()))[0][:, 0]
    np.testing.assert_allclose(found, predict(model, frame, kind=kind), rtol=1e-9)
    assert export_package(package)[0].content == exported.content


def test_what_the_model_refuses_is_nan(frame, price):
    model = make_pipeline(columns(StandardScaler(), OneHotEncoder()), Ridge())
    held = frame.select("kind", "code", "size").fill_null(0)
    signature = signature_of(held, kind="regression", target="price")
    compiled = compile_model(model.fit(held, price), signature, held)
    record = record_from_bytes(compiled.record)
    exported = export_onnx(record, trees=compiled.trees)
    session = onnxruntime.InferenceSession(exported.content, providers=["CPUExecutionProvider"])
    rows = [("a", 1, 0.5), ("never", 1, 0.5), ("a", 77, 0.5), ("a", 1, None), ("a", 1, np.inf)]
    found = session.run(None, onnx_inputs(record.model, rows))[0][:, 0]
    assert np.isfinite(found).tolist() == [True, False, False, False, False]


def test_a_model_without_a_form_is_not_exported(contents, tmp_path):
    package = open_package(tmp_path, write_package(tmp_path, contents))
    with pytest.raises(PackageError, match="packaged before") as caught:
        export_onnx(package.record, trees=None)
    assert caught.value.code == "bucle-313"
