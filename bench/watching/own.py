"""Our monitor on the tables that others are tried on."""

from typing import Any

import numpy as np
import polars as pl

from bench.watching.alarms import DAYS, PARTS
from bench.watching.tables import NULLS, PAIRS, Table
from bucle.watch.days import Days, profile_days
from bucle.watch.inputs import find_changes, look_at_inputs
from bucle.watch.parquet import BLOCKS
from bucle.watch.spread import spread_of
from bucle.watch.yardsticks import Yardstick, measures_of, yardsticks_of

__all__ = ["false_reports", "found_nulls", "report", "watch_days"]

LEVEL = 0.01
"""The chance of any finding in a report of two tables, as in `watch_files`."""


def report(reference: pl.DataFrame, current: pl.DataFrame, time: str | None) -> set[str]:
    """Return the columns of one table that are not what they were in another."""
    sticks = yardsticks_of(reference.drop(time) if time else reference)
    known, window = (_days(rows, sticks, time) for rows in (reference, current))
    found = find_changes(spread_of(known), known, window, measures_of(sticks), level=LEVEL)
    return {one.measure.column for one in found}


def false_reports(table: Table, *, repeats: int) -> dict[str, list[int]]:
    """Return how many reports find something in two samples of a table, by pair of sizes."""
    told = {}
    for known, now in PAIRS[table.name]:
        alarms = 0
        for number in range(repeats):
            order = np.random.default_rng(number).permutation(table.rows.height)
            reference = table.rows[order[:known]]
            current = table.rows[order[known : known + now]]
            alarms += bool(report(reference, current, table.time))
        told[f"{table.name} {known}/{now}"] = [alarms, repeats]
    return told


def found_nulls(table: Table, *, repeats: int) -> int:
    """Return in how many reports of 5,000 rows each 1 % of nulls in one column is found."""
    column, half, found = NULLS[table.name], 5_000, 0
    for number in range(repeats):
        order = np.random.default_rng(number).permutation(table.rows.height)
        current = table.rows[order[half : 2 * half]]
        drawn = pl.Series(np.random.default_rng((5, number)).random(half) < 0.01)
        current = current.with_columns(pl.when(drawn).then(None).otherwise(column).alias(column))
        found += column in report(table.rows[order[:half]], current, table.time)
    return found


def watch_days(reference: Table, rows: pl.DataFrame) -> dict[int, list[str]]:
    """Return what is found on each day of a month, looked at in the evening of each."""
    time = reference.time
    assert time is not None
    sticks = yardsticks_of(reference.rows.drop(time))
    measures = measures_of(sticks)
    known, live = (profile_days(one, sticks, time=time) for one in (reference.rows, rows))
    spread = spread_of(known)
    told: dict[int, list[str]] = {}
    for number, date in enumerate(live.dates.tolist(), start=1):
        look: Any = look_at_inputs(
            spread, known, live, measures, date=date, level=PARTS["inputs"] / DAYS
        )
        told[number] = sorted({finding.measure.column for finding in look.findings})
    return told


def _days(rows: pl.DataFrame, sticks: tuple[Yardstick, ...], time: str | None) -> Days:
    """Return the days of a table; without a time, blocks as `profile_parquet` makes them."""
    if time is not None:
        return profile_days(rows, sticks, time=time)
    size = -(-rows.height // BLOCKS)
    block = (pl.int_range(pl.len()) // size * 7).cast(pl.Int32).cast(pl.Date).alias("_day")
    return profile_days(rows.with_columns(block), sticks, time="_day")
