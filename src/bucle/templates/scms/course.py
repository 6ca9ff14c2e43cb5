"""The well-known result on line value, and what is left of it when the question is honest.

The exercise predicts a line's value from all columns with a random split and reports an R² above
0.9. Value is packs times pack price and the premium is computed from the value, so the answer is
among the columns; and a random split trains on deliveries that came after the rows it is judged
on. The honest figure uses what was known at the request and learns from what had arrived by then.
"""

import numpy as np
import polars as pl
from sklearn.linear_model import Lasso, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from bucle.models.tabular import tabular

NUMBERS = ["packs", "pack_size", "pack_price", "unit_price", "weight", "freight", "insurance"]
WORDS = ["via", "mode"]
KNOWN = ["country", "via", "mode", "inco_term", "vendor", "item", "site", "packs", "pack_size"]
SHARE = 0.8
SEED = 0


def compare_splits(clean: pl.DataFrame) -> dict[str, float]:
    """Return R² of line value: the course's way, by premium alone, and honestly."""
    rows = clean.drop_nulls(["value", "label_time"]).sort("event_time", "line")
    order = np.random.default_rng(SEED).permutation(rows.height)
    border = int(SHARE * rows.height)
    mixed = rows[order]
    scores = {
        f"course_r2_{name}": score
        for name, score in _course_scores(mixed.head(border), mixed.tail(-border)).items()
    }
    known = rows.filter(pl.col("value") > 0)
    cut = known["event_time"][int(SHARE * known.height)]
    before = known.filter((pl.col("event_time") < cut) & (pl.col("label_time") <= cut))
    after = known.filter(pl.col("event_time") >= cut)
    mixed = known[np.random.default_rng(SEED).permutation(known.height)]
    border = int(SHARE * known.height)
    scores["known_columns_random_split_r2"] = _known_score(mixed.head(border), mixed.tail(-border))
    scores["honest_r2"] = _known_score(before, after)
    return scores


def _course_scores(train: pl.DataFrame, test: pl.DataFrame) -> dict[str, float]:
    numbers, columns = _matrix(train, like=train), _matrix(test, like=train)
    premium = NUMBERS.index("insurance")
    truth = test["value"].to_numpy()
    learners = {
        "linear": (LinearRegression(), slice(None)),
        "lasso": (make_pipeline(StandardScaler(), Lasso(alpha=1000.0)), slice(None)),
        "tree": (DecisionTreeRegressor(random_state=SEED), slice(None)),
        "premium_alone": (LinearRegression(), slice(premium, premium + 1)),
    }
    return {
        name: _r2(
            truth,
            learner.fit(numbers[:, part], train["value"].to_numpy()).predict(columns[:, part]),
        )
        for name, (learner, part) in learners.items()
    }


def _matrix(rows: pl.DataFrame, *, like: pl.DataFrame) -> np.ndarray:
    """Fill gaps with zero and turn words into yes/no columns, as the exercise does."""
    columns = [rows[name].cast(pl.Float64).fill_null(0).to_numpy() for name in NUMBERS]
    for name in WORDS:
        words = rows[name].cast(pl.String)
        levels = like[name].cast(pl.String).unique().sort().to_list()
        columns += [(words == level).cast(pl.Float64).to_numpy() for level in levels]
    return np.column_stack(columns)


def _known_score(train: pl.DataFrame, test: pl.DataFrame) -> float:
    learner = tabular(log_target=True, max_iter=100).fit(train.select(KNOWN), train["value"])
    return _r2(test["value"].to_numpy(), learner.predict(test.select(KNOWN)))


def _r2(truth: np.ndarray, prediction: np.ndarray) -> float:
    return float(1 - np.sum((truth - prediction) ** 2) / np.sum((truth - truth.mean()) ** 2))
