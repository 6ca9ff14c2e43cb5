"""From the log to the tables exactly once, whoever is killed at whatever moment."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import polars as pl
import pytest

from bucle.errors import OutsideError
from bucle.serve.compactor import FEEDBACK, PREDICTIONS, Compacted, compact, pause_s, read_log
from bucle.serve.journal import Journal
from bucle.serve.records import Feedback, Prediction, PredictionColumns, PredictionIds
from bucle.serve.segments import segment_path, segments_in
from bucle.store.delta_tables import DeltaTables
from bucle.store.locks import exclusive
from bucle.store.memory_tables import MemoryTables
from bucle.testing.faults import cut_file, flip_byte
from bucle.types import Tables

SOURCE = Path(__file__).resolve().parents[3] / "src"
STEPS = [
    "finish",
    "read",
    *(f"append {name}" for name in (PREDICTIONS, FEEDBACK)),
    "remove",
    *(f"merge {name}" for name in (PREDICTIONS, FEEDBACK)),
]


class Killed(BaseException):
    """The process ends here."""


def prediction(number: int, *, name: str = "p") -> Prediction:
    return Prediction(
        id=f"{name}-{number}",
        at=1_790_000_000_000_000 + number,
        model="m-0123456789ab",
        role="champion",
        prediction=number / 2,
        features=b'{"brand":"Zara","age":3}',
        low=None if number % 3 else 1.0,
        latency_us=number,
    )


def feedback(number: int) -> Feedback:
    return Feedback(id=f"p-{number}", at=number, label=str(number), label_time=-number)


def write_log(folder: Path, *, files: int = 3, each: int = 4) -> list[str]:
    """Leave finished files of one worker, each with predictions and feedback."""
    journal = Journal(folder, name="w0", sync_s=60)
    ids = []
    for number in range(files * each):
        journal.append(prediction(number))
        journal.append(feedback(number))
        ids.append(f"p-{number}")
        if number % each == each - 1:
            journal._replace()
    journal.close()
    return ids


def ids_in(tables: Tables, name: str = PREDICTIONS) -> list[str]:
    return tables.read(name)["id"].to_list() if tables.version(name) is not None else []


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


@pytest.fixture(params=[MemoryTables, DeltaTables])
def tables(request, tmp_path: Path) -> Tables:
    return request.param() if request.param is MemoryTables else DeltaTables(tmp_path / "tables")


def test_every_kind_of_record_in_one_file_becomes_rows(tmp_path: Path, tables: Tables) -> None:
    ids = PredictionIds().take(20)
    many = PredictionColumns(
        first=ids[0],
        at=1_790_000_000_000_000,
        model="m-0123456789ab",
        role="canary",
        prediction=[number / 4 for number in range(20)],
        fields=("age", "brand"),
        columns=msgspec.msgpack.encode([[*range(19), None], ["Zara"] * 20]),
        high=[*range(19), None],
    )
    with Journal(tmp_path / "log", name="w0", sync_s=60) as journal:
        journal.append(prediction(1))
        journal.append_many([prediction(2), many, feedback(1), prediction(3)])
        journal.append_many([many])
        waiting = read_log(tmp_path / "log", tables, name=PREDICTIONS)
    done = compact(tmp_path / "log", tables)
    assert (done.predictions, done.feedback, done.damaged) == (43, 1, ())
    rows = tables.read(PREDICTIONS)
    assert rows["id"].to_list() == ["p-1", "p-2", *ids, "p-3", *ids]
    assert rows.equals(waiting)
    assert rows.equals(read_log(tmp_path / "log", tables, name=PREDICTIONS))
    assert rows.row(21, named=True) | {"at": None} == {
        "id": ids[19],
        "at": None,
        "model": "m-0123456789ab",
        "role": "canary",
        "of": "",
        "prediction": 4.75,
        "low": None,
        "high": None,
        "key": None,
        "request": "",
        "latency_us": 0,
        "features": '{"age":null,"brand":"Zara"}',
    }


def test_finished_files_become_typed_rows_and_are_removed(tmp_path: Path, tables: Tables) -> None:
    ids = write_log(tmp_path / "log")
    done = compact(tmp_path / "log", tables)
    assert done == Compacted(segments=4, predictions=12, feedback=12)
    rows = tables.read(PREDICTIONS)
    assert rows["id"].to_list() == ids
    assert rows.schema["at"] == pl.Datetime("us", "UTC")
    assert rows.row(3, named=True) | {"at": None} == {
        "id": "p-3",
        "at": None,
        "model": "m-0123456789ab",
        "role": "champion",
        "of": "",
        "prediction": 1.5,
        "low": 1.0,
        "high": None,
        "key": None,
        "request": "",
        "latency_us": 3,
        "features": '{"brand":"Zara","age":3}',
    }
    assert tables.read(FEEDBACK)["label"].to_list() == [str(number) for number in range(12)]
    assert tables.read(FEEDBACK)["label_time"].cast(pl.Int64).to_list() == [
        -number for number in range(12)
    ]
    assert left(tmp_path / "log") == []
    assert compact(tmp_path / "log", tables) == Compacted()
    assert tables.version(PREDICTIONS) == 0


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert compact(tmp_path / "log", MemoryTables()) == Compacted()
    assert read_log(tmp_path / "log", MemoryTables(), name=PREDICTIONS).height == 0


def test_the_file_of_a_living_worker_is_left_to_it(tmp_path: Path, tables: Tables) -> None:
    with Journal(tmp_path, name="w0", sync_s=60) as journal:
        journal.append(prediction(1))
        assert compact(tmp_path, tables) == Compacted()
        journal._replace()
        journal.append(prediction(2))
        assert compact(tmp_path, tables).predictions == 1
        assert ids_in(tables) == ["p-1"]
    assert compact(tmp_path, tables).predictions == 1
    assert ids_in(tables) == ["p-1", "p-2"]


def test_small_batches_bring_the_same_rows(tmp_path: Path, tables: Tables) -> None:
    ids = write_log(tmp_path / "log", files=5)
    done = compact(tmp_path / "log", tables, batch_bytes=1)
    assert (done.segments, done.predictions) == (6, 20)
    assert ids_in(tables) == ids
    assert tables.version(PREDICTIONS) == 4


@pytest.mark.parametrize("batch_bytes", [1, 1 << 20])
@pytest.mark.parametrize("killed_at", range(24))
def test_killed_before_any_step_and_begun_again_each_row_is_there_once(
    tmp_path: Path, killed_at: int, batch_bytes: int
) -> None:
    tables = MemoryTables()
    ids = write_log(tmp_path / "log")
    steps: list[str] = []

    def end(step: str) -> None:
        steps.append(step)
        if len(steps) == killed_at + 1:
            raise Killed

    try:
        compact(tmp_path / "log", tables, batch_bytes=batch_bytes, at_step=end)
    except Killed:
        later = Journal(tmp_path / "log", name="w1", sync_s=60)
        later.append(prediction(99))
        later.close()
        ids.append("p-99")
    compact(tmp_path / "log", tables, batch_bytes=batch_bytes)
    assert sorted(ids_in(tables)) == sorted(ids)
    assert sorted(ids_in(tables, FEEDBACK)) == sorted(set(ids) - {"p-99"})
    assert left(tmp_path / "log") == []


def test_a_second_compactor_leaves_at_once(tmp_path: Path) -> None:
    tables = MemoryTables()
    write_log(tmp_path)
    with exclusive(tmp_path / ".compactor.lock"):
        assert compact(tmp_path, tables) == Compacted(busy=True)
    assert tables.version(PREDICTIONS) is None
    assert compact(tmp_path, tables).predictions == 12


def test_a_table_that_cannot_be_written_leaves_the_files(tmp_path: Path) -> None:
    write_log(tmp_path / "log")
    before = left(tmp_path / "log")
    (tmp_path / "tables").write_text("no folder")
    with pytest.raises(OutsideError):
        compact(tmp_path / "log", DeltaTables(tmp_path / "tables"))
    assert left(tmp_path / "log") == before
    (tmp_path / "tables").unlink()
    assert compact(tmp_path / "log", DeltaTables(tmp_path / "tables")).predictions == 12


def test_a_torn_end_is_counted_and_the_rest_is_taken(tmp_path: Path) -> None:
    tables = MemoryTables()
    write_log(tmp_path, files=1)
    path = segment_path(tmp_path, segments_in(tmp_path)[0])
    cut_file(path, size=path.stat().st_size - 3)
    done = compact(tmp_path, tables)
    assert (done.predictions, done.feedback, done.damaged) == (4, 3, ())
    assert done.torn > 3
    assert left(tmp_path) == []


def test_a_damaged_file_is_taken_as_far_as_it_goes_and_kept(tmp_path: Path) -> None:
    tables = MemoryTables()
    write_log(tmp_path, files=1)
    segment = segments_in(tmp_path)[0]
    flip_byte(segment_path(tmp_path, segment), offset=40)
    before = segment_path(tmp_path, segment).read_bytes()
    done = compact(tmp_path, tables)
    assert (done.predictions, done.feedback, done.damaged) == (3, 4, (segment.stem,))
    assert (tmp_path / f"{segment.stem}.damaged").read_bytes() == before
    assert compact(tmp_path, tables) == Compacted()
    assert read_log(tmp_path, tables, name=PREDICTIONS).height == 3


def test_rows_are_read_from_table_and_files_together(tmp_path: Path, tables: Tables) -> None:
    log = tmp_path / "log"
    with Journal(log, name="w0", sync_s=60) as journal:
        journal.append_many([prediction(1), feedback(1)])
        assert read_log(log, tables, name=PREDICTIONS)["id"].to_list() == ["p-1"]
        journal._replace()
        journal.append(prediction(2))
        compact(log, tables)
        journal.append(prediction(3))
        seen = read_log(log, tables, name=PREDICTIONS)
        assert seen["id"].to_list() == ["p-1", "p-2", "p-3"]
        assert seen.schema == tables.read(PREDICTIONS).schema
        assert read_log(log, tables, name=FEEDBACK)["id"].to_list() == ["p-1"]


def test_a_row_that_is_delivered_and_not_yet_removed_is_read_once(tmp_path: Path) -> None:
    tables = MemoryTables()
    ids = write_log(tmp_path)

    def look(_: str) -> None:
        assert sorted(read_log(tmp_path, tables, name=PREDICTIONS)["id"]) == sorted(ids)

    compact(tmp_path, tables, at_step=look)
    look("end")


def test_the_pause_grows_with_what_a_pass_takes() -> None:
    assert [pause_s(one) for one in (0, 0.05, 0.1, 0.5, 3)] == [2, 2, 2, 10, 60]


def test_many_passes_leave_few_files_and_the_same_rows(tmp_path: Path, tables: Tables) -> None:
    log = tmp_path / "log"
    with Journal(log, name="w0", sync_s=60) as journal:
        for number in range(20):
            journal.append_many([prediction(number), feedback(number)])
            journal._replace()
            compact(log, tables, merge_after=4, keep_s=0)
            assert read_log(log, tables, name=PREDICTIONS).height == number + 1
    assert ids_in(tables) == ids_in(tables, FEEDBACK) == [f"p-{number}" for number in range(20)]
    assert tables.version(PREDICTIONS) == 23
    if isinstance(tables, DeltaTables):
        assert len(list((tmp_path / "tables" / PREDICTIONS).glob("*.parquet"))) <= 7


# ---- processes --------------------------------------------------------------

WRITER = """
import os, sys
from pathlib import Path
from bucle.serve.journal import Journal
from bucle.serve.records import Feedback, Prediction, PredictionIds
journal = Journal(Path(sys.argv[1]), name="w0", rotate_s=0.02, sync_s=0.005)
ids = PredictionIds()
def make(name):
    return Prediction(id=name, at=1, model="m", role="champion", prediction=1.0)
while True:
    names = ids.take(3)
    journal.append(make(names[0]))
    journal.append_many([make(name) for name in names[1:]])
    journal.append(Feedback(id=names[0], at=2, label="1"))
    os.write(1, "\\n".join([*names, ""]).encode())
"""
COMPACTOR = """
import os, signal, sys, time
from pathlib import Path
from bucle.serve.compactor import compact
from bucle.store.delta_tables import DeltaTables
log, tables, fatal = Path(sys.argv[1]), DeltaTables(Path(sys.argv[2])), sys.argv[3]
def end(step):
    if step == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
os.write(1, b"ready\\n")
while True:
    compact(log, tables, merge_after=3, keep_s=0, at_step=end)
    if fatal == "once":
        break
    time.sleep(0.01)
"""


def start(program: str, *words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )


def end_writer(process: subprocess.Popen[bytes]) -> list[str]:
    """Kill a writer and return the ids it has answered."""
    process.kill()
    with process:
        assert process.stdout is not None
        answered = process.stdout.read()
    return answered[: answered.rfind(b"\n") + 1].decode().split()


def end_compactor(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with process:
        pass


def ready(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def assert_exactly_once(folder: Path, answered: list[str]) -> None:
    tables = DeltaTables(folder / "tables")
    compact(folder / "log", tables)
    counts = Counter(ids_in(tables))
    assert [one for one in answered if counts[one] != 1] == []
    assert [one for one, count in counts.items() if count > 1] == []
    # What was kept and whose answer did not get out is three records a killed writer at most.
    assert set(Counter(ids_in(tables, FEEDBACK)).values()) <= {1}
    assert left(folder / "log") == []


@pytest.mark.parametrize("fatal", dict.fromkeys(STEPS))
def test_a_compactor_killed_for_good_at_a_step_is_made_up_for(tmp_path: Path, fatal: str) -> None:
    write_log(tmp_path / "log")
    with start(COMPACTOR, tmp_path / "log", tmp_path / "tables", fatal) as process:
        assert process.wait(60) == -9
    assert_exactly_once(tmp_path, [f"p-{number}" for number in range(12)])


def _kill_at_random(folder: Path, *, kills: int, seed: int) -> None:
    """Kill writers and compactors, all of them at work at once, and count what is there."""
    chance = random.Random(seed)
    answered: list[str] = []
    writers = [start(WRITER, folder / "log") for _ in range(2)]
    compactor = ready(start(COMPACTOR, folder / "log", folder / "tables", ""))
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 0.25))
            if chance.random() < 0.5:
                answered += end_writer(writers.pop(0))
                writers.append(start(WRITER, folder / "log"))
            else:
                end_compactor(compactor)
                compactor = ready(start(COMPACTOR, folder / "log", folder / "tables", ""))
    finally:
        for writer in writers:
            answered += end_writer(writer)
        end_compactor(compactor)
    assert len(answered) > 100
    assert_exactly_once(folder, answered)


def test_writers_and_compactors_killed_at_random_lose_and_double_nothing(tmp_path: Path) -> None:
    _kill_at_random(tmp_path, kills=6, seed=random.randrange(10**9))


def test_two_compactors_at_once_double_nothing(tmp_path: Path) -> None:
    words = (COMPACTOR, tmp_path / "log", tmp_path / "tables", "")
    writer = start(WRITER, tmp_path / "log")
    compactors = [start(*words) for _ in range(2)]
    for compactor in compactors:
        ready(compactor)
    time.sleep(0.5)
    answered = end_writer(writer)
    for compactor in compactors:
        assert compactor.poll() is None
        end_compactor(compactor)
    assert len(answered) > 100
    assert_exactly_once(tmp_path, answered)


@pytest.mark.slow
def test_a_hundred_random_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    _kill_at_random(tmp_path, kills=100, seed=random.randrange(10**9))
