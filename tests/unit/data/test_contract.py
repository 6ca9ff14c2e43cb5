"""Good rows are told from breaching ones, with reasons in words."""

import dataframely as dy
import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.data.contract import screen
from bucle.data.screened import Screened
from bucle.errors import ContractError


class Sales(dy.Schema):
    item = dy.Int64()
    price = dy.Float64(min=0, max_exclusive=1000)
    grade = dy.Enum(["A", "B"], nullable=True)
    sold = dy.Date(nullable=True)
    note = dy.String(nullable=True, max_length=5, regex="^[a-z]*$")
    unit = dy.UInt8(nullable=True, is_in=[1, 2])

    @dy.rule()
    def b_is_cheap(self) -> pl.Expr:
        return (pl.col("grade") != "B") | (pl.col("price") < 100)


GOOD = {"item": "1", "price": "5", "grade": "A", "sold": "2026-01-01", "note": "x", "unit": "1"}


def run(*rows: dict[str, str | None], key: str | tuple[str, ...] = ()) -> Screened:
    frame = pl.DataFrame([GOOD | row for row in rows], schema=dict.fromkeys(GOOD, pl.String))
    return screen(frame, Sales, settings=DatasetSettings(key=key))


def test_good_rows_have_the_contracts_types() -> None:
    screened = run({})
    assert screened.bad.height == 0
    assert dict(screened.good.schema) == {
        "item": pl.Int64,
        "price": pl.Float64,
        "grade": pl.String,
        "sold": pl.Date,
        "note": pl.String,
        "unit": pl.UInt8,
    }


@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        ({"price": "-3"}, ["price: '-3' is below the least allowed, 0"]),
        ({"price": "1000"}, ["price: '1000' is not below 1000"]),
        ({"price": "abc"}, ["price: 'abc' is not a number"]),
        ({"price": None}, ["price is empty"]),
        ({"item": "1.5"}, ["item: '1.5' is not a whole number"]),
        ({"grade": "C"}, ["grade: 'C' is not one of A, B"]),
        ({"note": "toolong"}, ["note: 'toolong' is longer than 5"]),
        ({"note": "A"}, ["note: 'A' does not match ^[a-z]*$"]),
        ({"unit": "3"}, ["unit: '3' is not one of 1, 2"]),
        ({"grade": "B", "price": "200"}, ["breaks the rule 'b is cheap'"]),
        (
            {"price": "-1", "item": "x"},
            ["item: 'x' is not a whole number", "price: '-1' is below the least allowed, 0"],
        ),
    ],
)
def test_reasons_name_column_value_and_rule(row: dict[str, str | None], reasons: list[str]) -> None:
    screened = run({}, row)
    assert screened.good_index.to_list() == [0]
    assert screened.bad.rows() == [(1, reasons)]


def test_a_value_that_may_be_null_becomes_null_and_is_reported() -> None:
    screened = run({"sold": "31/02/2026"}, {"sold": "soon"}, {"sold": None}, {"unit": "300"})
    assert screened.good["sold"].null_count() == 3
    assert [(c.column, c.count, c.examples, c.became) for c in screened.coercions] == [
        ("sold", 2, ("31/02/2026", "soon"), "null"),
        ("unit", 1, ("300",), "null"),
    ]


def test_repeated_rows_count_once_and_contradicting_ones_all_breach() -> None:
    screened = run({}, {}, {"item": "2"}, {"item": "2", "price": "6"}, {"item": "3"}, key="item")
    assert screened.good["item"].to_list() == [1, 3]
    assert screened.repeated == 1
    assert screened.bad.rows() == [
        (2, ["the key item=2 is there more than once with other content"]),
        (3, ["the key item=2 is there more than once with other content"]),
    ]


def test_an_empty_key_breaches_with_one_reason() -> None:
    assert run({"item": None}, key="item").bad.rows() == [(0, ["the key (item) is empty"])]


def test_rows_that_lost_a_value_do_not_pass_for_repeated_ones() -> None:
    screened = run({"price": "x"}, {"price": "y"}, key="item")
    assert screened.bad.height == 2
    assert screened.repeated == 0


def test_without_a_key_equal_rows_all_stay() -> None:
    assert run({}, {}).good.height == 2


def test_a_primary_key_of_the_contract_holds_without_settings() -> None:
    class Keyed(dy.Schema):
        id = dy.Int64(primary_key=True)

    frame = pl.DataFrame({"id": ["1", "1", "2"]})
    screened = screen(frame, Keyed, settings=DatasetSettings())
    assert screened.good["id"].to_list() == [2]
    assert screened.bad["_reasons"][0].to_list() == ["the key (id) is there more than once"]


def test_columns_beyond_the_contract_are_told() -> None:
    frame = pl.DataFrame([GOOD | {"more": "1"}])
    assert screen(frame, Sales, settings=DatasetSettings()).notes == (
        "1 column not in the contract, so not kept: more",
    )


def test_a_missing_column_is_named_with_the_nearest() -> None:
    frame = pl.DataFrame([GOOD]).rename({"price": "prise"})
    with pytest.raises(ContractError, match="no column 'price'") as caught:
        screen(frame, Sales, settings=DatasetSettings())
    assert caught.value.did_you_mean == ("prise",)


def test_a_key_that_is_no_column_is_named() -> None:
    with pytest.raises(ContractError, match="Did you mean: item"):
        run({}, key="itme")


def test_a_rule_that_fails_is_no_traceback() -> None:
    class Wrong(dy.Schema):
        item = dy.Int64()

        @dy.rule()
        def broken(self) -> pl.Expr:
            return pl.col("nothing") > 1

    with pytest.raises(ContractError, match="Cannot apply contract Wrong"):
        screen(pl.DataFrame({"item": ["1"]}), Wrong, settings=DatasetSettings())
