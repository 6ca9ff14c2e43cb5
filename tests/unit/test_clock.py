"""Clocks that processes share, and what tells the time by them."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bucle.clock import (
    CLOCK_VARIABLE,
    SharedClock,
    SystemClock,
    machine_clock,
    machine_micros,
    machine_timer,
)

MOMENT = datetime(2024, 10, 5, 9, 30, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clock"
    path.write_bytes(bytes(8))
    return path


def test_everybody_who_has_the_file_sees_the_clock_move(file: Path) -> None:
    mover, other = SharedClock(file), machine_clock({CLOCK_VARIABLE: str(file)})
    micros = machine_micros({CLOCK_VARIABLE: str(file)})
    mover.move(MOMENT)
    assert other.now() == MOMENT
    assert micros() == round(MOMENT.timestamp() * 1_000_000)
    mover.move(MOMENT + timedelta(days=1))
    assert other.now() - MOMENT == timedelta(days=1)
    assert other.monotonic() == MOMENT.timestamp() + 86_400


def test_in_simulated_time_nothing_takes_any(file: Path) -> None:
    timer = machine_timer({CLOCK_VARIABLE: str(file)})
    began = timer()
    SharedClock(file).move(MOMENT)
    assert timer() - began == 0.0


def test_without_a_shared_clock_the_machine_is_asked() -> None:
    assert isinstance(machine_clock({}), SystemClock)
    assert abs(machine_micros({})() - time.time_ns() // 1000) < 60_000_000
    assert machine_timer({}) is time.perf_counter


def test_a_clock_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for make in (machine_clock, machine_micros):
        with pytest.raises(OSError, match="No such file"):
            make({CLOCK_VARIABLE: str(tmp_path / "none")})
