"""What of a contract a server can check, and what of it the rows themselves do not keep."""

import datetime as dt

import dataframely as dy
import polars as pl
import pytest

from bucle.models.rules import Rule, moment_of, rules_of
from bucle.models.signature import signature_of


class Sales(dy.Schema):
    size = dy.Float64(min=0, max_exclusive=9)
    code = dy.String(regex="^[A-Z]", min_length=2, max_length=4)
    count = dy.Int64(nullable=True, min_exclusive=0, max=7)
    odd = dy.String(regex=r"\p{Greek}+")
    other = dy.Float64(min=0)


ROWS = pl.DataFrame(
    {
        "size": [1.0, 8.0],
        "code": ["AB", "C12"],
        "count": [1, None],
        "odd": ["α", "β"],
        "new": [1, 2],
    }
)


def rules(frame: pl.DataFrame) -> dict[str, Rule]:
    signature = signature_of(frame, kind="regression", target="price")
    return {rule.name: rule for rule in rules_of(Sales, signature, frame)}


def test_limits_lengths_and_patterns_are_kept() -> None:
    found = rules(ROWS)
    assert found["size"] == Rule(name="size", nullable=False, least=0, below=9)
    assert found["code"] == Rule(
        name="code", nullable=False, pattern="^[A-Z]", shortest=2, longest=4
    )
    assert found["count"] == Rule(name="count", above=0, most=7)
    # A pattern that only polars reads is left to the contract.
    assert found["odd"] == Rule(name="odd", nullable=False)
    assert "new" not in found


def test_a_rule_that_the_rows_break_is_none_of_theirs() -> None:
    frame = ROWS.with_columns(pl.Series("size", [-1.0, 12.0]), pl.Series("code", ["a", None]))
    found = rules(frame)
    assert found["size"] == Rule(name="size", nullable=False)
    assert found["code"] == Rule(name="code", longest=4)


def test_a_column_of_another_type_is_another_column() -> None:
    assert "size" not in rules(ROWS.with_columns(pl.col("size").cast(pl.String)))


class Visits(dy.Schema):
    day = dy.Date(nullable=False, min=dt.date(2020, 1, 1), max_exclusive=dt.date(2030, 1, 1))
    at = dy.Datetime(nullable=False, min=dt.datetime(2020, 1, 1), time_unit="ms")  # noqa: DTZ001
    there = dy.Datetime(nullable=True, time_zone="UTC", max=dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    clock = dy.Time(nullable=False, min_exclusive=dt.time(6))
    stay = dy.Duration(nullable=False, max=dt.timedelta(days=3))
    kind = dy.Enum(["new", "old"], nullable=False)


VISITS = pl.DataFrame(
    {
        "day": [dt.date(2024, 1, 31)],
        "at": [dt.datetime(2024, 1, 31)],  # noqa: DTZ001
        "there": [dt.datetime(2024, 1, 31, tzinfo=dt.UTC)],
        "clock": [dt.time(7)],
        "stay": [dt.timedelta(hours=1)],
        "kind": ["new"],
    }
)


def visits(frame: pl.DataFrame) -> dict[str, Rule]:
    signature = signature_of(frame, kind="regression", target="price")
    return {rule.name: rule for rule in rules_of(Visits, signature, frame)}


@pytest.mark.parametrize("kind", [pl.String, pl.Enum(["new", "old"]), pl.Categorical])
def test_limits_of_dates_and_lists_of_words_are_kept(kind: pl.DataType) -> None:
    assert list(visits(VISITS.cast({"kind": kind})).values()) == [
        Rule(name="day", nullable=False, least="2020-01-01", below="2030-01-01"),
        Rule(name="at", nullable=False, least="2020-01-01T00:00:00"),
        Rule(name="there", most="2030-01-01T00:00:00Z"),
        Rule(name="clock", nullable=False, above="06:00:00"),
        Rule(name="stay", nullable=False, most="P3D"),
        Rule(name="kind", nullable=False, one_of=("new", "old")),
    ]


def test_dates_and_words_that_break_a_rule_leave_it_out() -> None:
    frame = VISITS.with_columns(day=pl.lit(dt.date(2019, 1, 1)), kind=pl.lit("odd"))
    assert visits(frame)["day"] == Rule(name="day", nullable=False, below="2030-01-01")
    assert visits(frame)["kind"] == Rule(name="kind", nullable=False)


def test_a_moment_of_another_zone_than_the_contract_has_no_rule() -> None:
    assert "there" not in visits(VISITS.with_columns(pl.col("there").dt.replace_time_zone(None)))


@pytest.mark.parametrize(
    ("limit", "dtype"),
    [
        ("2020-01-01", "Float64"),
        (3, "Date"),
        (None, "Date"),
        ("2020-01-01T00:00:00Z", "Datetime[us]"),
    ],
)
def test_what_is_no_limit_of_a_column_of_time_is_none(
    limit: float | str | None, dtype: str
) -> None:
    assert moment_of(limit, dtype) is None
