"""Intervals hold as often as they say, and say so when they cannot."""

import numpy as np
import polars as pl
import pytest

from bucle.errors import PackageError
from bucle.models.intervals import Band, ErrorScale, fit_intervals


def _rows(count, seed=0):
    """Rows whose error grows with `size`, and a prediction that knows the rest."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(0.2, 3, count)
    frame = pl.DataFrame({"size": size, "kind": rng.choice(["a", "b"], count).tolist()})
    prediction = 10 * size
    return frame, prediction + size * rng.standard_t(4, count), prediction


@pytest.fixture(scope="module")
def learned():
    return fit_intervals(*_rows(3000))


def test_coverage_on_rows_never_seen_is_what_was_asked_for(learned):
    frame, truth, prediction = _rows(20_000, seed=1)
    low, high = learned.around(frame, prediction)
    assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(0.9, abs=0.025)


def test_measured_coverage_is_close_to_the_coverage_later(learned):
    record = learned.intervals
    assert (record.scale_rows, record.quantile_rows, record.measured_rows) == (1500, 900, 600)
    assert record.coverage == pytest.approx(0.9, abs=0.04)


def test_intervals_are_wider_where_errors_are_larger(learned):
    frame, _, prediction = _rows(2000, seed=2)
    low, high = learned.around(frame, prediction)
    small = frame["size"].to_numpy() < 0.6
    large = frame["size"].to_numpy() > 2.5
    assert (high - low)[large].mean() > 3 * (high - low)[small].mean()


def test_scaled_intervals_hold_in_each_part_where_plain_ones_do_not(learned):
    frame, truth, prediction = _rows(20_000, seed=3)
    plain = np.quantile(np.abs(truth - prediction), 0.9)
    large = frame["size"].to_numpy() > 2.5
    low, high = learned.around(frame, prediction)
    held = ((low <= truth) & (truth <= high))[large].mean()
    assert held > 0.8
    assert (np.abs(truth - prediction) <= plain)[large].mean() < held - 0.05


def test_quantile_is_the_conformal_one():
    frame, truth, prediction = _rows(200)
    record = fit_intervals(frame, truth, prediction).intervals
    scores = np.sort(np.abs(truth - prediction)[:140])
    assert record.quantile == scores[int(np.ceil(141 * 0.9)) - 1]
    assert record.scaled is False
    assert record.note == ""


def test_split_conformal_covers_on_average_at_least_as_promised():
    rng = np.random.default_rng(5)
    held = []
    for _ in range(400):
        noise = rng.normal(size=60)
        frame = pl.DataFrame({"x": np.zeros(60)})
        band = fit_intervals(frame, noise, np.zeros(60), level=0.8)
        low, high = band.around(frame[:1], np.zeros(1))
        fresh = rng.normal(size=200)
        held.append(((low <= fresh) & (fresh <= high)).mean())
    assert np.mean(held) == pytest.approx(np.ceil(43 * 0.8) / 43, abs=0.01)


def test_says_few_rows():
    record = fit_intervals(*_rows(60)).intervals
    assert record.note == "few rows: 42 gave the width"
    assert record.quantile is not None


@pytest.mark.parametrize("rows", [0, 1, 5, 12])
def test_gives_none_when_there_are_too_few_rows(rows):
    frame, truth, prediction = _rows(rows)
    band = fit_intervals(frame, truth, prediction)
    assert band.intervals.quantile is None
    assert band.intervals.note.startswith("few rows")
    with pytest.raises(PackageError) as caught:
        band.around(frame, prediction)
    assert caught.value.code == "bucle-169"


def test_lower_ends_of_a_label_that_is_never_negative_stop_at_zero():
    frame, truth, prediction = _rows(1000)
    assert fit_intervals(frame, np.abs(truth), prediction).intervals.positive is True
    band = fit_intervals(frame, np.abs(truth), prediction)
    low, high = band.around(frame, np.zeros(1000))
    assert (low == 0).all()
    assert (high > 0).all()
    assert fit_intervals(frame, truth - 100, prediction).intervals.positive is False


def test_groups_with_enough_rows_have_a_width_of_their_own():
    rng = np.random.default_rng(0)
    kind = np.where(rng.random(3000) < 0.5, "calm", "wild")
    kind[:30] = "rare"
    frame = pl.DataFrame({"kind": rng.permutation(kind), "x": rng.normal(size=3000)})
    spread = np.where(frame["kind"].to_numpy() == "wild", 5.0, 1.0)
    truth = spread * rng.normal(size=3000)
    band = fit_intervals(frame.select("x", "kind"), truth, np.zeros(3000), group="kind")
    assert set(band.intervals.group_quantiles) == {"calm", "wild"}
    low, high = band.around(frame, np.zeros(3000))
    for name in ("calm", "wild"):
        rows = frame["kind"].to_numpy() == name
        assert ((low <= truth) & (truth <= high))[rows].mean() == pytest.approx(0.9, abs=0.04)


def test_rows_predicted_exactly_do_no_harm():
    frame, _, prediction = _rows(600)
    low, high = fit_intervals(frame, prediction, prediction).around(frame, prediction)
    assert np.isfinite(low).all()
    assert (low <= high).all()


def test_the_same_rows_give_the_same_intervals(learned):
    again = fit_intervals(*_rows(3000))
    assert again.intervals == learned.intervals
    assert isinstance(again, Band)
    assert isinstance(again.scale, ErrorScale)
