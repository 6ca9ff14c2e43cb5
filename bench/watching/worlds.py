"""Simulated projects: rows of days in which nothing changes, and the losses of a model on them.

Columns are of the kinds that tables have: skewed and heavy-tailed numbers, counts, words of few and
of many kinds, some of them missing. Days differ as the world says: not at all beyond their rows, by
the day of the week, or by an effect of their own that all rows of the day share.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = [
    "LOSSES",
    "WORLDS",
    "Project",
    "World",
    "draw_losses",
    "draw_project",
    "gamma_of",
    "of_z",
]

Floats = NDArray[np.float64]
Words = tuple[str, int, float]

NUMBERS: dict[str, Callable[[Floats], Floats]] = {
    "plain": lambda z: 50.0 + 8.0 * z,
    "skewed": np.exp,
    "heavy": lambda z: z * np.abs(z) ** 1.5,
    "count": lambda z: np.floor(np.exp(1.0 + 0.8 * z)),
    "zero": lambda z: np.where(z > 0.5, np.exp(z), 0.0),
    "share": ndtr,
}
WORDS: tuple[Words, ...] = (("few", 4, 0.5), ("some", 30, 1.0), ("many", 250, 1.1))
"""Name, number of words, and the exponent of their frequency by rank."""

MISSING = {"heavy": 0.02, "some": 0.005}
WEEK = np.array([-0.3, -0.1, 0.0, 0.0, 0.1, 0.5, 0.4])


@dataclass(frozen=True, kw_only=True)
class World:
    """How days differ: `season` in standard deviations by weekday, `icc` what rows of one share."""

    name: str
    season: float = 0.0
    icc: float = 0.0
    memory: float = 0.0


WORLDS = (
    World(name="same days"),
    World(name="weekdays differ", season=1.0),
    World(name="rows of a day alike", icc=0.05),
    World(name="both, days remember", season=1.0, icc=0.05, memory=0.5),
)


def gamma_of(z: Floats) -> Floats:
    """Return gamma values of shape 3.3 and mean one, near enough (Wilson & Hilferty 1931)."""
    shape = 3.3
    return np.maximum(1.0 - 1.0 / (9.0 * shape) + z / (3.0 * shape**0.5), 0.0) ** 3


LOSSES: dict[str, Callable[[Floats], Floats]] = {
    # Scaled to a mean near one; sd of the loss over its mean: 0.55, 1, 1.8.
    "gamma": gamma_of,
    "exponential": lambda z: -np.log(np.maximum(ndtr(-z), 1e-300)),
    "lognormal": lambda z: np.exp(1.2 * z - 0.72),
}


@dataclass(frozen=True, kw_only=True)
class Project:
    """Rows with their day, counted from the beginning of the reference, and the model's losses."""

    rows: pl.DataFrame
    losses: Floats
    days: NDArray[np.int64]
    reference_days: int


def draw_project(
    world: World, rng: np.random.Generator, *, days: int, per_day: int, reference_days: int
) -> Project:
    """Draw the days of a reference and those after them, all of one world."""
    whole = reference_days + days
    # Days that are not alike differ in how many rows they have as well.
    busy = of_z(world, rng, np.arange(whole), whole) if world.season or world.icc else 0.0
    rate = per_day * np.exp(0.2 * np.asarray(busy))
    day = np.repeat(np.arange(whole), rng.poisson(np.broadcast_to(rate, whole)))
    columns: dict[str, pl.Series] = {"day": pl.Series(day).cast(pl.Int32)}
    score = np.zeros(day.size)
    for name, shape in NUMBERS.items():
        z = of_z(world, rng, day, whole)
        score += z
        columns[name] = pl.Series(shape(z)).set(_missing(name, world, rng, day, whole), None)
    for name, count, exponent in WORDS:
        drawn = _words(world, rng, day, whole, count=count, exponent=exponent)
        columns[name] = drawn.set(_missing(name, world, rng, day, whole), None)
    columns["(prediction)"] = pl.Series(np.exp(0.3 * score / len(NUMBERS) ** 0.5))
    # The losses of the validation are those of the reference's days.
    kind = ("gamma", "exponential", "lognormal")[int(rng.integers(3))]
    losses = LOSSES[kind](of_z(world, rng, day, whole))
    return Project(
        rows=pl.DataFrame(columns),
        losses=losses,
        days=day.astype(np.int64),
        reference_days=reference_days,
    )


def draw_losses(
    kind: str, rng: np.random.Generator, *, days: int, per_day: int, icc: float = 0.0
) -> tuple[Floats, NDArray[np.int64]]:
    """Draw the losses of some days, with the day of each."""
    day = np.repeat(np.arange(days), rng.poisson(per_day, days))
    world = World(name="losses", icc=icc)
    return LOSSES[kind](of_z(world, rng, day, days)), day.astype(np.int64)


def of_z(world: World, rng: np.random.Generator, day: NDArray[np.int64], whole: int) -> Floats:
    """Draw a standard normal for each row: its day's effect, its own part, and its weekday."""
    effects = rng.standard_normal(whole)
    for at in range(1, whole):
        own = (1.0 - world.memory**2) ** 0.5
        effects[at] = world.memory * effects[at - 1] + own * effects[at]
    own = rng.standard_normal(day.size)
    season = world.season * rng.uniform(0.3, 1.0) * WEEK[np.arange(whole) % 7]
    mixed = (1.0 - world.icc) ** 0.5 * own + world.icc**0.5 * effects[day] + season[day]
    return np.asarray(mixed, dtype=np.float64)


def _words(
    world: World,
    rng: np.random.Generator,
    day: NDArray[np.int64],
    whole: int,
    *,
    count: int,
    exponent: float,
) -> pl.Series:
    """Draw words by rank; the shares of a day are Dirichlet, so that its rows are alike."""
    base = np.arange(1, count + 1) ** -exponent
    base /= base.sum()
    shares = np.tile(base, (whole, 1))
    if world.icc:
        shares = rng.gamma(np.maximum(shares * (1.0 / world.icc - 1.0), 1e-3))
    if world.season:
        tilt = rng.normal(0.0, 0.5, count)
        shares = shares * np.exp(world.season * WEEK[np.arange(whole) % 7][:, None] * tilt)
    ends = np.cumsum(shares, axis=1)
    ends /= ends[:, -1:]
    place = rng.random(day.size) + day
    found = np.searchsorted((ends + np.arange(whole)[:, None]).ravel(), place) - day * count
    names = pl.Series([f"w{number}" for number in range(count)])
    return names.gather(np.clip(found, 0, count - 1))


def _missing(
    name: str, world: World, rng: np.random.Generator, day: NDArray[np.int64], whole: int
) -> pl.Series:
    rate = MISSING.get(name, 0.0)
    rates = np.full(whole, rate)
    if rate and world.icc:
        size = 1.0 / world.icc - 1.0
        rates = rng.beta(rate * size, (1.0 - rate) * size, whole)
    return pl.Series(rng.random(day.size) < rates[day])
