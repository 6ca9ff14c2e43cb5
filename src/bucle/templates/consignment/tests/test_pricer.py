"""Tests of this project's own code; run them with `python -m pytest` in the project's folder."""

import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from history import OPENED, Store, draw_store, keep_records, with_slips
from pipeline import clean, model, shelf_weeks
from pricing import Pricer
from store import World, best_prices, true_commission
from terms import earned_commission, expected_commission, shelf_prices

LEARNED = 60
SMALL = World(weeks=72, brands=12)


@pytest.fixture(scope="module")
def store() -> Store:
    return draw_store(3, world=SMALL)


@pytest.fixture(scope="module")
def records(store: Store) -> pl.DataFrame:
    return clean(keep_records(store, weeks=LEARNED))


@pytest.fixture(scope="module")
def pricer(records: pl.DataFrame) -> Pricer:
    return model(shelf_weeks(records, _week(LEARNED)))


def _week(number: int) -> datetime:
    return datetime.combine(OPENED + timedelta(weeks=number), datetime.min.time())


def test_expected_commission_is_the_mean_of_what_is_earned():
    rng = np.random.default_rng(1)
    sale = np.full((1, 12), 0.1)
    price = np.array([40.0])
    drawn = rng.random((200_000, 12)) < 0.1
    sold = drawn.any(axis=1)
    weeks = np.where(sold, drawn.argmax(axis=1) + 1.0, 12.0)
    earned = earned_commission(np.full(len(weeks), 40.0), weeks, sold)
    assert expected_commission(sale, price)[0] == pytest.approx(earned.mean(), abs=0.05)


def test_best_price_beats_every_other_price(store: Store):
    truth = store.truth
    best = best_prices(truth, store.stock.basis)
    top = true_commission(best, truth)
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        assert (true_commission(best * factor, truth) <= top + 1e-9).all()


def test_same_seed_writes_the_same_records():
    first, again = (keep_records(draw_store(5, world=SMALL), weeks=40) for _ in range(2))
    assert first.equals(again)
    assert with_slips(first, seed=5).equals(with_slips(again, seed=5))
    assert not first.equals(keep_records(draw_store(6, world=SMALL), weeks=40))


def test_later_records_only_add_to_earlier_ones(store: Store):
    early, late = (keep_records(store, weeks=weeks) for weeks in (30, 50))
    closed = early.filter(pl.col("closed_on").is_not_null())
    assert closed.equals(late.join(closed.select("item_id"), on="item_id", how="semi"))
    assert set(early["item_id"]) < set(late["item_id"])


def test_waiting_items_count_for_the_weeks_they_waited(records: pl.DataFrame):
    rows = shelf_weeks(records, _week(LEARNED))
    waiting = records.filter(pl.col("outcome").is_null())
    assert waiting.height > 0
    full_weeks = (pl.lit(_week(LEARNED).date()) - pl.col("arrived")).dt.total_days() // 7
    expected = waiting.select(full_weeks.clip(0, 12).sum()).item()
    closed = records.filter(pl.col("outcome").is_not_null())
    assert rows.height == expected + closed["weeks"].sum() - _unfinished(closed)
    assert rows["sold"].sum() <= (records["outcome"] == "sold").sum()


def _unfinished(closed: pl.DataFrame) -> int:
    """Count the last weeks of sales that were not over when the records end."""
    age = (pl.lit(_week(LEARNED).date()) - pl.col("arrived")).dt.total_days() // 7
    return closed.filter(age < pl.col("weeks")).height


def test_nothing_later_changes_what_is_learned(store: Store):
    then = _week(40)
    rows = [shelf_weeks(clean(keep_records(store, weeks=weeks)), then) for weeks in (40, 41)]
    known = rows[1].filter(pl.col("arrived") < then.date())
    assert rows[0].equals(known)


def test_learned_prices_beat_the_best_flat_mark_up(store: Store, pricer: Pricer):
    items = keep_records(store, weeks=SMALL.weeks)
    later = store.stock.week >= LEARNED
    price = pricer.propose(items)["list_price"].to_numpy()
    best = true_commission(best_prices(store.truth, store.stock.basis), store.truth)[later].sum()
    reached = true_commission(price, store.truth)[later].sum() / best
    flat = max(
        true_commission(store.stock.basis * markup, store.truth)[later].sum() / best
        for markup in np.arange(0.4, 1.6, 0.05)
    )
    assert reached > flat + 0.03


def test_leaving_waiting_items_out_is_a_trap(store: Store, records: pl.DataFrame, pricer: Pricer):
    closed = records.filter(pl.col("outcome").is_not_null())
    naive = model(shelf_weeks(closed, _week(LEARNED)))
    recent = records.with_columns(pl.Series("week", store.stock.week[: records.height])).filter(
        pl.col("week") >= LEARNED - 6
    )
    later = keep_records(store, weeks=SMALL.weeks).join(recent, on="item_id", how="semi")
    sold = (later["outcome"] == "sold").fill_null(value=False).mean()
    errors = [abs(learned.predict_sale(later).mean() - sold) for learned in (naive, pricer)]
    assert errors[0] > errors[1] + 0.03


def test_proposed_price_lies_in_its_range(records: pl.DataFrame, pricer: Pricer):
    proposed = pricer.propose(records.head(200))
    assert (proposed["low_price"] <= proposed["list_price"]).all()
    assert (proposed["list_price"] <= proposed["high_price"]).all()
    at_best = records.head(200).with_columns(proposed["list_price"])
    assert np.allclose(pricer.predict(at_best), proposed["commission"], atol=0.02)


def test_days_to_sale_are_those_of_the_items_that_sell(records: pl.DataFrame, pricer: Pricer):
    proposed = pricer.details(records.head(300))
    assert proposed["days_to_sale"].is_between(3.5, 7 * 11.5).all()
    rng = np.random.default_rng(2)
    one = records.head(1).with_columns(proposed["list_price"].head(1))
    drawn = rng.random((100_000, 12)) < pricer.sale_chance(one, one["list_price"].to_numpy())
    sold = drawn.any(axis=1)
    days = 7 * (drawn[sold].argmax(axis=1) + 0.5)
    assert proposed["days_to_sale"][0] == pytest.approx(days.mean(), abs=0.3)
    assert proposed["sale_chance"][0] == pytest.approx(sold.mean(), abs=0.01)


def test_an_item_that_cannot_sell_has_the_whole_time_to_sale(pricer: Pricer, records: pl.DataFrame):
    hopeless = records.head(2).with_columns(pl.lit(1e300).alias("basis"))
    assert (pricer.details(hopeless)["days_to_sale"] == 84.0).all()


def test_unknown_brand_and_missing_values_are_priced(records: pl.DataFrame, pricer: Pricer):
    odd = records.head(3).with_columns(
        pl.lit("never seen").alias("brand"),
        pl.lit(None, dtype=pl.Float64).alias("age"),
        pl.lit(None, dtype=pl.Float64).alias("photo_score"),
    )
    assert np.isfinite(pricer.predict(odd)).all()
    assert pricer.propose(odd)["list_price"].is_finite().all()


def test_markdown_comes_after_six_weeks():
    assert shelf_prices(np.array([100.0]))[0].tolist() == [100.0] * 6 + [75.0] * 6
