"""What the columns of any row add is, together, what a model says of it beyond its base."""

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies_compiled import odd_rows, pipelines, tables, tabulars

from bucle.errors import PackageError
from bucle.models.compiled.compile import compile_model
from bucle.models.compiled.contributions import Reference
from bucle.models.compiled.explainer import Explainer
from bucle.models.compiled.form import record_from_bytes
from bucle.models.compiled.scorer import Scorer
from bucle.models.signature import signature_of

pytestmark = pytest.mark.thorough

FEW = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
INTO = {"prediction": float, "log": np.log, "log1p": np.log1p}


def compare(model, frame, rows):
    """Compare what contributions add up to with the answer of each row that has one."""
    signature = signature_of(frame, kind="regression", target="price")
    compiled = compile_model(model, signature, frame)
    assume(compiled.engine.name == "compiled" and compiled.reference is not None)
    record = record_from_bytes(compiled.record)
    scorer = Scorer(record, trees=compiled.trees)
    reference = msgspec.json.decode(compiled.reference, type=Reference)
    explainer = Explainer(record.model, trees=compiled.trees, reference=reference)
    for row in rows:
        try:
            wanted = scorer.one(row)
        except PackageError:
            continue
        (found,) = explainer.explain([row])
        assert list(found.columns) == frame.columns
        parts = [found.base, *found.columns.values()]
        # Weights make huge numbers of huge values: these cancel as far as doubles can.
        size = max(1.0, *map(abs, parts))
        assert abs(INTO[found.space](wanted) - sum(parts)) <= 1e-9 * size


@FEW
@given(tables(), tabulars(), st.data())
def test_of_the_default_learner(table, model, data):
    frame, price = table
    assume("code" in frame.columns or not model.categories)
    compare(model.fit(frame, price), frame, data.draw(odd_rows(frame)))


@FEW
@given(tables(("number", "whole", "word", "code", "flag"), nulls=False), st.data())
def test_of_a_pipeline(table, data):
    frame, price = table
    model = data.draw(pipelines(frame)).fit(frame, price)
    compare(model, frame, data.draw(odd_rows(frame)))
