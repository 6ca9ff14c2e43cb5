import time

import numpy as np
import pytest

from bucle.errors import EvidenceError
from bucle.loop.replay.oracle import Best, best_sequence

_NONE = np.nan


def _solve(costs: list[list[float]], born: list[int], *, retrain: float, start=(0,)) -> Best:
    return best_sequence(np.array(costs), born=np.array(born), start=start, retrain=retrain)


def test_changes_only_where_it_pays() -> None:
    costs = [[5.0, 9.0, 9.0, 9.0], [_NONE, 8.0, 8.0, 8.0]]
    assert _solve(costs, [0, 1], retrain=2.0) == Best(models=(0, 1, 1, 1), money=31.0, changes=1)
    assert _solve(costs, [0, 1], retrain=4.0) == Best(models=(0, 0, 0, 0), money=32.0, changes=0)


def test_a_change_that_pays_for_itself_exactly_is_not_made() -> None:
    costs = [[5.0, 9.0, 9.0, 9.0], [_NONE, 8.0, 8.0, 8.0]]
    assert _solve(costs, [0, 1], retrain=3.0).models == (0, 0, 0, 0)


def test_a_change_that_could_wait_waits() -> None:
    costs = [[0.0, 1.0, 5.0], [_NONE, 1.0, 0.0]]
    assert _solve(costs, [0, 1], retrain=1.0) == Best(models=(0, 0, 1), money=2.0, changes=1)


def test_going_back_costs_as_much_as_going() -> None:
    costs = [[1.0, 9.0, 1.0], [_NONE, 1.0, 9.0]]
    assert _solve(costs, [0, 1], retrain=3.0) == Best(models=(0, 1, 0), money=9.0, changes=2)
    assert _solve(costs, [0, 1], retrain=5.0) == Best(models=(0, 0, 0), money=11.0, changes=0)


def test_only_start_models_begin_and_they_begin_for_free() -> None:
    costs = [[3.0, 3.0], [1.0, 1.0], [2.0, 2.0]]
    assert _solve(costs, [0, 0, 0], retrain=9.0, start=(0, 2)).models == (2, 2)
    assert _solve(costs, [0, 0, 0], retrain=0.5, start=(0,)).models == (0, 1)


def test_a_tie_goes_to_the_lowest_index() -> None:
    costs = [[1.0, 7.0], [1.0, 7.0], [1.0, 2.0], [1.0, 2.0]]
    assert _solve(costs, [0] * 4, retrain=1.0, start=(1, 0)).models == (0, 2)
    assert _solve(costs, [0] * 4, retrain=1.0, start=(3, 2)).models == (2, 2)


def test_no_model_serves_before_it_is_born() -> None:
    costs = [[5.0, 5.0, 5.0], [0.0, 0.0, 0.0]]
    assert _solve(costs, [0, 2], retrain=1.0).models == (0, 0, 1)


def test_a_model_that_cannot_serve_a_period_is_replaced_in_it() -> None:
    costs = [[1.0, np.inf, 1.0], [50.0, 50.0, 50.0]]
    assert _solve(costs, [0, 0], retrain=10.0) == Best(models=(0, 1, 0), money=72.0, changes=2)


def test_rounding_does_not_hide_what_is_cheaper() -> None:
    costs = [[1e16, 1.0, 1.0], [1e16, 0.5, 0.5]]
    found = _solve(costs, [0, 0], retrain=0.0, start=(0, 1))
    assert found == Best(models=(1, 1, 1), money=1e16 + 1.0, changes=0)
    tiny = [[1e300, 5e-324], [1e300, 0.0]]
    assert _solve(tiny, [0, 0], retrain=0.0, start=(0, 1)).models == (1, 1)


def test_one_period_needs_no_change() -> None:
    assert _solve([[4.0], [-3.0]], [0, 0], retrain=1.0, start=(0, 1)).money == -3.0


def test_years_of_days_are_solved_in_seconds() -> None:
    costs = np.random.default_rng(0).gamma(2.0, size=(365, 730))
    started = time.perf_counter()
    best = best_sequence(costs, born=np.arange(365), start=[0], retrain=1.0)
    assert time.perf_counter() - started < 5.0
    assert best.money < costs[0].sum()


def test_refuses_when_no_model_may_start() -> None:
    for born, start in (([0, 0], ()), ([1, 0], (0,))):
        with pytest.raises(EvidenceError, match="may start in period 0") as caught:
            _solve([[1.0, 1.0], [1.0, 1.0]], born, retrain=1.0, start=start)
        assert caught.value.code == "bucle-271"


def test_refuses_a_period_without_any_model() -> None:
    with pytest.raises(EvidenceError, match="in period 1") as caught:
        _solve([[1.0, np.inf, 1.0], [_NONE, _NONE, 1.0]], [0, 2], retrain=1.0)
    assert caught.value.code == "bucle-272"


@pytest.mark.parametrize("cost", [np.nan, -np.inf])
def test_refuses_an_unknown_cost_of_a_model_that_is_born(cost: float) -> None:
    with pytest.raises(EvidenceError, match="model 1 in period 2") as caught:
        _solve([[1.0, 1.0, 1.0], [_NONE, 1.0, cost]], [0, 1], retrain=1.0)
    assert caught.value.code == "bucle-270"


@pytest.mark.parametrize(
    ("costs", "born", "start", "retrain"),
    [
        (np.ones(3), np.zeros(3, int), [0], 1.0),
        (np.ones((2, 0)), np.zeros(2, int), [0], 1.0),
        (np.ones((2, 3)), np.zeros(3, int), [0], 1.0),
        (np.ones((2, 3)), np.zeros(2, int), [2], 1.0),
        (np.ones((2, 3)), np.zeros(2, int), [-1], 1.0),
        (np.ones((2, 3)), np.zeros(2, int), [0], -1.0),
        (np.ones((2, 3)), np.zeros(2, int), [0], np.nan),
    ],
)
def test_refuses_what_does_not_fit(costs, born, start, retrain: float) -> None:
    with pytest.raises(EvidenceError, match="best champions") as caught:
        best_sequence(costs, born=born, start=start, retrain=retrain)
    assert caught.value.code == "bucle-270"
