"""The fingerprint covers all content and nothing but content."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from bucle.data.fingerprint import fingerprint, json_text, row_digests

ROWS = pl.DataFrame(
    {"item": ["a", "b", None], "price": [1.5, None, 2.0], "sold": [True, False, None]}
)


def test_does_not_depend_on_the_order_of_rows_or_columns() -> None:
    assert fingerprint(ROWS) == fingerprint(ROWS.reverse().select("sold", "price", "item"))


def test_does_not_depend_on_chunks() -> None:
    parts = pl.concat([ROWS.slice(i, 1) for i in range(3)], rechunk=False)
    assert parts.n_chunks() == 3
    assert fingerprint(parts) == fingerprint(ROWS)


def test_a_changed_cell_in_row_30_000_changes_it() -> None:
    rows = pl.DataFrame({"id": range(50_000), "price": [float(i % 97) for i in range(50_000)]})
    changed = rows.with_columns(
        pl.when(pl.col("id") == 30_000).then(-1.0).otherwise("price").alias("price")
    )
    assert fingerprint(rows) != fingerprint(changed)


@pytest.mark.parametrize(
    "other",
    [
        ROWS.rename({"price": "prices"}),
        ROWS.with_columns(pl.col("price").cast(pl.Float32)),
        ROWS.with_columns(pl.col("price").fill_null(0.0)),
        ROWS.with_columns(pl.col("item").fill_null("")),
        ROWS.with_columns(pl.col("sold").fill_null(value=False)),
        ROWS.head(2),
        pl.concat([ROWS, ROWS.head(1)]),
        ROWS.drop("sold"),
    ],
)
def test_any_other_content_has_another_one(other: pl.DataFrame) -> None:
    assert fingerprint(other) != fingerprint(ROWS)


def test_borders_between_texts_count() -> None:
    assert fingerprint(pl.DataFrame({"a": ["ab", "c"]})) != fingerprint(
        pl.DataFrame({"a": ["a", "bc"]})
    )


def test_values_do_not_wander_between_columns_or_rows() -> None:
    one = pl.DataFrame({"a": [1, 2], "b": [3, 4]})
    other = pl.DataFrame({"a": [1, 2], "b": [4, 3]})
    assert fingerprint(one) != fingerprint(other)


def test_not_a_number_is_one_value_and_zero_has_no_sign() -> None:
    odd = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    assert fingerprint(pl.DataFrame({"a": odd})) == fingerprint(pl.DataFrame({"a": [float("nan")]}))
    assert fingerprint(pl.DataFrame({"a": [-0.0, 0.0]})) == fingerprint(
        pl.DataFrame({"a": [0.0, 0.0]})
    )
    assert fingerprint(pl.DataFrame({"a": [float("nan")]})) != fingerprint(
        pl.DataFrame({"a": [None]}, schema={"a": pl.Float64})
    )


def test_takes_every_type_a_table_may_hold() -> None:
    rows = pl.DataFrame(
        {
            "day": [datetime(2026, 1, 1, tzinfo=UTC).date()],
            "moment": [datetime(2026, 1, 1, tzinfo=UTC)],
            "exact": [Decimal("1.10")],
            "bytes": [b"\x00\xff"],
            "list": [[1, None]],
            "struct": [{"a": 1}],
            "nothing": [None],
            "large": pl.Series([2**64 - 1], dtype=pl.UInt64),
        }
    )
    seen = {
        fingerprint(rows.with_columns(pl.lit(None).cast(rows[name].dtype).alias(name)))
        for name in rows.columns
    }
    assert len({*seen, fingerprint(rows)}) == rows.width


def test_an_empty_frame_has_one_that_tells_its_columns() -> None:
    assert fingerprint(ROWS.clear()) != fingerprint(ROWS.clear().drop("sold"))
    assert len(fingerprint(pl.DataFrame())) == 64


def test_is_the_same_on_every_machine() -> None:
    expected = "c47cc79d"
    rows = pl.DataFrame({"a": [1, None], "b": ["x", "é"], "c": [0.1, float("nan")]})
    assert fingerprint(rows)[:8] == expected


def test_row_digests_are_equal_for_equal_rows_only() -> None:
    rows = pl.DataFrame({"a": [1, 2, 1], "b": ["x", "x", "x"]})
    one, two, three = row_digests(rows)
    assert one == three
    assert one != two
    assert row_digests(rows, salt="other")[0] != one
    assert row_digests(rows.select("b", "a")) == [one, two, three]


def test_nested_values_have_one_text() -> None:
    assert json_text({"b": 1, "a": [2]}) == '{"a": [2], "b": 1}'
    assert json_text(None) is None


def test_integers_of_128_bits_count_in_full() -> None:
    one, other = (
        pl.DataFrame({"a": pl.Series([n], dtype=pl.Int128)}) for n in (2**100, 2**100 + 1)
    )
    assert fingerprint(one) != fingerprint(other)
