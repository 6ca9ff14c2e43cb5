"""Built-in steps read the version that the log names and show what was known then."""

from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest

from bucle.charter.settings import DatasetSettings
from bucle.clock import from_iso
from bucle.data.fingerprint import fingerprint
from bucle.errors import DigestMismatchError, RequestError
from bucle.loop.views import find_cut, take_view
from bucle.store.delta_tables import DeltaTables

RULES = DatasetSettings(key="id", event_time="day", label="price", label_time="sold")
START = datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def rows(count, *, wait=30, zone=None):
    days = [START + timedelta(days=number) for number in range(count)]
    frame = pl.DataFrame(
        {
            "id": range(count),
            "day": days,
            "price": [float(number) for number in range(count)],
            "sold": [day + timedelta(days=wait) for day in days],
        }
    )
    if zone is None:
        return frame
    times = pl.col("day", "sold").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return frame.with_columns(times)


@pytest.fixture
def ask(tmp_path):
    tables = DeltaTables(tmp_path)

    def write(frame):
        return tables.write("sales", frame, mode="replace")

    def call(function, *, version=0, rules=RULES, moment=None, recorded=None, **more):
        given = {
            "tables": str(tmp_path),
            "version": {
                "dataset": "sales",
                "version": version + 1,
                "table_version": version,
                "rows": 0,
                "fingerprint": recorded or fingerprint(tables.read("sales", version=version)),
            },
            "settings": msgspec.to_builtins(rules),
            "holdout": 0.2,
            "moment": moment,
            "seed": 0,
        }
        return function(**given, **more)

    call.write = write
    return call


@pytest.mark.parametrize("zone", [None, "UTC", "America/Lima"])
def test_training_ends_where_the_newest_labelled_rows_begin(ask, zone):
    ask.write(rows(100, zone=zone))
    found = ask(find_cut)
    assert found["cut"] == "2025-03-22T00:00:00.000000Z"
    assert found["end"] == "2025-05-10T00:00:00.000000Z"
    assert (found["train_rows"], found["newer_rows"]) == (80, 100)


@pytest.mark.parametrize("zone", [None, "America/Lima"])
def test_training_sees_no_label_that_came_after_the_cut(ask, zone):
    ask.write(rows(100, zone=zone))
    cut = ask(find_cut)["cut"]
    train = ask(take_view, part="train", cut=cut)
    assert train.height == 80
    known = train.filter(pl.col("price").is_not_null())
    assert known["id"].to_list() == list(range(51))


def test_newer_view_has_every_row_and_label_known_now(ask):
    ask.write(rows(100))
    newer = ask(take_view, part="newer", cut="2025-03-22T00:00:00.000000Z")
    assert newer.height == 100
    assert newer["price"].null_count() == 0


def test_moment_of_the_run_hides_what_came_later(ask):
    ask.write(rows(100))
    moment = "2025-02-10T00:00:00.000000Z"
    found = ask(find_cut, moment=moment)
    assert from_iso(found["end"]) == datetime(2025, 2, 10, tzinfo=UTC)
    assert from_iso(found["cut"]) < datetime(2025, 2, 10, tzinfo=UTC)
    newer = ask(take_view, part="newer", cut=found["cut"], moment=moment)
    assert newer.height == 40
    assert newer["price"].count() == 11


def test_version_that_the_log_names_is_read_and_not_the_latest(ask):
    assert (ask.write(rows(100)), ask.write(rows(200))) == (0, 1)
    assert ask(find_cut, version=0)["newer_rows"] == 100
    assert ask(take_view, version=0, part="all", cut=None).height == 100


def test_table_without_times_and_labels_belongs_to_both_parts(ask):
    ask.write(rows(10))
    rules = DatasetSettings(key="id")
    for part in ("train", "newer"):
        assert (
            ask(take_view, rules=rules, part=part, cut="2025-01-05T00:00:00.000000Z").height == 10
        )


def test_rows_without_event_time_are_split_with_a_warning(ask):
    ask.write(rows(500))
    rules = DatasetSettings(key="id", label="price")
    found = ask(find_cut, rules=rules)
    assert (found["cut"], found["end"]) == (None, None)
    assert "no event_time" in found["warnings"][0]
    train, newer = (ask(take_view, rules=rules, part=part, cut=None) for part in ("train", "newer"))
    assert set(train["id"]).isdisjoint(newer["id"])
    assert train.height + newer.height == 500


def test_rows_that_are_not_those_on_record_are_not_learned_from(ask):
    ask.write(rows(100))
    ask.write(rows(100).with_columns(pl.col("price") + 1))
    recorded = fingerprint(rows(100))
    assert ask(find_cut, version=0, recorded=recorded)["newer_rows"] == 100
    with pytest.raises(DigestMismatchError, match="version 2 of 'sales'"):
        ask(find_cut, version=1, recorded=recorded)
    with pytest.raises(DigestMismatchError, match="version 2 of 'sales'"):
        ask(take_view, version=1, recorded=recorded, part="all", cut=None)


def test_window_that_holds_nothing_is_told(ask):
    ask.write(rows(100))
    since, moment = "2026-01-01T00:00:00.000000Z", "2026-11-01T00:00:00.000000Z"
    with pytest.raises(RequestError, match="no row since 2026-01-01") as caught:
        ask(find_cut, moment=moment, since=since)
    assert caught.value.code == "bucle-242"
