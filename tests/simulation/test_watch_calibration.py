"""The alarms of watching on worlds whose truth is known: rare where nothing changes, soon else.

The worlds, and the looks at them, are those of `bench/watching`, which measures more of them.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binom

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.append(str(Path(__file__).resolve().parents[2]))

alarms = pytest.importorskip("bench.watching.alarms", reason="the benchmarks are not here")
findings = pytest.importorskip("bench.watching.findings")
hours = pytest.importorskip("bench.watching.hours")
own = pytest.importorskip("bench.watching.own")
power = pytest.importorskip("bench.watching.power")
tables = pytest.importorskip("bench.watching.tables")
worlds = pytest.importorskip("bench.watching.worlds")

PROJECTS = 24
HALVES = 40
SURE = 0.99
HALF_YEAR = "false alarms in half a year"
BUSY = "false alarms where labels are many, judged within the day"


def most(projects: int, *, measured: float, allowed: float) -> float:
    """Return how many projects may alarm: as the page says that many do, and within the budget."""
    return float(binom.ppf(SURE, projects, min(measured, allowed)))


@pytest.mark.thorough
@pytest.mark.parametrize("world", worlds.WORLDS, ids=lambda world: world.name)
def test_half_a_year_without_a_change_alarms_as_rarely_as_the_page_says(world: object) -> None:
    (line,) = (
        line
        for line in findings.read_lines()
        if (line["figure"], line.get("world")) == (HALF_YEAR, world.name)
    )
    # These are the first of the projects that the page counts.
    halves = [alarms.half_year(world, number) for number in range(HALVES)]
    for layer, part in alarms.PARTS.items():
        alarmed = sum(half[layer] > 0 for half in halves)
        bound = most(HALVES, measured=line[layer]["share"], allowed=1.0 - np.exp(-part))
        assert alarmed <= bound, (layer, alarmed, bound)


@pytest.mark.parametrize("kind", sorted(power.USUAL))
def test_a_loss_thirty_per_cent_larger_is_found_within_1500_rows(kind: str) -> None:
    rows = [power.delay_rows(kind, number, icc=0.0) for number in range(60)]
    assert np.mean([count <= power.ROWS for count in rows]) >= 0.9


@pytest.mark.thorough
def test_hours_that_differ_are_no_harm_where_labels_are_many() -> None:
    (line,) = (line for line in findings.read_lines() if line["figure"] == BUSY)
    found = [hours.busy_half_year(number) for number in range(PROJECTS)]
    allowed = 1.0 - np.exp(-alarms.PARTS["harm"])
    alarmed = sum(one >= 1.0 for one in found)
    assert alarmed <= most(PROJECTS, measured=line["share"], allowed=allowed)


@pytest.mark.thorough
def test_five_times_the_loss_is_found_long_before_its_day_is_over() -> None:
    found = [hours.gross_delay("gamma", number, times=5.0, an_hour=1_000) for number in range(10)]
    assert max(minutes for _, minutes in found) <= 60.0


@pytest.fixture(scope="module")
def months() -> tuple[object, object]:
    january, february = tables.taxi(1), tables.taxi(2)
    if january is None or february is None:
        pytest.skip("the taxi trips are absent")
    return january, february


@pytest.mark.thorough
def test_days_of_the_next_month_are_no_drift_and_planted_nulls_are(months: tuple) -> None:
    january, february = months
    plain = own.watch_days(january, february.rows)
    assert sum(bool(columns) for columns in plain.values()) <= len(plain) / 12
    planted = own.watch_days(january, tables.plant(february, "nulls"))
    assert all("fare_amount" in columns for day, columns in planted.items() if day >= 15)


@pytest.mark.thorough
@pytest.mark.parametrize("sizes", [(500, 500), (5_000, 5_000), (50_000, 500)])
def test_two_samples_of_a_month_are_alike(months: tuple, sizes: tuple[int, int]) -> None:
    january, _ = months
    known, now = sizes
    found: Callable[..., set[str]] = own.report
    false = 0
    for number in range(40):
        order = np.random.default_rng(1_000 + number).permutation(january.rows.height)
        parts = january.rows[order[:known]], january.rows[order[known : known + now]]
        false += bool(found(*parts, january.time))
    # At most 1 % is promised: of 40 that is one. The page counts none of 300 but for one size.
    assert false <= 1
