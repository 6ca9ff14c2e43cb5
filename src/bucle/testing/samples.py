"""Facts and frames to try a store with.

Must not be imported by anything but tests.
"""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from bucle.types import Draft

__all__ = ["draft", "sample_frame"]


def draft(number: int = 0, **body: Any) -> Draft:
    """Make a small fact to append."""
    return Draft(
        kind="noted",
        body={"number": number, **body},
        at="2026-01-02T03:04:05.000000Z",
        actor="test",
        cause="contract",
    )


def sample_frame() -> pl.DataFrame:
    """Make a frame of many types, with nulls, odd names and odd numbers."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901)  # noqa: DTZ001  (a moment without a zone)
    first = moment.replace(year=1)
    moments = pl.Series([moment, None, first], dtype=pl.Datetime("us"))
    return pl.DataFrame(
        {
            "Unit of Measure (Per Pack)": pl.Series([1, None, -(2**63)], dtype=pl.Int64),
            "": pl.Series([float("nan"), float("-inf"), None], dtype=pl.Float64),
            "a;b=c\n'\"`": ["ñ", None, ""],
            "price": pl.Series([Decimal("1.25"), None, Decimal("-0.01")], dtype=pl.Decimal(12, 2)),
            "Price": pl.Series([0, None, 255], dtype=pl.UInt8),
            "PRICE": pl.Series([0, None, 2**64 - 1], dtype=pl.UInt64),
            "nul\0name": pl.Series([2**100, None, -1], dtype=pl.Int128),
            "column 6": [b"\x00\xff", None, b""],
            "%20 #?[]*": [True, None, False],
            "day": [date(2026, 1, 2), None, date(1969, 12, 31)],
            "moment": moments,
            "utc": moments.dt.replace_time_zone("UTC"),
            "zone": pl.Series([moment.replace(tzinfo=UTC)] * 3).dt.convert_time_zone(
                "Europe/Madrid"
            ),
            "ms": pl.Series([moment, None, moment], dtype=pl.Datetime("ms")),
            "ns": pl.Series([moment, None, moment], dtype=pl.Datetime("ns")),
            "time": [time(23, 59, 59, 999999), None, time(0)],
            "lasted": pl.Series([timedelta(days=-1), None, timedelta(0)], dtype=pl.Duration("ms")),
            "kind": pl.Series(["b", None, "a"], dtype=pl.Enum(["b", "a"])),
            "category": pl.Series(["y", None, "x"], dtype=pl.Categorical),
            "nothing": pl.Series([None, None, None], dtype=pl.Null),
            "list": pl.Series([[1, None], None, []], dtype=pl.List(pl.UInt32)),
            "pair": pl.Series([[1, 2], None, [3, 4]], dtype=pl.Array(pl.UInt16, 2)),
            "deep": pl.Series(
                [{"t": time(1), "l": [{"x": 1}]}, {"t": None, "l": None}, {"t": time(2), "l": []}],
                dtype=pl.Struct({"t": pl.Time, "l": pl.List(pl.Struct({"x": pl.UInt8}))}),
            ),
        }
    )
