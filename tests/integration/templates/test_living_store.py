"""The simulated store as a world that answers: the same items, the same luck, exact worth."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from bucle.charter.project_code import load_name
from bucle.charter.reading import load_charter
from bucle.loop.replay.living import open_world
from bucle.templates.creation import TemplateOptions, create_project

OUTCOME = ["outcome", "weeks", "sale_price", "commission", "closed_on"]
START = datetime(2024, 1, 1, tzinfo=UTC)
END = START + timedelta(weeks=8)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("living") / "shop"
    create_project(folder, template="consignment", options=TemplateOptions(seed=3))
    return folder


@pytest.fixture(scope="module")
def world(root):
    return open_world(root, load_charter(root, environ={}).charter.replay.world)


@pytest.fixture(scope="module")
def items(world):
    return world.arrivals(START, END)


@pytest.fixture(scope="module")
def records(root):
    """The records without slips of the pen, as far as they are known in the end."""
    draw, keep = (load_name(root, f"history.py:{name}") for name in ("draw_store", "keep_records"))
    return keep(draw(3), weeks=144)


class Fixed:
    """A pricer that always proposes the same list price."""

    def propose(self, items):
        return pl.DataFrame({"list_price": np.full(items.height, 40.0)})


def test_items_come_in_the_weeks_they_were_recorded_in(world, items, records):
    came = records.filter(pl.col("arrived").is_between(START.date(), END.date(), closed="left"))
    assert items.equals(came.select(items.columns))
    halves = [
        world.arrivals(START, START + timedelta(weeks=3)),
        world.arrivals(START + timedelta(weeks=3), END),
    ]
    assert pl.concat(halves).equals(items)


def test_nothing_of_the_truth_comes_with_the_items(root, items):
    contract = load_charter(root, environ={}).charter.data["items"]
    assert not set(items.columns) & {*contract.label, "pull", "luck", "best_price", "elasticity"}


def test_under_the_recorded_prices_the_records_come_out(world, items, records):
    lived = world.outcomes(items)
    closed = records.join(items.select("item_id"), on="item_id", how="semi")
    assert closed["closed_on"].null_count() == 0
    assert lived.select("item_id", *OUTCOME).equals(closed.select("item_id", *OUTCOME))


def test_the_same_item_at_the_same_price_has_the_same_end(world, items):
    price = pl.Series("list_price", np.linspace(20, 90, items.height))
    all_of_them = world.outcomes(items.with_columns(price))
    turned = items.with_columns(price).sample(fraction=0.3, shuffle=True, seed=1)
    alone = world.outcomes(turned)
    assert alone.equals(turned.select("item_id").join(all_of_them, on="item_id", how="left"))


def test_a_lower_price_never_sells_later(world, items):
    dear, cheap = (
        world.outcomes(items.with_columns(pl.col("list_price") * share)) for share in (1.0, 0.7)
    )
    sold = dear["outcome"] == "sold"
    assert (cheap["outcome"] == "sold").filter(sold).all()
    assert (cheap["weeks"] <= dear["weeks"]).all()


def test_regret_is_zero_at_the_best_price_and_nowhere_below(root, world, items):
    truth = pl.read_parquet(root / "truth" / "items.parquet").select("item_id", "best_price")
    best = items.join(truth, on="item_id", maintain_order="left")
    at_best = world.worth(best.with_columns(list_price="best_price"))
    assert (at_best["expected"] == at_best["best"]).all()
    for factor in (0.5, 0.9, 1.1, 2.0):
        worth = world.worth(best.with_columns(list_price=pl.col("best_price") * factor))
        assert (worth["expected"] <= worth["best"] + 1e-9).all()
        assert worth["expected"].sum() < worth["best"].sum()


def test_chance_belongs_to_the_item_and_not_to_the_call(world, items):
    moved = world.propose(items, Fixed(), 0.15, START)
    part = world.propose(items.tail(20), Fixed(), 0.15, END)
    assert moved.tail(20)["list_price"].equals(part["list_price"])
    spread = np.log(moved["list_price"] / 40.0).std()
    assert spread == pytest.approx(0.15, rel=0.1)
    assert (world.propose(items, Fixed(), 0.0, START)["list_price"] == 40.0).all()


# ---- shocks, misprints and other stores: what `bucle simulate` asks for ------------------------


@pytest.fixture
def shaken(root):
    """A world of this test's own."""
    return open_world(root, load_charter(root, environ={}).charter.replay.world)


def test_a_shock_changes_what_becomes_of_items_while_it_lasts(world, shaken, items):
    before = world.worth(items)
    shaken.strike("demand-slumps", END + timedelta(weeks=20), END + timedelta(weeks=30))
    assert shaken.worth(items).equals(before)
    shaken.strike("demand-slumps", START, END + timedelta(weeks=12))
    after = shaken.worth(items)
    assert after["best"].sum() < 0.7 * before["best"].sum()
    assert (after["expected"] <= after["best"] + 1e-6).all()
    sold = (world.outcomes(items)["outcome"] == "sold").sum()
    assert (shaken.outcomes(items)["outcome"] == "sold").sum() < 0.7 * sold


def test_when_tastes_turn_some_categories_lose_and_others_win(world, shaken, items):
    shaken.strike("tastes-turn", START - timedelta(weeks=1), END + timedelta(weeks=20))
    change = shaken.worth(items)["best"] - world.worth(items)["best"]
    loses = items["category"].is_in(["coat", "jewellery", "shoes", "watch"])
    assert (change.filter(loses) <= 1e-6).all()
    assert change.filter(~loses).mean() > 1
    assert set(shaken.shocks) == {"tastes-turn", "demand-slumps"}


def test_books_in_cents_are_the_same_books(world, shaken, items):
    lived = world.outcomes(items)
    wrong = shaken.misprint("books-in-cents", lived)
    for name in ("basis", "list_price", "sale_price", "commission"):
        assert wrong[name].drop_nulls().to_list() == pytest.approx(
            (lived[name].drop_nulls() * 100).to_list()
        )
    kept = ["item_id", "grade", "closed_on"]
    assert wrong.select(kept).equals(lived.select(kept))


def test_mixed_up_codes_leave_everything_else_as_it_is(shaken, items):
    wrong = shaken.misprint("codes-mixed-up", items)
    assert wrong.drop("category", "brand").equals(items.drop("category", "brand"))
    for name in ("category", "brand"):
        assert (wrong[name] != items[name]).all()
        assert wrong[name].n_unique() == items[name].n_unique()
    again = shaken.misprint("codes-mixed-up", wrong)
    assert again["category"].equals(items["category"])


@pytest.mark.thorough
def test_another_seed_draws_another_store(tmp_path):
    folder = tmp_path / "shop"
    create_project(folder, template="consignment", options=TemplateOptions(seed=3))
    reference = load_charter(folder, environ={}).charter.replay.world
    first = open_world(folder, reference)
    before = first.arrivals(START, END)
    first.draw(4)
    after = open_world(folder, reference).arrivals(START, END)
    assert not after.equals(before)
    first.draw(3)
    assert open_world(folder, reference).arrivals(START, END).equals(before)
