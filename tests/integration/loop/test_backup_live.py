"""Backups of a project that is being written to from all sides."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.loop.backup import back_up
from bucle.loop.restore import restore
from bucle.serve.compactor import PREDICTIONS, compact, read_log
from bucle.serve.segments import segments_in
from bucle.store.delta_tables import DeltaTables
from bucle.store.file_blobs import FileBlobs
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.samples import draft

SOURCE = Path(__file__).resolve().parents[3] / "src"

# Three processes: one decides on content it has written before, one answers, one compacts. Each
# says what it has promised, a line at a time.
WRITER = """
import os, random, sys, time
from pathlib import Path
import polars as pl
from bucle.serve.compactor import compact
from bucle.serve.journal import Journal
from bucle.serve.records import Prediction
from bucle.store.delta_tables import DeltaTables
from bucle.store.file_blobs import FileBlobs
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft

role, home = sys.argv[1], Path(sys.argv[2])
tables, segments = DeltaTables(home / "tables"), home / "serve" / "log"

def say(words):
    os.write(1, (words + "\\n").encode())

def decide():
    log, blobs = SqliteLog(home / "log.db"), FileBlobs(home / "blobs")
    number = 0
    while True:
        digest = blobs.put(random.randbytes(20_000))
        version = tables.write("sales", pl.DataFrame({"n": [number]}), mode="append")
        facts = [
            Draft(kind="noted", body={"blob": digest, "version": version}, at="", actor="d")
            for _ in range(random.randint(1, 40))
        ]
        say(str(log.append(facts)[-1].position))
        number += 1
        time.sleep(0.2)

def answer():
    journal = Journal(segments, name="w0", rotate_bytes=6_000, sync_s=0.5)
    number = 0
    while True:
        batch = [
            Prediction(
                id=f"p-{number + place}", at=number, model="m-1", role="champion", of="",
                prediction=1.0, low=0.0, high=2.0, key="", request="", latency_us=1,
                features=b'{"x":1}',
            )
            for place in range(20)
        ]
        journal.append_many(batch)
        number += len(batch)
        say(f"p-{number - 1}")
        time.sleep(0.05)

def bring():
    while True:
        compact(segments, tables, merge_after=6)
        time.sleep(0.05)

{"decide": decide, "answer": answer, "compact": bring}[role]()
"""


class Load:
    """A project under load, and what its processes have promised so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / ".bucle"
        self.home.mkdir(parents=True)
        (root / "bucle.toml").write_text('[project]\nname = "shop"\n')
        self.said = {role: root.with_name(role) for role in ("decide", "answer", "compact")}
        self.processes = []
        for role, path in self.said.items():
            with path.open("wb") as stream:
                words = [sys.executable, "-c", WRITER, role, str(self.home)]
                env = {**os.environ, "PYTHONPATH": str(SOURCE)}
                self.processes.append(subprocess.Popen(words, stdout=stream, env=env))

    def promised(self) -> tuple[int, int]:
        """Return the last event and the last prediction that were acknowledged."""
        last = [path.read_text().split("\n")[:-1][-1:] for path in self.said.values()]
        return int((last[0] or ["0"])[0]), int((last[1] or ["p--1"])[0].removeprefix("p-"))

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    begun = Load(tmp_path / "shop")
    deadline = time.monotonic() + 60
    while begun.promised()[0] < 20 or begun.promised()[1] < 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield begun
    begun.end()


def check(load: Load, copy: Path, *, promised: tuple[int, int]) -> None:
    """Check that a copy is whole: its log a prefix, its content and its predictions there."""
    home = copy / ".bucle"
    log = SqliteLog(home / "log.db")
    found = log.verify()
    assert found.intact, found.reason
    assert found.reason == ""
    assert found.events >= promised[0]
    events = list(log.read())
    live = SqliteLog(load.home / "log.db").read(after=found.events - 1)
    assert next(iter(live)).hash == found.head
    blobs, tables = FileBlobs(home / "blobs"), DeltaTables(home / "tables")
    for digest in {event.body["blob"] for event in events[-1000:]}:
        assert len(blobs.get(digest)) == 20_000
    version = events[-1].body["version"]
    assert tables.read("sales", version=version)["n"].to_list() == list(range(version + 1))
    segments = home / "serve" / "log"
    predicted = read_log(segments, tables, name=PREDICTIONS)["id"].to_list()
    wanted = {f"p-{number}" for number in range(promised[1] + 1)}
    assert len(predicted) == len(set(predicted))
    assert wanted <= set(predicted)
    # The copy goes on from there as the project would.
    while compact(segments, tables).segments:
        pass
    assert segments_in(segments) == []
    assert sorted(tables.read(PREDICTIONS)["id"].to_list()) == sorted(predicted)
    tables.write("sales", tables.read("sales").head(1), mode="append")
    log.append([draft()], expected=found.events)
    log.close()


def back_up_at_random_times(load: Load, folder: Path, *, times: int) -> None:
    for number in range(times):
        time.sleep(random.random() * 0.3)
        copy = folder / f"copy-{number}"
        promised = load.promised()
        for _ in range(1 + number % 2):
            done = back_up(load.root, copy, durable=False)
        assert done.events >= promised[0]
        place = folder / f"restored-{number}"
        assert restore(copy, place, durable=False).damaged == ()
        check(load, place, promised=promised)
        shutil.rmtree(copy)
        shutil.rmtree(place)


@pytest.mark.thorough
def test_twenty_backups_taken_live_are_whole(load: Load, tmp_path: Path) -> None:
    back_up_at_random_times(load, tmp_path, times=20)


@pytest.mark.slow
def test_a_hundred_backups_taken_live_are_whole(load: Load, tmp_path: Path) -> None:
    back_up_at_random_times(load, tmp_path, times=100)


@pytest.mark.thorough
def test_a_backup_killed_at_any_moment_leaves_the_copy_before(load: Load, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bucle.loop.backup import back_up\n"
        "print('begin', flush=True)\n"
        "while True:\n"
        "    done = back_up(Path(sys.argv[1]), Path(sys.argv[2]), durable=False)\n"
        "    print(done.events, flush=True)\n"
    )
    copy = tmp_path / "copy"
    promised = load.promised()
    back_up(load.root, copy)
    for number in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(load.root), str(copy)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(random.random() * 0.3)
        process.kill()
        said = process.stdout.read().split("\n")[:-1]
        process.wait()
        process.stdout.close()
        promised = (max(promised[0], int(said[-1])) if said else promised[0], promised[1])
        place = tmp_path / f"restored-{number}"
        subprocess.run(["cp", "-a", copy, place], check=True)
        check(load, place, promised=promised)
