"""What workers count, together and as Prometheus reads it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bucle.serve.counts import LATENCY_EDGES, Counts, forget_ended, render, share, total


def counted(*seconds: float, route: str = "/predict", status: int = 200) -> Counts:
    counts = Counts()
    for one in seconds:
        counts.answered(route, status, one)
    return counts


def samples(counts: Counts) -> dict[tuple[str, ...], float]:
    return {
        (one.name, *sorted(one.labels.values())): one.value
        for family in text_string_to_metric_families(render(counts).decode())
        for one in family.samples
    }


def test_answers_are_counted_by_route_and_status() -> None:
    counts = counted(0.001, 0.002)
    counts.answered("/predict", 422, 0.001)
    assert counts.requests == {"/predict\t200": 2, "/predict\t422": 1}
    assert sum(counts.buckets) == 3
    assert counts.seconds == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.0001, 0), (0.00011, 1), (2.5, len(LATENCY_EDGES) - 1), (9.0, len(LATENCY_EDGES))],
)
def test_a_latency_falls_into_the_bucket_that_ends_at_or_after_it(
    seconds: float, bucket: int
) -> None:
    assert counted(seconds).buckets.index(1) == bucket


def test_the_totals_are_those_of_all_workers(tmp_path: Path) -> None:
    own, other, third = counted(0.001), counted(0.2, 0.3), counted(1, route="/model")
    own.predicted("m-1", "champion", 10)
    other.predicted("m-1", "champion", 5)
    other.predicted("m-2", "canary")
    third.noted("swap")
    own.gauges = {"worker_uptime_seconds": 4.0}
    other.gauges = {"worker_uptime_seconds": 9.0}
    share(other, tmp_path, server=7, worker=1)
    share(third, tmp_path, server=7, worker=2)
    found = total(own, tmp_path, worker=(7, 0))
    assert found.requests == {"/predict\t200": 3, "/model\t200": 1}
    assert found.predictions == {"m-1\tchampion": 15, "m-2\tcanary": 1}
    assert found.events == {"swap": 1}
    assert sum(found.buckets) == 4
    assert found.seconds == pytest.approx(1.501)
    assert found.gauges == {"worker_uptime_seconds": 4.0}


def test_a_workers_own_file_is_not_counted_again(tmp_path: Path) -> None:
    own = counted(0.001)
    share(own, tmp_path, server=7, worker=3)
    own.answered("/predict", 200, 0.001)
    assert total(own, tmp_path, worker=(7, 3)).requests == {"/predict\t200": 2}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"requests": {"a": "b"}}', b'{"buckets": [1, 2]}']
)
def test_a_file_that_cannot_be_used_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counts-7-1.json").write_bytes(content)
    assert total(counted(0.001), tmp_path, worker=(7, 0)) == counted(0.001)


def test_prometheus_reads_every_number() -> None:
    counts = counted(0.0001, 0.0002, 7.0)
    counts.predicted("m-1", "champion", 12)
    counts.noted("swap")
    counts.gauges = {"journal_backlog_records": 3.0}
    found = samples(counts)
    assert found["bucle_requests_total", "/predict", "200"] == 3
    assert found["bucle_predictions_total", "champion", "m-1"] == 12
    assert found["bucle_events_total", "swap"] == 1
    assert found["bucle_journal_backlog_records",] == 3
    assert found["bucle_latency_seconds_bucket", "0.0001"] == 1
    assert found["bucle_latency_seconds_bucket", "0.00025"] == 2
    assert found["bucle_latency_seconds_bucket", "2.5"] == 2
    assert found["bucle_latency_seconds_bucket", "+Inf"] == 3
    assert found["bucle_latency_seconds_count",] == 3
    assert found["bucle_latency_seconds_sum",] == pytest.approx(7.0003)


def test_nothing_counted_is_read_too() -> None:
    assert samples(Counts())["bucle_latency_seconds_count",] == 0


@pytest.mark.parametrize("word", ['a"b', "a\\b", "a\nb", "😀", "", "{}", "ñ,b=1"])
def test_a_label_may_hold_any_letter(word: str) -> None:
    counts = Counts()
    counts.noted(word)
    assert samples(counts)["bucle_events_total", word] == 1


def test_who_answers_is_told_by_model_role_and_number_of_workers(tmp_path: Path) -> None:
    own, other = Counts(), Counts()
    for counts in (own, other):
        counts.let_in(("m-a", "champion"))
    own.let_in(("m-b", "champion"), ("m-c", "challenger"))
    share(other, tmp_path, server=7, worker=1)
    assert total(own, tmp_path, worker=(7, 0)).serving == {
        "m-b\tchampion": 1,
        "m-c\tchallenger": 1,
        "m-a\tchampion": 1,
    }
    own.let_in(("m-a", "champion"))
    assert total(own, tmp_path, worker=(7, 0)).serving == {"m-a\tchampion": 2}


def test_a_server_counts_its_own_workers_alone(tmp_path: Path) -> None:
    for server in (7, 8):
        share(counted(*[0.001] * server), tmp_path, server=server, worker=0)
    first, second = (total(Counts(), tmp_path, servers={one}).requests for one in (7, 8))
    assert (first, second) == ({"/predict\t200": 7}, {"/predict\t200": 8})
    assert total(Counts(), tmp_path).requests == {"/predict\t200": 15}


def test_a_server_that_begins_takes_away_what_ended_ones_counted(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for server in (os.getpid(), os.getppid(), ended.pid):
        share(counted(0.001), tmp_path, server=server, worker=0)
    (tmp_path / "counts-0.json").write_bytes(b"{}")
    forget_ended(tmp_path, server=os.getpid())
    assert [path.name for path in tmp_path.iterdir()] == [f"counts-{os.getppid()}-0.json"]
