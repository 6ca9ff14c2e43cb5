"""Tables that the log knows of and the disk has no more; additions without a good row."""

import shutil
from pathlib import Path

import pytest
from calls import bucle


@pytest.fixture
def lost(ran: Path) -> Path:
    """Return a project that has run, without its tables."""
    shutil.rmtree(ran / ".bucle" / "tables")
    return ran


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("data", "show", "sales"),
        ("data", "check", "sales"),
        ("data", "quarantine", "sales"),
    ],
)
def test_a_lost_table_is_named_and_how_to_get_it_back(lost, words) -> None:
    answer = bucle(*words, at=lost, code=3)
    assert "the table of version 1 is gone" in answer.err
    assert ".bucle/tables/sales is not there" in answer.err
    assert "bucle data add sales" in answer.err
    assert "nothing was ever written" not in answer.err


def test_an_addition_begins_a_lost_table_anew_and_says_so(lost) -> None:
    answer = bucle("data", "add", "sales", at=lost)
    assert "the table of version 1 with 60 rows is gone" in answer.all
    bucle("run", at=lost)
    assert bucle("data", "show", "sales", "--json", at=lost).json["version"] == 2


def test_a_table_that_lost_its_last_version_is_not_cut_short(ran) -> None:
    (ran / "more.csv").write_text("id,sold_at,paid_at,size,price\n99,2026-01-01,,1,2\n")
    bucle("data", "add", "sales", "more.csv", at=ran)
    commit = ran / ".bucle/tables/sales/_delta_log" / f"{1:020}.json"
    commit.write_bytes(commit.read_bytes().replace(b"{", b"[", 1))
    for words in (("data", "add", "sales", "more.csv"), ("data", "show", "sales")):
        answer = bucle(*words, at=ran, code=3)
        assert "the table of version 2 is gone" in answer.err
        assert f"{commit.name} is damaged or not there" in answer.err
        assert "move it away and bucle data add sales" in answer.err


def test_rows_of_a_table_begun_anew_are_not_taken_for_those_of_an_older_version(lost) -> None:
    lines = (lost / "sales.csv").read_text().splitlines(keepends=True)
    (lost / "sales.csv").write_text("".join(lines[:-1]))
    bucle("data", "add", "sales", at=lost)
    answer = bucle("data", "show", "sales", "1", at=lost, code=3)
    assert "Cannot use version 1 of 'sales'" in answer.err


def test_good_rows_may_come_after_an_addition_without_any(steps) -> None:
    good = (steps / "sales.csv").read_text()
    (steps / "sales.csv").write_text(good.splitlines()[0] + "\nx,y,z,1,2\n")
    bucle("data", "add", "sales", at=steps)
    (steps / "sales.csv").write_text(good)
    assert bucle("data", "add", "sales", "--json", at=steps).json["rows"] == 60
