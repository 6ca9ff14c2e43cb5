"""Files that cannot be taken: on record, an alarm while they are there, and shown by the watch."""

import shutil
from pathlib import Path

import pytest
from going import Living
from shop import CHARTER, HEADER, rows, write_rows, write_shop

from bucle.loop.narration import tell_event
from bucle.loop.training import run_project
from bucle.loop.watching.watching import watch_project
from bucle.types import Event

NAME = "contract: sales: schema"
KINDS = ("data_added", "data_refused", "alarm_raised", "alarm_resolved")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a shop with a champion; do not touch."""
    folder = write_shop(tmp_path_factory.mktemp("refused") / "shop", count=240, charter=CHARTER)
    (folder / "incoming").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        run_project(Living(folder, patch).opened())
    return folder


@pytest.fixture
def loop(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Living:
    passing = shutil.ignore_patterns("kept.db-*")
    folder = Path(shutil.copytree(made, tmp_path / "shop", symlinks=True, ignore=passing))
    return Living(folder, monkeypatch, watched=(f"sales={folder}/incoming/*.csv",)).begin()


def news(loop: Living, *, times: int = 6) -> list[Event]:
    return [one for one in loop.look(times=times) if one.kind in KINDS]


def kinds(events: list[Event]) -> list[str]:
    return [one.kind for one in events]


def write_bad(loop: Living, name: str = "bad.csv") -> Path:
    """Write sales without their size, which the contract needs."""
    path = loop.folder / "incoming" / name
    path.write_text("id,sold_at,paid_at,price\n900,2025-07-01,2025-07-03,12.5\n")
    return path


def test_a_file_without_a_needed_column_is_on_record_and_raises_an_alarm_once(
    loop: Living,
) -> None:
    write_bad(loop)
    came = news(loop)
    assert kinds(came) == ["data_refused", "alarm_raised"]
    told = "Cannot apply contract Sales: the data has no column 'size'"
    assert tell_event(came[0]) == f"a file for sales was refused, incoming/bad.csv: {told}"
    assert came[1].body["why"] == f"incoming/bad.csv was refused: {told}"
    assert list(loop.opened().state().alarms) == [NAME]
    # Looks at the world go on meanwhile, and neither end the alarm nor raise it again.
    assert news(loop, times=12) == []
    assert sum("no column 'size'" in one for one in loop.said) == 1


def test_garbage_is_refused_as_well_and_files_share_one_alarm(loop: Living) -> None:
    write_bad(loop)
    assert kinds(news(loop)) == ["data_refused", "alarm_raised"]
    garbage = loop.folder / "incoming" / "garbage.csv"
    garbage.write_bytes(bytes(range(256)) * 40)
    came = news(loop)
    assert kinds(came) == ["data_refused"]
    assert came[0].body["file"] == "incoming/garbage.csv"
    (loop.folder / "incoming" / "bad.csv").unlink()
    assert [one.body["over"] for one in news(loop)] == ["it is gone"]
    garbage.unlink()
    came = news(loop)
    assert kinds(came) == ["data_refused", "alarm_resolved"]
    assert came[1].body["why"] == "incoming/garbage.csv: it is gone"
    assert loop.opened().state().refused == {}


def test_the_watch_shows_what_is_refused(loop: Living) -> None:
    now = loop.clock.now()
    assert watch_project(loop.opened(), now).contract.breaches == ()
    path = write_bad(loop)
    news(loop)
    watched = watch_project(loop.opened(), loop.clock.now())
    (breach,) = (one for one in watched.contract.breaches if one.kind == "schema")
    assert (breach.subject, breach.found, breach.unit) == ("sales", 1.0, "files")
    assert "no column 'size'" in breach.why
    assert [one.id for one in breach.examples] == ["incoming/bad.csv"]
    assert NAME in [one.name for one in watched.alarms]
    path.unlink()
    news(loop)
    assert watch_project(loop.opened(), loop.clock.now()).contract.breaches == ()


def test_a_file_that_is_emptied_stays_refused_and_keeps_no_other_from_being_over(
    loop: Living,
) -> None:
    bad, other = write_bad(loop), write_bad(loop, "other.csv")
    assert kinds(news(loop)) == ["data_refused", "alarm_raised", "data_refused"]
    bad.write_text("")
    assert news(loop) == []
    assert sum("it is empty" in one for one in loop.said) == 1
    other.unlink()
    assert [one.body["file"] for one in news(loop)] == ["incoming/other.csv"]
    bad.unlink()
    assert kinds(news(loop)) == ["data_refused", "alarm_resolved"]


def test_a_file_that_is_mended_is_taken_and_ends_the_alarm(loop: Living) -> None:
    path = write_bad(loop)
    news(loop)
    write_rows(path, rows(3, first=900))
    came = news(loop)
    assert kinds(came) == ["data_added", "alarm_resolved"]
    assert came[1].body["why"] == "what was refused was mended and taken"
    assert news(loop) == []
    write_bad(loop)
    assert kinds(news(loop)) == ["data_refused", "alarm_raised"]
    # Put back as it was when it was taken, it is no news and refused no more.
    write_rows(path, rows(3, first=900))
    came = news(loop)
    assert kinds(came) == ["data_refused", "alarm_resolved"]
    assert came[0].body["over"] == "it is what was taken before"


def test_another_fault_of_the_same_file_is_on_record_and_no_other_alarm(loop: Living) -> None:
    path = write_bad(loop)
    news(loop)
    path.write_text("id,size\n1,2\n")
    came = news(loop)
    assert kinds(came) == ["data_refused"]
    assert "'sold_at'" in came[0].body["error"]


def test_a_restart_refuses_again_and_says_nothing_anew(loop: Living) -> None:
    path = write_bad(loop)
    news(loop)
    loop.begin()
    assert news(loop) == []
    path.unlink()
    loop.begin()
    assert kinds(news(loop)) == ["data_refused", "alarm_resolved"]


def test_a_place_that_nobody_watches_any_more_keeps_no_alarm(loop: Living) -> None:
    write_bad(loop)
    news(loop)
    loop.watched = ()
    loop.begin()
    came = news(loop)
    assert kinds(came) == ["data_refused", "alarm_resolved"]
    assert came[0].body["over"] == "nobody watches it any more"


def test_a_folder_that_is_away_for_a_while_ends_nothing(loop: Living) -> None:
    write_bad(loop)
    news(loop)
    incoming, away = loop.folder / "incoming", loop.folder / "away"
    incoming.rename(away)
    assert news(loop) == []
    away.rename(incoming)
    assert news(loop) == []
    assert list(loop.opened().state().alarms) == [NAME]


def test_the_source_of_the_charter_is_refused_and_mended_like_a_file(loop: Living) -> None:
    source = loop.folder / "sales.csv"
    whole = source.read_bytes()
    source.write_text("id,sold_at\n1,2025-07-01\n")
    came = news(loop)
    assert kinds(came) == ["data_refused", "alarm_raised"]
    assert tell_event(came[0]).startswith("the source of sales was refused: Cannot apply")
    source.write_bytes(whole)
    assert kinds(news(loop)) == ["data_refused", "alarm_resolved"]


def test_mending_the_contract_lets_the_file_in(loop: Living) -> None:
    write_bad(loop)
    news(loop)
    contract = loop.folder / "contract.py"
    contract.write_text(contract.read_text().replace("size = dy.Float64(min=0)\n", "pass\n"))
    came = news(loop)
    assert kinds(came)[-1] == "alarm_resolved"
    assert "incoming/bad.csv" in [
        file["name"] for one in came if one.kind == "data_added" for file in one.body["files"]
    ]


def test_a_column_that_the_contract_does_not_know_is_said_once(loop: Living) -> None:
    for number in range(3):
        text = ",".join((*HEADER, "colour")) + "\n"
        text += f"{900 + number},2025-07-01,2025-07-03,3,12.5,red\n"
        (loop.folder / "incoming" / f"new-{number}.csv").write_text(text)
    assert kinds(news(loop, times=15)) == ["data_added"] * 3
    told = [one for one in loop.said if "colour" in one]
    assert told == ["sales: 1 column not in the contract, so not kept: colour"]
