"""A small project whose steps take no time: rows that lie on a line, and a model that is one."""

import csv
import random
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

__all__ = ["CHARTER", "HEADER", "rows", "write_rows", "write_shop", "write_steps"]

HEADER = ("id", "sold_at", "paid_at", "size", "price")

CHARTER = """\
[project]
name = "shop"

[charter]
problem = "What is a thing of this size worth?"

[[charter.kpis]]
metric = "mae"
goal = 2.0
must = 50.0

[data.sales]
source = "sales.csv"
key = "id"
event_time = "sold_at"
label = "price"
label_time = "paid_at"
contract = "contract.py:Sales"

[pipeline]
examples = "examples"
target = "price"
features = ["size"]

[gates]
baselines = ["median"]
"""

_CONTRACT = '''\
"""What a valid sale is."""

import dataframely as dy


class Sales(dy.Schema):
    id = dy.Int64(primary_key=True)
    sold_at = dy.Date()
    paid_at = dy.Date(nullable=True)
    size = dy.Float64(min=0)
    price = dy.Float64(nullable=True)
'''

_LINE = '''\
"""A straight line."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin


class Line(RegressorMixin, BaseEstimator):
    """Price as a line over size; `bend` other than 1 makes it wrong."""

    def __init__(self, bend=1.0):
        self.bend = bend

    def fit(self, X, y):
        slope, base = np.polyfit(X["size"].to_numpy(), np.asarray(y), 1)
        self.slope_, self.base_ = float(slope), float(base)
        return self

    def predict(self, X):
        return self.base_ + self.bend * self.slope_ * X["size"].to_numpy()
'''

_PIPELINE = '''\
"""Two steps."""

import polars as pl


def examples(sales: pl.DataFrame) -> pl.DataFrame:
    return sales.sort("sold_at", "id")


def model(examples: pl.DataFrame, bend: float = 0.7):
    from line import Line

    known = examples.drop_nulls("price")
    return Line(bend=bend).fit(known, known["price"])
'''


_PLAIN_CHARTER = """\
[project]
name = "steps"

[data.sales]
source = "sales.csv"
key = "id"
event_time = "sold_at"
contract = "contract.py:Sales"
"""

_STEPS = '''\
"""Steps without a model."""

import polars as pl
from sizes import HALF, scale


def clean(sales: pl.DataFrame) -> pl.DataFrame:
    return sales.drop_nulls("price")


def large(clean: pl.DataFrame) -> pl.DataFrame:
    return clean.filter(scale(pl.col("size")) > HALF)


def total(clean: pl.DataFrame) -> dict[str, float]:
    return {"price": round(float(clean["price"].sum()), 2)}
'''

_SIZES = '''\
"""Sizes."""

HALF = 10


def scale(size):
    return size * 1
'''


def rows(count: int, *, first: int = 0, seed: int = 3) -> list[tuple[object, ...]]:
    """Return sales, three a day from 2025 on, each paid two days later."""
    drawn = random.Random(seed * 1_000_003 + first)
    made: list[tuple[object, ...]] = []
    for number in range(first, first + count):
        day = date(2025, 1, 1) + timedelta(days=number // 3)
        size = drawn.uniform(1, 20)
        price = 10 + 3 * size + drawn.gauss(0, 2)
        made.append((number, day, day + timedelta(days=2), f"{size:.3f}", f"{price:.2f}"))
    return made


def write_rows(path: Path, content: Iterable[tuple[object, ...]]) -> Path:
    """Write sales as CSV and return where."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(content)
    return path


def write_shop(folder: Path, *, count: int = 600, charter: str = CHARTER) -> Path:
    """Write the project into a folder, which is made, and return it."""
    folder.mkdir(parents=True)
    (folder / "bucle.toml").write_text(charter)
    (folder / "contract.py").write_text(_CONTRACT)
    (folder / "line.py").write_text(_LINE)
    (folder / "pipeline.py").write_text(_PIPELINE)
    write_rows(folder / "sales.csv", rows(count))
    return folder


def write_steps(folder: Path, *, count: int = 60) -> Path:
    """Write a project whose pipeline has steps and no model, and return its folder."""
    write_shop(folder, count=count, charter=_PLAIN_CHARTER)
    (folder / "line.py").unlink()
    (folder / "pipeline.py").write_text(_STEPS)
    (folder / "sizes.py").write_text(_SIZES)
    return folder
