"""Leases in the file of a log: beside older versions, across forks, in places hard to write."""

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from bucle.errors import FencedError, OutsideError
from bucle.store.sqlite_file import FORMAT
from bucle.store.sqlite_leases import SqliteLeases
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.samples import draft


def ask(path: Path, query: str) -> object:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchone()[0]


def test_a_log_that_had_no_leases_gets_them_and_keeps_its_format(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    SqliteLog(path).append([draft(1)])
    tables = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_master ORDER BY name)"
    assert ask(path, tables) == "events,torn"
    lease = SqliteLeases(path).take("loop", holder="a", over=None)
    assert ask(path, tables) == "events,leases,torn"
    # An older version asks for the format and for its own tables alone.
    assert ask(path, "PRAGMA user_version") == FORMAT == 1
    log = SqliteLog(path)
    log.append([draft(2)], expected=1, fence=lease)
    assert log.verify().intact


def test_a_lease_may_be_taken_before_the_first_event(tmp_path: Path) -> None:
    path = tmp_path / "state" / "log.db"
    lease = SqliteLeases(path).take("loop", holder="a", over=None)
    log = SqliteLog(path)
    assert log.verify().events == 0
    log.append([draft(1)], expected=0, fence=lease)
    assert log.verify().intact


def test_a_log_whose_making_was_interrupted_is_made_by_the_first_lease(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.touch()
    leases = SqliteLeases(path)
    assert leases.read("loop") is None
    assert leases.take("loop", holder="a", over=None).token == 1


def test_leases_outlive_a_fork(tmp_path: Path) -> None:
    leases = SqliteLeases(tmp_path / "log.db")
    lease = leases.take("loop", holder="a", over=None)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if leases.renew(lease).beat == 1 else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert leases.renew(lease).beat == 2


def test_a_process_that_stopped_in_a_commit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    leases = SqliteLeases(path, wait_s=0.05)
    lease = leases.take("loop", holder="a", over=None)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as stopped:
        stopped.execute("BEGIN IMMEDIATE")
        assert leases.read("loop") == lease
        with pytest.raises(OutsideError) as refusal:
            leases.take("loop", holder="b", over=lease)
        assert refusal.value.code == "bucle-303"
        stopped.execute("ROLLBACK")
    assert leases.take("loop", holder="b", over=lease).token == 2


def test_leases_of_a_log_that_may_only_be_read_can_be_read(on_read_only_disk, tmp_path) -> None:
    place = tmp_path / "state"
    lease = SqliteLeases(place / "log.db").take("loop", holder="a", over=None)
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bucle.errors import OutsideError\n"
        "from bucle.store.sqlite_leases import SqliteLeases\n"
        "leases = SqliteLeases(Path(sys.argv[1]) / 'log.db')\n"
        "lease = leases.read('loop')\n"
        "print(lease.token)\n"
        "try:\n"
        "    leases.renew(lease)\n"
        "except OutsideError as error:\n"
        "    print(error.code)\n"
    )
    done = on_read_only_disk(place, script)
    assert done.stdout.split() == ["1", "bucle-302"], done.stderr
    assert lease.token == 1


def test_restoring_an_older_log_ends_every_later_lease(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    leases = SqliteLeases(path)
    first = leases.take("loop", holder="a", over=None)
    leases.close()
    copy = path.read_bytes()
    later = leases.take("loop", holder="b", over=first)
    leases.close()
    path.write_bytes(copy)
    log = SqliteLog(path)
    with pytest.raises(FencedError):
        log.append([draft()], fence=later)
    log.append([draft()], fence=first)
