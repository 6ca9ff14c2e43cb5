"""A disk that fails to keep what was written: nothing is tried again, nothing promised is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from disks import failing_disk

from bucle.store.sqlite_log import SqliteLog
from bucle.testing.samples import draft

SOURCE = Path(__file__).resolve().parents[3] / "src"

APPENDS = 6

# Appends, says what is acknowledged, and goes on after a failure as a careless caller would; the
# failure is then the way it ends.
WRITER = """
import os, sys
from pathlib import Path
from bucle.errors import NotDurableError
from bucle.store.sqlite_leases import SqliteLeases
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft

path, failures = Path(sys.argv[1]), []
log = SqliteLog(path)
for number in range(int(sys.argv[2])):
    try:
        fact = Draft(kind="noted", body={"number": number}, at="", actor="w")
        (event,) = log.append([fact])
        os.write(1, f"{event.position} {event.hash}\\n".encode())
        assert not failures, "written after a failure"
    except NotDurableError as error:
        failures.append(error)
        # Neither another object nor a lease gets round it.
        log = SqliteLog(path)
        try:
            SqliteLeases(path).take("loop", holder="w", over=None)
        except NotDurableError as refusal:
            assert refusal.code == "bucle-412"
        else:
            raise AssertionError("a lease was taken after a failure")
sys.exit(3 if failures else 0)
"""


def write(path: Path, *, at: int, of: str) -> subprocess.CompletedProcess[str]:
    """Run the writer on a disk that fails once."""
    failing = failing_disk(path.parents[2], at=at, of=of)
    return subprocess.run(
        [sys.executable, "-c", WRITER, str(path), str(APPENDS)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **failing},
        capture_output=True,
        text=True,
        check=False,
    )


def check(path: Path, done: subprocess.CompletedProcess[str]) -> None:
    """Check that a new process finds everything acknowledged, and can write."""
    log = SqliteLog(path)
    found = log.verify()
    assert found.intact, found.reason
    kept = [f"{event.position} {event.hash}" for event in log.read()]
    acknowledged = done.stdout.split("\n")[:-1]
    assert kept[: len(acknowledged)] == acknowledged
    # What was being written may be there; nothing after it is.
    assert len(kept) <= len(acknowledged) + 1
    log.append([draft()], expected=len(kept))
    assert log.verify().intact


def fail_at(path: Path, *, at: int, of: str) -> bool:
    """Run the writer, let one sync fail, check; tell whether there was one to fail."""
    done = write(path, at=at, of=of)
    assert done.returncode in {0, 3}, done.stderr
    check(path, done)
    failed = "the disk fails" in done.stderr
    # The last sync is that of leaving, after all has been acknowledged.
    if failed and of == "log.db-wal" and done.stdout.count("\n") < APPENDS:
        assert done.returncode == 3, done.stderr
    return failed


def test_a_write_that_the_disk_failed_to_keep_is_the_last_of_its_process(tmp_path: Path) -> None:
    assert fail_at(tmp_path / "p" / "state" / "log.db", at=7, of="log.db-wal")


@pytest.mark.thorough
@pytest.mark.parametrize("of", ["log.db-wal", "log.db", "log.db-journal", "state"])
def test_whichever_sync_fails_nothing_acknowledged_is_lost(tmp_path: Path, of: str) -> None:
    at = 1
    while fail_at(tmp_path / f"{of}-{at}" / "state" / "log.db", at=at, of=of):
        at += 1
    assert at > (6 if of == "log.db-wal" else 1)
