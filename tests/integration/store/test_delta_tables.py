"""Tables on a disk: interrupted, torn, full and killed writes leave the version before."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from bucle.errors import DigestMismatchError, OutsideError, RequestError, UnknownNameError
from bucle.store.delta_tables import DeltaTables
from bucle.testing.faults import cut_file, flip_byte

SOURCE = Path(__file__).resolve().parents[3] / "src"
FRAME = pl.DataFrame({"a": range(1000), "b": ["text"] * 1000})


def log_of(folder: Path) -> Path:
    return folder / "sales" / "_delta_log"


def commit_of(folder: Path, version: int) -> Path:
    return log_of(folder) / f"{version:020}.json"


def row_files(folder: Path) -> list[Path]:
    return sorted((folder / "sales").glob("*.parquet"))


def leave_folder(folder: Path) -> None:
    (folder / "sales").mkdir(parents=True)


def leave_rows(folder: Path) -> None:
    leave_folder(folder)
    FRAME.write_parquet(folder / "sales" / "part-00000-dead.parquet")


def leave_half_rows(folder: Path) -> None:
    leave_rows(folder)
    cut_file(row_files(folder)[0], size=100)


def leave_empty_log(folder: Path) -> None:
    leave_rows(folder)
    log_of(folder).mkdir()


def leave_unfinished_commit(folder: Path) -> None:
    leave_empty_log(folder)
    (log_of(folder) / "_commit_12ab.json.tmp").write_text("{")
    (log_of(folder) / "00000000000000000000.json#1").write_text("{")


def leave_empty_commit(folder: Path) -> None:
    leave_empty_log(folder)
    commit_of(folder, 0).write_text("")


def leave_half_commit(folder: Path) -> None:
    DeltaTables(folder).write("sales", FRAME, mode="append")
    cut_file(commit_of(folder, 0), size=commit_of(folder, 0).stat().st_size // 2)


LEFTOVERS = [
    leave_folder,
    leave_rows,
    leave_half_rows,
    leave_empty_log,
    leave_unfinished_commit,
    leave_empty_commit,
    leave_half_commit,
]


@pytest.mark.parametrize("leave", LEFTOVERS, ids=lambda leave: leave.__name__)
@pytest.mark.parametrize("mode", ["append", "replace"])
def test_interrupted_first_write_leaves_nothing_that_fails_to_open(
    tmp_path: Path, leave: Callable[[Path], None], mode: str
) -> None:
    leave(tmp_path)
    (tmp_path / ".sales.writing").touch()
    tables = DeltaTables(tmp_path)
    assert tables.version("sales") is None
    with pytest.raises(UnknownNameError):
        tables.read("sales")
    assert tables.write("sales", FRAME, mode=mode) == 0
    assert_frame_equal(tables.read("sales"), FRAME)
    assert len(row_files(tmp_path)) == 1
    assert not [path for path in log_of(tmp_path).iterdir() if path.name.startswith("_commit_")]
    assert DeltaTable(str(tmp_path / "sales")).version() == 0


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_torn_newest_commit_leaves_the_version_before(tmp_path: Path, share: float) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    tables.write("sales", FRAME.head(5), mode="replace")
    commit = commit_of(tmp_path, 1)
    cut_file(commit, size=int(commit.stat().st_size * share))
    assert tables.version("sales") == 0
    assert_frame_equal(tables.read("sales"), FRAME)
    with pytest.raises(DigestMismatchError, match=commit.name):
        tables.read("sales", version=1)
    assert tables.write("sales", FRAME.head(7), mode="append") == 1
    assert tables.read("sales").height == 1007
    assert_frame_equal(tables.read("sales", version=0), FRAME)


def test_a_torn_commit_that_the_disk_never_had_is_no_version(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    commit_of(tmp_path, 1).write_bytes(b'{"add":')
    with pytest.raises(UnknownNameError):
        tables.read("sales", version=1)
    assert tables.version("sales") == 0


@pytest.mark.parametrize(
    "text", ["", "{", '{"version":1', '{"version":500,"size":3}', "\0" * 60, "null"]
)
def test_torn_last_checkpoint_still_opens(tmp_path: Path, text: str) -> None:
    tables = DeltaTables(tmp_path)
    for number in range(3):
        tables.write("sales", pl.DataFrame({"a": [number]}), mode="append")
    DeltaTable(str(tmp_path / "sales")).create_checkpoint()
    (log_of(tmp_path) / "_last_checkpoint").write_text(text)
    assert sorted(tables.read("sales")["a"].to_list()) == [0, 1, 2]
    assert tables.read("sales", version=1).height == 2
    assert tables.write("sales", pl.DataFrame({"a": [3]}), mode="append") == 3
    assert tables.restore("sales", version=0) == 4


def test_torn_checkpoint_still_opens(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    for number in range(3):
        tables.write("sales", pl.DataFrame({"a": [number]}), mode="append")
    DeltaTable(str(tmp_path / "sales")).create_checkpoint()
    (checkpoint,) = log_of(tmp_path).glob("*.checkpoint.parquet")
    cut_file(checkpoint, size=100)
    assert sorted(tables.read("sales")["a"].to_list()) == [0, 1, 2]
    assert tables.write("sales", pl.DataFrame({"a": [3]}), mode="append") == 3


def test_a_checkpoint_of_another_program_is_not_believed(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    for number in range(3):
        tables.write("sales", pl.DataFrame({"a": [number]}), mode="append")
    DeltaTable(str(tmp_path / "sales")).create_checkpoint()
    (checkpoint,) = log_of(tmp_path).glob("*.checkpoint.parquet")
    kept = pl.read_parquet(checkpoint)
    # A checkpoint that opens, and leaves a file of rows out.
    is_file = kept["add"].struct.field("path").is_not_null()
    kept.filter(~is_file | is_file.cum_sum().gt(1)).write_parquet(checkpoint)
    assert sorted(tables.read("sales")["a"].to_list()) == [0, 1, 2]


def test_a_checkpoint_that_is_all_there_is_left_is_read(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    for number in range(3):
        tables.write("sales", pl.DataFrame({"a": [number]}), mode="append")
    DeltaTable(str(tmp_path / "sales")).create_checkpoint()
    commit_of(tmp_path, 0).unlink()
    assert sorted(tables.read("sales")["a"].to_list()) == [0, 1, 2]


@pytest.mark.thorough
def test_many_versions_stay_readable_without_a_checkpoint(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    for number in range(103):
        tables.write("sales", pl.DataFrame({"a": [number]}), mode="replace")
    assert not [path for path in log_of(tmp_path).iterdir() if "checkpoint" in path.name]
    for version in (0, 50, 99, 100, 102):
        assert tables.read("sales", version=version)["a"].to_list() == [version]


@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_damaged_row_file_is_an_error_that_names_the_table(tmp_path: Path, damage: str) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    (path,) = row_files(tmp_path)
    if damage == "missing":
        path.unlink()
    else:
        cut_file(path, size=0 if damage == "empty" else 200)
    with pytest.raises(
        (OutsideError, DigestMismatchError), match=r"table 'sales'|/sales'"
    ) as caught:
        tables.read("sales")
    assert caught.value.exit_code == 3


def test_any_changed_byte_of_a_row_file_is_noticed(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    tables.write("sales", FRAME, mode="append")
    path = row_files(tmp_path)[0]
    content = path.read_bytes()
    for offset in range(0, len(content), 97):
        flip_byte(path, offset=offset)
        with pytest.raises(DigestMismatchError, match=path.name):
            tables.read("sales")
        path.write_bytes(content)
    assert tables.read("sales").height == 2000


@pytest.mark.parametrize("version", [0, 1])
def test_a_changed_commit_is_noticed(tmp_path: Path, version: int) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    tables.write("sales", FRAME, mode="append")
    commit = commit_of(tmp_path, version)
    text = commit.read_text()
    commit.write_text(text.replace("true", "true ", 1))
    assert commit.read_text() != text
    with pytest.raises(DigestMismatchError, match=commit.name):
        tables.read("sales")
    with pytest.raises(DigestMismatchError, match=commit.name):
        tables.write("sales", FRAME, mode="append")


def test_a_version_brought_back_is_still_compared_with_what_was_written(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    (path,) = row_files(tmp_path)
    tables.write("sales", FRAME.head(5), mode="replace")
    flip_byte(path, offset=100)
    assert tables.read("sales").height == 5
    tables.restore("sales", version=0)
    with pytest.raises(DigestMismatchError):
        tables.read("sales")


def test_the_lists_of_digests_are_those_of_sha256sum(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    (listed,) = (tmp_path / "sales" / "_digests").iterdir()
    answer = subprocess.run(
        ["sha256sum", "--check", "--strict", listed], cwd=tmp_path / "sales", check=True
    )
    assert answer.returncode == 0
    assert len(listed.read_text().splitlines()) == 2


def test_a_version_without_digests_is_read_and_gets_them_at_the_next_write(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    (listed,) = (tmp_path / "sales" / "_digests").iterdir()
    listed.unlink()
    (tmp_path / ".sales.writing").touch()
    assert tables.read("sales").height == 1000
    tables.write("sales", FRAME, mode="append")
    assert listed.exists()


@pytest.mark.parametrize("name", ["[x]", "a|b", "a^b", "100%20", "a\tb", "back\\slash"])
def test_folder_that_delta_cannot_take_is_refused_with_a_word(tmp_path: Path, name: str) -> None:
    tables = DeltaTables(tmp_path / name)
    with pytest.raises(RequestError) as refusal:
        tables.write("sales", FRAME, mode="append")
    assert refusal.value.code == "bucle-212"
    assert not (tmp_path / name).exists()


def test_any_reader_of_delta_sees_the_rows(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    table = DeltaTable(str(tmp_path / "sales"))
    assert table.count() == 1000
    assert [field.name for field in table.schema().fields] == ["a", "b"]


@pytest.mark.slow
def test_fifty_thousand_columns_are_kept(tmp_path: Path) -> None:
    frame = pl.DataFrame({f"column {number}": ["a", None] for number in range(50_000)})
    tables = DeltaTables(tmp_path)
    tables.write("wide", frame, mode="replace")
    assert tables.read("wide").equals(frame)


KILLED = """
import os, sys
from pathlib import Path
import polars as pl
from bucle.store.delta_tables import DeltaTables
tables = DeltaTables(Path(sys.argv[1]))
frame = pl.DataFrame({"a": range(20_000), "b": ["text"] * 20_000})
os.write(1, b"ready\\n")
while True:
    version = tables.write("sales", frame, mode=sys.argv[2])
    os.write(1, b"%d\\n" % version)
"""


def kill_writer(folder: Path, mode: str, wait_s: float) -> int:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), mode],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(wait_s)
    process.kill()
    process.wait()
    told = [int(line) for line in process.stdout if line.endswith(b"\n")]
    process.stdout.close()
    return max(told, default=-1)


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_kill_9_leaves_every_acknowledged_version(tmp_path: Path, mode: str) -> None:
    tables = DeltaTables(tmp_path)
    frame = pl.DataFrame({"a": range(20_000), "b": ["text"] * 20_000})
    told = -1
    for _ in range(4):
        told = max(told, kill_writer(tmp_path, mode, random.random() * 0.08))
        latest = tables.version("sales")
        assert told <= (-1 if latest is None else latest) <= told + 1
        told = -1 if latest is None else latest
        if latest is not None:
            factor = latest + 1 if mode == "append" else 1
            assert tables.read("sales").height == factor * 20_000
    assert tables.write("sales", frame, mode="replace") == told + 1
    assert_frame_equal(tables.read("sales"), frame)
    named = {
        action["add"]["path"]
        for path in log_of(tmp_path).glob("*.json")
        for action in map(json.loads, path.read_text().splitlines())
        if "add" in action
    }
    assert {path.name for path in row_files(tmp_path)} == named


@pytest.mark.slow
def test_killed_first_writes_never_block_the_next(tmp_path: Path) -> None:
    for number in range(30):
        folder = tmp_path / str(number)
        kill_writer(folder, "append", random.random() * 0.02)
        tables = DeltaTables(folder)
        before = tables.version("sales")
        assert (
            tables.write("sales", FRAME, mode="replace") == (-1 if before is None else before) + 1
        )
        assert_frame_equal(tables.read("sales"), FRAME)


FULL = """
import json, sys
from pathlib import Path
import polars as pl
from bucle.errors import OutsideError
from bucle.store.delta_tables import DeltaTables
place = Path(sys.argv[1])
tables = DeltaTables(place / "tables")
small = pl.DataFrame({"a": [1, 2, 3]})
large = pl.DataFrame({"a": pl.Series(range(400_000)).hash().cast(pl.Int64, wrap_numerical=True)})
tables.write("sales", small, mode="replace")
codes = []
for name, mode in (("sales", "replace"), ("sales", "append"), ("first", "append")):
    try:
        tables.write(name, large, mode=mode)
    except OutsideError as error:
        codes.append(error.code)
after = tables.read("sales").equals(small), tables.version("sales"), tables.version("first")
next_version = tables.write("sales", small.head(1), mode="append")
first_version = tables.write("first", small, mode="append")
files = len(list((place / "tables").rglob("*.parquet")))
print(json.dumps([codes, after, next_version, first_version, tables.read("sales").height, files]))
"""


def test_full_disk_leaves_the_version_before_and_frees_what_it_took(on_small_disk) -> None:
    done = on_small_disk(FULL)
    assert done.returncode == 0, done.stderr
    codes, after, next_version, first_version, rows, files = json.loads(done.stdout)
    assert codes == ["bucle-301"] * 3
    assert after == [True, 0, None]
    assert (next_version, first_version, rows, files) == (1, 0, 4, 3)


READ_ONLY = """
import json, sys
from pathlib import Path
import polars as pl
from bucle.errors import OutsideError
from bucle.store.delta_tables import DeltaTables
tables = DeltaTables(Path(sys.argv[1]))
rows = tables.read("sales").height
try:
    tables.write("sales", pl.DataFrame({"a": [1]}), mode="append")
except OutsideError as error:
    print(json.dumps([rows, error.code]))
"""


def test_read_only_tables_can_be_read_and_say_so_when_written(
    tmp_path: Path, on_read_only_disk
) -> None:
    DeltaTables(tmp_path / "tables").write("sales", FRAME, mode="append")
    done = on_read_only_disk(tmp_path / "tables", READ_ONLY)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [1000, "bucle-302"]


# ---- what a reader remembers of a table ---------------------------------------------


def test_what_others_write_is_seen_by_one_that_has_read_before(tmp_path: Path) -> None:
    reader = DeltaTables(tmp_path)
    DeltaTables(tmp_path).write("sales", FRAME, mode="append")
    assert_frame_equal(reader.read("sales"), FRAME)
    DeltaTables(tmp_path).write("sales", FRAME.head(3), mode="append")
    assert reader.rows("sales") == 1003
    assert_frame_equal(reader.read("sales", after=1000), FRAME.head(3))
    assert_frame_equal(reader.read("sales", version=0), FRAME)
    assert reader.rows("sales") == 1003


def test_a_table_that_was_removed_and_made_again_is_read_as_it_is_now(tmp_path: Path) -> None:
    reader, other = DeltaTables(tmp_path), pl.DataFrame({"c": [1.5, None]})
    reader.write("sales", FRAME, mode="append")
    assert_frame_equal(reader.read("sales"), FRAME)
    shutil.rmtree(tmp_path / "sales")
    DeltaTables(tmp_path).write("sales", other, mode="append")
    assert_frame_equal(reader.read("sales"), other)


def test_a_commit_that_changed_after_it_was_read_is_refused(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    tables.write("sales", FRAME, mode="append")
    assert tables.rows("sales") == 1000
    commit = commit_of(tmp_path, 0)
    commit.write_bytes(commit.read_bytes().replace(b"1000", b"1001"))
    with pytest.raises(DigestMismatchError):
        tables.rows("sales")
