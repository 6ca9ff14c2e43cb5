"""Tables of many small writes: merged, forgotten and readable, whoever is killed when."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from disks import require_mounts, run_on_small_disk
from polars.testing import assert_frame_equal

from bucle.errors import DigestMismatchError, UnknownNameError
from bucle.store.delta_tables import DeltaTables
from bucle.store.memory_tables import MemoryTables
from bucle.testing.faults import flip_byte
from bucle.types import Tables

pytestmark = pytest.mark.thorough

REPOSITORY = Path(__file__).resolve().parents[3]
PLACES = [REPOSITORY / "src", REPOSITORY / "tests" / "acceptance", Path(__file__).parent]


@pytest.fixture(params=[MemoryTables, DeltaTables])
def tables(request, tmp_path: Path) -> Tables:
    return request.param() if request.param is MemoryTables else DeltaTables(tmp_path)


def rows(number: int, count: int = 3) -> pl.DataFrame:
    first = number * 10
    return pl.DataFrame(
        {
            "id": [f"p-{one}" for one in range(first, first + count)],
            "at": pl.Series([-one for one in range(first, first + count)]).cast(
                pl.Datetime("us", "UTC")
            ),
            "small": pl.Series([number % 200] * count, dtype=pl.UInt8),
            "kind": pl.Series(["a", None, "b"][:count], dtype=pl.Enum(["a", "b"])),
        }
    )


def fill(tables: Tables, count: int, *, first: int = 0) -> pl.DataFrame:
    """Append versions one by one, and return all their rows."""
    for number in range(first, first + count):
        version = tables.append_once("log", rows(number), marks={f"w{number % 3}": number + 1})
        assert version is not None
    return pl.concat([rows(number) for number in range(first, first + count)])


def row_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.parquet"))


def test_a_merge_leaves_rows_order_and_marks_as_they_are(tables: Tables) -> None:
    expected = fill(tables, 7)
    marks = tables.marks("log")
    assert tables.merge_files("log", after=6) == 7
    assert_frame_equal(tables.read("log"), expected)
    assert tables.marks("log") == marks == {"w0": 7, "w1": 5, "w2": 6}
    assert tables.append_once("log", rows(0), marks={"w0": 7}) is None
    more = fill(tables, 2, first=7)
    assert_frame_equal(tables.read("log"), pl.concat([expected, more]))
    assert tables.version("log") == 9


def test_what_is_early_is_not_merged(tables: Tables) -> None:
    assert tables.merge_files("log", after=0) is None
    fill(tables, 5)
    assert tables.merge_files("log", after=5) is None
    assert tables.merge_files("log", after=4) == 5
    fill(tables, 3, first=5)
    assert tables.merge_files("log", after=4) is None
    fill(tables, 1, first=8)
    assert tables.merge_files("log", after=4) == 10


def test_versions_stay_readable_until_they_were_replaced_long_ago(tables: Tables) -> None:
    expected = fill(tables, 3)
    tables.merge_files("log", after=0, keep_s=3600)
    for version in range(4):
        height = min(3 * version + 3, 9)
        assert_frame_equal(tables.read("log", version=version), expected[:height])
    assert tables.marks("log", version=0) == {"w0": 1}
    fill(tables, 2, first=3)
    assert tables.merge_files("log", after=0, keep_s=0) == 6
    for version in range(6):
        with pytest.raises(UnknownNameError, match=f"version {version} of table 'log'"):
            tables.read("log", version=version)
        with pytest.raises(UnknownNameError):
            tables.restore("log", version=version)
    assert tables.read("log", version=6).height == 15
    assert tables.restore("log", version=6) == 6


def test_what_counts_no_more_is_removed_from_the_disk(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    expected = fill(tables, 20)
    folder = tmp_path / "log"
    assert len(row_files(folder)) == 20
    tables.merge_files("log", after=0, keep_s=3600)
    assert len(row_files(folder)) == 21
    tables.append_once("log", rows(20), marks={"w9": 1})
    tables.merge_files("log", after=0, keep_s=0)
    assert len(row_files(folder)) <= 2
    log = [path.name for path in (folder / "_delta_log").iterdir()]
    assert sorted(log) == [f"{22:020}.checkpoint.parquet", f"{22:020}.json"]
    assert [path.name for path in (folder / "_digests").iterdir()] == [f"{22:020}.sha256"]
    assert [path.name for path in tmp_path.iterdir() if "merging" in path.name] == []
    assert_frame_equal(tables.read("log"), pl.concat([expected, rows(20)]))
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", f"_digests/{22:020}.sha256"], cwd=folder, check=False
    )
    assert done.returncode == 0


def test_files_stay_few_however_many_versions_there_were(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    written = 0
    for _ in range(12):
        fill(tables, 5, first=written)
        written += 5
        tables.merge_files("log", after=0, keep_s=0)
        assert len(row_files(tmp_path / "log")) <= 6
        assert len(list((tmp_path / "log" / "_delta_log").iterdir())) == 2
    assert tables.read("log")["id"].to_list() == [
        f"p-{10 * number + one}" for number in range(60) for one in range(3)
    ]


def test_any_program_reads_a_merged_table(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    expected = fill(tables, 6)
    tables.merge_files("log", after=0, keep_s=0)
    expected = pl.concat([expected, fill(tables, 2, first=6)])
    table = DeltaTable(tmp_path / "log")
    assert table.version() == 8
    found = pl.from_arrow(table.to_pyarrow_table()).sort("id")
    assert found["id"].to_list() == sorted(expected["id"])
    assert found.schema["at"] == pl.Datetime("us", "UTC")
    assert table.transaction_version("w1") == 8
    hour = "interval 1 hours"
    assert table.metadata().configuration["delta.deletedFileRetentionDuration"] == hour


@pytest.mark.parametrize("place", ["checkpoint", "rows", "commit"])
def test_a_changed_byte_is_noticed_after_a_merge_too(tmp_path: Path, place: str) -> None:
    tables = DeltaTables(tmp_path)
    fill(tables, 4)
    tables.merge_files("log", after=0, keep_s=0)
    log = tmp_path / "log" / "_delta_log"
    path = {
        "checkpoint": next(log.glob("*.checkpoint.parquet")),
        "commit": next(log.glob("*.json")),
        "rows": next((tmp_path / "log").glob("*.parquet")),
    }[place]
    flip_byte(path, offset=path.stat().st_size // 2)
    with pytest.raises(DigestMismatchError):
        tables.read("log")


def test_rotten_rows_are_not_merged_into_good_ones(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    fill(tables, 4)
    path = tmp_path / "log" / row_files(tmp_path / "log")[0]
    flip_byte(path, offset=path.stat().st_size // 2)
    with pytest.raises(DigestMismatchError):
        tables.merge_files("log", after=0, keep_s=0)
    assert tables.version("log") == 3
    assert len(row_files(tmp_path / "log")) == 4


def test_a_checkpoint_that_nobody_vouches_for_is_never_read(tmp_path: Path) -> None:
    tables = DeltaTables(tmp_path)
    expected = fill(tables, 4)
    tables.merge_files("log", after=0, keep_s=0)
    expected = pl.concat([expected, fill(tables, 2, first=4)])
    log = tmp_path / "log" / "_delta_log"
    (log / f"{6:020}.checkpoint.parquet").write_bytes(b"no checkpoint")
    (log / "_last_checkpoint").write_text('{"version":6,"size":1}')
    assert_frame_equal(tables.read("log"), expected)
    assert sorted(path.name for path in log.glob("*.torn")) == [
        f"{6:020}.checkpoint.parquet.torn",
        "_last_checkpoint.torn",
    ]


# ---- processes --------------------------------------------------------------

MERGER = """
import sys
from pathlib import Path
from test_merged_tables import rows
from bucle.store.delta_tables import DeltaTables
tables = DeltaTables(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    number = max(tables.marks("log").values(), default=0)
    tables.append_once("log", rows(number), marks={f"w{number % 3}": number + 1})
    print(number, flush=True)
    tables.merge_files("log", after=2, keep_s=0.05)
"""


def _kill_at_random(folder: Path, *, kills: int, seed: int) -> None:
    sys.stdout.write(f"seed {seed}\n")
    chance = random.Random(seed)
    tables = DeltaTables(folder)
    told = -1
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", MERGER, str(folder)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, PLACES))},
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.0, 0.6))
            process.kill()
            said = process.stdout.read()
        lines = said[: said.rfind("\n") + 1].split()
        told = max(told, *map(int, lines), -1)
        if told >= 0:
            written = max(tables.marks("log").values())
            assert written in {told + 1, told + 2}
            assert_frame_equal(
                tables.read("log"), pl.concat([rows(number) for number in range(written)])
            )
    fill(tables, 1, first=max(tables.marks("log").values()))
    tables.merge_files("log", after=0, keep_s=0)
    named = {unquoted["path"] for unquoted in _adds(folder / "log")}
    assert set(row_files(folder / "log")) == named


def _adds(folder: Path) -> list[dict[str, str]]:
    (commit,) = (folder / "_delta_log").glob("*.json")
    lines = [json.loads(line) for line in commit.read_text().splitlines()]
    return [line["add"] for line in lines if "add" in line]


def test_killed_while_it_merges_a_table_loses_and_doubles_nothing(tmp_path: Path) -> None:
    _kill_at_random(tmp_path, kills=2, seed=random.randrange(10**9))


@pytest.mark.slow
def test_killed_a_hundred_times_while_it_merges_it_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    _kill_at_random(tmp_path, kills=100, seed=random.randrange(10**9))


@pytest.mark.parametrize("step", ["link", "list", "checkpoint", "commits"])
def test_a_merge_that_was_cut_off_is_made_up_for(tmp_path: Path, step: str) -> None:
    tables = DeltaTables(tmp_path)
    expected = fill(tables, 6)
    tables.merge_files("log", after=0, keep_s=3600)
    folder = tmp_path / "log"
    log = folder / "_delta_log"
    # What is on the disk where the merger ends before it has done more.
    if step in {"link", "list"}:
        next(log.glob("*.checkpoint.parquet")).unlink()
    if step == "link":
        (folder / "_digests" / f"{6:020}.sha256").unlink()
    if step == "checkpoint":
        (tmp_path / ".log.merging").mkdir()
    if step == "commits":
        for version in range(3):
            (log / f"{version:020}.json").unlink()
    (tmp_path / ".log.writing").touch()
    assert_frame_equal(tables.read("log"), expected)
    expected = pl.concat([expected, fill(tables, 2, first=6)])
    assert tables.merge_files("log", after=0, keep_s=0) == 9
    assert_frame_equal(tables.read("log"), expected)
    assert len(list(log.iterdir())) == 2
    copy = shutil.copytree(tmp_path, tmp_path / "copied")
    assert_frame_equal(DeltaTables(copy).read("log"), expected)


FULL = """
import json, os, sys
from pathlib import Path
import polars as pl
from bucle.errors import OutsideError
from bucle.store.delta_tables import DeltaTables
place = Path(sys.argv[1])
tables = DeltaTables(place / "tables")
frame = pl.DataFrame({"id": [os.urandom(16).hex() for _ in range(500)]})
for number in range(12):
    tables.append_once("log", frame, marks={"w": number + 1})
def taken():
    return sorted(str(path) for path in (place / "tables").rglob("*") if path.is_file())
before, failures = taken(), 0
free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
# Less and less room: the merge breaks off at one place after the other, and then succeeds.
for room in range(0, free, 12288):
    with open(place / "ballast", "wb") as stream:
        state = os.statvfs(place)
        stream.write(bytes(max(0, state.f_bavail * state.f_frsize - room)))
    try:
        made = tables.merge_files("log", after=0, keep_s=0)
    except OutsideError:
        failures += 1
        assert tables.read("log").height == 6000
    else:
        break
    finally:
        (place / "ballast").unlink()
print(json.dumps({"failures": failures, "rows": tables.read("log").height,
    "marks": tables.marks("log"), "again": tables.append_once("log", frame, marks={"w": 12}),
    "files": len(list((place / "tables" / "log").glob("*.parquet")))}))
"""


def test_a_merge_that_has_no_room_changes_nothing(tmp_path: Path) -> None:
    require_mounts(tmp_path)
    done = run_on_small_disk(tmp_path / "small", FULL, megabytes=2)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen.pop("failures") >= 3
    assert seen == {"rows": 6000, "marks": {"w": 12}, "again": None, "files": 1}
