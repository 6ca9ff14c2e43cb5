"""Processes that write one log: at once, killed at any moment, forked, waiting for a lock."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bucle.errors import OutsideError, StalePositionError
from bucle.store.locks import exclusive
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.samples import draft

SOURCE = Path(__file__).resolve().parents[3] / "src"

# Writes for ever; after each append it acknowledges what was appended on its standard output,
# one line in one system call.
WRITER = """
import os, sys
from pathlib import Path
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft
log = SqliteLog(Path(sys.argv[1]))
number = 0
while True:
    fact = Draft(kind="noted", body={"number": number, "writer": sys.argv[2]}, at="", actor="w")
    events = log.append([fact] * (1 + number % 3))
    os.write(1, "".join(f"{event.position} {event.hash}\\n" for event in events).encode())
    number += 1
"""


def start(path: Path, name: str, acknowledged: Path) -> subprocess.Popen[bytes]:
    with acknowledged.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            stdout=stream,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )


# Forks two such writers again and again and kills each at a random moment. One process imports
# what they need, so that a round takes little more than what is waited for.
KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft

path, acknowledged, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def write_for_ever(target):
    os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 1)
    log, number = SqliteLog(path), 0
    while True:
        fact = Draft(kind="noted", body={"number": number}, at="", actor=target.name)
        events = log.append([fact] * (1 + number % 3))
        os.write(1, "".join(f"{event.position} {event.hash}\\n" for event in events).encode())
        number += 1

for turn in range(rounds):
    children = []
    for name in "ab":
        child = os.fork()
        if child == 0:
            try:
                write_for_ever(acknowledged / f"{name}-{turn}")
            finally:
                os._exit(1)
        children.append(child)
    time.sleep(random.random() * 0.15)
    for child in children:
        time.sleep(random.random() * 0.02)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, status
"""


def acknowledged_lines(paths: list[Path]) -> set[str]:
    # A line that the kill cut off was not acknowledged.
    return {line for path in paths for line in path.read_text().split("\n")[:-1]}


def kill_writers(folder: Path, *, rounds: int) -> None:
    path = folder / "log.db"
    promises = folder / "acknowledged"
    promises.mkdir()
    subprocess.run(
        [sys.executable, "-c", KILLER, str(path), str(promises), str(rounds)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        check=True,
    )
    log = SqliteLog(path)
    found = log.verify()
    assert found.intact, found.reason
    events = list(log.read())
    promised = acknowledged_lines(list(promises.iterdir()))
    assert len(promised) > rounds
    assert promised <= {f"{event.position} {event.hash}" for event in events}
    assert {event.kind for event in events} == {"noted"}


def test_acknowledged_events_survive_kill_9_of_two_writers(tmp_path: Path) -> None:
    kill_writers(tmp_path, rounds=30)


@pytest.mark.slow
def test_acknowledged_events_survive_a_thousand_kills(tmp_path: Path) -> None:
    kill_writers(tmp_path, rounds=1000)


def test_two_processes_append_at_once_and_both_succeed(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    files = [tmp_path / f"{name}-0" for name in "abc"]
    writers = [start(path, file.name, file) for file in files]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not all(
        len(acknowledged_lines([file])) > 10 for file in files
    ):
        time.sleep(0.01)
    for writer in writers:
        writer.terminate()
        writer.wait()
    events = list(SqliteLog(path).read())
    assert {event.body["writer"] for event in events} == {"a-0", "b-0", "c-0"}
    # The events of one append stand side by side.
    for _, group in itertools.groupby(events, key=lambda event: event.body):
        same = list(group)
        assert len(same) % (1 + same[0].body["number"] % 3) == 0
    assert SqliteLog(path).verify().intact


def test_only_one_of_two_writers_with_the_same_expectation_wins(tmp_path: Path) -> None:
    first, second = SqliteLog(tmp_path / "log.db"), SqliteLog(tmp_path / "log.db")
    first.append([draft(0)])
    assert [event.position for event in second.read()] == [1]
    first.append([draft(1)], expected=1)
    with pytest.raises(StalePositionError) as refusal:
        second.append([draft(1)], expected=1)
    assert refusal.value.actual == 2
    assert refusal.value.exit_code == 3


def test_log_object_outlives_a_fork(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.append([draft(0)])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log.append([draft(1)])
            code = 0 if [event.position for event in log.read()] == [1, 2] else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    log.append([draft(2)])
    assert [event.body["number"] for event in log.read()] == [0, 1, 2]
    assert log.verify().intact


def test_left_over_lock_file_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.lock").write_text("12345\n")
    log = SqliteLog(tmp_path / "log.db")
    log.append([draft()])
    assert log.verify().intact


def test_lock_of_a_killed_holder_is_free(tmp_path: Path) -> None:
    holder = (
        "import sys, pathlib, time\n"
        "from bucle.store.locks import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "x.lock")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(OutsideError) as refusal, exclusive(tmp_path / "x.lock", wait_s=0.05):
        pass
    assert refusal.value.code == "bucle-303"
    process.kill()
    process.wait()
    process.stdout.close()
    with exclusive(tmp_path / "x.lock", wait_s=0):
        assert (tmp_path / "x.lock").exists()
    with exclusive(tmp_path / "x.lock", wait_s=0):
        pass


def test_opening_the_log_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "import bucle.store.sqlite_log, bucle.store.memory_log, bucle.store.file_blobs\n"
        "import bucle.store.memory_blobs\n"
        "known = sys.stdlib_module_names | {'bucle', 'msgspec', 'typing_extensions', '__main__'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - known))\n"
        "slow = ('difflib', 'asyncio', 'importlib.resources')\n"
        "print([name for name in slow if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": os.pathsep.join([str(SOURCE), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[]", "[]"]


# Opens, reads and appends once, then leaves: what every command of Bucle does.
VISITOR = """
import sys
from pathlib import Path
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Draft
log = SqliteLog(Path(sys.argv[1]))
assert log.verify().intact, log.verify()
log.append([Draft(kind="noted", body={}, at="", actor="visitor")])
"""


def visit(path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", VISITOR, str(path)], env=environment, check=True)


def test_an_open_log_loses_nothing_while_others_come_and_go(tmp_path: Path) -> None:
    # Closing any descriptor of a database drops this process's locks on it; the next process to
    # leave would then take the write-ahead file along, with what is written after it.
    path = tmp_path / "log.db"
    SqliteLog(path).append([draft(0)])
    staying = SqliteLog(path)
    beside = SqliteLog(path)
    assert staying.head().position == beside.head().position == 1
    for number in range(1, 5):
        visit(path)
        assert staying.head().position == 2 * number
        staying.append([draft(number)], expected=2 * number)
        assert beside.verify().events == 2 * number + 1
    beside.close()
    visit(path)
    staying.append([draft(9)], expected=10)
    staying.close()
    assert [event.position for event in SqliteLog(path).read()] == list(range(1, 12))
    assert SqliteLog(path).verify().intact
