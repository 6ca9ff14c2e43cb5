"""What the contract forbids is counted in rows that were answered all the same."""

import polars as pl
import pytest

from bucle.models.rules import Rule
from bucle.watch.examples import ROW, pick_examples
from bucle.watch.forbidden import find_forbidden
from bucle.watch.yardsticks import measures_of, yardsticks_of

ROWS = pl.DataFrame(
    {
        ROW: ["p-1", "p-2", "p-3", "p-4"],
        "size": [1.0, -2.0, None, 900.0],
        "word": ["red", "blue", "", None],
        "day": ["2026-01-01", "2019-01-01", "2026-02-01", None],
    }
)
DTYPES = {"size": pl.Float64(), "word": pl.String(), "day": pl.Date()}


@pytest.mark.parametrize(
    ("rule", "ids"),
    [
        (Rule(name="size", least=0.0), ["p-2"]),
        (Rule(name="size", above=1.0), ["p-1", "p-2"]),
        (Rule(name="size", most=100), ["p-4"]),
        (Rule(name="size", below=900, least=-9), ["p-4"]),
        (Rule(name="word", one_of=("red", "blue")), ["p-3"]),
        (Rule(name="word", shortest=1), ["p-3"]),
        (Rule(name="word", longest=3), ["p-2"]),
        (Rule(name="word", pattern="^r"), ["p-2", "p-3"]),
        (Rule(name="day", least="2020-01-01"), ["p-2"]),
        (Rule(name="size", least=-5.0), []),
        (Rule(name="elsewhere", least=0.0), []),
    ],
)
def test_each_rule_finds_the_rows_that_break_it(rule: Rule, ids: list[str]) -> None:
    found = find_forbidden(ROWS, [rule], DTYPES)
    assert [row.id for one in found for row in one.examples] == ids
    assert sum(one.rows for one in found) == len(ids)


def test_a_null_counts_where_none_may_be_and_nowhere_else() -> None:
    (found,) = find_forbidden(ROWS, [Rule(name="size", nullable=False, least=-9.0)], DTYPES)
    assert (found.is_null, found.rows) == (True, 1)
    assert found.examples[0].value == "null"
    assert find_forbidden(ROWS, [Rule(name="size")], DTYPES) == ()


def test_examples_show_where_a_measure_went() -> None:
    rows = pl.DataFrame(
        {
            ROW: ["a", "b", "c", "d"],
            "size": [1.0, 4.0, 3.0, None],
            "word": ["red", "blue", "red", "green"],
        }
    )
    sticks = yardsticks_of(rows.drop(ROW))

    def ids(kind: str, *, rising: bool, word: str = "") -> list[str]:
        measure = next(one for one in measures_of(sticks) if one.kind == kind and one.word == word)
        return [row.id for row in pick_examples(rows, measure, sticks, rising=rising, most=2)]

    assert ids("mean", rising=True) == ["b", "c"]
    assert ids("mean", rising=False) == ["a", "c"]
    assert ids("share", rising=True, word="red") == ["a", "c"]
    assert ids("share", rising=False, word="red") == ["b", "d"]
    assert ids("null", rising=True) == ["d"]


def test_long_values_are_cut() -> None:
    rows = pl.DataFrame({ROW: ["a"], "word": ["x" * 100]})
    sticks = yardsticks_of(rows.drop(ROW))
    measure = next(one for one in measures_of(sticks) if one.kind == "share")
    (found,) = pick_examples(rows, measure, sticks, rising=True)
    assert len(found.value) == 40
