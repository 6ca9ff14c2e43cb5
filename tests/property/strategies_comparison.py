"""Frames for comparing versions and for looking for leaks."""

import numpy as np
import polars as pl
from hypothesis import strategies as st

__all__ = ["honest_frames", "keyed_frames"]

_CELLS = {
    "number": st.one_of(st.none(), st.floats(width=32)),
    "count": st.one_of(st.none(), st.integers(-5, 5)),
    "word": st.one_of(st.none(), st.text(max_size=3)),
}
_TYPES = {"number": pl.Float64, "count": pl.Int64, "word": pl.String}


@st.composite
def keyed_frames(draw: st.DrawFn) -> pl.DataFrame:
    """Draw a small frame with a unique key and columns of several types."""
    keys = draw(st.lists(st.integers(0, 9), unique=True, max_size=6))
    columns = {
        name: pl.Series(name, [draw(cell) for _ in keys], dtype=_TYPES[name])
        for name, cell in _CELLS.items()
    }
    return pl.DataFrame({"id": pl.Series("id", keys, dtype=pl.Int64), **columns})


@st.composite
def honest_frames(draw: st.DrawFn) -> pl.DataFrame:
    """Draw a frame whose target depends on its columns with noise, as in the world."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(60, 400))
    size = rng.lognormal(3, draw(st.floats(0.3, 2.0)), rows)
    noise = draw(st.floats(0.3, 1.0))
    decimals = draw(st.integers(0, 3))
    return pl.DataFrame(
        {
            "size": np.round(size, decimals),
            "count": rng.integers(1, draw(st.integers(2, 200)), rows),
            "flag": rng.integers(0, 2, rows),
            "rating": rng.normal(size=rows),
            "kind": rng.choice(["a", "b", "c"], rows),
            "target": np.round(size * rng.lognormal(1, noise, rows), decimals),
        }
    )
