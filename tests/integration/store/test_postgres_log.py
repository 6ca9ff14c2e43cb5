"""The log and its leases in PostgreSQL: damage, lost connections, forks, kills and pauses."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from bucle.errors import FencedError, LogDamagedError, LogError, OutsideError, RequestError
from bucle.store.postgres_leases import PostgresLeases
from bucle.store.postgres_log import PostgresLog
from bucle.testing.samples import draft

SOURCE = Path(__file__).resolve().parents[3] / "src"

pytestmark = [pytest.mark.postgres, pytest.mark.thorough]


@pytest.fixture
def schema() -> str:
    return f"log_{token_hex(8)}"


@pytest.fixture
def log(postgres: str, schema: str) -> Iterator[PostgresLog]:
    log = PostgresLog(postgres, schema=schema)
    yield log
    log.close()


def change(postgres: str, schema: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(postgres, options=f"-c search_path={schema}") as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE events SET content = convert_to('{}', 'UTF8') WHERE position = 2", 2),
        ("DELETE FROM events WHERE position = 2", 2),
        ("DELETE FROM events WHERE position = 4", 4),
        ("UPDATE events SET hash = repeat('a', 64) WHERE position = 4", 4),
        ("DELETE FROM events", 1),
        ("UPDATE head SET hash = repeat('a', 64)", 4),
    ],
)
def test_whatever_was_changed_by_hand_is_found_and_stops_writing(
    log: PostgresLog, postgres: str, schema: str, statement: str, position: int
) -> None:
    log.append([draft(number) for number in range(4)])
    change(postgres, schema, statement)
    found = log.verify()
    assert not found.intact
    assert found.damaged == position
    other = PostgresLog(postgres, schema=schema)
    with pytest.raises(LogDamagedError) as damage:
        other.append([draft()])
    assert damage.value.what.startswith("Cannot write to the log")
    other.close()


def test_a_lost_connection_is_told_and_replaced(
    log: PostgresLog, postgres: str, schema: str
) -> None:
    log.append([draft(1)])
    change(
        postgres,
        schema,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'bucle' AND pid <> pg_backend_pid()",
    )
    with pytest.raises(OutsideError) as refusal:
        log.append([draft(2)])
    assert refusal.value.code == "bucle-415"
    log.append([draft(2)], expected=1)
    assert log.verify().events == 2


def test_the_log_outlives_a_fork(log: PostgresLog) -> None:
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
    log.append([draft(2)], expected=2)
    assert log.verify().events == 3


def test_a_database_that_is_not_there_is_told_without_its_password() -> None:
    log = PostgresLog("postgresql://me:secret@127.0.0.1:1/none")
    with pytest.raises(OutsideError) as refusal:
        log.head()
    assert refusal.value.code == "bucle-415"
    assert "secret" not in str(refusal.value)


def test_a_log_of_a_newer_version_is_left_alone(
    log: PostgresLog, postgres: str, schema: str
) -> None:
    log.append([draft()])
    change(postgres, schema, "UPDATE head SET format = 2")
    for act in (lambda other: other.append([draft()]), lambda other: other.head()):
        other = PostgresLog(postgres, schema=schema)
        with pytest.raises(LogError) as refusal:
            act(other)
        assert refusal.value.code == "bucle-204"
        other.close()


@pytest.mark.parametrize("name", ["", "Bucle", "1a", "a b", "a;drop", "a" * 64, "a-b"])
def test_a_schema_with_an_odd_name_is_refused(name: str) -> None:
    with pytest.raises(RequestError) as refusal:
        PostgresLog("postgresql://127.0.0.1/none", schema=name)
    assert refusal.value.code == "bucle-416"


def test_processes_that_make_the_log_at_once_both_succeed(postgres: str, schema: str) -> None:
    logs = [PostgresLog(postgres, schema=schema) for _ in range(4)]
    threads = [threading.Thread(target=log.append, args=([draft()],)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logs[0].verify().events == 4
    for log in logs:
        log.close()


# Appends for ever under the lease that it takes first; acknowledges each append.
WRITER = """
import os, sys
from bucle.store.postgres_leases import PostgresLeases
from bucle.store.postgres_log import PostgresLog
from bucle.types import Draft
address, schema, name = sys.argv[1:]
log, leases = PostgresLog(address, schema=schema), PostgresLeases(address, schema=schema)
lease = leases.take("loop", holder=name, over=leases.read("loop"))
for number in range(1_000_000):
    fact = Draft(kind="noted", body={"token": lease.token}, at="", actor=name)
    events = log.append([fact] * (1 + number % 3), fence=lease)
    os.write(1, "".join(f"{event.position} {event.hash}\\n" for event in events).encode())
"""


def start(postgres: str, schema: str, said: Path) -> subprocess.Popen[bytes]:
    with said.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-c", WRITER, postgres, schema, said.name],
            stdout=stream,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )


def wait_for_lines(said: Path, *, more_than: int = 3) -> None:
    deadline = time.monotonic() + 60
    while said.read_text().count("\n") <= more_than:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def paused(writer: "subprocess.Popen[bytes]", said: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Pause a writer that has written; end it, whatever becomes of the test."""
    with writer:
        try:
            wait_for_lines(said)
            writer.send_signal(signal.SIGSTOP)
            yield writer
        finally:
            writer.kill()


def test_what_was_acknowledged_survives_kills_and_takeovers(
    log: PostgresLog, postgres: str, schema: str, tmp_path: Path
) -> None:
    said = [tmp_path / f"writer-{number}" for number in range(4)]
    for path in said:
        writer = start(postgres, schema, path)
        wait_for_lines(path)
        writer.kill()
        writer.communicate()
    kept = {f"{event.position} {event.hash}" for event in log.read()}
    for path in said:
        assert set(path.read_text().split("\n")[:-1]) <= kept
    tokens = [event.body["token"] for event in log.read()]
    assert [token for token, _ in itertools.groupby(tokens)] == [1, 2, 3, 4]
    assert log.verify().intact


def test_a_writer_that_was_paused_is_fenced(
    log: PostgresLog, postgres: str, schema: str, tmp_path: Path
) -> None:
    said = tmp_path / "zombie"
    with paused(start(postgres, schema, said), said) as zombie:
        leases = PostgresLeases(postgres, schema=schema)
        # Paused in the middle of a commit it keeps the lease until the database ends its session.
        deadline = time.monotonic() + 60
        lease = None
        while lease is None:
            assert time.monotonic() < deadline
            with contextlib.suppress(OutsideError):
                lease = leases.take("loop", holder="second", over=leases.read("loop"))
        log.append([draft(token=lease.token)], fence=lease)
        events = log.head().position
        zombie.send_signal(signal.SIGCONT)
        _, words = zombie.communicate(timeout=60)
        assert zombie.returncode == 1
        assert b"bucle-410" in words or b"bucle-415" in words
    assert log.head().position == events
    with pytest.raises(FencedError):
        log.append([draft()], fence=lease.__class__(name="loop", holder="zombie", token=1))
    leases.close()
