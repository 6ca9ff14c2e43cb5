"""Whatever happens to the bytes of a log is detected, refused or harmless; a torn end heals."""

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.clock import FixedClock, from_iso
from bucle.errors import BucleError, LogDamagedError, StalePositionError
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.faults import cut_file, flip_byte, zero_block
from bucle.testing.samples import draft
from bucle.types import Event

CLOCK = FixedClock(from_iso("2026-02-03T04:05:06Z"))


def make_log(path: Path, *, events: int) -> list[Event]:
    log = SqliteLog(path)
    made: list[Event] = []
    for number in range(events):
        made.extend(log.append([draft(number, words="palabras " * (number % 5))]))
    log.close()
    assert not path.with_name(path.name + "-wal").exists()
    return made


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[tuple[Path, list[Event]]]:
    """A log whose last events are still in the write-ahead file, as after a kill."""
    path = tmp_path / "whole" / "log.db"
    original = make_log(path, events=3)
    log = SqliteLog(path)
    for number in range(9):
        original.extend(log.append([draft(number)]))
    (tmp_path / "whole" / "log.db-shm").rename(tmp_path / "shm")
    yield path, original
    log.close()


def change(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def read_until_damage(log: SqliteLog) -> tuple[list[Event], BucleError | None]:
    seen: list[Event] = []
    try:
        seen.extend(log.read())
    except BucleError as error:
        # `extend` keeps what was yielded before the error.
        return seen, error
    return seen, None


def judge(path: Path, original: list[Event]) -> str:
    """Say what a changed log did: `detected`, `refused` or `harmless`; anything else fails."""
    log = SqliteLog(path, clock=CLOCK)
    seen, _ = read_until_damage(log)
    assert seen == original[: len(seen)], "an event that was never written was read"
    try:
        found = log.verify()
    except BucleError:
        word = "refused"
    else:
        word = "harmless" if found.intact else "detected"
        if found.intact:
            assert seen == original, "events are missing and nobody noticed"
    try:
        appended = log.append([draft(99)])
    except BucleError:
        assert word != "harmless", "a log that verifies cannot be written"
    else:
        after, error = read_until_damage(SqliteLog(path))
        assert error is None
        assert after[-1] == appended[0]
        if word == "harmless":
            assert after[:-1] == original
        else:
            assert after[-2].kind == "log_repaired"
            assert after[:-2] == original[: len(after) - 2]
        assert SqliteLog(path).verify().intact
    log.close()
    return word


@pytest.fixture(scope="module")
def small_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("small")
    return folder / "log.db", make_log(folder / "log.db", events=40)


def copy_of(log: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(log.parent, place)
    return place / log.name


def test_flipped_bytes_of_the_database_are_noticed_or_harmless(
    small_log: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    path, original = small_log
    size = path.stat().st_size
    chosen = {*range(100), *random.Random(7).sample(range(size), 250)}
    words = [flip_and_judge(path, original, tmp_path / "copy", offset) for offset in sorted(chosen)]
    assert set(words) == {"detected", "refused", "harmless"}


@pytest.mark.slow
def test_every_flipped_byte_of_the_database_is_noticed_or_harmless(
    small_log: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    path, original = small_log
    for offset in range(path.stat().st_size):
        flip_and_judge(path, original, tmp_path / "copy", offset)


def flip_and_judge(path: Path, original: list[Event], place: Path, offset: int) -> str:
    copy = copy_of(path, place)
    flip_byte(copy, offset=offset, mask=1 << (offset % 8))
    return judge(copy, original)


def rows_of(path: Path) -> list[tuple[int, str, str]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT position, content, hash FROM events").fetchall()
    connection.close()
    return rows


def spoil(text: str, place: int) -> bytes:
    content = bytearray(text.encode())
    content[place] ^= 1 + place % 127
    return bytes(content)


def judge_row(path: Path, place: Path, original: list[Event], column: str, position: int, at: int):
    copy = copy_of(path, place)
    (_, content, digest) = rows_of(copy)[position - 1]
    spoiled = spoil(content if column == "content" else digest, at)
    change(
        copy, f"UPDATE events SET {column} = CAST(? AS TEXT) WHERE position = ?", spoiled, position
    )
    log = SqliteLog(copy)
    found = log.verify()
    log.close()
    assert (found.intact, found.damaged) == (False, position)
    assert judge(copy, original) == "detected"


def test_changed_events_are_always_detected(
    small_log: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    path, original = small_log
    chance = random.Random(11)
    rows = rows_of(path)
    for _ in range(80):
        position, content, digest = chance.choice(rows)
        column, text = chance.choice([("content", content), ("hash", digest)])
        at = chance.randrange(len(text.encode()))
        judge_row(path, tmp_path / "copy", original, column, position, at)


@pytest.mark.slow
def test_every_changed_byte_of_every_event_is_detected(
    small_log: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    path, original = small_log
    for position, content, digest in rows_of(path):
        for column, text in (("content", content), ("hash", digest)):
            for at in range(len(text.encode())):
                judge_row(path, tmp_path / "copy", original, column, position, at)


def test_file_cut_at_any_place_is_noticed(
    small_log: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    path, original = small_log
    size = path.stat().st_size
    for length in {0, 1, 15, 16, 99, 100, 512, size - 1, *range(0, size, 2048)}:
        copy = copy_of(path, tmp_path / "copy")
        cut_file(copy, size=length)
        assert judge(copy, original) in {"detected", "refused"}, length


def test_zeroed_blocks_are_noticed(small_log: tuple[Path, list[Event]], tmp_path: Path) -> None:
    path, original = small_log
    for offset in range(0, path.stat().st_size, 512):
        copy = copy_of(path, tmp_path / "copy")
        zero_block(copy, offset=offset, size=512)
        judge(copy, original)


@pytest.mark.parametrize(("first", "second"), [(1, 2), (3, 7), (39, 40), (1, 40)])
def test_swapped_events_are_detected(
    small_log: tuple[Path, list[Event]], tmp_path: Path, first: int, second: int
) -> None:
    path, original = small_log
    copy = copy_of(path, tmp_path / "copy")
    for old, new in ((first, -1), (second, first), (-1, second)):
        change(copy, "UPDATE events SET position = ? WHERE position = ?", new, old)
    found = SqliteLog(copy).verify()
    assert (found.intact, found.damaged, found.events) == (False, first, first - 1)
    with pytest.raises(LogDamagedError) as refusal:
        SqliteLog(copy).append([draft()])
    assert refusal.value.position == first
    assert read_until_damage(SqliteLog(copy))[0] == original[: first - 1]


def test_removed_event_in_the_middle_stops_writes_and_is_named(
    small_log: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    path, original = small_log
    copy = copy_of(path, tmp_path / "copy")
    change(copy, "DELETE FROM events WHERE position = 17")
    before = copy.read_bytes()
    seen, error = read_until_damage(SqliteLog(copy))
    assert seen == original[:16]
    assert isinstance(error, LogDamagedError)
    assert error.position == 17
    assert "Cannot read the log: event 17" in str(error)
    with pytest.raises(LogDamagedError, match="Cannot write to the log: event 17"):
        SqliteLog(copy).append([draft()])
    assert SqliteLog(copy).verify().damaged == 17
    assert rows_of(copy) == [row for row in rows_of(path) if row[0] != 17]
    assert copy.read_bytes() == before


def test_damage_in_the_middle_can_still_be_read_past_by_position(
    small_log: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    path, original = small_log
    copy = copy_of(path, tmp_path / "copy")
    change(copy, "UPDATE events SET content = 'x' WHERE position = 17")
    log = SqliteLog(copy)
    assert list(log.read(after=17 + 3)) == original[20:]
    with pytest.raises(LogDamagedError):
        list(log.read(after=17))


def test_events_of_another_log_do_not_fit(tmp_path: Path) -> None:
    original = make_log(tmp_path / "one" / "log.db", events=6)
    other = SqliteLog(tmp_path / "two" / "log.db")
    other.append([draft(number, other=True) for number in range(9)])
    other.close()
    for row in rows_of(tmp_path / "two" / "log.db")[6:]:
        change(tmp_path / "one" / "log.db", "INSERT INTO events VALUES (?, ?, ?)", *row)
    found = SqliteLog(tmp_path / "one" / "log.db").verify()
    assert (found.intact, found.damaged) == (False, 7)
    assert judge(tmp_path / "one" / "log.db", original) == "detected"


def test_removed_end_is_seen_through_the_head_file_and_recorded(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    original = make_log(path, events=10)
    change(path, "DELETE FROM events WHERE position > 7")
    found = SqliteLog(path).verify()
    assert (found.intact, found.events, found.damaged) == (False, 7, 8)
    assert "ends at event 7" in found.reason
    log = SqliteLog(path, clock=CLOCK)
    assert list(log.read()) == original[:7]
    (event,) = log.append([draft(1)], expected=7)
    repair = list(log.read())[7]
    assert event.position == 9
    assert (repair.kind, repair.version, repair.actor) == ("log_repaired", 1, "bucle")
    assert repair.at == "2026-02-03T04:05:06.000000Z"
    assert repair.body == {
        "removed": 0,
        "after": 7,
        "lost_until": 10,
        "reason": "the log ends at event 7, the head file records 10",
    }
    assert log.verify().intact


def test_rewritten_end_of_the_same_length_is_seen_through_the_head_file(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    make_log(path, events=5)
    head = path.with_suffix(".head").read_bytes()
    change(path, "DELETE FROM events WHERE position > 3")
    path.with_suffix(".head").unlink()
    log = SqliteLog(path)
    log.append([draft(100), draft(101), draft(102)])
    log.close()
    assert log.verify().intact
    log.close()
    path.with_suffix(".head").write_bytes(head)
    found = SqliteLog(path).verify()
    assert (found.intact, found.damaged) == (False, 5)
    with pytest.raises(LogDamagedError, match="head file records another event"):
        SqliteLog(path).append([draft()])


@pytest.mark.parametrize("torn", [1, 3])
def test_torn_end_heals_and_the_evidence_is_kept(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "log.db"
    original = make_log(path, events=8)
    good = 8 - torn
    change(path, "UPDATE events SET content = substr(content, 1, 20) WHERE position > ?", good)
    found = SqliteLog(path).verify()
    assert (found.intact, found.events, found.damaged) == (False, good, good + 1)
    log = SqliteLog(path)
    assert list(log.read()) == original[:good]
    assert log.head().position == good
    with pytest.raises(StalePositionError):
        log.append([draft()], expected=8)
    assert len(rows_of(path)) == 8
    log.append([draft(1)], expected=good)
    kinds = [event.kind for event in log.read()]
    assert kinds == ["noted"] * good + ["log_repaired", "noted"]
    body = list(log.read())[good].body
    assert (body["removed"], body["after"], body["lost_until"]) == (torn, good, 8)
    assert f"event {good + 1}" in body["reason"]
    assert log.verify().intact
    log.close()
    connection = sqlite3.connect(path)
    kept = connection.execute("SELECT position, content, repair FROM torn WHERE content NOTNULL")
    evidence = kept.fetchall()
    connection.close()
    assert [row[0] for row in evidence] == list(range(good + 1, 9))
    assert all(len(row[1]) == 20 and row[2] == good + 1 for row in evidence)


def test_last_event_cut_at_each_byte_heals(tmp_path: Path) -> None:
    original = make_log(tmp_path / "whole" / "log.db", events=4)
    _, content, _ = rows_of(tmp_path / "whole" / "log.db")[-1]
    for length in range(0, len(content), 7):
        copy = copy_of(tmp_path / "whole" / "log.db", tmp_path / "copy")
        change(copy, "UPDATE events SET content = ? WHERE position = 4", content[:length])
        assert judge(copy, original) == "detected"
        kinds = [event.kind for event in SqliteLog(copy).read()]
        assert kinds == ["noted"] * 3 + ["log_repaired", "noted"]


def test_repair_that_was_cut_short_before_the_head_file_is_not_taken_for_tampering(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.db"
    make_log(path, events=5)
    stale = path.with_suffix(".head").read_bytes()
    change(path, "UPDATE events SET hash = 'x' WHERE position = 5")
    SqliteLog(path).append([])
    # As if the process had been killed between the commit and the head file.
    path.with_suffix(".head").write_bytes(stale)
    assert SqliteLog(path).verify().intact
    SqliteLog(path).append([draft()])
    assert [event.kind for event in SqliteLog(path).read()][4:] == ["log_repaired", "noted"]
    assert json.loads(path.with_suffix(".head").read_text())["position"] == 6


def test_repair_happens_once(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    make_log(path, events=5)
    change(path, "DELETE FROM events WHERE position = 5")
    for _ in range(3):
        SqliteLog(path).append([draft()])
    kinds = [event.kind for event in SqliteLog(path).read()]
    assert kinds.count("log_repaired") == 1


def test_write_ahead_file_cut_at_any_place_loses_nothing_unnoticed(
    open_log: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    path, original = open_log
    size = path.with_name("log.db-wal").stat().st_size
    assert size > 9 * 4096
    outcomes = set()
    for length in sorted({0, 31, 32, size - 1, *random.Random(3).sample(range(size), 40)}):
        copy = copy_of(path, tmp_path / "copy")
        cut_file(copy.with_name("log.db-wal"), size=length)
        outcomes.add(judge(copy, original))
    assert "detected" in outcomes


def test_flipped_bytes_of_the_write_ahead_file_lose_nothing_unnoticed(
    open_log: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    path, original = open_log
    size = path.with_name("log.db-wal").stat().st_size
    for offset in random.Random(5).sample(range(size), 60):
        copy = copy_of(path, tmp_path / "copy")
        flip_byte(copy.with_name("log.db-wal"), offset=offset)
        judge(copy, original)


def test_missing_write_ahead_file_is_seen_and_recorded(tmp_path: Path) -> None:
    whole = tmp_path / "whole" / "log.db"
    first = make_log(whole, events=3)
    log = SqliteLog(whole)
    log.append([draft(number) for number in range(4)])
    copy = copy_of(whole, tmp_path / "copy")
    copy.with_name("log.db-wal").unlink()
    copy.with_name("log.db-shm").unlink()
    assert list(SqliteLog(copy).read()) == first
    assert SqliteLog(copy).verify().damaged == 4
    SqliteLog(copy).append([draft(9)])
    repair = list(SqliteLog(copy).read())[3]
    assert (repair.kind, repair.body["lost_until"]) == ("log_repaired", 7)
    assert SqliteLog(copy).verify().intact


def test_log_of_which_nothing_is_left_is_not_begun_anew_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    make_log(path, events=5)
    path.unlink()
    assert list(SqliteLog(path).read()) == []
    found = SqliteLog(path).verify()
    assert (found.intact, found.damaged) == (False, 1)
    with pytest.raises(LogDamagedError, match="none of at least 5 events"):
        SqliteLog(path).append([draft()])


def test_missing_head_file_is_said_and_made_again(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    make_log(path, events=2)
    path.with_suffix(".head").unlink()
    found = SqliteLog(path).verify()
    assert found.intact
    assert "log.head is missing" in found.reason
    SqliteLog(path).append([draft()])
    assert SqliteLog(path).verify().reason == ""


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 90, b'{"hash":"zz","position":3}\n'])
def test_unreadable_head_file_stops_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.db"
    make_log(path, events=2)
    path.with_suffix(".head").write_bytes(content)
    SqliteLog(path).append([draft()])
    assert SqliteLog(path).verify().intact


def test_damage_behind_what_was_already_read_is_found_before_writing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    make_log(path, events=6)
    log = SqliteLog(path)
    assert len(list(log.read())) == 6
    SqliteLog(path).append([draft(6), draft(7), draft(8)])
    change(path, "UPDATE events SET content = '{}' WHERE position = 8")
    with pytest.raises(LogDamagedError) as refusal:
        log.append([draft()])
    assert refusal.value.position == 8


def test_log_with_unknown_kinds_is_carried_on(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = SqliteLog(path)
    strange = draft(1)
    (event,) = log.append(
        [type(strange)(kind="of_the_future", version=7, body={"x": [1]}, at="", actor="")]
    )
    log.append([draft(2)])
    log.close()
    assert next(iter(SqliteLog(path).read())) == event
    assert SqliteLog(path).verify().intact
