"""The pricer: what an item will earn at a list price, and the list price at which it earns most.

It learns the chance that an item sells in a week on the shelf, from one row per item and week.
So an item that is still waiting counts for the weeks it has waited, and for no more: to leave it
out, or to call it unsold, is the classic trap of late labels. What an item earns at any list price
then follows in closed form (`terms.py`), and the best price is the top of that curve.
"""

from typing import Any, Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from terms import TERMS, Floats, expected_commission, shelf_prices, survival

YEAR = 52
OWN_TREND = 0.3  # a brand's own trend faces a penalty about ten times as strong
TREND_AHEAD = 13  # weeks a trend may be drawn out beyond the last week learned from
AT_ONCE = 256  # items whose prices are tried together: more would need much memory
MULTIPLES = np.exp(np.linspace(-1.8, 1.2, 61))  # list prices tried, times the owner's basis


class Pricer(BaseEstimator):  # type: ignore[misc]
    """Predict the commission of items at their list prices, and propose better list prices.

    Args:
        smoothing: Inverse strength of the penalty; a smaller one trusts single brands less.
        tolerance: `propose` gives the range of list prices that are expected to earn at most
            this share less than the best one.
    """

    def __init__(self, *, smoothing: float = 1.0, tolerance: float = 0.02) -> None:
        self.smoothing = smoothing
        self.tolerance = tolerance

    def fit(self, shelf: pl.DataFrame, sold: Any = None) -> Self:
        """Learn the chance of a sale in a week on the shelf.

        Args:
            shelf: One row per item and week: the item, and `shelf_week` counted from 0.
            sold: Whether the item was sold in that week; the column `sold` by default.
        """
        outcome = np.asarray(shelf["sold"] if sold is None else sold).astype(np.int64)
        self.categories_ = sorted(shelf["category"].unique())
        self.brands_ = sorted(shelf["brand"].unique())
        self.grades_ = sorted(shelf["grade"].unique())
        age = shelf["age"].median()
        self.usual_age_ = float(age) if isinstance(age, int | float) else 0.0
        week = _weeks(shelf)
        self.last_week_ = float(week.max())
        # Only records of more than a year can tell a trend from the season.
        self.trend_ = float(np.clip((self.last_week_ - week.min()) / YEAR - 1, 0, 1))
        shelf_week = shelf["shelf_week"].to_numpy()
        price = shelf_prices(shelf["list_price"].to_numpy())
        paid = price[np.arange(len(price)), shelf_week]
        kinds = _dummies(shelf["category"], self.categories_)
        rows = np.column_stack(
            [
                self._describe(shelf),
                np.column_stack([np.ones(len(paid)), kinds]) * np.log(paid)[:, None],
                _season(week + shelf_week, kinds),
                shelf_week / TERMS.markdown_after,
            ]
        )
        learned = LogisticRegression(C=self.smoothing, solver="newton-cholesky", max_iter=100)
        learned.fit(rows, outcome)
        self.weights_ = learned.coef_[0]
        self.level_ = float(learned.intercept_[0])
        return self

    def predict(self, items: pl.DataFrame) -> Floats:
        """Return the expected commission of each item at its own list price, in USD."""
        price = items["list_price"].cast(pl.Float64).to_numpy()
        return expected_commission(self.sale_chance(items, price), price)

    def predict_sale(self, items: pl.DataFrame) -> Floats:
        """Return the chance that each item is sold at all at its own list price."""
        chance = self.sale_chance(items, items["list_price"].cast(pl.Float64).to_numpy())
        return np.asarray(1 - np.prod(1 - chance, axis=1))

    def propose(self, items: pl.DataFrame) -> pl.DataFrame:
        """Return the list price that is expected to earn most, and how sharp that optimum is.

        Columns: `list_price`; `low_price` and `high_price`, between which the expected commission
        is within `tolerance` of the best; `commission`; `sale_chance`; `days_to_sale` of an item
        that is sold; `shelf_weeks` expected.
        """
        prices = items["basis"].cast(pl.Float64).to_numpy()[:, None] * MULTIPLES
        odds, slope = self._item_odds(items)
        earned = _earnings(odds, slope, prices)
        rows, top = np.arange(len(prices)), earned.argmax(axis=1)
        best = earned[rows, top]
        good = earned >= (best - self.tolerance * np.abs(best))[:, None]
        low, high = good.argmax(axis=1), good.shape[1] - 1 - good[:, ::-1].argmax(axis=1)
        chance = _chance(odds, slope, prices[rows, top])
        return pl.DataFrame(
            {
                "list_price": np.round(prices[rows, top], 2),
                "low_price": np.round(prices[rows, low], 2),
                "high_price": np.round(prices[rows, high], 2),
                "commission": best,
                "sale_chance": 1 - np.prod(1 - chance, axis=1),
                "days_to_sale": _days_to_sale(chance),
                "shelf_weeks": survival(chance).sum(axis=1),
            }
        )

    def details(self, items: pl.DataFrame) -> pl.DataFrame:
        """Return what is answered beside each prediction: the proposed list price, what it brings.

        `commission` and `days_to_sale` are those expected at that price, not at the item's own.
        """
        return self.propose(items).drop("shelf_weeks")

    def _describe(self, items: pl.DataFrame) -> Floats:
        """Return what is known of an item apart from its price: one row per row of the frame."""
        kinds = _dummies(items["category"], self.categories_)
        brands = _dummies(items["brand"], self.brands_)
        age = items["age"].cast(pl.Float64).fill_null(self.usual_age_).to_numpy()
        ahead = np.minimum(_weeks(items), self.last_week_ + TREND_AHEAD) - self.last_week_
        trend = self.trend_ * ahead[:, None] / YEAR
        return np.column_stack(
            [
                kinds,
                kinds * age[:, None],
                brands,
                trend,
                brands * trend * OWN_TREND,
                _dummies(items["grade"], self.grades_),
                items["photo_score"].cast(pl.Float64).fill_null(0.0).to_numpy(),
                np.log(items["basis"].cast(pl.Float64).to_numpy()),
            ]
        )

    def _item_odds(self, items: pl.DataFrame) -> tuple[Floats, Floats]:
        """Return the weekly log odds of a sale at a price of 1 USD, and their slope in price."""
        described = self._describe(items)
        kinds = described[:, : len(self.categories_)]
        parts = np.cumsum([described.shape[1], 1, kinds.shape[1], kinds.shape[1], kinds.shape[1]])
        own, price, by_kind, sine, cosine, week = np.split(self.weights_, parts)
        shelf_week = np.arange(TERMS.weeks)
        angle = 2 * np.pi * (_weeks(items)[:, None] + shelf_week) / YEAR
        season = (kinds @ sine)[:, None] * np.sin(angle) + (kinds @ cosine)[:, None] * np.cos(angle)
        fixed = self.level_ + described @ own
        odds = fixed[:, None] + season + week[0] * shelf_week / TERMS.markdown_after
        return odds, price[0] + kinds @ by_kind

    def sale_chance(self, items: pl.DataFrame, price: Floats) -> Floats:
        """Return the chance of a sale in each shelf week, if still there."""
        odds, slope = self._item_odds(items)
        return _chance(odds, slope, price)


def _chance(odds: Floats, slope: Floats, price: Floats) -> Floats:
    log_odds = odds + slope[..., None] * np.log(shelf_prices(price))
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def _earnings(odds: Floats, slope: Floats, prices: Floats) -> Floats:
    """Return what items are expected to earn at several prices each, in a column for each."""
    found = []
    for first in range(0, max(len(prices), 1), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        chance = _chance(odds[part, None], slope[part, None], prices[part])
        found.append(expected_commission(chance, prices[part]))
    return np.concatenate(found)


def _days_to_sale(chance: Floats) -> Floats:
    """Return after how many days items are sold that are sold at all, on average."""
    sold = survival(chance) * chance
    middle = 7 * (np.arange(TERMS.weeks) + 0.5)
    share = sold.sum(axis=1)
    # Where no sale can be expected, the whole agreed time is all that can be said.
    days = np.full(len(share), 7.0 * TERMS.weeks)
    return np.divide(sold @ middle, share, out=days, where=share > 0)


def _dummies(values: pl.Series, known: list[str]) -> Floats:
    """Return one column per known value; a value never seen has zeros: the average of its kind."""
    places = dict(zip(known, range(len(known)), strict=True))
    column = [places.get(value, len(known)) for value in values.to_list()]
    return np.asarray(np.eye(len(known) + 1)[column, :-1])


def _weeks(items: pl.DataFrame) -> Floats:
    """Return the week of arrival, counted from the first of January 1970."""
    days = items["arrived"].cast(pl.Date).to_physical().to_numpy()
    return np.asarray(days // 7, dtype=np.float64)


def _season(week: Floats, kinds: Floats) -> Floats:
    """Return one yearly wave per category, as its sine and its cosine."""
    angle = 2 * np.pi * week[:, None] / YEAR
    return np.column_stack([kinds * np.sin(angle), kinds * np.cos(angle)])
