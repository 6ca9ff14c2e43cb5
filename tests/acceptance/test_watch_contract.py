"""The contract layer on a project: rows in quarantine, refused, too few, too late, not allowed."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from shop import rows, write_rows
from shop_days import PER_DAY, live, microseconds, start, write

from bucle.errors import DigestMismatchError
from bucle.loop.datasets import add_rows
from bucle.loop.watching.watched import ContractLayer, Watched
from bucle.loop.watching.watching import watch_in_detail, watch_project
from bucle.loop.workspace import Workspace, open_workspace
from bucle.serve.counts import Counts, share
from bucle.serve.records import Prediction, PredictionIds


@pytest.fixture
def workspace(shop: Path) -> Workspace:
    return open_workspace(shop)


def look(workspace: Workspace, now: datetime) -> ContractLayer:
    return watch_project(workspace, now).contract


def kinds(layer: ContractLayer) -> dict[str, str]:
    return {one.subject: one.kind for one in layer.breaches}


def test_rows_that_come_as_before_keep_the_contract(workspace: Workspace) -> None:
    contract = look(workspace, live(workspace, days=20))
    assert contract.breaches == ()
    assert {"volume of predictions", "freshness of predictions", "quarantine of sales"} <= set(
        contract.judged
    )
    assert [day.rows for day in contract.volume] == [PER_DAY] * 19


def test_before_there_is_anything_it_says_what_it_cannot_judge(workspace: Workspace) -> None:
    contract = look(workspace, start(workspace))
    assert contract.breaches == ()
    assert len(contract.unknown) == 3


def test_a_night_without_rows_is_nothing_and_two_days_are(workspace: Workspace) -> None:
    end = live(workspace, days=20)
    assert kinds(look(workspace, end + timedelta(hours=3))) == {}
    late = look(workspace, end + timedelta(days=3))
    found = {one.kind: one for one in late.breaches}
    assert set(found) == {"freshness", "volume"}
    assert found["volume"].found == 0
    assert found["freshness"].found > 60
    assert found["volume"].since == str(end.date())


def test_a_batch_that_breaches_the_contract_is_an_alarm_until_it_is_mended(
    workspace: Workspace,
) -> None:
    bad = [(*row[:3], "-1", row[4]) for row in rows(90, first=600)]
    file = write_rows(workspace.root / "more.csv", bad)
    add_rows(workspace, "sales", [file])
    watched = watch_project(workspace, workspace.clock.now())
    (alarm,) = [one for one in watched.alarms if one.layer == "contract"]
    assert alarm.name == "contract: sales: quarantine"
    assert "90 of 90 rows" in alarm.why
    assert alarm.since == str(workspace.clock.now().date())
    assert len(alarm.examples) == 3
    assert all(row.id.startswith("q-") and "size" in row.value for row in alarm.examples)
    mended = write_rows(workspace.root / "more.csv", rows(90, first=600))
    add_rows(workspace, "sales", [mended])
    assert look(workspace, workspace.clock.now()).breaches == ()


def test_rows_that_servers_refuse_are_told_by_column_and_reason(workspace: Workspace) -> None:
    end = live(workspace, days=3)
    counts = Counts()
    counts.predicted("m-1", "champion", 100)
    for _ in range(40):
        counts.refused("below the least", "size")
    share(counts, workspace.home / "serve", server=1, worker=0)
    (found,) = look(workspace, end).breaches
    assert (found.kind, found.subject) == ("refused", "size")
    assert found.found == pytest.approx(40 / 140)
    assert "below the least" in found.why
    few = Counts()
    few.predicted("m-1", "champion", 100)
    few.refused("below the least", "size")
    share(few, workspace.home / "serve", server=1, worker=0)
    assert look(workspace, end).breaches == ()


def test_refusals_of_more_than_a_week_ago_are_over(workspace: Workspace) -> None:
    end = live(workspace, days=3)
    folder = workspace.home / "serve"
    counts = Counts()
    counts.predicted("m-1", "champion", 100)
    for _ in range(40):
        counts.refused("below the least", "size")
    share(counts, folder, server=1, worker=0)

    def refused(days: int) -> list[tuple[str, float]]:
        layer = look(workspace, end + timedelta(days=days))
        return [(one.since, one.found) for one in layer.breaches if one.kind == "refused"]

    assert len(refused(0)) == 1
    assert len(refused(5)) == 1
    assert refused(8) == []
    for _ in range(60):
        counts.refused("below the least", "size")
    share(counts, folder, server=1, worker=0)
    # Only what came since the look of a week ago counts.
    assert refused(9) == [(str(end.date()), 1.0)]
    # A server that begins anew counts from nothing.
    fresh = Counts()
    fresh.predicted("m-1", "champion", 10)
    for _ in range(30):
        fresh.refused("below the least", "size")
    share(fresh, folder, server=1, worker=0)
    assert refused(10) == [(str((end + timedelta(days=10)).date()), 0.75)]


def test_values_that_the_contract_forbids_are_found_in_answered_rows(workspace: Workspace) -> None:
    end = live(workspace, days=3)
    ids = PredictionIds()
    at = start(workspace) + timedelta(days=1, hours=3)
    (name,) = ids.take()
    write(
        workspace,
        Prediction(
            id=name,
            at=microseconds(at),
            model=workspace.state().tenures[-1].model,
            role="champion",
            prediction=1.0,
            features=json.dumps({"size": -4.0}).encode(),
        ),
    )
    (found,) = look(workspace, end).breaches
    assert (found.kind, found.subject, found.found) == ("ranges", "size", 1.0)
    assert found.since == str(at.date())
    assert [(row.id, row.value) for row in found.examples] == [(name, "-4")]
    # What lies three days back is over.
    assert "ranges" not in kinds(look(workspace, end + timedelta(days=3))).values()


def test_a_day_is_read_once_and_again_when_it_gets_another_row(workspace: Workspace) -> None:
    end = live(workspace, days=12)
    first = watch_in_detail(workspace, end)
    assert first.profiled == 12
    again = watch_in_detail(workspace, end)
    assert again.profiled == 0
    assert plain(again.watched) == plain(first.watched)
    assert msgspec.to_builtins(again.series) == msgspec.to_builtins(first.series)
    (name,) = PredictionIds().take()
    late = Prediction(
        id=name,
        at=microseconds(start(workspace) + timedelta(days=4)),
        model=workspace.state().tenures[-1].model,
        role="champion",
        prediction=20.0,
        features=b'{"size": 3.5}',
    )
    write(workspace, late)
    third = watch_in_detail(workspace, end)
    assert third.profiled == 1
    one = next(one for one in third.series if (one.column, one.kind) == ("size", "mean"))
    assert one.rows == tuple(PER_DAY + (day == 4) for day in range(12))
    stale = next((workspace.home / "watch").rglob(f"{one.dates[2]}.json")).with_name(
        "2020-01-01.json"
    )
    stale.write_bytes(b"{}")
    # A kept day that was changed on the disk is counted anew, whatever it says.
    place = next((workspace.home / "watch").rglob(f"{one.dates[2]}.json"))
    place.write_bytes(place.read_bytes().replace(b'"rows":80', b'"rows":81'))
    assert watch_in_detail(workspace, end).profiled == 1
    # What is looked at no more is swept.
    assert not stale.exists()


def test_where_nothing_can_be_kept_watching_goes_on(workspace: Workspace) -> None:
    end = live(workspace, days=4)
    (workspace.home / "watch").write_text("no folder")
    watched = watch_in_detail(workspace, end)
    assert (watched.profiled, watched.watched.alarms) == (4, ())
    assert watch_in_detail(workspace, end).profiled == 4


def test_intervals_that_hold_too_little_are_told_with_what_would_hold(
    workspace: Workspace,
) -> None:
    end = live(workspace, days=20, wrong=lambda day: 1.0 if day < 10 else 1.3)
    harm = watch_project(workspace, end).harm
    assert harm is not None
    assert harm.coverage is not None
    assert harm.coverage.level == 0.9
    assert harm.coverage.recent < 0.88
    assert harm.coverage.factor > 1.1
    assert [day.rows for day in harm.coverage.days] == [PER_DAY] * 18


def test_findings_name_rows_that_show_them(workspace: Workspace) -> None:
    end = live(workspace, days=20, size=lambda day: 1.0 if day < 12 else 3.0)
    watched = watch_project(workspace, end)
    sizes = [one for one in watched.alarms if one.name == "inputs: size"]
    assert len(sizes) == 1
    assert len(sizes[0].examples) == 3
    assert all(float(row.value) > 10 for row in sizes[0].examples)
    assert sizes[0].since >= str((start(workspace) + timedelta(days=12)).date())


@pytest.mark.thorough
def test_a_week_is_explained_once(workspace: Workspace) -> None:
    end = live(workspace, days=20, size=lambda day: 1.0 if day < 12 else 2.0)
    assert watch_project(workspace, end).separation is None
    found = watch_project(workspace, end, explain="found").separation
    assert found is not None
    assert found.auc > 0.6
    assert found.columns[0].column == "size"
    assert watch_project(workspace, end, explain="always").separation == found
    kept = next((workspace.home / "watch").rglob("separation.json"))
    kept.write_bytes(kept.read_bytes().replace(b'"size"', b'"else"'))
    assert watch_project(workspace, end, explain="always").separation == found


def test_a_prediction_log_that_was_changed_is_not_judged(workspace: Workspace) -> None:
    from bucle.serve.compactor import compact

    end = live(workspace, days=4)
    compact(workspace.home / "serve" / "log", workspace.tables)
    for file in (workspace.home / "tables" / "predictions").glob("*.parquet"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
    with pytest.raises(DigestMismatchError):
        watch_project(workspace, end)


def plain(watched: Watched) -> object:
    return msgspec.to_builtins(watched)
