import math
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies_oracle import Histories, histories

from bucle.loop.replay.oracle import best_sequence

# What the documentation of `best_sequence` promises for sums in any order.
_ROUNDING = 2.0**-52


def _is_allowed(history: Histories, models: tuple[int, ...]) -> bool:
    return models[0] in history.start and all(
        history.born[model] <= period and math.isfinite(history.costs[model, period])
        for period, model in enumerate(models)
    )


def _all_sequences(history: Histories) -> list[tuple[int, ...]]:
    count, periods = history.costs.shape
    every = product(range(count), repeat=periods)
    return [models for models in every if _is_allowed(history, models)]


def _terms(history: Histories, models: tuple[int, ...], retrain: float) -> list[float]:
    paid = [float(history.costs[model, period]) for period, model in enumerate(models)]
    return paid + [retrain] * _count_changes(models)


def _count_changes(models: tuple[int, ...]) -> int:
    return sum(one != other for one, other in pairwise(models))


@given(history=histories())
def test_equals_brute_force_over_all_sequences(history: Histories) -> None:
    best = history.solve()
    exact = {
        models: (
            sum(map(Fraction, _terms(history, models, history.retrain))),
            _count_changes(models),
        )
        for models in _all_sequences(history)
    }
    cheapest, fewest = min(exact.values())
    assert exact[best.models] == (cheapest, fewest)
    assert best.changes == fewest
    assert best.money == float(cheapest)


@given(history=histories(whole=True))
def test_breaks_ties_by_staying_then_by_the_lowest_index(history: Histories) -> None:
    def rank(models: tuple[int, ...]) -> tuple[float, int, tuple[tuple[bool, int], ...]]:
        steps = [(False, models[0]), *((one != other, other) for one, other in pairwise(models))]
        return sum(_terms(history, models, history.retrain)), _count_changes(models), tuple(steps)

    assert history.solve().models == min(_all_sequences(history), key=rank)


@given(history=histories(most_models=8, most_periods=12), data=st.data())
def test_no_policy_with_the_same_models_is_cheaper(history: Histories, data: st.DataObject) -> None:
    usable = history.find_usable()
    models = tuple(data.draw(st.sampled_from(choices)) for choices in usable)
    best, terms = history.solve(), _terms(history, models, history.retrain)
    assert best.money <= math.fsum(terms)
    order = data.draw(st.permutations(terms))
    slack = _ROUNDING * history.costs.shape[1] * math.fsum(map(abs, terms))
    assert best.money <= sum(order) + slack


@given(history=histories(most_models=8, most_periods=12), other=st.floats(0, 1e6))
def test_dearer_changes_never_make_it_cheaper(history: Histories, other: float) -> None:
    low, high = sorted([history.retrain, other])
    cheap, dear = history.solve(retrain=low), history.solve(retrain=high)
    assert cheap.money <= dear.money
    assert cheap.changes >= dear.changes


@given(history=histories(most_models=8, most_periods=12), data=st.data())
def test_one_more_model_never_makes_it_dearer(history: Histories, data: st.DataObject) -> None:
    count, periods = history.costs.shape
    costs = data.draw(st.lists(st.floats(-1e6, 1e6), min_size=periods, max_size=periods))
    more = Histories(
        costs=np.vstack([history.costs, costs]),
        born=np.append(history.born, data.draw(st.integers(0, periods))),
        start=(*history.start, count) if data.draw(st.booleans()) else history.start,
        retrain=history.retrain,
    )
    if more.born[-1] > 0:
        more = more.without_start(count)
    assert more.solve().money <= history.solve().money


@given(history=histories(most_models=6, most_periods=10))
def test_free_changes_take_the_cheapest_model_of_each_period(history: Histories) -> None:
    usable = history.find_usable()
    cheapest = [min(history.costs[list(choices), at]) for at, choices in enumerate(usable)]
    assert history.solve(retrain=0.0).money == math.fsum(cheapest)


@given(history=histories(most_models=6, most_periods=10))
def test_what_stands_before_a_model_is_born_is_not_read(history: Histories) -> None:
    unborn = np.arange(history.costs.shape[1]) < history.born[:, np.newaxis]
    filled = np.where(unborn, -1e9, history.costs)
    best = best_sequence(filled, born=history.born, start=history.start, retrain=history.retrain)
    assert best == history.solve()
