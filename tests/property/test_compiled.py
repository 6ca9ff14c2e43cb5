"""A compiled form answers any row as its estimator does, or refuses what that refuses."""

import warnings

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies_compiled import odd_rows, pipelines, tables, tabulars

from bucle.errors import PackageError
from bucle.ids import canonical_json
from bucle.models.compiled.compile import compile_model, read_estimator
from bucle.models.compiled.form import Engine, Record, record_from_bytes
from bucle.models.compiled.learners import NoForm
from bucle.models.compiled.scorer import Scorer
from bucle.models.compiled.tabular import compile_scale
from bucle.models.intervals import ErrorScale, Intervals
from bucle.models.prediction import predict
from bucle.models.signature import signature_of
from bucle.models.tabular import tabular

INTERVALS = Intervals(
    level=0.9,
    quantile=2.0,
    positive=True,
    scaled=True,
    scale_rows=60,
    quantile_rows=60,
    measured_rows=0,
)
FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answers(ask, *arguments):
    """Return what is answered, None where it is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ask(*arguments)
    except PackageError:
        return None


def compare(model, frame, rows):
    """Compare form and estimator row by row; return why there is no form, where there is none."""
    signature = signature_of(frame, kind="regression", target="price")
    compiled = compile_model(model, signature, frame)
    if compiled.engine.name == "estimator":
        return compiled.engine.reason
    scorer = Scorer(record_from_bytes(compiled.record), trees=compiled.trees)
    for row in rows:
        one_row = pl.DataFrame([row], schema=frame.schema, orient="row")
        wanted = answers(lambda held: predict(model, held, kind="regression")[0], one_row)
        assert_equal(answers(scorer.one, row), wanted, row)
        many = answers(scorer.many, [row])
        assert_equal(None if many is None else many[0], wanted, row)
    return ""


def assert_equal(found, wanted, row):
    if found is None or wanted is None:
        assert found is None, (row, found, wanted)
        assert wanted is None, (row, found, wanted)
    else:
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9, err_msg=str(row))


@FEW
@given(tables(), tabulars(), st.data())
def test_the_default_learner_always_has_an_equal_form(table, model, data):
    frame, price = table
    assume("code" in frame.columns or not model.categories)
    model.fit(frame, price)
    assert compare(model, frame, data.draw(odd_rows(frame))) == ""


@FEW
@given(tables(("number", "whole", "word", "code", "flag")), st.data())
@pytest.mark.thorough
def test_a_pipeline_has_an_equal_form_or_none(table, data):
    frame, price = table
    model = data.draw(pipelines(frame))
    try:
        model.fit(frame, price)
    except (ValueError, TypeError):
        assume(False)  # this learner takes no nulls
    compare(model, frame, data.draw(odd_rows(frame)))


@FEW
@given(tables(("number", "whole", "word", "code", "flag"), nulls=False), st.data())
@pytest.mark.thorough
def test_a_pipeline_without_nulls_always_has_an_equal_form(table, data):
    frame, price = table
    model = data.draw(pipelines(frame)).fit(frame, price)
    assert compare(model, frame, data.draw(odd_rows(frame))) == ""


@settings(FEW, max_examples=12)
@given(tables(("number", "whole", "word", "code", "flag")), st.booleans(), st.data())
def test_a_row_read_once_is_answered_as_a_row_read_twice(table, is_default, data):
    frame, price = table
    model = tabular(max_iter=8) if is_default else data.draw(pipelines(frame))
    signature = signature_of(frame, kind="regression", target="price")
    try:
        form = read_estimator(model.fit(frame, price), signature)
    except (NoForm, ValueError, TypeError):
        assume(False)
    scale = compile_scale(ErrorScale().fit(frame, price, price), signature)
    scorer = Scorer(
        Record(engine=Engine(name="compiled", reason=""), model=form.form, scale=scale.form),
        trees=form.trees,
        scale_trees=scale.trees,
        intervals=canonical_json(msgspec.to_builtins(INTERVALS)),
    )
    for row in [*frame.rows()[:3], *data.draw(odd_rows(frame))]:
        together = answers(scorer.answer, row)
        assert together == answers(one_by_one, scorer, row)
        many = answers(scorer.answers, [row])
        assert (many is None) == (together is None)
        if many is not None:
            np.testing.assert_allclose(
                [many[0][0], *(end[0] for end in many[1])],
                [together[0], *together[1]],
                rtol=1e-9,
                atol=1e-9,
            )


def one_by_one(scorer, row):
    prediction = scorer.one(row)
    return prediction, scorer.interval_one(row, prediction)
