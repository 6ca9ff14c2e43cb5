"""What an estimator says of a row beside its prediction, and what is asked of it for that."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from bucle.errors import PackageError
from bucle.models.compiled.compile import compile_model
from bucle.models.details import find_details, give_details
from bucle.models.signature import Feature, Signature, signature_of
from bucle.models.tabular import TabularRegressor

ROWS = pl.DataFrame({"x": [1.0, 2.0, 3.0]})


class Teller:
    """Gives details by a function of the frame."""

    def __init__(self, tell):
        self.details = tell


def signature(*details):
    found = tuple(Feature(name=name, dtype=dtype) for name, dtype in details)
    return Signature(
        kind="regression", target="y", features=(Feature(name="x", dtype="Float64"),), details=found
    )


def test_names_and_types_of_details_are_found():
    teller = Teller(
        lambda rows: rows.select(
            price=pl.col("x") * 2,
            weeks=pl.col("x").cast(pl.Int64),
            why=pl.lit("because"),
            soon=pl.col("x") > 2,
            day=pl.lit(dt.date(2024, 1, 31)),
        )
    )
    assert find_details(teller, ROWS) == (
        Feature(name="price", dtype="Float64"),
        Feature(name="weeks", dtype="Int64"),
        Feature(name="why", dtype="String"),
        Feature(name="soon", dtype="Boolean"),
        Feature(name="day", dtype="Date"),
    )


@pytest.mark.parametrize("estimator", [object(), Teller(None), Teller("words")])
def test_an_estimator_without_the_method_gives_none(estimator):
    assert find_details(estimator, ROWS) == ()


def test_details_are_given_in_the_types_of_the_signature():
    teller = Teller(lambda rows: rows.select(price=pl.col("x").cast(pl.Int64), why=pl.lit(None)))
    found = give_details(teller, ROWS, signature=signature(("price", "Float64"), ("why", "String")))
    assert found.schema == {"price": pl.Float64, "why": pl.String}
    assert found["price"].to_list() == [1.0, 2.0, 3.0]


def breaks(_):
    raise ValueError("too dear")


ODD = [
    (breaks, "it raised ValueError: too dear"),
    (lambda rows: rows["x"].to_numpy(), "it gave a ndarray"),
    (lambda rows: rows.head(2), "3 rows gave 2 rows"),
    (lambda rows: rows.select(x=pl.lit(float("nan")) * pl.col("x")), "holds NaN or an infinity"),
    (lambda rows: rows.select(x=pl.col("x") / 0), "holds NaN or an infinity"),
]


@pytest.mark.parametrize(("tell", "cause"), ODD)
def test_details_that_cannot_be_used_are_refused(tell, cause):
    for ask in (
        lambda: find_details(Teller(tell), ROWS),
        lambda: give_details(Teller(tell), ROWS, signature=signature(("x", "Float64"))),
    ):
        with pytest.raises(PackageError) as found:
            ask()
        assert cause in found.value.cause
        assert found.value.code == "bucle-356"


@pytest.mark.parametrize(
    ("tell", "cause"),
    [
        (lambda rows: rows.select(pl.lit(1).alias("y")), "1 rows"),
        (lambda rows: rows.select(y=pl.col("x")), "columns y instead of those"),
        (lambda rows: rows.with_columns(y=pl.col("x")), "columns x, y instead of those"),
        (lambda rows: rows.select(x=pl.lit("word").repeat_by(1).explode()), "rows of details"),
        (lambda rows: rows.select(x=pl.format("{} USD", "x")), "conversion"),
    ],
)
def test_details_other_than_packaged_are_refused(tell, cause):
    with pytest.raises(PackageError) as found:
        give_details(Teller(tell), ROWS, signature=signature(("x", "Float64")))
    assert cause in found.value.cause


@pytest.mark.parametrize(
    "tell",
    [
        lambda rows: rows.select(),
        lambda rows: rows.select(pl.col("x").alias(f"x{n}") for n in range(51)),
        lambda rows: rows.select(x=pl.lit(None).repeat_by(3).explode()),
        lambda rows: rows.select(pl.col("x").alias("a\nb")),
        lambda rows: rows.select(x=pl.concat_list("x")),
    ],
)
def test_details_that_cannot_be_described_are_refused_when_packaged(tell):
    with pytest.raises(PackageError):
        find_details(Teller(tell), ROWS)


class Telling(TabularRegressor):
    """The default learner, with something to say."""

    def details(self, rows):
        return rows.select(twice=pl.col("size") * 2)


def test_an_estimator_with_details_answers_itself():
    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"size": rng.normal(size=80)})
    model = Telling(max_iter=3).fit(rows, rng.normal(size=80))
    plain = signature_of(rows, kind="regression", target="price")
    telling = Signature(
        kind="regression",
        target="price",
        features=plain.features,
        details=find_details(model, rows),
    )
    assert compile_model(model, plain, rows).engine.name == "compiled"
    engine = compile_model(model, telling, rows).engine
    assert (engine.name, engine.reason) == (
        "estimator",
        "`Telling` itself gives the details of an answer",
    )
