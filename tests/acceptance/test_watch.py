"""What `bucle watch` says of a project whose predictions and labels are on record."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from calls import bucle
from shop import write_shop
from shop_days import PER_DAY, live, start

from bucle.clock import SharedClock
from bucle.errors import RequestError
from bucle.loop.watching.watching import Watched, watch_project
from bucle.loop.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(shop: Path) -> Workspace:
    return open_workspace(shop)


def look(workspace: Workspace, now: datetime) -> Watched:
    watched = watch_project(workspace, now)
    assert watched.why == ()
    return watched


def test_a_world_that_stays_as_it_was_is_quiet(workspace: Workspace) -> None:
    watched = look(workspace, live(workspace, days=20))
    assert watched.inputs is not None
    assert watched.harm is not None
    assert watched.inputs.findings == ()
    assert watched.inputs.days == 20
    assert watched.harm.alarm is None
    assert watched.harm.evidence < 1
    # The last days' labels may still come.
    assert watched.harm.delay_days == pytest.approx(2)
    assert watched.harm.labelled == watched.harm.rows == 18 * PER_DAY
    assert watched.harm.error == pytest.approx(2 * np.sqrt(2 / np.pi), rel=0.1)


def test_inputs_that_move_are_found_and_dated_and_are_no_harm(workspace: Workspace) -> None:
    end = live(workspace, days=20, size=lambda day: 1.0 if day < 12 else 3.0)
    watched = look(workspace, end)
    assert watched.inputs is not None
    assert watched.harm is not None
    assert {finding.measure.column for finding in watched.inputs.findings} == {
        "size",
        "(prediction)",
    }
    assert watched.inputs.since is not None
    began = (start(workspace) + timedelta(days=12)).date()
    assert began <= date.fromisoformat(watched.inputs.since) <= began + timedelta(days=4)
    assert watched.harm.alarm is None


def test_errors_that_grow_are_an_alarm_although_inputs_stay(workspace: Workspace) -> None:
    end = live(workspace, days=30, wrong=lambda day: 1.0 if day < 15 else 1.6)
    watched = look(workspace, end)
    assert watched.inputs is not None
    assert watched.harm is not None
    assert watched.inputs.findings == ()
    assert watched.harm.alarm is not None
    assert watched.harm.since is not None
    began = start(workspace) + timedelta(days=15)
    assert abs(datetime.fromisoformat(watched.harm.since).date() - began.date()) <= timedelta(2)
    assert watched.harm.error is not None
    assert watched.harm.reference is not None
    assert watched.harm.error > 1.4 * watched.harm.reference


def test_errors_that_were_large_for_some_days_are_no_alarm_any_more(workspace: Workspace) -> None:
    end = live(workspace, days=75, wrong=lambda day: 1.6 if 10 <= day < 22 else 1.0)
    meanwhile = look(workspace, start(workspace) + timedelta(days=24))
    assert meanwhile.harm is not None
    assert meanwhile.harm.alarm is not None
    assert [one.layer for one in meanwhile.alarms] == ["harm"]
    watched = look(workspace, end)
    assert watched.harm is not None
    assert watched.harm.alarm is None
    assert watched.alarms == ()


def test_nothing_seen_yet_is_said(workspace: Workspace) -> None:
    watched = look(workspace, start(workspace))
    assert watched.inputs is not None
    assert watched.harm is not None
    assert (watched.inputs.date, watched.harm.rows) == (None, 0)


def test_without_a_champion_there_is_nothing_to_watch(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop")
    with pytest.raises(RequestError, match="no champion"):
        watch_project(open_workspace(folder), datetime(2026, 1, 1, tzinfo=UTC))
    assert "no champion" in bucle("watch", at=folder, code=2).err


def test_looking_again_gives_the_same(workspace: Workspace) -> None:
    end = live(workspace, days=9)
    assert look(workspace, end) == look(workspace, end)


def test_the_command_says_it_in_words(workspace: Workspace) -> None:
    live(workspace, days=3)
    said = bucle("watch", at=workspace.root).out
    assert "one false alarm in 180 days" in said
    assert "no whole day of predictions yet" in said
    found = bucle("watch", "--json", at=workspace.root).json
    assert found["champion"] == workspace.state().tenures[-1].model


@pytest.mark.thorough
def test_a_moment_can_be_asked_for(workspace: Workspace) -> None:
    end = live(workspace, days=20)
    at = end.isoformat()
    found = bucle("watch", "--as-of", at, "--json", at=workspace.root).json
    assert (found["at"], found["inputs"]["days"]) == (at, 20)
    assert found["harm"]["labelled"] == 18 * PER_DAY
    said = bucle("watch", "--as-of", "2000-01-01", at=workspace.root, code=2)
    assert "no champion" in said.err
    said = bucle("watch", "--as-of", "yesterday", at=workspace.root, code=2)
    assert "bucle watch --as-of 2026-01-31" in said.err


def test_a_simulated_project_is_judged_as_of_the_end_of_its_time(workspace: Workspace) -> None:
    end = live(workspace, days=20)
    clock = workspace.home / "clock"
    clock.write_bytes(bytes(8))
    # The clock of a project that has lived on without it says nothing.
    assert bucle("watch", "--json", at=workspace.root).json["inputs"]["days"] == 0
    SharedClock(clock).move(end)
    assert bucle("watch", "--json", at=workspace.root).json["at"] == end.isoformat()
    said = bucle("watch", at=workspace.root).out.splitlines()[0]
    assert said == f"as of     {end:%Y-%m-%d %H:%M} UTC, the end of its simulated time"


@pytest.mark.thorough
def test_a_page_of_everything_is_written_where_it_is_wanted(
    workspace: Workspace, tmp_path: Path
) -> None:
    live(workspace, days=3)
    told = bucle("watch", "--html", "--json", at=workspace.root).json
    page = workspace.home / "reports" / "watch.html"
    assert told["report"] == str(page)
    assert "<title>Watch of " in page.read_text(encoding="utf-8")
    said = bucle("watch", "--html", "mine.html", at=workspace.root).out
    assert said.splitlines()[-1].split() == ["report", "mine.html"]
    refused = bucle("watch", "--html", tmp_path, at=workspace.root, code=None)
    assert refused.code != 0
    assert "bucle-266" in refused.err
