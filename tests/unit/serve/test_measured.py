"""Figures of a load."""

import pytest

from bucle.serve.cpu import Spent, Taken, cpu_between
from bucle.serve.measured import Noted, rank, summarise


def test_throughput_is_of_answers_with_200_alone() -> None:
    noted = Noted(seconds=2.0, taken=[0.01] * 30, statuses={503: 10, 200: 30}, errors=3)
    found = summarise(noted, rows=20)
    assert (found.answers, found.answers_per_second, found.rows_per_second) == (30, 15.0, 300.0)
    assert found.statuses == {"200": 30, "503": 10}
    assert found.connection_errors == 3


def test_latency_is_in_milliseconds_by_rank() -> None:
    taken = [number / 1000 for number in range(1000, 0, -1)]
    found = summarise(Noted(seconds=1.0, taken=taken, statuses={200: 1000}), rows=1).latency_ms
    assert found is not None
    assert (found.p50, found.p90, found.p99, found.max) == pytest.approx((500, 900, 990, 1000))


@pytest.mark.parametrize(("part", "found"), [(0.0, 1), (0.5, 2), (0.51, 3), (0.99, 4), (1.0, 4)])
def test_a_rank_is_a_value_that_was_seen(part: float, found: float) -> None:
    assert rank([1, 2, 3, 4], part) == found
    assert rank([7], part) == 7


def test_nothing_answered_gives_no_latency() -> None:
    found = summarise(
        Noted(seconds=0.0, taken=[], statuses={}, unanswered=16, spent=Spent(1.0, 0.0)), rows=1
    )
    assert found.latency_ms is None
    assert found.cpu is None
    assert (found.answers_per_second, found.unanswered) == (0.0, 16)


def test_a_workers_most_is_by_its_cpu_a_request() -> None:
    noted = Noted(
        seconds=1.0, taken=[0.1] * 900, statuses={200: 900, 503: 100}, spent=Spent(0.5, 0.1)
    )
    cpu = summarise(noted, rows=1).cpu
    assert cpu is not None
    assert (cpu.worker_ms, cpu.other_ms) == pytest.approx((0.5, 0.1))
    assert cpu.most_per_worker == pytest.approx(2000)


def test_cpu_below_a_tick_says_nothing_of_the_most() -> None:
    noted = Noted(seconds=1.0, taken=[0.1], statuses={200: 1}, spent=Spent(0.0, 0.0))
    cpu = summarise(noted, rows=1).cpu
    assert cpu is not None
    assert cpu.most_per_worker is None


@pytest.mark.parametrize(("own", "is_full"), [(1.9, True), (0.4, False)])
def test_a_client_at_its_limit_is_told(own: float, *, is_full: bool) -> None:
    noted = Noted(seconds=2.0, taken=[0.1], statuses={200: 1}, own_cpu_s=own)
    assert summarise(noted, rows=1).is_client_full is is_full


def test_cpu_counts_what_began_and_not_what_ended() -> None:
    before = {1: Taken(1.0, is_worker=False), 2: Taken(5.0, is_worker=True), 3: Taken(9.0, True)}
    after = {1: Taken(1.5, is_worker=False), 2: Taken(7.0, is_worker=True), 4: Taken(0.5, True)}
    assert cpu_between(before, after) == Spent(2.5, 0.5)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({1: Taken(1.0, is_worker=False)}, {1: Taken(2.0, is_worker=False)}),
        ({2: Taken(1.0, is_worker=True)}, {3: Taken(2.0, is_worker=True)}),
    ],
)
def test_cpu_is_unknown_where_no_worker_was_there_all_the_time(before, after) -> None:
    assert cpu_between(before, after) is None
