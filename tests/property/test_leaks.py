"""The leak finder is quiet on honest frames and sees leaks whatever their scale."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_comparison import honest_frames

from bucle.data.leaks import find_leaks


@settings(max_examples=40, deadline=None)
@given(frame=honest_frames())
def test_is_quiet_on_honest_frames(frame: pl.DataFrame) -> None:
    assert find_leaks(frame, target="target") == ()


@settings(max_examples=40, deadline=None)
@given(frame=honest_frames(), scale=st.floats(1e-6, 1e6))
def test_finds_a_product_in_any_unit(frame: pl.DataFrame, scale: float) -> None:
    leaky = frame.with_columns(
        one=pl.col("rating").exp() + 0.1, other=pl.col("size") + pl.col("target") + 1.0
    ).with_columns(target=pl.col("one") * pl.col("other") * scale)
    assert ("one", "other") in [s.columns for s in find_leaks(leaky, target="target")]


@settings(max_examples=40, deadline=None)
@given(frame=honest_frames(), rate=st.floats(1e-6, 1e6))
def test_finds_a_fixed_share_of_the_target(frame: pl.DataFrame, rate: float) -> None:
    leaky = frame.with_columns(fee=pl.col("target") * rate)
    found = [s.columns for s in find_leaks(leaky, target="target") if s.kind == "ratio"]
    assert ("fee",) in found
