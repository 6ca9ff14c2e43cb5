"""Backups: what is in one, what is brought up to date, what is refused."""

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from bucle.errors import LogDamagedError, RequestError
from bucle.loop.backup import _put_segments, back_up
from bucle.serve.segments import Segment, segment_path, segments_in
from bucle.store.delta_tables import DeltaTables
from bucle.store.file_blobs import FileBlobs
from bucle.store.files import write_whole
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.samples import draft


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    home = root / ".bucle"
    with closing(SqliteLog(home / "log.db")) as log:
        log.append([draft(1), draft(2)])
    FileBlobs(home / "blobs").put(b"content")
    DeltaTables(home / "tables").write("sales", pl.DataFrame({"a": [1]}), mode="append")
    for name in ("bucle.toml", "data/sales.csv", ".bucle/serve/token", ".bucle/serve/log/odd.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    for name in (
        ".bucle/serve/server-12.json",
        ".bucle/serve/counts-12-0.json",
        ".bucle/locks/a.lock",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    (root / "latest.csv").symlink_to("data/sales.csv")
    (root / "archive").symlink_to("data")
    os.mkfifo(root / "pipe")
    with closing(sqlite3.connect(root / ".bucle" / "kept.db")) as kept:
        kept.execute("CREATE TABLE kept (a)")
    return root


def test_a_backup_is_the_project_but_for_what_passes(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    done = back_up(project, copy)
    assert (done.events, done.head) == (2, SqliteLog(project / ".bucle" / "log.db").head().hash)
    names = {str(path.relative_to(copy)) for path in copy.rglob("*") if not path.is_dir()}
    kept = {name for name in names if not name.startswith((".bucle/blobs", ".bucle/tables"))}
    assert kept == {
        "bucle.toml",
        "data/sales.csv",
        "latest.csv",
        ".bucle/backup.json",
        ".bucle/backup.lock",
        ".bucle/kept.db",
        ".bucle/log.db",
        ".bucle/log.head",
        ".bucle/serve/token",
    }
    assert (copy / "latest.csv").readlink() == Path("data/sales.csv")
    assert (copy / "archive").readlink() == Path("data")
    assert SqliteLog(copy / ".bucle" / "log.db").verify().intact
    digest = FileBlobs(project / ".bucle" / "blobs").put(b"content")
    assert FileBlobs(copy / ".bucle" / "blobs").get(digest) == b"content"
    assert DeltaTables(copy / ".bucle" / "tables").read("sales")["a"].to_list() == [1]


def test_what_is_there_is_not_copied_again(project: Path, tmp_path: Path) -> None:
    first = back_up(project, tmp_path / "copy")
    again = back_up(project, tmp_path / "copy")
    # The database beside the log is copied as a whole each time.
    assert (again.files, again.kept) == (1, first.files - 1)
    SqliteLog(project / ".bucle" / "log.db").append([draft(3)])
    FileBlobs(project / ".bucle" / "blobs").put(b"more")
    DeltaTables(project / ".bucle" / "tables").write(
        "sales", pl.DataFrame({"a": [2]}), mode="append"
    )
    (project / "bucle.toml").write_text("changed")
    done = back_up(project, tmp_path / "copy")
    # A blob, a table's rows, commit and digests, the charter, the database.
    assert (done.events, done.files) == (3, 6)
    tables = DeltaTables(tmp_path / "copy" / ".bucle" / "tables")
    assert tables.read("sales")["a"].to_list() == [1, 2]
    assert (tmp_path / "copy" / "bucle.toml").read_text() == "changed"


@pytest.mark.thorough
def test_what_a_table_has_forgotten_the_copy_forgets(project: Path, tmp_path: Path) -> None:
    tables = DeltaTables(project / ".bucle" / "tables")
    copied = DeltaTables(tmp_path / "copy" / ".bucle" / "tables")
    for number in range(2, 6):
        back_up(project, tmp_path / "copy")
        tables.write("sales", pl.DataFrame({"a": [number]}), mode="append")
    tables.merge_files("sales", after=1, keep_s=0.0)
    tables.write("sales", pl.DataFrame({"a": [6]}), mode="append")
    back_up(project, tmp_path / "copy")
    assert copied.read("sales")["a"].to_list() == [1, 2, 3, 4, 5, 6]
    for place in (project, tmp_path / "copy"):
        found = {
            str(path.relative_to(place))
            for path in (place / ".bucle" / "tables" / "sales").rglob("*.*")
        }
        if place == project:
            expected = found
    assert found == expected


def test_a_backup_copied_back_goes_on(project: Path, tmp_path: Path) -> None:
    back_up(project, tmp_path / "copy")
    shutil.rmtree(project)
    shutil.copytree(tmp_path / "copy", project, symlinks=True)
    log = SqliteLog(project / ".bucle" / "log.db")
    log.append([draft(3)], expected=2)
    assert log.verify().intact
    tables = DeltaTables(project / ".bucle" / "tables")
    assert tables.write("sales", pl.DataFrame({"a": [2]}), mode="append") == 1
    # The backup of a project that went on from a backup is the same backup.
    assert back_up(project, tmp_path / "copy").events == 3


@pytest.mark.parametrize("target", ["shop", "shop/copy", ".", "full", "file"])
def test_folders_that_cannot_hold_a_backup_are_refused(
    project: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RequestError) as refusal:
        back_up(project, tmp_path / target)
    assert refusal.value.code == "bucle-413"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_of_another_project_is_left_alone(project: Path, tmp_path: Path) -> None:
    back_up(project, tmp_path / "copy")
    other = tmp_path / "other"
    other.mkdir()
    SqliteLog(other / ".bucle" / "log.db").append([draft(9) for _ in range(5)])
    for stranger in (other, tmp_path / "empty"):
        stranger.mkdir(exist_ok=True)
        with pytest.raises(RequestError) as refusal:
            back_up(stranger, tmp_path / "copy")
        assert refusal.value.code == "bucle-414"
    kept = SqliteLog(tmp_path / "copy" / ".bucle" / "log.db")
    assert [event.body["number"] for event in kept.read()] == [1, 2]
    assert kept.verify().intact


def test_a_damaged_log_does_not_replace_a_sound_one(project: Path, tmp_path: Path) -> None:
    back_up(project, tmp_path / "copy")
    path = project / ".bucle" / "log.db"
    with closing(sqlite3.connect(path)) as log:
        log.execute("UPDATE events SET content = replace(content, '1', '7') WHERE position = 1")
        log.commit()
    with pytest.raises(LogDamagedError) as damage:
        back_up(project, tmp_path / "copy")
    assert damage.value.what == "Cannot back up the log: event 1 is damaged"
    assert SqliteLog(tmp_path / "copy" / ".bucle" / "log.db").verify().intact
    assert list((tmp_path / "copy" / ".bucle").glob(".log.*")) == []


def test_a_file_that_was_finished_while_it_was_copied_is_there_once(tmp_path: Path) -> None:
    staged, target = tmp_path / "staged", tmp_path / "target"
    begun = Segment(journal="w0-" + "0" * 16, number=3, state="open")
    done = Segment(journal=begun.journal, number=3, state="done")
    for place, segment, content in (
        (target, begun, b"a"),
        (staged, begun, b"ab"),
        (staged, done, b"abc"),
    ):
        place.mkdir(exist_ok=True)
        segment_path(place, segment).write_bytes(content)
    _put_segments(staged, target, delivered=())
    assert segments_in(target) == [done]
    assert segment_path(target, done).read_bytes() == b"abc"


def test_no_note_of_what_was_done_is_ahead_of_the_log(project: Path, tmp_path: Path) -> None:
    log, note = SqliteLog(project / ".bucle" / "log.db"), project / ".bucle" / "done"
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            (event,) = log.append([draft()])
            write_whole(note, str(event.position).encode())

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for number in range(6):
            done = back_up(project, tmp_path / f"copy-{number % 2}", durable=False)
            kept = tmp_path / f"copy-{number % 2}" / ".bucle" / "done"
            assert not kept.exists() or int(kept.read_text()) <= done.events
    finally:
        stop.set()
        worker.join()


def test_a_project_without_events_can_be_backed_up(tmp_path: Path) -> None:
    root = tmp_path / "new"
    root.mkdir()
    (root / "bucle.toml").write_text("")
    assert back_up(root, tmp_path / "copy").events == 0
    SqliteLog(root / ".bucle" / "log.db").append([draft(1)])
    assert back_up(root, tmp_path / "copy").events == 1
