"""Nulls and words never seen are counted by column, and refused rows by reason."""

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucle.models.compiled.encoder import Encoder
from bucle.models.compiled.form import Engine, Form, NumberCell, Record, TableCells
from bucle.models.signature import Feature, Signature
from bucle.serve.counts import Counts
from bucle.serve.problems import BadRow
from bucle.serve.treated import Treated

FEATURES = (
    Feature(name="size", dtype="Float64"),
    Feature(name="kind", dtype="String"),
    Feature(name="code", dtype="Int64"),
)
FORM = Form(
    columns=FEATURES,
    cells=(
        NumberCell(source=0, at=0, steps=()),
        TableCells(source=1, at=1, base=(0.0,), rows=((),), keys={"a": 0}, unknown=0, null=0),
        TableCells(source=2, at=2, base=(0.0,), rows=((),), numbers=((7, 0),), unknown=0, null=0),
    ),
    width=3,
    weights=(1.0, 1.0, 1.0),
    offset=0.0,
    output="same",
)


class Model:
    """As much of a package as is asked for."""

    signature = Signature(kind="regression", target="y", features=FEATURES)
    record = Record(engine=Engine(name="compiled", reason=""), model=FORM)
    profile: ClassVar[dict[str, Any]] = {}


def counted(*rows: tuple[Any, ...], package: Any = Model) -> dict[str, int]:
    counts = Counts()
    Treated(package).count(rows, counts)
    return counts.treatments


def test_what_is_known_is_not_counted() -> None:
    assert counted((1.0, "a", 7), (2.0, "a", 7.0)) == {}


def test_nulls_and_new_values_are_counted_by_column() -> None:
    assert counted((None, "b", 7), (1.0, None, 8), (None, "a ", None)) == {
        "size\tnull": 2,
        "kind\tunknown": 2,
        "kind\tnull": 1,
        "code\tunknown": 1,
        "code\tnull": 1,
    }


@pytest.mark.parametrize("times", [1, 2, 3, 40])
def test_many_rows_are_counted_as_few_are(times: int) -> None:
    rows = [(None, "b", 7), (1.0, None, 8), (None, "a ", None), (2.0, "a", 7)]
    assert counted(*rows * times) == {name: count * times for name, count in counted(*rows).items()}


def test_words_of_an_estimator_are_counted_where_its_profile_lists_them() -> None:
    class Estimator(Model):
        record = Record(engine=Engine(name="estimator", reason=""))
        profile: ClassVar[dict[str, Any]] = {
            "columns": {"kind": {"kind": "word", "top": [["a", 2]], "different": 1}}
        }

    assert counted((1.0, "b", 8), package=Estimator) == {"kind\tunknown": 1}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("is missing", "missing"),
        ("is not a field of the model", "unknown field"),
        ("is there twice", "twice"),
        ("Expected a finite number", "not finite"),
        ("Expected a number, got text", "type"),
        ("Expected a number >= 0", "value"),
        ("is none of 'a'", "value"),
    ],
)
def test_what_is_wrong_with_a_row_has_a_reason_of_one_kind(rule: str, reason: str) -> None:
    assert BadRow.of(0, "x", rule=rule).reason == reason


def test_refused_rows_are_counted_by_reason_and_column_and_there_are_not_too_many() -> None:
    counts = Counts()
    for number in range(3000):
        counts.refused("value", f"column {number}")
    counts.refused("value", "column 1")
    counts.refused("type", "a\tb")
    assert len(counts.refusals) <= 1002
    assert counts.refusals["value\tcolumn 1"] == 2
    assert counts.refusals["value\t"] == 2000
    assert all(name.count("\t") == 1 for name in counts.refusals)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.sampled_from(["a", "a ", "b", None]),
            st.sampled_from([7, 8, None]),
        ),
        min_size=1,
    )
)
def test_columns_the_encoder_knows_hold_nothing_to_count(rows: list[tuple[Any, ...]]) -> None:
    columns = list(zip(*rows, strict=True))
    encoder = Encoder(FORM)
    encoder.many(columns)

    assert (0 in encoder.known) == (None not in columns[0])
    assert (1 in encoder.known) == all(word == "a" for word in columns[1])
    assert Treated(Model).find(columns, known=encoder.known) == Treated(Model).find(columns)  # type: ignore[arg-type]
