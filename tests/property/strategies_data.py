"""What the properties of the data floor are drawn from."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import strategies as st

__all__ = ["cells", "frames", "histories", "moments", "tables_of_text"]

_START = datetime(2026, 1, 1, tzinfo=UTC)

moments = st.integers(0, 40).map(lambda hours: _START + timedelta(hours=hours))
cells = st.text(st.sampled_from("ab1,;\"\n\r \té='-"), max_size=6)
tables_of_text = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8)
)

_numbers = st.none() | st.integers(-3, 3)
_floats = st.none() | st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf")])
_texts = st.none() | st.sampled_from(["", "a", "b", "ab", "é"])


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """Small frames with doubled rows, nulls and odd floats."""
    rows = draw(st.lists(st.tuples(_numbers, _floats, _texts), max_size=8))
    schema = {"n": pl.Int64, "x": pl.Float64, "t": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


@st.composite
def histories(draw: st.DrawFn) -> pl.DataFrame:
    """Rows with event times, labels and the times at which these became known."""
    row = st.tuples(moments, st.none() | st.floats(-9, 9), st.none() | moments)
    rows = draw(st.lists(row, min_size=1, max_size=12))
    schema = {
        "seen": pl.Datetime("us", "UTC"),
        "price": pl.Float64,
        "known": pl.Datetime("us", "UTC"),
    }
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("id")
