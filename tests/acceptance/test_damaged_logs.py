"""Logs that were cut, changed, merged, moved, or written by a newer Bucle."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from calls import bucle

from bucle.clock import to_iso
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft


def _sql(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / ".bucle/log.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def _refuses_to_write(folder: Path, *, event: int) -> None:
    before = (folder / ".bucle/log.head").read_bytes()
    assert "Cannot read the log: " in bucle("history", at=folder, code=1).err
    verified = bucle("log", "verify", "--json", at=folder, code=1).json
    assert (verified["intact"], verified["damaged"]) == (False, event)
    assert verified["reason"]
    for words in (["run"], ["data", "add", "sales"]):
        answer = bucle(*words, at=folder, code=1)
        assert f"event {event}" in answer.err
        assert "Traceback" not in answer.all
    assert (folder / ".bucle/log.head").read_bytes() == before


def test_a_change_in_the_middle_stops_writes_and_names_the_event(lived: Path) -> None:
    _sql(lived, "UPDATE events SET content = replace(content, '60', '61') WHERE position = 1")
    _refuses_to_write(lived, event=1)


def test_an_event_taken_out_of_the_middle_is_noticed(lived: Path) -> None:
    _sql(lived, "DELETE FROM events WHERE position = 3")
    _refuses_to_write(lived, event=3)


def test_two_events_in_each_others_place_are_noticed(lived: Path) -> None:
    _sql(
        lived,
        "UPDATE events SET position = 99 WHERE position = 2",
        "UPDATE events SET position = 2 WHERE position = 4",
        "UPDATE events SET position = 4 WHERE position = 99",
    )
    _refuses_to_write(lived, event=2)


def test_a_removed_head_file_is_a_warning_where_the_log_holds_events(lived: Path) -> None:
    assert "!" not in bucle("log", "verify", at=lived).out
    (lived / ".bucle/log.head").unlink()
    answer = bucle("log", "verify", at=lived)
    assert "intact\n  ! the head file log.head is missing" in answer.out
    assert "--head HASH" in answer.out
    verified = bucle("log", "verify", "--json", at=lived).json
    assert verified["intact"]
    assert "cannot be ruled out that events at the end were removed" in verified["reason"]


def test_a_tail_that_was_cut_is_noticed_and_repaired_on_record(lived: Path) -> None:
    _sql(lived, "DELETE FROM events WHERE position = 7")
    verified = bucle("log", "verify", "--json", at=lived, code=1).json
    assert verified["damaged"] == 7
    bucle("data", "add", "sales", "more.csv", at=lived)
    events = bucle("log", "--json", at=lived).json
    assert events[6]["kind"] == "log_repaired"
    assert events[6]["body"]["lost_until"] == 7
    assert bucle("log", "verify", "--json", at=lived).json["intact"]
    assert "repair" in bucle("log", at=lived).out


def test_a_torn_last_event_is_repaired_on_record(lived: Path) -> None:
    _sql(lived, "UPDATE events SET content = substr(content, 1, 40) WHERE position = 7")
    assert bucle("log", "verify", "--json", at=lived, code=1).json["damaged"] == 7
    done = bucle("run", "--json", at=lived).json
    assert done["data"][0]["rows"] == 69
    events = bucle("log", "--json", at=lived).json
    assert [event["kind"] for event in events[6:]] == [
        "log_repaired",
        "run_started",
        "run_finished",
    ]
    assert bucle("log", "verify", "--json", at=lived).json["intact"]


def test_bytes_flipped_in_the_file_are_never_read_as_truth(lived: Path) -> None:
    path = lived / ".bucle/log.db"
    _sql(lived, "PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    truth = bucle("log", "--json", at=lived).json
    for at in range(16, len(whole), max(1, len(whole) // 9)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        read = bucle("log", "--json", at=lived, code=None)
        assert "Traceback" not in read.all
        seen = json.loads(read.out) if read.code == 0 else []
        assert seen == truth[: len(seen)]
        verified = bucle("log", "verify", "--json", at=lived, code=None)
        assert "Traceback" not in verified.all
        assert verified.code in {0, 1, 3}
        if len(seen) != len(truth):
            assert verified.code
    path.write_bytes(whole)
    assert bucle("log", "verify", "--json", at=lived).json["intact"]


def test_two_logs_merged_are_refused(lived: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(lived, tmp_path / "other"))
    for folder in (lived, other):
        bucle("run", at=folder)
    _sql(other, "PRAGMA wal_checkpoint(TRUNCATE)")
    _sql(
        lived,
        f"ATTACH '{other}/.bucle/log.db' AS other",
        "INSERT INTO events SELECT position + 2, content, hash FROM other.events "
        "WHERE position > 7",
    )
    verified = bucle("log", "verify", "--json", at=lived, code=1).json
    assert verified["damaged"] == 10
    _sql(
        lived,
        f"ATTACH '{other}/.bucle/log.db' AS other",
        "DELETE FROM events WHERE position > 8",
        "UPDATE events SET content = (SELECT content FROM other.events AS o WHERE o.position = 8), "
        "hash = (SELECT hash FROM other.events AS o WHERE o.position = 8) WHERE position = 8",
    )
    assert not bucle("log", "verify", "--json", at=lived, code=1).json["intact"]


def test_a_log_of_a_newer_bucle_is_left_alone(lived: Path) -> None:
    _sql(lived, "PRAGMA user_version = 99", "PRAGMA wal_checkpoint(TRUNCATE)")
    before = (lived / ".bucle/log.db").read_bytes()
    for words in (["run"], ["log"], ["models"]):
        answer = bucle(*words, at=lived, code=3)
        assert "a newer Bucle wrote it" in answer.err
        assert "bucle-204" in answer.err
    assert (lived / ".bucle/log.db").read_bytes() == before


def test_events_of_kinds_to_come_are_kept_and_told(lived: Path) -> None:
    log = SqliteLog(lived / ".bucle/log.db")
    now = to_iso(log._clock.now())
    log.append(
        [
            Draft(kind="shadow_started", body={"share": 5}, at=now, actor="newer"),
            Draft(kind="promoted", version=99, body={"crown": "m-1"}, at=now, actor="newer"),
            Draft(
                kind="run_finished",
                body={"x": 1}
                | {"run": "r-none", "state": "done", "steps": [], "metrics": {}, "to_come": [1, 2]},
                at=now,
                actor="newer",
            ),
        ]
    )
    log.close()
    assert bucle("run", "--json", at=lived).json["state"] == "done"
    events = bucle("log", "--json", at=lived).json
    assert events[7]["body"] == {"share": 5}
    assert events[8]["version"] == 99
    assert "shadow_started" in bucle("log", at=lived).out
    assert bucle("history", "--json", at=lived).json == []
    assert bucle("log", "verify", "--json", at=lived).json["intact"]


def test_leftovers_of_the_dead_do_no_harm(lived: Path) -> None:
    home = lived / ".bucle"
    for name in ("log.lock", "locks/sales.lock", "tables/.sales.lock"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("4194304")
    (home / "log.db-journal").write_bytes(b"")
    (home / "blobs").joinpath("0" * 64 + ".tmp").write_bytes(b"half")
    torn = home / "tables/sales/_delta_log/_last_checkpoint"
    torn.write_text('{"version":9')
    assert bucle("run", "--json", at=lived).json["data"][0]["rows"] == 69
    assert bucle("log", "verify", "--json", at=lived).json["intact"]


def test_a_lost_write_ahead_file_is_noticed(lived: Path) -> None:
    # Kept open so that closing the last connection does not fold the file into the database.
    with sqlite3.connect(lived / ".bucle/log.db") as connection:
        connection.execute("SELECT count(*) FROM events").fetchone()
        bucle("run", at=lived)
        copy = lived.with_name("copy")
        shutil.copytree(lived, copy)
    connection.close()
    (copy / ".bucle/log.db-wal").unlink()
    (copy / ".bucle/log.db-shm").unlink(missing_ok=True)
    verified = bucle("log", "verify", "--json", at=copy, code=None)
    whole = bucle("log", "verify", "--json", at=lived).json
    assert verified.code == (0 if verified.json["events"] == whole["events"] else 1)
    assert verified.json["events"] <= whole["events"]


def test_a_project_copied_to_another_place_is_the_same_project(lived: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(lived, tmp_path / "far" / "away", symlinks=True))
    for words in (["log"], ["runs"], ["data", "list"], ["log", "verify"]):
        there, here = (bucle(*words, "--json", at=folder).json for folder in (copy, lived))
        assert there == here
    bucle("run", at=copy)
    assert len(bucle("log", "--json", at=lived).json) == 7


def test_a_clock_before_the_last_event_changes_nothing(lived: Path) -> None:
    log = SqliteLog(lived / ".bucle/log.db")
    late = Draft(kind="note", body={}, at="2199-01-01T00:00:00.000000Z", actor="clock")
    log.append([late])
    log.close()
    assert bucle("run", "--json", at=lived).json["state"] == "done"
    assert [run["state"] for run in bucle("runs", "--json", at=lived).json] == ["done"] * 3


@pytest.mark.thorough
def test_everything_but_log_and_tables_may_go(lived: Path) -> None:
    asked = (["runs"], ["data", "list"], ["data", "show", "sales"], ["history"], ["models"])
    before = [bucle(*words, "--json", at=lived).json for words in asked]
    results = [step["artifact"] for step in bucle("run", "--json", at=lived).json["steps"]]
    shutil.rmtree(lived / ".bucle/cache")
    shutil.rmtree(lived / ".bucle/blobs")
    after = [bucle(*words, "--json", at=lived).json for words in asked]
    assert after[1:] == before[1:]
    assert after[0][:-1] == before[0]
    again = bucle("run", "--json", at=lived).json
    assert [step["artifact"] for step in again["steps"]] == results
    assert {step["state"] for step in again["steps"]} == {"ran"}
