"""What gates are given in property tests: losses, clusters, evidence and labelled histories."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from hypothesis import strategies as st

from bucle.gates.evidence import Evidence

_START = datetime(2026, 1, 1, tzinfo=UTC)

finite = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)
hostile = st.floats(allow_nan=True, allow_infinity=True) | finite
names = st.sampled_from(["a", "b", "c", "", "ñ", None])


@st.composite
def arrays(draw: st.DrawFn, values: st.SearchStrategy[float] = finite, most: int = 60):
    return np.array(draw(st.lists(values, min_size=2, max_size=most)), dtype=np.float64)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Draw evidence of any size, with values that no model should produce."""
    rows = draw(st.integers(min_value=0, max_value=50))

    def column(values: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(values, min_size=rows, max_size=rows))

    values = draw(st.sampled_from([finite, hostile, st.just(1.0), st.sampled_from([0.0, 1.0])]))
    numbers = [np.array(column(values), dtype=np.float64) for _ in range(4)]
    return Evidence(
        truth=numbers[0],
        challenger=numbers[1],
        champion=draw(st.sampled_from([None, numbers[2]])),
        baselines=draw(st.sampled_from([{}, {"last": numbers[3]}])),
        clusters=draw(st.sampled_from([None, np.array(column(names), dtype=object)])),
        slices=draw(st.sampled_from([{}, {"group": np.array(column(names), dtype=object)}])),
        looks=draw(st.integers(min_value=0, max_value=3)),
        package_bytes=draw(st.none() | st.integers(min_value=0, max_value=10**9)),
        latency_ms=draw(st.none() | st.floats(min_value=0, max_value=1e3)),
    )


@st.composite
def histories(draw: st.DrawFn, least: int = 0) -> pl.DataFrame:
    """Draw labelled rows of few keys at few moments, so that ties and gaps are common."""
    days = st.none() | st.integers(min_value=0, max_value=12)
    rows = draw(
        st.lists(
            st.tuples(names, days, days, st.none() | st.integers(min_value=-5, max_value=5)),
            min_size=least,
            max_size=25,
        )
    )

    def moment(day: int | None) -> datetime | None:
        return None if day is None else _START + timedelta(days=day)

    return pl.DataFrame(
        {
            "key": [row[0] for row in rows],
            "event": [moment(row[1]) for row in rows],
            "known": [moment(row[2]) for row in rows],
            "label": [None if row[3] is None else float(row[3]) for row in rows],
        },
        schema={
            "key": pl.String,
            "event": pl.Datetime("us", "UTC"),
            "known": pl.Datetime("us", "UTC"),
            "label": pl.Float64,
        },
    )
