"""A backup put back: whole, verified, or refused; damage is named."""

import fcntl
import os
from pathlib import Path

import polars as pl
import pytest

from bucle.errors import LogDamagedError, RequestError
from bucle.loop.backup import back_up
from bucle.loop.restore import restore
from bucle.store.delta_tables import DeltaTables
from bucle.store.file_blobs import FileBlobs
from bucle.store.locks import LockHeldError, exclusive
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.samples import draft

CONTENT = b"kept " * 1000


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a backup of a project with events, content, a table, and a link."""
    root = tmp_path / "shop"
    home = root / ".bucle"
    FileBlobs(home / "blobs").put(CONTENT)
    tables = DeltaTables(home / "tables")
    for number in range(3):
        tables.write("sales", pl.DataFrame({"n": [number]}), mode="append")
    log = SqliteLog(home / "log.db")
    for _ in range(4):
        log.append([draft(), draft()])
    log.close()
    (root / "bucle.toml").write_text('[project]\nname = "shop"\n')
    (root / "charter").symlink_to("bucle.toml")
    back_up(root, tmp_path / "copy", durable=False)
    return tmp_path / "copy"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def blob(folder: Path) -> Path:
    (found,) = (folder / ".bucle" / "blobs").glob("??/*")
    return found


def test_a_project_comes_back_as_it_was_and_goes_on(copy: Path, tmp_path: Path) -> None:
    before = contents(copy)
    done = restore(copy, tmp_path / "back" / "shop")
    home = tmp_path / "back" / "shop" / ".bucle"
    assert (done.events, done.damaged) == (8, ())
    assert done.checked >= 4
    assert (tmp_path / "back" / "shop" / "charter").readlink() == Path("bucle.toml")
    tables = DeltaTables(home / "tables")
    assert tables.read("sales", version=2)["n"].to_list() == [0, 1, 2]
    assert FileBlobs(home / "blobs").get(blob(copy).parent.name + blob(copy).name) == CONTENT
    log = SqliteLog(home / "log.db")
    assert log.verify().intact
    assert log.append([draft()], expected=8)[0].position == 9
    log.close()
    tables.write("sales", pl.DataFrame({"n": [3]}), mode="append")
    # What was made of the backup is a project, which another backup is made of.
    assert back_up(home.parent, tmp_path / "next", durable=False).events == 9
    assert contents(copy) == before
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["shop"]


def test_damaged_content_is_put_back_and_named(copy: Path, tmp_path: Path) -> None:
    damaged = [blob(copy), next((copy / ".bucle" / "tables" / "sales").glob("*.parquet"))]
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    done = restore(copy, tmp_path / "back")
    assert done.damaged == tuple(sorted(str(path.relative_to(copy)) for path in damaged))
    assert (tmp_path / "back" / "bucle.toml").exists()


def test_a_damaged_log_is_not_put_back(copy: Path, tmp_path: Path) -> None:
    path = copy / ".bucle" / "log.db"
    content = path.read_bytes()
    at = content.index(b'"position":3')
    path.write_bytes(content[:at] + b'"position":7' + content[at + 12 :])
    with pytest.raises(LogDamagedError):
        restore(copy, tmp_path / "back")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy", "shop"]


def test_a_log_without_its_end_is_not_put_back(copy: Path, tmp_path: Path) -> None:
    shorter = SqliteLog(tmp_path / "short" / "log.db")
    events = list(SqliteLog(copy / ".bucle" / "log.db").read())[:6]
    for event in events:
        shorter.append([draft(body=event.body)])
    shorter.close()
    for suffix in (".db", ".head"):
        (tmp_path / "short" / f"log{suffix}").replace(copy / ".bucle" / f"log{suffix}")
    with pytest.raises(LogDamagedError, match="event 7 is damaged"):
        restore(copy, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_project_without_events_comes_back(tmp_path: Path) -> None:
    (tmp_path / "new" / ".bucle").mkdir(parents=True)
    (tmp_path / "new" / "bucle.toml").write_text('[project]\nname = "new"\n')
    back_up(tmp_path / "new", tmp_path / "copy", durable=False)
    assert restore(tmp_path / "copy", tmp_path / "back").events == 0
    assert (tmp_path / "back" / "bucle.toml").exists()


def test_a_damaged_package_is_named(copy: Path, tmp_path: Path) -> None:
    package = copy / ".bucle" / "packages" / "m-0123456789ab"
    package.mkdir(parents=True)
    (package / "card.md").write_text("no manifest")
    assert restore(copy, tmp_path / "back").damaged == (".bucle/packages/m-0123456789ab",)


def test_what_is_no_whole_backup_is_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no folder that bucle backup has written"):
        restore(tmp_path / "shop", tmp_path / "back")
    (copy / ".bucle" / "backup.json").write_text('{"complete":false}')
    with pytest.raises(RequestError, match="has not come to its end"):
        restore(copy, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_nothing_is_replaced(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert restore(copy, tmp_path / "empty").events == 8
    for taken in (tmp_path / "shop", copy / "within", copy, tmp_path):
        with pytest.raises(RequestError) as refused:
            restore(copy, taken)
        assert refused.value.code == "bucle-419"


def test_a_backup_that_is_being_written_is_left_alone(copy: Path, tmp_path: Path) -> None:
    with exclusive(copy / ".bucle" / "backup.lock"), pytest.raises(LockHeldError):
        restore(copy, tmp_path / "back")


@pytest.mark.thorough
def test_a_restore_that_finds_no_space_leaves_nothing(copy: Path, tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(OSError, match=r"."):
            restore(copy, tmp_path / "back", durable=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy", "shop"]


def test_what_a_killed_restore_has_left_is_taken_away_by_the_next(
    copy: Path, tmp_path: Path
) -> None:
    left = tmp_path / ".back.0123abcd.bucle-tmp"
    (left / ".bucle").mkdir(parents=True)
    (left / "bucle.toml").write_text("half")
    (tmp_path / ".other.89abcdef.bucle-tmp").mkdir()
    restore(copy, tmp_path / "back")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["back", "copy", "shop"]


def test_what_another_restore_is_writing_stays(copy: Path, tmp_path: Path) -> None:
    writing = tmp_path / ".back.0123abcd.bucle-tmp"
    writing.mkdir()
    descriptor = os.open(writing, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        restore(copy, tmp_path / "back")
        assert writing.is_dir()
    finally:
        os.close(descriptor)


def test_what_only_looks_alike_stays(copy: Path, tmp_path: Path) -> None:
    for name in (".notes.bucle-tmp", ".back.0123.bucle-tmp", "back.0123abcd.bucle-tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "row").write_text("1")
    (tmp_path / ".link.0123abcd.bucle-tmp").symlink_to("kept")
    (tmp_path / ".file.0123abcd.bucle-tmp").write_text("being written")
    before = {one.name for one in tmp_path.iterdir()}
    restore(copy, tmp_path / "back")
    assert {one.name for one in tmp_path.iterdir()} == before | {"back"}
    assert (tmp_path / "kept" / "row").exists()
