"""A simulated consignment store whose truth is known; it stands in for a real shop.

Each item has a value V nobody sees, made of category, brand, condition, age and taste. Every week
on the shelf it sells with probability 1 - exp(-h), where h = h0 * season * (price / V) ** -eps.
Brands drift, a new brand arrives, and one day the grading changes its meaning. `history.py` writes
down what such a store would know; `judge.py` compares prices with the best ones. The pipeline
learns from the records alone and never looks here.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from terms import TERMS, Floats, YesNo, expected_commission, shelf_prices

CATEGORIES = ("bag", "coat", "dress", "jewellery", "knitwear", "shoes", "trousers", "watch")
CONDITIONS = (0.35, 0.45, 0.20)  # as new, good, worn
TASTE = 0.25
YEAR = 52

Whole = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, kw_only=True)
class World:
    """How the simulated world behaves; spreads are standard deviations of logarithms."""

    weeks: int = 156
    brands: int = 40
    popularity: float = 0.8  # exponent of Zipf's law
    fewest: int = 60  # items a week
    most: int = 120
    drift: float = 0.01  # of a brand, a week
    inflation: float = 0.04  # a year
    season: float = 0.5
    elasticity: float = 2.0
    hazard: float = 0.04  # chance of a sale a week at price V
    new_brand_week: int = 90
    grading_week: int = 104
    burn_in: int = 40  # the first weeks, when everybody tries prices
    burn_in_spread: float = 0.30
    spread: float = 0.20  # of the list prices people give afterwards
    markup: float = 0.80  # on the owner's basis; about the best flat one


class Nature(NamedTuple):
    """What is drawn once for a world: one value per category, one path per brand."""

    level: Floats
    wear: Floats
    elasticity: Floats
    hazard: Floats
    phase: Floats
    brand: Floats  # (weeks, brands + 1); the last column is the new brand


class Stock(NamedTuple):
    """The items in order of arrival, hidden condition and taste included."""

    week: Whole
    day: Whole
    category: Whole
    brand: Whole
    condition: Whole
    grade: Whole
    age: Floats
    taste: Floats
    photo: Floats
    basis: Floats
    price: Floats


class Truth(NamedTuple):
    """What decides a sale: the hazard of shelf week j is pull[:, j] * price ** -elasticity."""

    pull: Floats
    elasticity: Floats


class Luck(NamedTuple):
    """Chance, drawn once for each item: it sells in the first week whose draw is low enough."""

    draw: Floats  # (items, weeks), between 0 and 1
    day: Whole  # of the week in which it is sold, from 1


def draw_nature(rng: np.random.Generator, world: World) -> Nature:
    """Draw the categories and the paths of the brands."""
    kinds, calendar = len(CATEGORIES), world.weeks + TERMS.weeks + 1
    trend = rng.normal(0, world.drift / 5, world.brands)
    steps = trend + world.drift * rng.normal(size=(calendar - 1, world.brands))
    start = rng.normal(0, 0.45, world.brands)
    paths = np.vstack([start, start + np.cumsum(steps, axis=0)])
    since = np.maximum(np.arange(calendar) - world.new_brand_week, 0)
    return Nature(
        level=rng.normal(3.6, 0.5, kinds),
        wear=rng.uniform(0.08, 0.25, kinds),
        elasticity=world.elasticity * rng.uniform(0.7, 1.3, kinds),
        hazard=world.hazard * rng.uniform(0.6, 1.5, kinds),
        phase=rng.uniform(0, 2 * np.pi, kinds),
        brand=np.column_stack([paths, 0.9 - 0.6 * np.exp(-since / 20)]),
    )


def draw_stock(rng: np.random.Generator, world: World, nature: Nature) -> Stock:
    """Draw the items that arrive, what is noted about them, and the list prices people gave."""
    week = np.repeat(
        np.arange(world.weeks), rng.integers(world.fewest, world.most + 1, world.weeks)
    )
    n = len(week)
    category = rng.integers(0, len(CATEGORIES), n)
    brand = _draw_brands(rng, world, week)
    condition = rng.choice(len(CONDITIONS), n, p=CONDITIONS)
    stricter = (week >= world.grading_week) & (rng.random(n) < 0.6)
    grade = np.minimum(condition + stricter, 2)
    age: Floats = np.round(rng.gamma(2.0, 0.8, n).clip(max=8.0), 1)
    taste = rng.normal(0, TASTE, n)
    asked = (  # owners know the brand as it was at the opening, and only half believe in it
        nature.level[category]
        + 0.7 * nature.brand[0, brand]
        - 0.2 * grade
        - 0.7 * nature.wear[category] * age
        + 0.3 * rng.normal(size=n)
    )
    basis = np.round(0.8 * np.exp(asked), 2)
    early = week < world.burn_in
    spread = np.where(early, world.burn_in_spread, world.spread) * rng.normal(size=n)
    price = np.round(basis * np.where(early, 1.0, world.markup) * np.exp(spread), 2)
    return Stock(
        week=week,
        day=np.sort(week * 7 + rng.integers(0, 6, n)),
        category=category,
        brand=brand,
        condition=condition,
        grade=grade,
        age=age,
        taste=taste,
        photo=np.round(taste + rng.normal(0, 0.15, n), 2),
        basis=basis,
        price=price,
    )


def _draw_brands(rng: np.random.Generator, world: World, week: Whole) -> Whole:
    """Few brands are frequent; the new one comes half as often as the most frequent one."""
    weights = np.arange(1, world.brands + 1) ** -world.popularity
    before, after = np.append(weights, 0.0), np.append(weights, weights[0] / 2)
    old = rng.choice(world.brands + 1, len(week), p=before / before.sum())
    new = rng.choice(world.brands + 1, len(week), p=after / after.sum())
    return np.where(week < world.new_brand_week, old, new)


def reveal_truth(world: World, nature: Nature, stock: Stock) -> Truth:
    """Return what decides the sale of each item in each of its shelf weeks."""
    week = stock.week[:, None] + np.arange(TERMS.weeks)
    category = stock.category[:, None]
    log_value = (
        nature.level[category]
        + nature.brand[week, stock.brand[:, None]]
        - 0.28 * stock.condition[:, None]
        - nature.wear[category] * stock.age[:, None]
        + world.inflation * week / YEAR
        + stock.taste[:, None]
    )
    season = world.season * np.sin(2 * np.pi * week / YEAR + nature.phase[category])
    pull = nature.hazard[category] * np.exp(season + nature.elasticity[category] * log_value)
    return Truth(pull=np.asarray(pull), elasticity=nature.elasticity[stock.category])


def true_commission(price: Floats, truth: Truth) -> Floats:
    """Return the true expected commission of each item at a list price."""
    return expected_commission(_sale_chance(price, truth), price)


def _sale_chance(price: Floats, truth: Truth) -> Floats:
    """Return the chance of a sale in each shelf week, if still there."""
    hazard = truth.pull * shelf_prices(price) ** -truth.elasticity[:, None]
    return np.asarray(1 - np.exp(-hazard))


def best_prices(truth: Truth, near: Floats) -> Floats:
    """Return the list prices that are best in truth, by a grid around a guess, refined twice."""
    best, width = near.copy(), 4.0
    for _ in range(3):
        grid = best[:, None] * np.exp(np.linspace(-width, width, 61))
        earned = [true_commission(grid[:, column], truth) for column in range(grid.shape[1])]
        best = grid[np.arange(len(grid)), np.argmax(earned, axis=0)]
        width /= 25
    return best


def draw_luck(rng: np.random.Generator, items: int) -> Luck:
    """Draw what is left to chance in the sale of each item, whatever its price."""
    return Luck(rng.random((items, TERMS.weeks)), rng.integers(1, 8, items))


def sell(price: Floats, truth: Truth, luck: Luck) -> tuple[Whole, YesNo]:
    """Return how many weeks each item stays on the shelf and whether it is sold in the last one.

    The same item at the same price has the same end, however often and by whomever it is sold.
    """
    sold = luck.draw < _sale_chance(price, truth)
    ever = np.asarray(sold.any(axis=1))
    return np.where(ever, sold.argmax(axis=1) + 1, TERMS.weeks), ever


def days_left(stayed: Whole, sold: YesNo, luck: Luck) -> Whole:
    """Return how many days after it came each item has left the shelf."""
    return np.where(sold, 7 * (stayed - 1) + luck.day, 7 * TERMS.weeks)
