"""A worker's prediction log on a disk that is good, slow, full, small, failing or not there."""

import contextlib
import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import require_mounts, run_on_small_disk

from bucle.errors import OutsideError
from bucle.serve.frames import scan, seed_of
from bucle.serve.journal import BacklogFullError, Journal
from bucle.serve.records import Feedback, PredictionColumns, PredictionIds, decode
from bucle.serve.segments import FileDisk, finished_segments, segment_path, segments_in

SOURCE = Path(__file__).resolve().parents[3] / "src"


def record(number: int, *, size: int = 1) -> Feedback:
    return Feedback(id=f"p-{number}", at=number, label="1" * size)


def kept(folder: Path) -> list[int]:
    """Return the numbers of all records in a folder's files, in order."""
    found = []
    for segment in segments_in(folder):
        content = segment_path(folder, segment).read_bytes()
        payloads = scan(content, seed=seed_of(segment.stem)).payloads
        found += [one.at for payload in payloads for one in decode(payload)]
    return found


def wait_until(holds: Callable[[], bool], *, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


class FaultyDisk(FileDisk):
    """This machine's disk, with faults that a test sets."""

    def __init__(self) -> None:
        self.refusal: int | None = None
        self.sync_refusals: list[int] = []
        self.open_refusal: int | None = None
        self.truncate_refusal: int | None = None
        self.takes_at_most: int | None = None
        self.sync_s = 0.0
        self.may_sync = threading.Event()
        self.may_sync.set()
        self.synced: list[int] = []

    def open(self, path: Path) -> int:
        if self.open_refusal:
            raise OSError(self.open_refusal, os.strerror(self.open_refusal))
        return super().open(path)

    def write(self, descriptor: int, content: bytes, /) -> int:
        if self.takes_at_most is not None:
            return os.write(descriptor, content[: self.takes_at_most])
        if self.refusal:
            raise OSError(self.refusal, os.strerror(self.refusal))
        return os.write(descriptor, content)

    def truncate(self, descriptor: int, size: int) -> None:
        if self.truncate_refusal:
            raise OSError(self.truncate_refusal, os.strerror(self.truncate_refusal))
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self.may_sync.wait()
        time.sleep(self.sync_s)
        self.synced.append(descriptor)
        if self.sync_refusals:
            refusal = self.sync_refusals.pop(0)
            raise OSError(refusal, os.strerror(refusal))
        os.fsync(descriptor)


def test_a_record_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    with Journal(tmp_path / "log", name="w0", sync_s=10) as journal:
        for number in range(5):
            journal.append(record(number))
            assert kept(tmp_path / "log") == list(range(number + 1))
        journal.append_many([record(5), record(6)])
        assert kept(tmp_path / "log") == list(range(7))
    assert kept(tmp_path / "log") == list(range(7))
    assert [one.state for one in segments_in(tmp_path / "log")] == ["done"]


def many(count: int) -> PredictionColumns:
    """Return rows of one request, as one record."""
    return PredictionColumns(
        first=PredictionIds().take()[0],
        at=1,
        model="m-1",
        role="champion",
        prediction=[1.0] * count,
        fields=(),
        columns=b"\x90",
    )


def test_rows_of_one_record_are_counted_and_wait_one_by_one(tmp_path: Path) -> None:
    disk = FaultyDisk()
    with Journal(tmp_path, name="w0", disk=disk, backlog=150, sync_s=0.01) as journal:
        journal.append_many([many(100), record(1)])
        assert journal.state.records == 101
        disk.refusal = errno.ENOSPC
        journal.append_many([many(100), record(1)])
        assert journal.state.backlog == 101
        with pytest.raises(BacklogFullError):
            journal.append_many([many(50)])
        journal.append_many([many(49)])
        assert journal.state.backlog == 150
        disk.refusal = None
        wait_until(lambda: journal.state.backlog == 0)
    assert kept(tmp_path) == [1] * 251


def test_files_are_finished_by_age_also_when_nothing_follows(tmp_path: Path) -> None:
    with Journal(tmp_path, name="w0", rotate_s=0.05, sync_s=0.01) as journal:
        journal.append(record(1))
        wait_until(lambda: "done" in {one.state for one in segments_in(tmp_path)})
        states = [one.state for one in segments_in(tmp_path)]
        assert states == ["done", "open"]
        # An empty file is not finished for its age.
        time.sleep(0.15)
        assert len(segments_in(tmp_path)) == 2


def test_files_are_finished_by_size_and_count_without_gaps(tmp_path: Path) -> None:
    with Journal(tmp_path, name="w0", rotate_bytes=300, sync_s=0.005) as journal:
        for number in range(200):
            journal.append(record(number))
            time.sleep(0.001)
        wait_until(lambda: len(segments_in(tmp_path)) >= 5)
    assert kept(tmp_path) == list(range(200))
    numbers = [one.number for one in segments_in(tmp_path)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_two_workers_do_not_meet(tmp_path: Path) -> None:
    with Journal(tmp_path, name="w0") as first, Journal(tmp_path, name="w0") as second:
        first.append(record(1))
        second.append(record(2))
    assert sorted(kept(tmp_path)) == [1, 2]
    assert len({one.journal for one in segments_in(tmp_path)}) == 2


def test_threads_may_append_at_once(tmp_path: Path) -> None:
    with Journal(tmp_path, name="w0", rotate_bytes=2000, sync_s=0.001) as journal:

        def write(start: int) -> None:
            for number in range(start, start + 500):
                journal.append(record(number))

        threads = [threading.Thread(target=write, args=(500 * one,)) for one in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(kept(tmp_path)) == list(range(2000))


def test_what_is_unsynced_is_told_and_then_synced(tmp_path: Path) -> None:
    disk = FaultyDisk()
    with Journal(tmp_path, name="w0", sync_s=0.01, disk=disk) as journal:
        disk.may_sync.clear()
        journal.append(record(1))
        assert journal.state.unsynced_bytes > 0
        wait_until(lambda: journal.state.unsynced_s > 0.05)
        disk.may_sync.set()
        wait_until(lambda: journal.state.unsynced_bytes == 0)
        assert journal.state.unsynced_s == 0
        assert journal.state.records == 1


def test_a_slow_disk_slows_no_append(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.sync_s = 0.5
    with Journal(
        tmp_path, name="w0", sync_s=0.001, rotate_s=0.01, rotate_bytes=500, disk=disk
    ) as journal:
        spent = []
        for number in range(400):
            began = time.perf_counter()
            journal.append(record(number))
            spent.append(time.perf_counter() - began)
            time.sleep(0.002)
        disk.sync_s = 0.0
    assert len(disk.synced) >= 2
    assert sorted(spent)[395] < 0.25
    assert kept(tmp_path) == list(range(400))


def test_a_failed_sync_is_never_asked_again_of_the_same_file(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.sync_refusals = [errno.EIO]
    with Journal(tmp_path, name="w0", sync_s=0.01, rotate_s=60, disk=disk) as journal:
        journal.append(record(1))
        wait_until(lambda: [one.state for one in segments_in(tmp_path)] == ["done", "open"])
        assert journal.state.failures == 1
        assert len(disk.synced) == 1
        journal.append(record(2))
        wait_until(lambda: len(disk.synced) == 2)
        wait_until(lambda: not journal.state.error)
    assert kept(tmp_path) == [1, 2]


def test_a_failed_sync_without_a_new_file_is_not_asked_again_either(tmp_path: Path) -> None:
    disk = FaultyDisk()
    with Journal(tmp_path, name="w0", sync_s=0.005, disk=disk) as journal:
        disk.open_refusal = errno.EIO
        disk.sync_refusals = [errno.EIO] * 50
        journal.append(record(1))
        wait_until(lambda: journal.state.failures == 1)
        journal.append(record(2))
        time.sleep(0.1)
        assert len(disk.synced) == 1
        assert "Input/output" in journal.state.error
        disk.sync_refusals, disk.open_refusal = [], None
        wait_until(lambda: len(segments_in(tmp_path)) == 2)
    assert kept(tmp_path) == [1, 2]


class ForgetfulDisk(FileDisk):
    """This machine's disk, which knows what it would hold after a loss of power."""

    def __init__(self) -> None:
        self.durable: dict[int, int] = {}

    def sync(self, descriptor: int) -> None:
        seen = os.fstat(descriptor)
        os.fsync(descriptor)
        self.durable[seen.st_ino] = seen.st_size

    def after_loss_of_power(self, folder: Path, target: Path) -> None:
        """Copy what would be left, while the journal goes on."""
        target.mkdir()
        for segment in segments_in(folder):
            path = segment_path(folder, segment)
            # It may be finished just now.
            with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
                size = self.durable.get(os.fstat(stream.fileno()).st_ino, 0)
                (target / path.name).write_bytes(stream.read(size))
                continue
            path = path.with_suffix(".done")
            size = self.durable.get(path.stat().st_ino, 0)
            (target / path.name).write_bytes(path.read_bytes()[:size])


def test_a_loss_of_power_takes_the_newest_records_only(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    journal = Journal(tmp_path / "log", name="w0", sync_s=0.02, rotate_bytes=3000, disk=disk)
    appended: list[float] = []
    for number in range(600):
        journal.append(record(number))
        appended.append(time.monotonic())
        time.sleep(0.0005)
    lost_at = time.monotonic()
    disk.after_loss_of_power(tmp_path / "log", tmp_path / "left")
    found = kept(tmp_path / "left")
    assert found == list(range(len(found)))
    assert len(found) > 0
    assert len(found) == 600 or lost_at - appended[len(found)] < 0.5
    journal.close()


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG])
def test_what_the_disk_refuses_waits_in_order(tmp_path: Path, refusal: int) -> None:
    disk = FaultyDisk()
    with Journal(tmp_path, name="w0", sync_s=0.01, disk=disk) as journal:
        journal.append(record(0))
        disk.refusal = refusal
        for number in range(1, 4000):
            journal.append(record(number))
        journal.append_many([record(4000), record(4001)])
        state = journal.state
        assert (state.backlog, state.records) == (4001, 4002)
        assert os.strerror(refusal) in state.error
        disk.refusal = None
        for number in range(4002, 6000):
            journal.append(record(number))
        wait_until(lambda: journal.state.backlog == 0)
        wait_until(lambda: not journal.state.error)
    assert kept(tmp_path) == list(range(6000))


@pytest.mark.parametrize("spoil", [None, errno.EIO])
@pytest.mark.parametrize("taken", [0, 1, 15, 16, 20])
def test_a_frame_written_by_half_leaves_nothing_in_the_middle(
    tmp_path: Path, taken: int, spoil: int | None
) -> None:
    disk = FaultyDisk()
    with Journal(tmp_path, name="w0", sync_s=0.01, disk=disk) as journal:
        journal.append(record(0))
        disk.takes_at_most, disk.truncate_refusal = taken, spoil
        journal.append(record(1))
        journal.append(record(2))
        time.sleep(0.05)
        disk.takes_at_most = disk.truncate_refusal = None
        wait_until(lambda: journal.state.backlog == 0)
        journal.append(record(3))
    assert kept(tmp_path) == [0, 1, 2, 3]
    for segment in segments_in(tmp_path):
        content = segment_path(tmp_path, segment).read_bytes()
        assert scan(content, seed=seed_of(segment.stem)).damaged == ()


def test_a_full_backlog_refuses_the_record_and_keeps_the_others(tmp_path: Path) -> None:
    disk = FaultyDisk()
    with Journal(tmp_path, name="w0", backlog=3, sync_s=0.01, disk=disk) as journal:
        disk.refusal = errno.ENOSPC
        journal.append(record(0))
        journal.append(record(1))
        with pytest.raises(BacklogFullError) as refusal:
            journal.append_many([record(2), record(3)])
        assert refusal.value.code == "bucle-321"
        journal.append(record(4))
        with pytest.raises(BacklogFullError):
            journal.append(record(5))
        disk.refusal = None
        wait_until(lambda: journal.state.backlog == 0)
        journal.append(record(6))
    assert kept(tmp_path) == [0, 1, 4, 6]


def test_a_backlog_is_bounded_in_bytes_too(tmp_path: Path) -> None:
    disk = FaultyDisk()
    with Journal(tmp_path, name="w0", backlog_bytes=5000, sync_s=10, disk=disk) as journal:
        disk.refusal = errno.ENOSPC
        journal.append(record(0, size=4000))
        with pytest.raises(BacklogFullError):
            journal.append(record(1, size=4000))
        journal.append(record(2))
        disk.refusal = None
    assert kept(tmp_path) == [0, 2]


def test_closing_on_a_disk_that_refuses_says_how_many_are_lost(tmp_path: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(tmp_path, name="w0", disk=disk)
    disk.refusal = errno.ENOSPC
    journal.append_many([record(0), record(1)])
    with pytest.raises(OutsideError, match="2 predictions") as refusal:
        journal.close(wait_s=0.1)
    assert refusal.value.code == "bucle-322"
    journal.close()


def test_nothing_is_taken_after_the_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path, name="w0")
    journal.append(record(1))
    journal.close()
    with pytest.raises(BacklogFullError, match="closed"):
        journal.append(record(2))
    with pytest.raises(BacklogFullError, match="closed"):
        journal.append_many([record(2)])
    assert kept(tmp_path) == [1]


def test_a_disk_that_is_full_from_the_start_is_waited_for(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.open_refusal = errno.ENOSPC
    with Journal(tmp_path, name="w0", sync_s=0.01, disk=disk) as journal:
        journal.append(record(1))
        assert journal.state.backlog == 1
        disk.open_refusal = None
        wait_until(lambda: journal.state.backlog == 0)
    assert kept(tmp_path) == [1]


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    with pytest.raises(OutsideError):
        Journal(tmp_path / "log", name="w0")


@pytest.mark.parametrize("name", ["", "W0", "a-b", "../w", "a b", "-a"])
def test_a_name_that_no_file_may_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="worker's name"):
        Journal(tmp_path, name=name)
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_living_worker_are_not_taken(tmp_path: Path) -> None:
    with Journal(tmp_path, name="w0", rotate_s=0.02, sync_s=0.005) as journal:
        journal.append(record(1))
        wait_until(lambda: [one.state for one in segments_in(tmp_path)] == ["done", "open"])
        assert [one.number for one in finished_segments(tmp_path, segments_in(tmp_path))] == [1]
        assert [one.state for one in segments_in(tmp_path)] == ["done", "open"]


def test_a_later_file_is_not_taken_before_an_earlier_one(tmp_path: Path) -> None:
    journal = "w0-0123456789abcdef"
    for number, state in ((2, "open"), (3, "done"), (4, "open")):
        (tmp_path / f"{journal}-{number:08}.{state}").touch()
    descriptor = os.open(tmp_path / f"{journal}-00000002.open", os.O_WRONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert finished_segments(tmp_path, segments_in(tmp_path)) == []
    os.close(descriptor)
    assert [one.number for one in finished_segments(tmp_path, segments_in(tmp_path))] == [2, 3, 4]


@pytest.mark.parametrize("state", ["open", "done"])
def test_a_file_that_the_listing_missed_is_waited_for(tmp_path: Path, state: str) -> None:
    journal = "w0-0123456789abcdef"
    for number in (4, 5):
        (tmp_path / f"{journal}-{number:08}.done").touch()
    listed = segments_in(tmp_path)
    (tmp_path / f"{journal}-00000003.{state}").touch()
    assert finished_segments(tmp_path, listed) == []
    (tmp_path / f"{journal}-00000003.{state}").unlink()
    assert finished_segments(tmp_path, listed) == listed


def test_a_gap_in_the_numbers_is_waited_for(tmp_path: Path) -> None:
    journal = "w0-0123456789abcdef"
    for number in (5, 7):
        (tmp_path / f"{journal}-{number:08}.done").touch()
    assert [one.number for one in finished_segments(tmp_path, segments_in(tmp_path))] == [5]


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    names = ["notes.txt", "w0-1-00000001.done", "w0-0123456789abcdef-1.done", "x.open"]
    for name in names:
        (tmp_path / name).touch()
    assert finished_segments(tmp_path, segments_in(tmp_path)) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


WRITER = """
import os, sys
from pathlib import Path
from bucle.serve.journal import Journal
from bucle.serve.records import Feedback
journal = Journal(Path(sys.argv[1]), name="w0", rotate_bytes=4000, sync_s=0.002)
number = 0
while True:
    if number % 7:
        journal.append(Feedback(id=f"p-{number}", at=number, label="1" * (number % 50)))
        number += 1
    else:
        journal.append_many([Feedback(id="p", at=number + one, label="2") for one in range(5)])
        number += 5
    os.write(1, b"%d\\n" % number)
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.03, 0.1])
def test_a_killed_worker_loses_no_answered_record(tmp_path: Path, delay_s: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        timer = threading.Timer(delay_s, process.kill)
        timer.start()
        answered = first + process.stdout.read()
    last = int(answered[: answered.rindex(b"\n")].split()[-1])
    assert [one.state for one in segments_in(tmp_path)][-1] == "open"
    found = kept(tmp_path)
    assert found == list(range(len(found)))
    assert last <= len(found) <= last + 5
    finished = finished_segments(tmp_path, segments_in(tmp_path))
    assert [one.state for one in segments_in(tmp_path)] == ["done"] * len(finished)


FULL = """
import json, os, sys, time
from pathlib import Path
from bucle.serve.journal import BacklogFullError, Journal
from bucle.serve.records import Feedback
place = Path(sys.argv[1])
journal = Journal(place / "log", name="w0", backlog=500, rotate_s=0.05, sync_s=0.005)
answered, number = [], 0
def answer():
    global number
    number += 1
    journal.append(Feedback(id="p", at=number, label="1" * 90))
    answered.append(number)
def fill():
    with open(place / "filler", "ab") as stream:
        try:
            while True:
                os.write(stream.fileno(), b"x" * 512)
        except OSError:
            pass
for _ in range(100):
    answer()
time.sleep(0.1)
fill()
refused = 0
for _ in range(3000):
    try:
        answer()
    except BacklogFullError:
        refused += 1
full = journal.state
(place / "filler").unlink()
began = time.monotonic()
while journal.state.backlog:
    time.sleep(0.005)
resumed_s = time.monotonic() - began
for _ in range(100):
    answer()
journal.close()
from bucle.serve.frames import scan, seed_of
from bucle.serve.segments import segment_path, segments_in
from bucle.serve.records import decode
found, damaged = [], 0
for one in segments_in(place / "log"):
    seen = scan(segment_path(place / "log", one).read_bytes(), seed=seed_of(one.stem))
    damaged += len(seen.damaged) + seen.torn
    found += [one.at for payload in seen.payloads for one in decode(payload)]
print(json.dumps({"same": found == answered, "refused": refused, "backlog": full.backlog,
    "error": full.error, "resumed_s": resumed_s, "damaged": damaged}))
"""


def test_on_a_full_disk_answers_go_on_from_memory_and_none_is_lost(tmp_path: Path) -> None:
    require_mounts(tmp_path)
    done = run_on_small_disk(tmp_path / "small", FULL, megabytes=1)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["same"]
    assert seen["damaged"] == 0
    assert seen["backlog"] == 500
    assert 2000 < seen["refused"] <= 2500
    assert "No space left" in seen["error"]
    assert seen["resumed_s"] < 10
