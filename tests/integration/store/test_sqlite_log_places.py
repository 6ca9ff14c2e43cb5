"""A log in unfriendly places: read-only, full disks, copies, other versions."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from bucle.errors import LogDamagedError, LogError, OutsideError
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.samples import draft


def test_directory_copied_to_another_place_goes_on(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "here" / "log.db")
    made = log.append([draft(number) for number in range(5)])
    # Copied while it is open, write-ahead file and all.
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    log.append([draft(5)])
    there = SqliteLog(tmp_path / "there" / "log.db")
    assert tuple(there.read()) == made
    there.append([draft(6)])
    assert there.verify().intact
    assert log.verify().events == 6


def test_log_of_a_newer_bucle_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = SqliteLog(path)
    log.append([draft()])
    log.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    acts = (
        lambda: list(SqliteLog(path).read()),
        lambda: SqliteLog(path).append([draft()]),
        lambda: SqliteLog(path).verify(),
        lambda: SqliteLog(path).head(),
    )
    for act in acts:
        with pytest.raises(LogError) as refusal:
            act()
        assert refusal.value.code == "bucle-204"
        assert "format is 7" in refusal.value.cause
        assert "upgrade" in refusal.value.attempt
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all\n" * 50, b"\x00" * 8192])
def test_file_that_is_no_log_is_refused_and_untouched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(content)
    for act in (lambda: list(SqliteLog(path).read()), lambda: SqliteLog(path).append([draft()])):
        with pytest.raises(LogError):
            act()
    assert path.read_bytes() == content


def test_database_of_another_program_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE events (position, content, hash)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LogDamagedError):
        SqliteLog(path).append([draft()])
    with pytest.raises(LogDamagedError):
        list(SqliteLog(path).read())
    assert path.read_bytes() == before


def test_log_whose_making_was_interrupted_is_made_again(tmp_path: Path) -> None:
    for number, prepare in enumerate(("PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL")):
        path = tmp_path / f"{number}.db"
        connection = sqlite3.connect(path)
        connection.execute(prepare)
        connection.close()
        path.touch()
        assert list(SqliteLog(path).read()) == []
        SqliteLog(path).append([draft()])
        assert SqliteLog(path).verify().events == 1


def test_folder_in_place_of_the_log_is_an_error_without_a_trace_of_sqlite(tmp_path: Path) -> None:
    (tmp_path / "log.db").mkdir()
    with pytest.raises(OutsideError):
        SqliteLog(tmp_path / "log.db").append([draft()])


def test_reading_a_log_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "state" / "log.db")
    assert list(log.read()) == []
    assert log.verify().intact
    assert not (tmp_path / "state").exists()


def test_odd_folder_names_work(tmp_path: Path) -> None:
    for name in ("a b", "100%20", "ñ#?&", "[x]", "it's", "file:x"):
        log = SqliteLog(tmp_path / name / "log.db")
        log.append([draft()])
        log.close()
        assert SqliteLog(tmp_path / name / "log.db").verify().events == 1


READER = """
import json, sys
from pathlib import Path
from bucle.errors import BucleError
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft
log = SqliteLog(Path(sys.argv[1]) / "log.db")
found = log.verify()
said = {"events": len(list(log.read())), "intact": found.intact, "head": log.head().position}
try:
    log.append([Draft(kind="noted", body={}, at="", actor="test")])
except BucleError as error:
    said |= {"code": error.code, "exit": error.exit_code, "text": str(error)}
print(json.dumps(said))
"""


@pytest.mark.parametrize("is_open", [False, True])
def test_read_only_folder_can_be_read_and_says_so_when_written(
    tmp_path: Path, on_read_only_disk, is_open: bool
) -> None:
    folder = tmp_path / "state"
    log = SqliteLog(folder / "log.db")
    log.append([draft(number) for number in range(4)])
    if not is_open:
        log.close()
        assert not (folder / "log.db-wal").exists()
    else:
        # As after a kill: events in the write-ahead file, nobody to share it with.
        shutil.copytree(folder, tmp_path / "copy")
        (tmp_path / "copy" / "log.db-shm").unlink()
        folder = tmp_path / "copy"
    done = on_read_only_disk(folder, READER)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["events"], said["intact"], said["head"]) == (4, True, 4)
    assert (said["code"], said["exit"]) == ("bucle-302", 3)
    assert "may only be read" in said["text"]


FILLER = """
import json, os, sys
from pathlib import Path
from bucle.errors import OutsideError
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft

place = Path(sys.argv[1])
log = SqliteLog(place / "log.db")

def append(log, words):
    return log.append([Draft(kind="noted", body={"words": words}, at="", actor="test")])

append(log, "before")
ballast = place / "ballast"
with ballast.open("wb", buffering=0) as stream:
    try:
        while True:
            stream.write(bytes(65536))
    except OSError:
        pass
acknowledged, refusals = 1, []
for turn in range(50):
    try:
        append(log, "x" * 3000)
        acknowledged += 1
    except OutsideError as error:
        refusals.append((error.code, error.exit_code))
readable = len(list(log.read()))
sound = SqliteLog(place / "log.db").verify()
ballast.unlink()
append(log, "after")
fresh = SqliteLog(place / "log.db")
append(fresh, "after, anew")
found = fresh.verify()
print(json.dumps({
    "acknowledged": acknowledged, "refusals": refusals, "readable": readable,
    "sound": sound.intact, "events": found.events, "intact": found.intact,
    "kinds": sorted({event.kind for event in fresh.read()}),
    "left": sorted(path.name for path in place.iterdir()),
}))
"""


def test_full_disk_is_a_clean_stop_and_the_log_goes_on_after_it(on_small_disk) -> None:
    done = on_small_disk(FILLER)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["refusals"]
    assert {tuple(refusal) for refusal in said["refusals"]} == {("bucle-301", 3)}
    assert said["readable"] == said["acknowledged"]
    assert said["sound"]
    assert said["intact"]
    assert said["events"] == said["acknowledged"] + 2
    assert said["kinds"] == ["noted"]
    assert not [name for name in said["left"] if name.endswith(".bucle-tmp")]
