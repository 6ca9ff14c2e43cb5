"""Columns brought to a declared type without losing a value unseen."""

from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.data.casting import Cast, cast_column
from bucle.errors import ContractError, SourceError


def cast(values: list[object], dtype: pl.DataType, **settings: object) -> Cast:
    return cast_column(pl.Series("x", values), dtype, settings=DatasetSettings(**settings))


@pytest.mark.parametrize(
    ("values", "dtype", "expected", "failed"),
    [
        (["1", "x", None], pl.Int64(), [1, None, None], [1]),
        (["300", "-1", "7"], pl.UInt8(), [None, None, 7], [0, 1]),
        (["1.5", "nope"], pl.Float32(), [1.5, None], [1]),
        (["yes", "perhaps"], pl.Boolean(), [True, None], [1]),
        (["a", "z"], pl.Enum(["a"]), ["a", None], [1]),
        ([1.0, 2.5, 1e20], pl.Int32(), [1, None, None], [1, 2]),
        ([300, 3], pl.UInt8(), [None, 3], [0]),
        ([0, 1, 2], pl.Boolean(), [False, True, None], [2]),
        ([1, 2], pl.Float64(), [1.0, 2.0], []),
        ([1.5], pl.String(), ["1.5"], []),
        ([None, None], pl.Int64(), [None, None], []),
        ([20060602, 7], pl.Date(), [date(2006, 6, 2), None], [1]),
        (["31/02/2006", "2006-06-02"], pl.Date(), [None, date(2006, 6, 2)], [0]),
        ([datetime(2006, 6, 2)], pl.Date(), [date(2006, 6, 2)], []),  # noqa: DTZ001
    ],
)
def test_marks_exactly_what_the_type_cannot_say(
    values: list[object], dtype: pl.DataType, expected: list[object], failed: list[int]
) -> None:
    found = cast(values, dtype)
    assert found.values.dtype == dtype
    assert found.values.to_list() == expected
    assert found.failed.arg_true().to_list() == failed


def test_what_was_read_otherwise_is_reported() -> None:
    (grouped,) = cast(["1,234.5", "7"], pl.Float64()).coercions
    assert (grouped.column, grouped.count, grouped.examples) == ("x", 1, ("1,234.5",))
    assert grouped.became == "number without grouping"
    (epoch,) = cast(["1149300000", "2006-06-02"], pl.Datetime("us")).coercions
    assert epoch.became == "moment counted from 1970"
    (cut,) = cast(["2006-06-02 10:00", "2006-06-03 00:00"], pl.Date()).coercions
    assert (cut.became, cut.examples) == ("date without its time", ("2006-06-02 10:00",))


def test_a_time_the_clocks_skip_or_show_twice_is_none() -> None:
    texts = ["2024-03-31 02:30", "2024-10-27 02:30", "2024-06-01 00:00:00Z", "2024-06-01 00:00"]
    found = cast(texts, pl.Datetime("us", "Europe/Madrid"))
    assert found.failed.to_list() == [True, True, False, False]
    assert found.values.dt.hour().to_list() == [None, None, 2, 0]
    assert "times without a zone are taken as Europe/Madrid" in found.notes[0]


def test_moments_without_zone_are_utc() -> None:
    found = cast(["2024-06-01 10:00", "2024-06-01T12:00:00+02:00"], pl.Datetime("us", "UTC"))
    assert found.values[0] == found.values[1]


def test_placeholder_years_are_told() -> None:
    assert "2 dates in the year 1 or 9999" in cast(["0001-01-01", "9999-12-31"], pl.Date()).notes[0]


def test_day_or_month_first_is_asked_for() -> None:
    with pytest.raises(SourceError, match="Cannot tell the day from the month") as caught:
        cast(["6/2/06"], pl.Date())
    assert 'dates = "day-first"' in str(caught.value)
    assert cast(["6/2/06"], pl.Date(), dates="day-first").values[0] == date(2006, 2, 6)


def test_types_without_a_value_in_common_are_refused() -> None:
    with pytest.raises(ContractError, match="Cannot make column 'x' List"):
        cast(["[1, 2]"], pl.List(pl.Int64()))


def test_a_decimal_that_does_not_fit_is_told_and_not_rounded() -> None:
    read = cast(["12345678901234567.89", "1.239"], pl.Decimal(20, 2))
    assert read.values.to_list() == [Decimal("12345678901234567.89"), None]
    assert read.failed.to_list() == [False, True]
