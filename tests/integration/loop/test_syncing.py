"""What a run does about the sources of its data: it takes in what is new, and nothing twice."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bucle.charter.reading import load_charter
from bucle.clock import FixedClock
from bucle.loop.datasets import Addition, sync_sources
from bucle.loop.workspace import Workspace

CONTRACT = """
import dataframely as dy


class Sales(dy.Schema):
    id = dy.Integer(nullable=False)
    price = dy.Float(nullable=False)
"""
CHARTER = """
[project]
name = "shop"

[data.sales]
source = "sqlite:///shop.db"
query = "SELECT * FROM sales"
key = "id"
"""
WITH_CONTRACT = CHARTER + 'contract = "contract.py:Sales"\n'


def sync(root: Path) -> tuple[Addition, ...]:
    loaded = load_charter(root, environ={})
    clock = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))
    return sync_sources(Workspace(root, loaded=loaded, actor="ana", clock=clock))


def execute(root: Path, *statements: str) -> None:
    with closing(sqlite3.connect(root / "shop.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "bucle.toml").write_text(CHARTER)
    (tmp_path / "contract.py").write_text(CONTRACT)
    rows = ", ".join(f"({number}, {number}.5)" for number in range(20))
    execute(tmp_path, "CREATE TABLE sales (id INTEGER, price)", f"INSERT INTO sales VALUES {rows}")
    return tmp_path


def test_a_query_that_gives_what_it_gave_puts_nothing_on_record(shop: Path) -> None:
    (first,) = sync(shop)
    assert (first.fact.added, first.is_new) == (20, True)
    assert sync(shop) == ()
    execute(shop, "INSERT INTO sales VALUES (20, 1.0)")
    (more,) = sync(shop)
    assert (more.fact.data_version, more.fact.added) == (2, 1)
    assert sync(shop) == ()


def test_a_query_is_taken_in_again_when_its_rules_have_changed(shop: Path) -> None:
    sync(shop)
    (shop / "bucle.toml").write_text(WITH_CONTRACT)
    (again,) = sync(shop)
    assert not again.is_new
    assert sync(shop) == ()


@pytest.mark.parametrize("charter", [CHARTER, WITH_CONTRACT], ids=["untyped", "contract"])
def test_a_word_among_numbers_is_the_one_that_is_told(shop: Path, charter: str) -> None:
    (shop / "bucle.toml").write_text(charter)
    execute(shop, "UPDATE sales SET price = 'call us' WHERE id = 7")
    (addition,) = sync(shop)
    told = [(one.column, one.count, one.examples) for one in addition.fact.coerced]
    if charter == CHARTER:
        assert told == [("price", 1, ("call us",))]
        return
    assert told == []
    assert (addition.fact.added, addition.fact.quarantined) == (19, 1)


def test_a_word_in_a_column_that_was_of_numbers_is_null_and_told(shop: Path) -> None:
    sync(shop)
    execute(shop, "INSERT INTO sales VALUES (20, 'call us')")
    (addition,) = sync(shop)
    told = [(one.column, one.count, one.examples, one.became) for one in addition.fact.coerced]
    assert told == [("price", 1, ("call us",), "null")]
