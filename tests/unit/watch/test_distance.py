"""The population stability index, against its plain formula and its mean without any change."""

import math
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from bucle.watch.distance import measure_distances, reference_of


def plain_index(before, after):
    """Return Σ (p - q) ln(p / q) with empty bins as 0.01 %."""
    total = 0.0
    for share, other in zip(before, after, strict=True):
        p, q = max(share, 1e-4), max(other, 1e-4)
        total += (q - p) * math.log(q / p)
    return total


def shares(values, edges):
    """Return by counting how many values lie in (-∞, e1], (e1, e2], … and are missing."""
    borders = [-math.inf, *edges, math.inf]
    known = [value for value in values if value is not None and math.isfinite(value)]
    counts = [sum(low < value <= high for value in known) for low, high in pairwise(borders)]
    return [count / len(values) for count in (*counts, len(values) - len(known))]


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_compared_by_the_plain_formula(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    before = [*drawn.normal(0, 1, 300).tolist(), None, math.nan, math.inf]
    after = [*drawn.normal(0.4, 1.5, 120).tolist(), None]
    known = [value for value in before if value is not None and math.isfinite(value)]
    edges = np.quantile(known, [share / 10 for share in range(1, 10)]).tolist()
    expected = plain_index(shares(before, edges), shares(after, edges))
    found = measure_distances(
        reference_of(pl.DataFrame({"size": before})), pl.DataFrame({"size": after})
    )
    assert found == {"size": pytest.approx(expected)}


def test_words_are_compared_by_the_plain_formula() -> None:
    before = ["a"] * 60 + ["b"] * 30 + [None] * 10
    after = ["a"] * 10 + ["b"] * 5 + ["new"] * 5
    found = measure_distances(
        reference_of(pl.DataFrame({"word": before})), pl.DataFrame({"word": after})
    )
    expected = plain_index([0.6, 0.3, 0.0, 0.1], [0.5, 0.25, 0.25, 0.0])
    assert found == {"word": pytest.approx(expected)}


def test_only_the_twenty_most_frequent_words_have_a_bin_of_their_own() -> None:
    words = [f"w{number:02}" for number in range(30) for _ in range(40 - number)]
    known = reference_of(pl.DataFrame({"word": words}))["word"]
    assert known["words"] == [f"w{number:02}" for number in range(20)]
    rest = sum(40 - number for number in range(20, 30)) / len(words)
    assert known["shares"][-2:] == pytest.approx([rest, 0.0])


@pytest.mark.parametrize(("n", "m"), [(400, 400), (1000, 200)])
def test_without_any_change_its_mean_is_as_published(n: int, m: int) -> None:
    drawn = np.random.default_rng(7)
    found = []
    for _ in range(400):
        reference = reference_of(pl.DataFrame({"size": drawn.normal(size=n)}))
        # Edges of the whole population, so that both windows are draws from the same shares.
        edges = [-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816]
        known = drawn.normal(size=n)
        reference["size"] = {"edges": edges, "shares": shares(known.tolist(), edges)}
        found.append(measure_distances(reference, pl.DataFrame({"size": drawn.normal(size=m)})))
    mean = float(np.mean([one["size"] for one in found]))
    assert mean == pytest.approx((10 - 1) * (1 / n + 1 / m), rel=0.08)


def test_a_column_that_is_constant_missing_or_of_times_has_a_distance() -> None:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(50)]
    frame = pl.DataFrame({"one": [3.0] * 50, "none": [None] * 50, "day": days, "flag": [True] * 50})
    frame = frame.with_columns(pl.col("none").cast(pl.Float64))
    same = measure_distances(reference_of(frame), frame)
    assert same == {"one": 0.0, "none": 0.0, "day": 0.0, "flag": 0.0}
    later = frame.with_columns(pl.col("day") + pl.duration(days=400), flag=pl.lit(value=False))
    moved = measure_distances(reference_of(frame), later)
    assert moved["day"] > 1
    assert moved["flag"] > 1
    assert moved["one"] == 0.0


def test_columns_of_other_kinds_and_columns_that_are_gone_are_left_out() -> None:
    frame = pl.DataFrame({"size": [1.0, 2.0], "list": [[1], [2]]})
    reference = reference_of(frame)
    assert set(reference) == {"size"}
    assert measure_distances(reference, frame.drop("size")) == {}
    assert measure_distances(reference, frame.clear()) == {}
