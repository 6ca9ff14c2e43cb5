import math

import numpy as np
import pytest

from bucle.errors import EvidenceError
from bucle.loop.replay.benefit import split_benefit
from bucle.loop.replay.comparison import compare_losses
from bucle.loop.replay.findings import Benefit


def _split(stays: np.ndarray, newest: np.ndarray, everything: np.ndarray, **other) -> Benefit:
    settings = {"moments": 30, "labels_at_start": 500, "labels_at_end": 9000, "seed": 0} | other
    return split_benefit(stays, newest=newest, everything=everything, **settings)


def _draw(periods: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    stays = 10.0 + generator.random(periods)
    newest = stays * (0.9 + 0.02 * generator.random(periods))
    return stays, newest, newest * (0.7 + 0.02 * generator.random(periods))


def test_the_parts_are_shares_of_the_loss_of_the_model_that_stays() -> None:
    stays, newest, everything = _draw()
    found = _split(stays, newest, everything)
    assert found.whole == pytest.approx(1.0 - everything.sum() / stays.sum())
    assert found.newer == pytest.approx(1.0 - newest.sum() / stays.sum())
    assert found.more == pytest.approx(found.whole - found.newer)
    assert found.whole_low < found.whole < found.whole_high
    assert found.newer_low < found.newer < found.newer_high
    assert found.more_low < found.more < found.more_high
    assert found.newer_low > 0.0
    assert found.more_low > found.newer_high
    assert (found.moments, found.labels_at_start, found.labels_at_end) == (30, 500, 9000)


def test_the_whole_is_the_comparison_of_the_two_models_turned_round() -> None:
    stays, newest, everything = _draw()
    whole = compare_losses(everything, stays, seed=0)
    found = _split(stays, newest, everything)
    assert (found.whole_low, found.whole_high) == pytest.approx((-whole.high, -whole.low))


def test_newer_labels_may_do_harm_while_more_labels_help() -> None:
    stays, newest, everything = _draw()
    found = _split(newest, stays, everything)
    assert found.newer_high < 0.0 < found.more_low


def test_what_changes_nothing_saves_exactly_nothing() -> None:
    stays, newest, _ = _draw()
    found = _split(stays, newest, newest)
    assert (found.more, found.more_low, found.more_high) == (0.0, 0.0, 0.0)
    assert found.whole == found.newer > 0.0


def test_a_model_that_serves_long_makes_the_blocks_longer() -> None:
    stays, newest, everything = _draw(60)
    monthly = _split(stays, newest, everything, moments=60)
    yearly = _split(stays, newest, everything, moments=5)
    assert monthly.whole == yearly.whole
    assert monthly.whole_low != yearly.whole_low


def test_with_few_periods_nothing_is_bounded() -> None:
    found = _split(*_draw(7))
    assert found.whole > 0.0
    bounds = (found.whole_low, found.newer_low, found.more_low)
    assert bounds == (-math.inf, -math.inf, -math.inf)
    assert found.more_high == math.inf


def test_periods_without_rows_break_nothing() -> None:
    stays, newest, everything = (np.append(one, np.zeros(10)) for one in _draw())
    found = _split(stays, newest, everything)
    assert found.whole == pytest.approx(_split(*_draw()).whole)
    assert math.isfinite(found.whole_low)


def test_refuses_losses_that_do_not_fit() -> None:
    stays, newest, everything = _draw()
    for wrong in (newest[:-1], -newest, np.full(30, np.nan), newest[:, np.newaxis]):
        with pytest.raises(EvidenceError, match="benefit of retraining") as caught:
            _split(stays, wrong, everything)
        assert caught.value.code == "bucle-274"
