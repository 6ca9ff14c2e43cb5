"""Tables on a disk that fails to keep what was written: a failed write is no version."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from disks import failing_disk

SOURCE = Path(__file__).resolve().parents[3] / "src"

# Writes, says what it was told, and goes on in the same process.
WRITER = """
import sys
from pathlib import Path
import polars as pl
from bucle.errors import OutsideError
from bucle.store.delta_tables import DeltaTables
tables, kept = DeltaTables(Path(sys.argv[1])), []
for number in range(5):
    try:
        version = tables.write("sales", pl.DataFrame({"n": [number]}), mode="append")
        kept.append(number)
        print("wrote", version)
        if number == 3:
            tables.merge_files("sales", after=1)
    except OutsideError as error:
        print("failed", error.code)
        rows = tables.read("sales")["n"].to_list() if tables.version("sales") is not None else []
        assert rows == kept, (rows, kept)
assert tables.read("sales")["n"].to_list() == kept, (tables.read("sales"), kept)
# The disk fails once: of two more writes one goes through.
other = DeltaTables(Path(sys.argv[1]))
for number in (8, 9):
    try:
        other.write("sales", pl.DataFrame({"n": [number]}), mode="append")
        kept.append(number)
    except OutsideError as error:
        print("failed", error.code)
assert kept[-1] in (8, 9)
assert other.read("sales")["n"].to_list() == kept
"""


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(of, marks=pytest.mark.thorough if of == ".json" else pytest.mark.slow)
        for of in (".json", ".parquet", "_delta_log", "sales", ".sha256", "_digests")
    ],
)
def test_a_version_that_the_disk_failed_to_keep_does_not_count(tmp_path: Path, of: str) -> None:
    failed, at = 0, 1
    while True:
        done = subprocess.run(
            [sys.executable, "-c", WRITER, str(tmp_path / f"tables-{at}")],
            env={
                **os.environ,
                "PYTHONPATH": str(SOURCE),
                **failing_disk(tmp_path, at=at, of=of),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if "the disk fails" not in done.stderr:
            break
        failed += "failed" in done.stdout
        # Not each sync of a small table needs to be tried.
        at += 1 + at // 3
    assert failed > 0 or of == ".sha256"
