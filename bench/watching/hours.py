"""Harm within a day, where labels are many: how soon gross harm shows, and how seldom it is false.

Losses differ by the hour, by half up and down, rows come by the hour as well, and the rows of a day
move together, as its days do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from bench.watching.alarms import DAYS, PARTS, half_years
from bench.watching.power import finite
from bench.watching.worlds import LOSSES, Floats, World, of_z
from bucle.watch.harm import SLOTS, LossDay, Standard, detect_harm, loss_days, standard_of

__all__ = ["busy_alarms", "busy_half_year", "gross_delay", "gross_harm"]

WORLD = World(name="hours differ, days remember", icc=0.05, memory=0.5)
PER_DAY, REFERENCE_DAYS = 3_000, 28
HOURS = 0.4
"""By which logarithm losses rise and fall with the hour."""

TIMES = (3.0, 5.0)
AN_HOUR = (250, 2_500)
QUIET_DAYS = 3


@dataclass(frozen=True, kw_only=True)
class Busy:
    """Losses, the day of each, and the quarter of an hour in its day."""

    losses: Floats
    days: NDArray[np.int64]
    slots: NDArray[np.int64]

    def take(self, keep: NDArray[np.bool_]) -> "Busy":
        """Return some of the rows."""
        return Busy(losses=self.losses[keep], days=self.days[keep], slots=self.slots[keep])


def draw_busy(kind: str, rng: np.random.Generator, *, days: int, per_day: int) -> Busy:
    """Draw the rows of some days in which nothing changes."""
    angle = 2.0 * np.pi * (np.arange(SLOTS) / SLOTS + rng.random())
    rate = 1.0 + 0.8 * np.cos(angle + rng.uniform(0.0, 2.0 * np.pi))
    counts = rng.poisson(per_day / SLOTS * np.tile(rate, (days, 1)))
    day = np.repeat(np.arange(days), counts.sum(axis=1))
    slot = np.repeat(np.tile(np.arange(SLOTS), days), counts.ravel())
    level = np.exp(HOURS * np.sin(angle))
    losses = LOSSES[kind](of_z(WORLD, rng, day, days)) * level[slot]
    return Busy(losses=losses, days=day.astype(np.int64), slots=slot.astype(np.int64))


def busy_half_year(number: int) -> float:
    """Return the most evidence there was of harm in half a year without any."""
    rng = np.random.default_rng((17, number))
    kind = sorted(LOSSES)[number % len(LOSSES)]
    drawn = draw_busy(kind, rng, days=REFERENCE_DAYS + DAYS, per_day=PER_DAY)
    standard, later = _judged(drawn)
    days = loss_days(later.losses, later.days, standard, slots=later.slots)
    found = detect_harm(days, standard, days_between=DAYS / PARTS["harm"])
    return max(found.evidence)


def busy_alarms(*, projects: int) -> Iterator[dict[str, Any]]:
    """Yield the share of projects with many labels that have any false alarm in half a year."""
    most = half_years(busy_half_year, projects)
    share = sum(one >= 1.0 for one in most) / projects
    allowed = 1.0 - math.exp(-PARTS["harm"])
    bound = float(binom.ppf(0.99, projects, allowed)) / projects
    yield {
        "figure": "false alarms where labels are many, judged within the day",
        "world": WORLD.name,
        "projects": projects,
        "labels_a_day": PER_DAY,
        "share": round(share, 4),
        "allowed": round(allowed, 4),
        "at_most": round(bound, 4),
        "met": share <= bound,
    }


def gross_delay(kind: str, number: int, *, times: float, an_hour: int) -> tuple[float, float]:
    """Return after how many labels, and minutes, a loss so many times larger is an alarm.

    It begins at some moment of the first three quarters of a day, and is looked for until that
    day's end; infinite if it is not found in it.
    """
    rng = np.random.default_rng((19, number, int(times), an_hour))
    whole = REFERENCE_DAYS + QUIET_DAYS + 1
    drawn = draw_busy(kind, rng, days=whole, per_day=24 * an_hour)
    begin = int(rng.integers(0, SLOTS * 3 // 4))
    risen = (drawn.days == whole - 1) & (drawn.slots >= begin)
    drawn = Busy(
        losses=np.where(risen, times, 1.0) * drawn.losses, days=drawn.days, slots=drawn.slots
    )
    standard, later = _judged(drawn)
    *days, last = loss_days(later.losses, later.days, standard, slots=later.slots)
    for count, part in enumerate(last.parts, start=1):
        parts = last.parts[:count]
        running = LossDay(
            date=last.date,
            rows=sum(one.rows for one in parts),
            total=sum(one.total for one in parts),
            parts=parts,
        )
        found = detect_harm(days, standard, days_between=DAYS / PARTS["harm"], running=running)
        if found.alarm is not None and part.slot < begin:
            break
        if found.alarm is not None:
            seen = risen & (drawn.slots <= part.slot)
            return float(seen.sum()), 15.0 * (part.slot + 1 - begin)
    return math.inf, math.inf


def gross_harm(*, repeats: int) -> Iterator[dict[str, Any]]:
    """Yield how soon losses several times larger are an alarm, before their day is over."""
    for times in TIMES:
        for an_hour in AN_HOUR:
            for kind in LOSSES:
                found = np.asarray(
                    [
                        gross_delay(kind, number, times=times, an_hour=an_hour)
                        for number in range(repeats)
                    ]
                )
                rows, minutes = found.T
                yield {
                    "figure": "a loss several times larger, found within the day",
                    "times": times,
                    "losses": kind,
                    "labels_an_hour": an_hour,
                    "cases": repeats,
                    "share": round(float(np.isfinite(rows).mean()), 3),
                    "median_rows": finite(float(np.median(rows))),
                    "median_minutes": finite(float(np.median(minutes))),
                    "p90_minutes": finite(float(np.quantile(minutes, 0.9, method="higher"))),
                }


def _judged(drawn: Busy) -> tuple[Standard, Busy]:
    """Return what the days of the reference validate, and the days after them."""
    is_known = drawn.days < REFERENCE_DAYS
    known = drawn.take(is_known)
    standard = standard_of(known.losses, known.days, slots=known.slots)
    assert standard is not None
    return standard, drawn.take(~is_known)
