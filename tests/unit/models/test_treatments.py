"""What a model does with what is missing or new, as its form and its contract say it."""

import numpy as np
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from bucle.models.compiled.compile import compile_model
from bucle.models.compiled.form import Engine, Record, record_from_bytes
from bucle.models.profile import profile_of
from bucle.models.rules import Rule
from bucle.models.signature import signature_of
from bucle.models.tabular import tabular
from bucle.models.treatments import Treatment, known_values, read_treatments

rng = np.random.default_rng(0)
ROWS = pl.DataFrame(
    {
        "size": rng.normal(size=120),
        "kind": rng.choice(["a", "b"], 120).tolist(),
        "code": rng.integers(0, 3, 120).tolist(),
        "day": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 12, 31), eager=True).head(120),
    }
)
PRICE = rng.normal(size=120)
SIGNATURE = signature_of(ROWS, kind="regression", target="price")
ESTIMATOR = Record(engine=Engine(name="estimator", reason="it is odd"))


def record_of(model, rows=ROWS):
    signature = signature_of(rows, kind="regression", target="price")
    compiled = compile_model(model.fit(rows, PRICE), signature, rows)
    assert compiled.engine.name == "compiled", compiled.engine.reason
    return record_from_bytes(compiled.record)


@pytest.fixture(scope="module")
def default():
    return record_of(tabular(max_iter=2, categories=["code"]))


def ways(found):
    return {one.column: (one.null, one.unknown) for one in found}


def test_the_default_learner_takes_null_and_new_words(default):
    assert ways(read_treatments(SIGNATURE, default)) == {
        "size": ("taken", None),
        "kind": ("taken", "taken"),
        "code": ("taken", "taken"),
        "day": ("taken", None),
    }


def test_a_pipeline_takes_and_refuses_what_its_parts_do():
    rows = ROWS.drop("day").with_columns(other=pl.col("kind"))
    model = make_pipeline(
        ColumnTransformer(
            [
                ("strict", OneHotEncoder(sparse_output=False), ["kind"]),
                ("lax", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["other"]),
                ("filled", SimpleImputer(), ["size"]),
                ("plain", "passthrough", ["code"]),
            ]
        ),
        LinearRegression(),
    )
    signature = signature_of(rows, kind="regression", target="price")
    found = ways(read_treatments(signature, record_of(model, rows)))
    assert found["kind"] == ("refused", "refused")
    assert found["other"][1] == "taken"
    assert found["size"] == ("taken", None)
    assert found["code"] == ("refused", None)


def test_the_contract_has_the_last_word(default):
    rules = [Rule(name="size", nullable=False), Rule(name="kind", one_of=("a", "b"))]
    found = ways(read_treatments(SIGNATURE, default, rules))
    assert found["size"] == ("refused", None)
    assert found["kind"] == ("taken", "refused")


@pytest.mark.parametrize("record", [ESTIMATOR, None])
def test_an_estimator_as_it_is_decides_by_itself(record):
    assert read_treatments(SIGNATURE, record)[:2] == (
        Treatment(column="size", null="unsaid", unknown=None),
        Treatment(column="kind", null="unsaid", unknown="unsaid"),
    )


def test_the_levels_of_a_form_are_known(default):
    found = known_values(SIGNATURE, default, {})
    assert found == {"kind": {"a", "b"}, "code": {0, 1, 2}}


def test_the_words_of_an_estimator_are_those_of_its_profile():
    words = [f"w{number}" for number in range(60)] * 2
    rows = pl.DataFrame({"word": words, "size": range(120)})
    signature = signature_of(rows, kind="regression", target="price")
    profile = profile_of(rows)
    assert known_values(signature, ESTIMATOR, profile) == {"word": set(words)}


@pytest.mark.parametrize("profile", [{}, {"columns": {"word": {"kind": "empty", "nulls": 3}}}])
def test_words_that_nobody_has_listed_are_not_known(profile):
    rows = pl.DataFrame({"word": ["a"]})
    signature = signature_of(rows, kind="regression", target="price")
    assert known_values(signature, ESTIMATOR, profile) == {}


def test_more_words_than_a_profile_holds_are_not_known():
    rows = pl.DataFrame({"word": [f"{number:05d}" * 10 for number in range(3000)]})
    profile = profile_of(rows)
    assert profile["columns"]["word"]["others"] == []
    signature = signature_of(rows, kind="regression", target="price")
    assert known_values(signature, ESTIMATOR, profile) == {}
