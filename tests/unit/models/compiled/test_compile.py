"""A compiled form answers as its estimator does, on every kind of column, or is not used."""

import datetime as dt

import msgspec
import numpy as np
import polars as pl
import pytest

from bucle.errors import PackageError
from bucle.ids import canonical_json
from bucle.models.compiled.compile import compile_model
from bucle.models.compiled.form import (
    Engine,
    Form,
    NumberCell,
    Record,
    TableCells,
    record_from_bytes,
)
from bucle.models.compiled.layout import Compiled
from bucle.models.compiled.proof import prove
from bucle.models.compiled.scorer import Scorer
from bucle.models.compiled.tabular import compile_scale, compile_tabular
from bucle.models.prediction import predict
from bucle.models.signature import Feature, signature_of
from bucle.models.tabular import tabular


def scorer_of(compiled, band=None):
    return Scorer(
        record_from_bytes(compiled.record),
        trees=compiled.trees,
        scale_trees=compiled.scale_trees,
        intervals=canonical_json(msgspec.to_builtins(band.intervals)) if band else None,
    )


@pytest.fixture(scope="module")
def compiled(model, signature, frame, band):
    return compile_model(model, signature, frame[600:], band=band)


@pytest.fixture(scope="module")
def scorer(compiled, band):
    return scorer_of(compiled, band)


def test_the_engine_says_on_how_much_it_was_proved(compiled):
    assert compiled.engine.name == "compiled"
    assert compiled.engine.reason.startswith("proved equal on 600 rows and ")
    assert "largest relative difference" in compiled.engine.reason


def test_answers_every_row_as_the_estimator_does(scorer, model, frame):
    wanted = model.predict(frame)
    np.testing.assert_allclose(scorer.many(frame.rows()), wanted, rtol=1e-12)


def test_one_row_alone_gets_the_very_number_it_gets_among_others(scorer, frame):
    rows = frame.rows()
    assert [scorer.one(row) for row in rows] == scorer.many(rows).tolist()


def test_intervals_are_those_of_the_band(scorer, band, model, frame):
    rows, predicted = frame.rows(), model.predict(frame)
    low, high = band.around(frame, predicted)
    found = scorer.interval_many(rows, predicted)
    np.testing.assert_allclose(found[0], low, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found[1], high, rtol=1e-12)
    singly = [scorer.interval_one(row, at) for row, at in zip(rows, predicted, strict=True)]
    np.testing.assert_array_equal(np.array(singly).T, np.array(found))


def test_number_and_interval_together_are_those_asked_for_one_by_one(scorer, frame):
    rows = frame.rows()
    predicted = scorer.many(rows)
    ends = [scorer.interval_one(row, at) for row, at in zip(rows, predicted.tolist(), strict=True)]
    assert [scorer.answer(row) for row in rows] == list(zip(predicted.tolist(), ends, strict=True))
    together, (low, high) = scorer.answers(rows)
    np.testing.assert_array_equal(together, predicted)
    np.testing.assert_array_equal(np.array(ends).T, [low, high])


def test_answers_nothing_about_no_rows(scorer):
    predicted, (low, high) = scorer.answers([])
    assert len(predicted) == len(low) == len(high) == 0


def test_a_model_without_intervals_answers_with_its_number(compiled, frame):
    bare = scorer_of(compiled)
    row = frame.row(0)
    assert bare.answer(row) == (bare.one(row), None)
    predicted, ends = bare.answers([row])
    assert (predicted.tolist(), ends) == ([bare.one(row)], None)


def test_equal_models_compile_to_equal_bytes(compiled, model, signature, frame, band):
    again = compile_model(model, signature, frame[600:], band=band)
    assert again == compiled


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("size", "3.5"),
        ("size", 10**400),
        ("size", dt.date(2024, 1, 1)),
        ("pieces", 2.5),
        ("pieces", 2**63),
        ("pieces", "7"),
        ("kind", 1),
        ("kind", b"a"),
        ("code", "1"),
        ("urgent", 1),
        ("day", dt.datetime(2024, 1, 1)),  # noqa: DTZ001
        ("day", "2024-01-01"),
        ("moment", dt.date(2024, 1, 1)),
        ("span", 5),
        ("clock", 5.0),
        ("nothing", "x"),
    ],
)
def test_refuses_a_value_of_another_type_by_name(scorer, frame, column, value):
    row = list(frame.row(0))
    row[frame.columns.index(column)] = value
    for ask in (scorer.one, scorer.answer, lambda row: scorer.many([row])):
        with pytest.raises(PackageError, match=f"'{column}'") as caught:
            ask(tuple(row))
        assert caught.value.code == "bucle-310"


def test_refuses_a_row_of_another_length(scorer, frame):
    with pytest.raises(PackageError, match="values"):
        scorer.one(frame.row(0)[1:])
    with pytest.raises(PackageError, match="values"):
        scorer.answer(frame.row(0)[1:])
    with pytest.raises(PackageError, match="same number"):
        scorer.many([frame.row(0), frame.row(0)[1:]])


def test_a_refusal_is_seen_before_a_later_step_hides_it():
    read = Feature(name="size", dtype="Float64")
    steps = (("finite", 0.0), ("most", 5.0))
    form = Form(
        columns=(read,),
        cells=(NumberCell(source=0, at=0, steps=steps),),
        width=1,
        weights=(1.0,),
        offset=0.0,
        output="same",
    )
    record = Record(engine=Engine(name="compiled", reason=""), model=form)
    scorer = Scorer(record, trees=None)
    assert scorer.many([(9.0,), (1.0,)]).tolist() == [5.0, 1.0]
    for ask in (scorer.one, lambda row: scorer.many([row, (1.0,)])):
        with pytest.raises(PackageError, match="'size'"):
            ask((np.inf,))


def test_a_word_is_never_read_as_a_number():
    form = Form(
        columns=(Feature(name="kind", dtype="String"),),
        cells=(NumberCell(source=0, at=0, steps=()),),
        width=1,
        weights=(1.0,),
        offset=0.0,
        output="same",
    )
    record = Record(engine=Engine(name="compiled", reason=""), model=form)
    with pytest.raises(PackageError, match="read as a number"):
        Scorer(record, trees=None)


@pytest.mark.parametrize(
    "change",
    [
        {"source": 1},
        {"source": -1},
        {"at": 1},
        {"unknown": 2},
        {"null": -2},
        {"keys": {"a": 7}},
        {"rows": (((1, 0.0),),)},
        {"base": (0.0, 0.0)},
    ],
)
def test_a_form_whose_parts_do_not_fit_is_refused(change):
    cell = TableCells(source=0, at=0, base=(0.0,), rows=((),), unknown=0, null=0)
    form = Form(
        columns=(Feature(name="kind", dtype="String"),),
        cells=(msgspec.structs.replace(cell, **change),),
        width=1,
        weights=(1.0,),
        offset=0.0,
        output="same",
    )
    record = Record(engine=Engine(name="compiled", reason=""), model=form)
    with pytest.raises(PackageError) as caught:
        Scorer(record, trees=None)
    assert caught.value.code == "bucle-311"


def test_no_rows_get_no_answers(scorer):
    assert scorer.many([]).shape == (0,)


def test_a_moment_with_a_zone_is_read_in_that_moment(frame, price):
    zoned = frame.select("size", pl.col("moment").dt.replace_time_zone("Asia/Tokyo"))
    signature = signature_of(zoned, kind="regression", target="price")
    model = tabular(max_iter=20).fit(zoned, price)
    compiled = compile_model(model, signature, zoned[:300])
    assert compiled.engine.name == "compiled", compiled.engine.reason
    scorer = scorer_of(compiled)
    np.testing.assert_allclose(scorer.many(zoned.rows()), model.predict(zoned), rtol=1e-12)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_moments_and_spans_are_cut_to_their_unit(frame, price, unit):
    exact = frame.select(
        pl.col("moment").cast(pl.Datetime(unit)), pl.col("span").cast(pl.Duration(unit))
    )
    signature = signature_of(exact, kind="regression", target="price")
    compiled = compile_model(tabular(max_iter=20).fit(exact, price), signature, exact[:300])
    assert compiled.engine.name == "compiled", compiled.engine.reason


def test_a_classification_gives_the_probability_of_yes(frame, price):
    wide = price > np.median(price)
    features = frame.select("size", "kind", "day", "code")
    signature = signature_of(features, kind="classification", target="wide", classes=("no", "yes"))
    model = tabular(kind="classification", max_iter=20).fit(features, wide)
    compiled = compile_model(model, signature, features[:300])
    assert compiled.engine.name == "compiled", compiled.engine.reason
    wanted = predict(model, features, kind="classification")
    np.testing.assert_allclose(scorer_of(compiled).many(features.rows()), wanted, rtol=1e-12)


def test_many_words_share_the_level_of_the_rest(frame, price):
    words = pl.DataFrame({"word": [f"w{at % 400}" for at in range(frame.height)]})
    signature = signature_of(words, kind="regression", target="price")
    model = tabular(max_iter=20).fit(words, price)
    compiled = compile_model(model, signature, words)
    assert compiled.engine.name == "compiled", compiled.engine.reason
    odd = pl.DataFrame({"word": ["never", None, "w1 ", "w399"]})
    np.testing.assert_allclose(scorer_of(compiled).many(odd.rows()), model.predict(odd), rtol=1e-12)


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int64, pl.Int16, pl.Boolean])
def test_numbers_declared_as_categories_are_looked_up(price, dtype):
    values = np.arange(price.size) % (2 if dtype == pl.Boolean else 300)
    codes = pl.DataFrame({"code": pl.Series(values).cast(dtype)})
    signature = signature_of(codes, kind="regression", target="price")
    model = tabular(max_iter=15, categories=["code"]).fit(codes, price)
    compiled = compile_model(model, signature, codes)
    assert compiled.engine.name == "compiled", compiled.engine.reason


class Odd:
    def predict(self, features):
        return np.ones(features.height)


def test_an_unknown_learner_is_answered_by_itself_and_named(signature, frame):
    compiled = compile_model(Odd(), signature, frame)
    assert compiled.engine.name == "estimator"
    assert "`Odd` has no compiled form" in compiled.engine.reason
    assert compiled.trees is None
    with pytest.raises(PackageError, match="no compiled form") as caught:
        scorer_of(compiled)
    assert caught.value.code == "bucle-313"


def test_without_rows_nothing_is_proved(model, signature, frame):
    compiled = compile_model(model, signature, frame[:0])
    assert compiled.engine.name == "estimator"
    assert "no rows" in compiled.engine.reason


# ---- the proof sees what differs -------------------------------------------------


@pytest.fixture(scope="module")
def parts(model, signature, band):
    return compile_tabular(model, signature), compile_scale(band.scale, signature)


def judged(model, signature, frame, parts, **changes):
    """Prove a form with one part changed."""
    form = msgspec.structs.replace(parts[0].form, **changes)
    changed = Compiled(
        form=form, learned=parts[0].learned, trees=parts[0].trees, places=parts[0].places
    )
    scorer = Scorer(
        Record(engine=Engine(name="compiled", reason=""), model=form), trees=parts[0].trees
    )
    return prove(scorer, model, signature, frame, compiled=changed)


def test_the_proof_holds_for_what_is_equal(model, signature, frame, parts):
    assert judged(model, signature, frame[:200], parts).holds


def test_the_proof_sees_a_change_of_the_sum(model, signature, frame, parts):
    proof = judged(model, signature, frame[:200], parts, offset=parts[0].form.offset + 1e-8)
    assert "instead of" in proof.reason


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("kind", {"unknown": 1}),
        ("kind", {"null": 1}),
        ("code", {"null": 2}),
        ("size", {"steps": (("single", 0.0),)}),
        ("pieces", {"steps": (("fill", 0.0),)}),
        ("weight", {"steps": (("known", 0.0),)}),
        ("day", {"parts": ("day", "weekday", "month")}),
    ],
)
def test_the_proof_sees_a_column_read_otherwise(model, signature, frame, parts, column, change):
    at = [feature.name for feature in signature.features].index(column)
    cells = tuple(
        msgspec.structs.replace(cell, **change) if cell.source == at else cell
        for cell in parts[0].form.cells
    )
    plain = frame.filter(~pl.any_horizontal(pl.all().exclude("nothing", "void").is_null()))
    proof = judged(model, signature, plain, parts, cells=cells)
    assert not proof.holds
    assert column in proof.reason or "every column" in proof.reason


def test_single_precision_is_caught_at_the_thresholds_alone(model, signature, frame, parts):
    at = frame.columns.index("size")
    cells = tuple(
        msgspec.structs.replace(cell, steps=(*cell.steps, ("single", 0.0)))
        if cell.source == at
        else cell
        for cell in parts[0].form.cells
    )
    rounded = frame.with_columns(pl.col("size").cast(pl.Float32).cast(pl.Float64))
    proof = judged(model, signature, rounded, parts, cells=cells)
    assert not proof.holds
    assert "'size'" in proof.reason
