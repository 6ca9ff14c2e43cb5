"""Scales that hold what they are given, and drawings that stay within them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bucle.loop.replay.svg import Label, Line, draw_lines, draw_strip, fit

amounts = st.lists(
    st.floats(min_value=-1e300, max_value=1e300, allow_nan=False), min_size=1, max_size=8
)
ratios = st.lists(st.floats(min_value=1e-11, max_value=1e300), min_size=1, max_size=8)


@given(values=amounts, most=st.integers(min_value=3, max_value=9))
def test_a_scale_holds_all_values_between_few_ticks(values: list[float], most: int) -> None:
    scale = fit(values, most=most)
    assert list(scale.ticks) == sorted(set(scale.ticks))
    assert 2 <= len(scale.ticks) <= most + 3
    assert (scale.low, scale.high) == (scale.ticks[0], scale.ticks[-1])
    assert all(-1e-6 <= scale.share(value) <= 1 + 1e-6 for value in values)


@given(values=ratios)
def test_a_logarithmic_scale_holds_all_values_between_few_ticks(values: list[float]) -> None:
    scale = fit(values, logarithmic=True)
    assert list(scale.ticks) == sorted(set(scale.ticks))
    assert 2 <= len(scale.ticks) <= 8
    assert all(-1e-3 <= scale.share(value) <= 1 + 1e-3 for value in values)


@given(values=st.lists(st.floats(min_value=0.01, max_value=100), min_size=2, max_size=2))
def test_equal_ratios_are_equally_far_apart(values: list[float]) -> None:
    scale = fit([1e-3, 1e3], logarithmic=True)
    first, second = (scale.share(2 * value) - scale.share(value) for value in values)
    assert abs(first - second) < 1e-9


def test_a_line_goes_through_its_places_from_left_and_bottom() -> None:
    line = Line(places=((0.0, 0.0), (0.5, 1.0), None, (1.0, 0.25)), style="l1")
    drawing = draw_lines([line], name="one", scale=fit([0.0, 1.0]), labels=[], title="t", about="a")
    assert '<path class="l1" d="M0 1000L500 0"/>' in drawing
    assert '<path class="l1 point" d="M1000 750h0"/>' in drawing


def test_labels_at_the_edges_stay_inside() -> None:
    labels = [Label(place=place, text=f"{place}") for place in (0.0, 0.5, 1.0)]
    drawing = draw_lines([], name="one", scale=fit([0.0]), labels=labels, title="t", about="a")
    assert re.findall(r'class="(start|mid|end)">(0\.0|0\.5|1\.0)</text>', drawing)[-3:] == [
        ("start", "0.0"),
        ("mid", "0.5"),
        ("end", "1.0"),
    ]


def test_a_strip_is_hollow_where_nothing_is_clear_and_ends_in_arrows_beyond_its_scale() -> None:
    scale = fit([-0.1, 0.1])
    within = draw_strip(0.0, -0.05, 0.05, scale=scale, base=0.0, clear=False, title="t")
    assert "hollow" in within
    assert "arrow" not in within
    beyond = draw_strip(7.0, -3.0, 9.0, scale=scale, base=0.0, clear=True, title="t")
    assert beyond.count("arrow") == 2
    assert "circle" not in beyond
    assert re.findall(r'class="reach" x1="([^"]*)" x2="([^"]*)"', beyond) == [("0%", "100%")]
