"""What every adapter of a port must do, as pytest classes: subclass one and name the adapter.

Needs pytest. Must not be imported by anything but tests.
"""

# These are tests, though they ship: asserts, names that say what a docstring would, plain
# numbers, moments without a zone.
# ruff: noqa: D102, DTZ001, PLR2004, S101

import threading
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bucle.errors import LogError, RequestError, StalePositionError, UnknownNameError
from bucle.ids import digest_bytes
from bucle.store.chain import ZERO_HASH, check
from bucle.testing.samples import draft, sample_frame
from bucle.types import Blobs, Draft, Event, Head, Log, Tables

__all__ = ["BlobsContract", "LogContract", "TablesContract"]


class LogContract:
    """The promises of a log. Override the fixture `log` with an empty one."""

    @pytest.fixture
    def log(self) -> Log:
        """Return an empty log of the adapter under test."""
        raise NotImplementedError

    def test_empty_log_has_no_events_and_a_zero_head(self, log: Log) -> None:
        assert list(log.read()) == []
        assert log.head() == Head(0, ZERO_HASH)
        seen = log.verify()
        assert (seen.events, seen.head, seen.intact) == (0, ZERO_HASH, True)

    def test_what_was_appended_is_read_in_order(self, log: Log) -> None:
        first = log.append([draft(1), draft(2)])
        second = log.append([draft(3)])
        assert tuple(log.read()) == first + second
        assert [event.position for event in first + second] == [1, 2, 3]
        assert [event.body["number"] for event in log.read()] == [1, 2, 3]

    def test_events_carry_what_the_draft_said(self, log: Log) -> None:
        (event,) = log.append(
            [draft(7, words=["ñ", "\x00", "\U0001f600"], deep={"a": [None, -0.5]})]
        )
        (found,) = log.read()
        assert found == event
        assert found.body == {
            "number": 7,
            "words": ["ñ", "\x00", "\U0001f600"],
            "deep": {"a": [None, -0.5]},
        }
        assert (found.kind, found.version, found.at, found.actor, found.cause) == (
            "noted",
            1,
            "2026-01-02T03:04:05.000000Z",
            "test",
            "contract",
        )

    def test_each_event_follows_the_one_before(self, log: Log) -> None:
        log.append([draft(number) for number in range(5)])
        previous = ZERO_HASH
        for position, event in enumerate(log.read(), 1):
            assert check(event, position=position, previous=previous) == ""
            previous = event.hash
        assert log.head() == Head(5, previous)

    def test_reading_starts_after_a_position(self, log: Log) -> None:
        events = log.append([draft(number) for number in range(5)])
        assert tuple(log.read(after=3)) == events[3:]
        assert list(log.read(after=5)) == []
        assert list(log.read(after=99)) == []
        assert tuple(log.read(after=-1)) == events

    def test_appending_nothing_changes_nothing(self, log: Log) -> None:
        assert log.append([]) == ()
        log.append([draft()])
        before = log.head()
        assert log.append([], expected=1) == ()
        assert log.head() == before

    def test_append_at_the_expected_position_succeeds(self, log: Log) -> None:
        log.append([draft(1)], expected=0)
        (event,) = log.append([draft(2)], expected=1)
        assert event.position == 2

    @pytest.mark.parametrize("expected", [0, 2, -1])
    def test_append_at_another_position_is_refused_and_writes_nothing(
        self, log: Log, expected: int
    ) -> None:
        log.append([draft(1)])
        before = log.head()
        with pytest.raises(StalePositionError) as refusal:
            log.append([draft(2)], expected=expected)
        assert (refusal.value.expected, refusal.value.actual) == (expected, 1)
        assert log.head() == before

    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), {1, 2}, b"bytes", "\ud800", {1: "a", "1": "b"}]
    )
    def test_body_that_is_not_json_is_refused_and_writes_nothing(
        self, log: Log, value: object
    ) -> None:
        log.append([draft(1)])
        with pytest.raises(LogError) as refusal:
            log.append([draft(2), draft(3, value=value)])
        assert refusal.value.code == "bucle-203"
        assert log.head().position == 1

    @pytest.mark.parametrize("value", [10**400, -(2**63) - 1, 1e16, -0.0, 5e-324, 1.0, (1, (2,))])
    def test_numbers_and_tuples_survive(self, log: Log, value: object) -> None:
        (event,) = log.append([draft(value=value)])
        (found,) = log.read()
        assert found == event
        assert repr(found.body["value"]) == repr(value).replace("(1, (2,))", "[1, [2]]")

    def test_changing_a_read_event_does_not_change_the_log(self, log: Log) -> None:
        (event,) = log.append([draft(1)])
        event.body["number"] = 2
        next(iter(log.read())).body["number"] = 3
        assert next(iter(log.read())).body["number"] == 1
        assert log.verify().intact

    def test_unknown_kinds_and_later_versions_are_kept(self, log: Log) -> None:
        strange = Draft(
            kind="of_the_future", version=9, body={"new": True}, at="later", actor="", cause=""
        )
        log.append([strange, draft()])
        found = next(iter(log.read()))
        assert (found.kind, found.version, found.body) == ("of_the_future", 9, {"new": True})

    def test_an_earlier_wall_time_does_not_change_the_order(self, log: Log) -> None:
        for moment in ("2026-05-01", "1999-01-01", "2026-04-01"):
            log.append([Draft(kind="noted", body={}, at=moment, actor="test")])
        assert [event.at for event in log.read()] == ["2026-05-01", "1999-01-01", "2026-04-01"]
        assert log.verify().intact

    def test_threads_never_interleave_within_an_append(self, log: Log) -> None:
        written: list[tuple[Event, ...]] = []

        def write(writer: int) -> None:
            written.extend(
                log.append([draft(turn, writer=writer) for _ in range(3)]) for turn in range(5)
            )

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.verify().events == 60
        for events in written:
            first = events[0].position
            assert [event.position for event in events] == [first, first + 1, first + 2]

    def test_appending_while_reading_does_not_disturb_the_reader(self, log: Log) -> None:
        log.append([draft(number) for number in range(3)])
        seen = []
        for event in log.read():
            seen.append(event.position)
            if event.position == 1:
                log.append([draft(9)])
        assert seen[:3] == [1, 2, 3]
        assert log.head().position == 4


class BlobsContract:
    """The promises of content under its digest. Override the fixture `blobs` with an empty one."""

    @pytest.fixture
    def blobs(self) -> Blobs:
        """Return an empty keeper of the adapter under test."""
        raise NotImplementedError

    @pytest.mark.parametrize("content", [b"", b"a", b"\x00" * 100, bytes(range(256)) * 5000])
    def test_content_comes_back_under_its_digest(self, blobs: Blobs, content: bytes) -> None:
        digest = blobs.put(content)
        assert digest == digest_bytes(content)
        assert blobs.get(digest) == content
        assert blobs.has(digest)

    def test_putting_twice_is_putting_once(self, blobs: Blobs) -> None:
        assert blobs.put(b"same") == blobs.put(b"same")
        assert blobs.get(digest_bytes(b"same")) == b"same"

    def test_unknown_digest_is_refused(self, blobs: Blobs) -> None:
        digest = digest_bytes(b"never kept")
        assert not blobs.has(digest)
        with pytest.raises(UnknownNameError):
            blobs.get(digest)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "../../etc/passwd",
            "a" * 63,
            "A" * 64,
            "a" * 65,
            "/" * 64,
            "é" * 64,
            "a" * 63 + "\n",
        ],
    )
    def test_name_that_is_no_digest_is_refused(self, blobs: Blobs, name: str) -> None:
        assert not blobs.has(name)
        with pytest.raises(UnknownNameError):
            blobs.get(name)

    def test_content_is_kept_apart_from_what_the_caller_changes(self, blobs: Blobs) -> None:
        content = bytearray(b"before")
        digest = blobs.put(bytes(content))
        content[:] = b"after!"
        assert blobs.get(digest) == b"before"

    def test_threads_putting_the_same_content_agree(self, blobs: Blobs) -> None:
        content = bytes(range(256)) * 400
        digests: list[str] = []
        threads = [
            threading.Thread(target=lambda: digests.append(blobs.put(content))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert digests == [digest_bytes(content)] * 8
        assert blobs.get(digests[0]) == content


class TablesContract:
    """The promises of versioned tables. Override the fixture `tables` with an empty one."""

    @pytest.fixture
    def tables(self) -> Tables:
        """Return an empty keeper of the adapter under test."""
        raise NotImplementedError

    def test_table_that_was_never_written_has_no_version(self, tables: Tables) -> None:
        assert tables.version("sales") is None
        with pytest.raises(UnknownNameError):
            tables.read("sales")
        with pytest.raises(UnknownNameError):
            tables.restore("sales", version=0)
        assert tables.version("sales") is None

    def test_versions_count_from_zero_and_stay_readable(self, tables: Tables) -> None:
        frames = [pl.DataFrame({"a": [number, number + 1]}) for number in range(4)]
        for number, frame in enumerate(frames):
            assert tables.write("sales", frame, mode="replace") == number
            assert tables.version("sales") == number
        for number, frame in enumerate(frames):
            assert_frame_equal(tables.read("sales", version=number), frame)
        assert_frame_equal(tables.read("sales"), frames[-1])

    def test_appended_rows_come_after_the_others(self, tables: Tables) -> None:
        tables.write("sales", pl.DataFrame({"a": [3, 1]}), mode="append")
        tables.write("sales", pl.DataFrame({"a": [2]}), mode="append")
        assert sorted(tables.read("sales")["a"].to_list()) == [1, 2, 3]
        assert tables.read("sales", version=0)["a"].to_list() == [3, 1]
        assert tables.read("sales").equals(tables.read("sales"))

    def test_many_rows_keep_their_order(self, tables: Tables) -> None:
        pieces = [pl.DataFrame({"a": range(start, start + 997)}) for start in range(0, 99700, 997)]
        frame = pl.concat(pieces, rechunk=False)
        tables.write("sales", frame, mode="replace")
        assert_frame_equal(tables.read("sales"), frame)

    def test_any_frame_comes_back_equal(self, tables: Tables) -> None:
        frame = sample_frame()
        tables.write("sales", frame, mode="replace")
        assert_frame_equal(tables.read("sales"), frame, check_exact=True)
        tables.write("sales", frame.head(1), mode="append")
        assert tables.read("sales").schema == frame.schema

    def test_frame_without_rows_keeps_its_columns(self, tables: Tables) -> None:
        frame = sample_frame().head(0)
        tables.write("sales", frame, mode="replace")
        assert_frame_equal(tables.read("sales"), frame)
        tables.write("sales", sample_frame(), mode="append")
        assert_frame_equal(tables.read("sales"), sample_frame())

    def test_some_columns_and_rows_are_what_filtering_all_gives(self, tables: Tables) -> None:
        moments = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 29)]
        for first in (0, 14):
            frame = pl.DataFrame({"At": moments[first : first + 14], "a": range(first, first + 14)})
            tables.write("sales", frame.with_columns(at=pl.lit("x")), mode="append")
        whole, since = tables.read("sales"), moments[10]
        found = tables.read("sales", columns=["a", "At"], since=("At", since))
        assert_frame_equal(found, whole.filter(pl.col("At") >= since).select("a", "At"))
        assert_frame_equal(tables.read("sales", columns=["at"]), whole.select("at"))
        late = tables.read("sales", version=0, since=("At", moments[20]))
        assert_frame_equal(late, whole.head(0))
        with pytest.raises(UnknownNameError):
            tables.read("sales", columns=["b"])

    def test_rows_after_the_first_ones_are_the_same_in_every_later_version(
        self, tables: Tables
    ) -> None:
        for first in range(0, 40, 10):
            frame = pl.DataFrame({"a": range(first, first + 10), "b": [str(first)] * 10})
            tables.write("sales", frame, mode="append")
        for _ in range(2):
            whole = tables.read("sales")
            for after in (0, 1, 9, 10, 11, 25, 39, 40, 99):
                found = tables.read("sales", columns=["b", "a"], after=after)
                assert_frame_equal(found, whole.slice(after).select("b", "a"))
            assert (tables.rows("sales"), tables.rows("sales", version=1)) == (40, 20)
            assert tables.read("sales", version=1, after=15)["a"].to_list() == [15, 16, 17, 18, 19]
            tables.merge_files("sales", after=1)

    def test_replacing_may_change_the_columns(self, tables: Tables) -> None:
        tables.write("sales", pl.DataFrame({"a": [1]}), mode="replace")
        tables.write(
            "sales", pl.DataFrame({"b": ["x"], "a": [datetime(2026, 1, 2)]}), mode="replace"
        )
        assert tables.read("sales", version=0).to_dicts() == [{"a": 1}]
        assert tables.read("sales").to_dicts() == [{"b": "x", "a": datetime(2026, 1, 2)}]

    @pytest.mark.parametrize(
        "other",
        [{"a": ["x"]}, {"b": [1]}, {"a": [1], "b": [1]}, {"a": pl.Series([1], dtype=pl.Int32)}],
    )
    def test_appending_other_columns_is_refused(self, tables: Tables, other: Any) -> None:
        tables.write("sales", pl.DataFrame({"a": [1]}), mode="append")
        with pytest.raises(RequestError) as refusal:
            tables.write("sales", pl.DataFrame(other), mode="append")
        assert refusal.value.code == "bucle-306"
        assert tables.version("sales") == 0

    def test_columns_in_another_order_are_appended_by_name(self, tables: Tables) -> None:
        tables.write("sales", pl.DataFrame({"a": [1], "b": [2]}), mode="append")
        tables.write("sales", pl.DataFrame({"b": [4], "a": [3]}), mode="append")
        assert sorted(tables.read("sales").rows()) == [(1, 2), (3, 4)]

    def test_restoring_makes_an_older_version_the_newest(self, tables: Tables) -> None:
        first = pl.DataFrame({"a": [1, 2]})
        tables.write("sales", first, mode="replace")
        tables.write("sales", pl.DataFrame({"t": [datetime(2026, 1, 2)]}), mode="replace")
        assert tables.restore("sales", version=0) == 2
        assert tables.version("sales") == 2
        assert_frame_equal(tables.read("sales"), first)
        assert tables.write("sales", pl.DataFrame({"a": [3]}), mode="append") == 3
        assert sorted(tables.read("sales")["a"].to_list()) == [1, 2, 3]

    def test_restoring_the_newest_version_changes_nothing(self, tables: Tables) -> None:
        tables.write("sales", pl.DataFrame({"a": [1]}), mode="replace")
        assert tables.restore("sales", version=0) == 0
        assert tables.version("sales") == 0

    @pytest.mark.parametrize("version", [-1, 1, 99])
    def test_version_that_does_not_exist_is_refused(self, tables: Tables, version: int) -> None:
        tables.write("sales", pl.DataFrame({"a": [1]}), mode="replace")
        with pytest.raises(UnknownNameError):
            tables.read("sales", version=version)
        with pytest.raises(UnknownNameError):
            tables.restore("sales", version=version)

    @pytest.mark.parametrize(
        "name",
        ["", ".", "..", "../sales", "a/b", "a\\b", "a\0b", "Ä", ".x", "-rf", "x" * 121, "a "],
    )
    def test_name_that_could_be_a_path_is_refused(self, tables: Tables, name: str) -> None:
        with pytest.raises(RequestError) as refusal:
            tables.write(name, pl.DataFrame({"a": [1]}), mode="replace")
        assert refusal.value.code == "bucle-308"

    @pytest.mark.parametrize(
        "frame",
        [
            pl.DataFrame(),
            pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)}),
            pl.DataFrame({"a": pl.Series([{}], dtype=pl.Struct([]))}),
            pl.DataFrame({"a": pl.Series([1], dtype=pl.Datetime("ns"))}),
            pl.DataFrame({"a": [{"x": 1, "X": 2}]}),
            pl.DataFrame({"a": [{"x\0": 1}]}),
        ],
        ids=["no columns", "object", "empty struct", "nanoseconds", "case in struct", "nul"],
    )
    def test_frame_that_would_not_survive_is_refused(
        self, tables: Tables, frame: pl.DataFrame
    ) -> None:
        with pytest.raises(RequestError) as refusal:
            tables.write("sales", frame, mode="replace")
        assert refusal.value.code == "bucle-307"
        assert tables.version("sales") is None

    def test_changing_a_frame_later_does_not_change_the_table(self, tables: Tables) -> None:
        frame = pl.DataFrame({"a": [1, 2]})
        tables.write("sales", frame, mode="replace")
        frame[0, "a"] = 9
        read = tables.read("sales")
        read[1, "a"] = 9
        assert tables.read("sales")["a"].to_list() == [1, 2]

    def test_tables_do_not_mix(self, tables: Tables) -> None:
        tables.write("sales", pl.DataFrame({"a": [1]}), mode="replace")
        tables.write("sales.quarantine", pl.DataFrame({"b": [2]}), mode="replace")
        assert tables.read("sales").columns == ["a"]
        assert tables.read("sales.quarantine").columns == ["b"]

    def test_rows_delivered_twice_are_there_once(self, tables: Tables) -> None:
        assert tables.marks("sales") == {}
        first, second = pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})
        assert tables.append_once("sales", first, marks={"x": 1, "y": 7}) == 0
        assert tables.append_once("sales", first, marks={"x": 1, "y": 7}) is None
        assert tables.append_once("sales", first, marks={"x": 0}) is None
        assert tables.append_once("sales", second, marks={"x": 4}) == 1
        assert tables.append_once("sales", second, marks={"x": 4}) is None
        assert tables.read("sales")["a"].to_list() == [1, 2]
        assert tables.marks("sales") == {"x": 4, "y": 7}
        assert tables.marks("sales", version=0) == {"x": 1, "y": 7}

    def test_delivery_of_which_a_part_is_there_is_refused(self, tables: Tables) -> None:
        frame = pl.DataFrame({"a": [1]})
        tables.append_once("sales", frame, marks={"x": 3})
        with pytest.raises(RequestError) as refusal:
            tables.append_once("sales", frame, marks={"x": 3, "y": 1})
        assert refusal.value.code == "bucle-329"
        assert tables.version("sales") == 0
        assert tables.marks("sales") == {"x": 3}

    def test_marks_stay_when_rows_are_replaced_or_restored(self, tables: Tables) -> None:
        tables.append_once("sales", pl.DataFrame({"a": [1]}), marks={"x": 1})
        tables.append_once("sales", pl.DataFrame({"a": [2]}), marks={"x": 2})
        tables.write("sales", pl.DataFrame({"a": [9]}), mode="replace")
        assert tables.append_once("sales", pl.DataFrame({"a": [2]}), marks={"x": 2}) is None
        tables.restore("sales", version=0)
        assert tables.append_once("sales", pl.DataFrame({"a": [2]}), marks={"x": 2}) is None
        assert tables.read("sales")["a"].to_list() == [1]

    def test_tables_have_marks_of_their_own(self, tables: Tables) -> None:
        tables.append_once("sales", pl.DataFrame({"a": [1]}), marks={"x": 1})
        assert tables.append_once("visits", pl.DataFrame({"a": [1]}), marks={"x": 1}) == 0

    def test_writers_of_one_table_take_turns(self, tables: Tables) -> None:
        numbers: list[int] = []

        def write(writer: int) -> None:
            numbers.extend(
                tables.write("sales", pl.DataFrame({"a": [writer]}), mode="append")
                for _ in range(3)
            )

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(12))
        assert tables.read("sales").height == 12
