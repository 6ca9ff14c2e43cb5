"""A small market stall whose things answer to prices: taken at a price up to their value.

The value of a thing is 2 a size, and grows; people asked 1. A price that is too high earns
nothing, so the best price of each thing is its value and what any other price forgoes is exact.
"""

import csv
from datetime import date, timedelta
from pathlib import Path

__all__ = ["OPENED", "write_stall"]

OPENED = date(2026, 1, 5)

_CHARTER = """\
[project]
name = "stall"

[[charter.kpis]]
metric = "mae"

[charter.money]
retrain = 3

[data.things]
source = "things.csv"
key = "name"
event_time = "came"
label = "taken"
label_time = "left"
contract = "contract.py:Things"

[pipeline]
examples = "things"
target = "taken"
features = ["size", "price"]
key = "name"

[gates]
baselines = ["median"]

[retrain]
policies = ["never", "every:2w"]

[replay]
from = "2026-02-16"
period = "1w"
gates = ["none"]
world = "world.py:Stall"
"""

_CONTRACT = '''\
"""What a valid thing is."""

import dataframely as dy


class Things(dy.Schema):
    name = dy.String(primary_key=True)
    came = dy.Date()
    size = dy.Float64(min=0)
    price = dy.Float64(min=0)
    taken = dy.Float64(nullable=True)
    left = dy.Date(nullable=True)
'''

_PIPELINE = '''\
"""The price a size that has earned most, of those that were tried."""

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator


class Best(BaseEstimator):
    def fit(self, things):
        tried = (things["price"] / things["size"]).to_numpy()
        earned = (things["taken"] / things["size"]).to_numpy()
        self.rate_ = float(tried[np.argmax(earned)])
        return self

    def predict(self, things):
        price, size = things["price"].to_numpy(), things["size"].to_numpy()
        return np.where(price <= self.rate_ * size * 1.0001, price, 0.0)


def model(things: pl.DataFrame) -> Best:
    return Best().fit(things.filter(pl.col("taken").is_not_null()))
'''

_WORLD = '''\
"""The stall as a world that answers."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

TRUTH = "truth.csv"


class Stall:
    def __init__(self):
        self.truth = pl.read_csv(Path(__file__).parent / TRUTH, try_parse_dates=True)

    def arrivals(self, start, end):
        came = pl.col("came").is_between(start.date(), end.date(), closed="left")
        return self.truth.filter(came).select("name", "came", "size", "price")

    def propose(self, rows, model, exploration, moment):
        chance = [np.random.default_rng(int(name[1:])).normal() for name in rows["name"]]
        price = model.rate_ * rows["size"].to_numpy() * np.exp(exploration * np.array(chance))
        return rows.with_columns(pl.Series("price", price))

    def outcomes(self, rows):
        taken = pl.Series("taken", np.where(self.fits(rows), rows["price"].to_numpy(), 0.0))
        return rows.with_columns(taken, (pl.col("came") + timedelta(days=7)).alias("left"))

    def worth(self, rows):
        earned = np.where(self.fits(rows), rows["price"].to_numpy(), 0.0)
        return pl.DataFrame({"expected": earned, "best": self.values(rows)})

    def fits(self, rows):
        return rows["price"].to_numpy() <= self.values(rows)

    def values(self, rows):
        known = rows.select("name").join(self.truth, on="name", maintain_order="left")
        return known["value"].to_numpy()


class Knowing(Stall):
    """Whatever the model says, the best price is asked."""

    def propose(self, rows, model, exploration, moment):
        return rows.with_columns(pl.Series("price", self.values(rows)))


class Silent:
    """No world at all."""

    def arrivals(self, start, end):
        return pl.DataFrame()


class Forgetful(Stall):
    """It never says when a thing left."""

    def outcomes(self, rows):
        return super().outcomes(rows).drop("left")
'''


def write_stall(folder: Path, *, weeks: int = 14, a_week: int = 8, later: float = 1.0) -> Path:
    """Write a project whose things come for so many weeks; return its folder.

    Args:
        folder: Where it goes.
        weeks: How long things come.
        a_week: How many things a week.
        later: What the values of things from the tenth week on are multiplied by.
    """
    folder.mkdir()
    header = ("name", "came", "size", "price", "taken", "left")
    truth, things = [(*header[:4], "value")], [header]
    for number in range(weeks * a_week):
        week, day = divmod(number, a_week)
        came = OPENED + timedelta(days=7 * week + day % 7)
        size = 1.0 + number % 5
        value = round(size * (2.0 + 0.02 * week) * (later if week >= 10 else 1.0), 6)
        # Before the first moment people try a few prices.
        price = size * (1.0 + 0.1 * (number % 3))
        name = f"T{number:04d}"
        truth.append((name, came, size, price, value))
        things.append((name, came, size, price, price, came + timedelta(days=7)))
    for file, lines in (("truth.csv", truth), ("things.csv", things)):
        with (folder / file).open("w", newline="") as stream:
            csv.writer(stream).writerows(lines)
    for file, text in (
        ("bucle.toml", _CHARTER),
        ("contract.py", _CONTRACT),
        ("pipeline.py", _PIPELINE),
        ("world.py", _WORLD),
    ):
        (folder / file).write_text(text)
    return folder
