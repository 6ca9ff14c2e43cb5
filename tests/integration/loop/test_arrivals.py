"""What has come in: files that are done, databases that moved; nothing twice, nothing lost."""

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bucle.charter.reading import load_charter
from bucle.clock import FixedClock
from bucle.errors import BucleError, SourceError, UsageError
from bucle.loop.arrivals import Arrivals, parse_watched
from bucle.loop.datasets import sync_sources
from bucle.loop.stillness import Stillness
from bucle.loop.workspace import Workspace

CONTRACT = """
import dataframely as dy


class Sales(dy.Schema):
    id = dy.Integer(nullable=False)
    price = dy.Float(nullable=True)
"""
CHARTER = """
[project]
name = "shop"

[data.sales]
source = "in/*.csv"
key = "id"
contract = "contract.py:Sales"

[data.more]
key = "id"
"""


class Shop:
    """A project in a folder, and the arrivals that one process sees."""

    def __init__(self, root, charter=CHARTER):
        self.root = root
        (root / "bucle.toml").write_text(charter)
        (root / "contract.py").write_text(CONTRACT)
        self.clock = FixedClock(datetime(2026, 1, 2, tzinfo=UTC))
        self.patterns = ()
        self.open()

    def open(self):
        loaded = load_charter(self.root, environ={})
        self.workspace = Workspace(self.root, loaded=loaded, actor="ana", clock=self.clock)
        self.arrivals = Arrivals(
            self.workspace,
            [parse_watched(one, datasets=self.workspace.charter.data) for one in self.patterns],
        )

    def watch(self, *patterns):
        self.patterns = patterns
        self.open()

    def look(self, seconds=2.0):
        self.clock.advance(seconds)
        return self.arrivals.look(self.workspace.state())

    def settled(self):
        """Look twice, so that what stands still is seen to."""
        self.look()
        return self.look()

    def names(self):
        return [(one.dataset, Path(one.file).name) for one in self.settled().arrivals]

    def take_all(self):
        return [self.arrivals.take(one).fact for one in self.settled().arrivals]

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path)
    made.write("in/jan.csv", "id,price\n1,5\n2,6\n")
    return made


def test_a_source_is_offered_until_an_addition_is_on_record(shop):
    assert shop.names() == [("sales", "")]
    assert shop.names() == [("sales", "")]
    (fact,) = shop.take_all()
    assert (fact.added, fact.origin) == (2, "source")
    assert shop.names() == []


def test_rows_that_come_in_are_offered_once(shop):
    shop.take_all()
    shop.write("in/feb.csv", "id,price\n3,7\n")
    assert [fact.added for fact in shop.take_all()] == [1]
    shop.write("in/jan.csv", "id,price\n1,5\n2,8\n")
    assert [fact.changed for fact in shop.take_all()] == [1]
    assert shop.take_all() == []


def test_a_touch_without_a_change_is_no_arrival(shop):
    shop.take_all()
    path = shop.root / "in/jan.csv"
    path.touch()
    assert shop.names() == []
    path.write_text(path.read_text())
    assert shop.names() == []


def test_the_same_size_and_time_do_not_hide_another_content(shop):
    shop.take_all()
    path = shop.root / "in/jan.csv"
    before = path.stat()
    path.write_text("id,price\n1,5\n2,9\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shop.names() == [("sales", "")]


def test_a_file_that_grows_waits(shop):
    shop.take_all()
    path = shop.root / "in/jan.csv"
    for number in range(3, 6):
        with path.open("a") as stream:
            stream.write(f"{number},7\n")
        seen = shop.look()
        assert seen.arrivals == ()
        assert seen.waiting == (str(path),)
    assert shop.look(0.5).waiting
    assert [one.dataset for one in shop.look(0.6).arrivals] == ["sales"]


def test_a_file_that_never_rests_is_taken_as_it_is_in_the_end(shop):
    shop.take_all()
    path, looks = shop.root / "in/jan.csv", 0
    while not shop.look(60.0).arrivals:
        looks += 1
        with path.open("a") as stream:
            stream.write(f"{looks + 2},7\n")
        assert looks < 20
    assert looks == 11


def test_an_empty_file_is_not_there_yet(shop):
    shop.take_all()
    shop.write("in/feb.csv", "")
    seen = shop.settled()
    assert seen.arrivals == ()
    assert len(seen.waiting) == 1


@pytest.mark.parametrize("pattern", ["", "inbox/*.csv"])
def test_an_empty_file_is_said_once_when_it_has_stayed_empty(shop, monkeypatch, pattern):
    monkeypatch.chdir(shop.root)
    folder = pattern.partition("/")[0] or "in"
    shop.write(f"{folder}/ok.csv", "id,price\n8,7\n")
    if pattern:
        shop.watch(f"more={pattern}")
    shop.take_all()
    shop.write(f"{folder}/feb.csv", "")
    assert shop.look().troubles == ()
    (trouble,) = shop.look().troubles
    assert "feb.csv' in: it is empty" in trouble.what
    assert [shop.look().troubles for _ in range(3)] == [(), (), ()]
    # Ten minutes on, whoever begins to write is given as long as anybody else.
    shop.look(1000)
    shop.write(f"{folder}/feb.csv", "id,price\n")
    assert shop.look().arrivals == ()
    shop.write(f"{folder}/feb.csv", "id,price\n3,7\n")
    assert [fact.added for fact in shop.take_all()] == [1]
    shop.write(f"{folder}/feb.csv", "")
    shop.look()
    assert len(shop.look().troubles) == 1


def test_after_a_restart_nothing_is_lost_and_nothing_taken_twice(shop):
    shop.take_all()
    shop.open()
    assert shop.names() == []
    shop.write("in/feb.csv", "id,price\n3,7\n")
    assert shop.names() == [("sales", "")]
    shop.open()
    assert shop.names() == [("sales", "")]
    shop.take_all()
    shop.open()
    assert shop.names() == []
    assert len(shop.workspace.state().datasets["sales"].additions) == 2


def test_what_another_process_has_added_is_no_arrival(shop):
    other = Arrivals(shop.workspace)
    assert shop.names() == [("sales", "")]
    other.look(shop.workspace.state())
    shop.clock.advance(2)
    (found,) = other.look(shop.workspace.state()).arrivals
    other.take(found)
    assert shop.names() == []


def test_what_cannot_be_read_is_refused_until_it_changes(shop):
    shop.take_all()
    shop.write("in/feb.csv", "\x00\x01 no table")
    (found,) = shop.settled().arrivals
    with pytest.raises(SourceError):
        shop.arrivals.take(found)
    assert shop.names() == []
    shop.write("in/feb.csv", "id,price\n3,7\n")
    assert [fact.added for fact in shop.take_all()] == [1]


@pytest.mark.parametrize("name", ["bucle.toml", "contract.py"])
def test_what_a_broken_project_refuses_is_offered_again_once_it_is_mended(shop, name):
    shop.take_all()
    shop.write("in/feb.csv", "id,price\n3,7\n")
    right = (shop.root / name).read_text()
    (shop.root / name).write_text(right + "[not right")
    (found,) = shop.settled().arrivals
    shop.arrivals.refuse(found, "Cannot")
    assert shop.names() == []
    (shop.root / name).write_text(right)
    assert [fact.added for fact in shop.take_all()] == [1]


def test_a_poison_batch_goes_into_quarantine_and_is_done_with(shop):
    shop.take_all()
    shop.write("in/feb.csv", "id,price\n,7\n,8\n4,9\n")
    (fact,) = shop.take_all()
    assert (fact.quarantined, fact.added) == (2, 1)
    assert shop.names() == []


def test_watched_files_are_taken_one_by_one_the_oldest_first(shop, tmp_path_factory):
    inbox = tmp_path_factory.mktemp("inbox")
    shop.take_all()
    shop.watch(f"more={inbox}/*.csv")
    assert shop.settled().troubles == ()
    for number, name in enumerate(["b", "a", ".c", "d"], start=1):
        (inbox / f"{name}.csv").write_text(f"id,price\n{number},5\n")
        os.utime(inbox / f"{name}.csv", (number, number))
    (inbox / "e.csv").mkdir()
    assert shop.names() == [("more", "b.csv"), ("more", "a.csv"), ("more", "d.csv")]
    assert [fact.files[0].name for fact in shop.take_all()] == [
        str(inbox / f"{name}.csv") for name in "bad"
    ]
    shop.open()
    assert shop.names() == []
    (inbox / "a.csv").write_text("id,price\n2,6\n")
    assert [fact.changed for fact in shop.take_all()] == [1]
    (inbox / "a.csv").unlink()
    assert shop.names() == []


def test_a_value_that_comes_back_is_taken_again(shop):
    shop.watch(f"more={shop.root}/inbox/*.csv")
    shop.take_all()
    for price in (5, 6, 5):
        shop.write("inbox/a.csv", f"id,price\n1,{price}\n")
        assert len(shop.take_all()) == 1
    assert shop.workspace.tables.read("more")["price"].to_list() == [5]


def test_a_folder_that_is_gone_is_said_once_and_again_when_it_goes_again(shop):
    shop.watch(f"more={shop.root}/inbox/*.csv")
    shop.take_all()
    shop.open()
    (first,) = shop.look().troubles
    assert first.code == "bucle-401"
    assert shop.settled().troubles == ()
    shop.write("inbox/a.csv", "id,price\n1,5\n")
    assert len(shop.take_all()) == 1
    (shop.root / "inbox/a.csv").unlink()
    (shop.root / "inbox").rmdir()
    assert [one.code for one in shop.look().troubles] == ["bucle-401"]
    for path in (shop.root / "in").iterdir():
        path.unlink()
    assert [type(one) for one in shop.look().troubles] == [SourceError]
    assert shop.look().troubles == ()


@pytest.mark.parametrize("pattern", ["in", ".", "/"])
def test_a_folder_itself_is_no_file_to_watch(shop, pattern, monkeypatch):
    monkeypatch.chdir(shop.root)
    shop.watch(f"more={pattern}")
    (trouble,) = shop.look().troubles
    assert "/*.csv" in trouble.attempt


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_holds_up_no_other(shop):
    shop.watch(f"more={shop.root}/inbox/*.csv")
    shop.take_all()
    shop.write("inbox/a.csv", "id,price\n1,5\n").chmod(0)
    shop.write("inbox/b.csv", "id,price\n2,5\n")
    assert shop.names() == [("more", "b.csv")]


def test_a_name_that_no_disk_can_hold_is_told_as_such(shop):
    with pytest.raises(SourceError) as caught:
        Stillness(shop.clock).digest(shop.root / ("x" * 300))
    assert caught.value.code == "bucle-402"


@pytest.mark.parametrize("text", ["more", "more=", "=x", "mroe=x/*.csv"])
def test_refuses_a_place_that_is_none(shop, text):
    with pytest.raises(UsageError) as caught:
        parse_watched(text, datasets=shop.workspace.charter.data)
    assert caught.value.code == "bucle-400"


# ---- databases --------------------------------------------------------------

QUERIED = """
[project]
name = "shop"

[data.sales]
source = "sqlite:///shop.db"
query = "SELECT id, day, price FROM sales -- all of them"
key = "id"
event_time = "day"
label = "price"
"""


@pytest.fixture
def base(tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE sales (id INTEGER, day TEXT, price REAL)")
        connection.execute("INSERT INTO sales VALUES (1, '2026-01-01', 5), (2, '2026-01-02', NULL)")
    return tmp_path / "shop.db"


def run(base, statement):
    with sqlite3.connect(base) as connection:
        connection.execute(statement)


@pytest.fixture
def queried(base, tmp_path):
    return Shop(tmp_path, QUERIED)


def test_rows_and_labels_move_the_mark_of_a_query(base, queried):
    assert [fact.added for fact in queried.take_all()] == [2]
    queried.clock.advance(60)
    assert queried.names() == []
    run(base, "INSERT INTO sales VALUES (3, '2026-01-03', NULL)")
    queried.clock.advance(60)
    assert [fact.added for fact in queried.take_all()] == [1]
    run(base, "UPDATE sales SET price = 7 WHERE id = 2")
    queried.clock.advance(60)
    assert [fact.changed for fact in queried.take_all()] == [1]


def test_a_database_is_not_asked_all_the_time(base, queried):
    queried.take_all()
    run(base, "INSERT INTO sales VALUES (3, '2026-01-03', NULL)")
    assert queried.look().arrivals == ()
    assert len(queried.look(60).arrivals) == 1


def test_a_query_that_was_read_is_not_taken_again_after_a_restart(base, queried):
    queried.take_all()
    queried.open()
    assert queried.names() == []
    queried.open()
    run(base, "INSERT INTO sales VALUES (3, '2026-01-03', NULL)")
    assert queried.names() == [("sales", "")]


def test_rows_that_come_in_after_an_offer_are_offered_again(base, queried):
    before = queried.workspace.state()
    (found,) = queried.look().arrivals
    queried.arrivals.take(found)
    run(base, "INSERT INTO sales VALUES (3, '2026-01-03', NULL)")
    # A look at a state from before the addition offers again, and must not hide the new row.
    queried.clock.advance(60)
    assert len(queried.arrivals.look(before).arrivals) == 1
    assert len(queried.look(60).arrivals) == 1


def test_rows_that_a_run_has_read_meanwhile_are_one_event(base, queried):
    queried.take_all()
    run(base, "INSERT INTO sales VALUES (3, '2026-01-03', NULL)")
    assert len(sync_sources(queried.workspace)) == 1
    queried.clock.advance(60)
    (found,) = queried.look().arrivals
    assert queried.arrivals.take(found) is None
    assert len(queried.workspace.state().datasets["sales"].additions) == 2
    assert queried.look(60).arrivals == ()
    run(base, "INSERT INTO sales VALUES (4, '2026-01-04', NULL)")
    queried.clock.advance(60)
    assert [fact.added for fact in queried.take_all()] == [1]


def test_a_preparation_may_make_what_the_query_lacks(base, queried):
    charter = QUERIED.replace('event_time = "day"', 'event_time = "at"')
    shop = Shop(queried.root, charter)
    assert len(shop.look().arrivals) == 1


def test_a_database_that_is_gone_is_said_once(base, queried):
    queried.take_all()
    base.unlink()
    assert len(queried.look(60).troubles) == 1
    seen = queried.look(60)
    assert seen.troubles == ()
    assert seen.arrivals == ()


@pytest.mark.thorough
def test_a_query_of_postgresql_has_a_mark_too(postgres, tmp_path):
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE TABLE arrived (id int, day date, price float8)")
        connection.execute("INSERT INTO arrived VALUES (1, '2026-01-01', 5)")
        charter = QUERIED.replace("FROM sales", "FROM arrived").replace(
            "sqlite:///shop.db", postgres
        )
        shop = Shop(tmp_path, charter)
        assert [fact.added for fact in shop.take_all()] == [1]
        shop.clock.advance(60)
        assert shop.names() == []
        connection.execute("INSERT INTO arrived VALUES (2, '2026-01-02', NULL)")
        shop.clock.advance(60)
        assert [fact.added for fact in shop.take_all()] == [1]
        # A column that the query lacks is an error there; the rows are counted without it.
        lacking = Shop(tmp_path, charter.replace('label = "price"', 'label = "cost"'))
        assert lacking.names() == []
        connection.execute("INSERT INTO arrived VALUES (3, '2026-01-02', NULL)")
        lacking.clock.advance(60)
        assert len(lacking.settled().arrivals) == 1


def test_every_trouble_says_what_to_do(shop):
    shop.watch(f"more={shop.root}/nowhere/*.csv")
    (trouble,) = shop.look().troubles
    assert isinstance(trouble, BucleError)
    assert "mkdir" in trouble.attempt
