"""State is a fold of events: the same bytes in every process, however it was started."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from calls import bucle, surroundings
from shop import rows, write_rows, write_steps

from bucle.loop.state import fold, state_bytes
from bucle.loop.workspace import open_log, open_workspace
from bucle.store.memory_log import MemoryLog
from bucle.types import Draft, Event

_PRINT_STATE = """\
import sys
from pathlib import Path
from bucle.loop.state import fold, state_bytes
from bucle.loop.workspace import open_log
sys.stdout.buffer.write(state_bytes(fold(open_log(Path(sys.argv[1])).read())))
"""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with runs, additions, a failed step and a second version behind it."""
    folder = write_steps(tmp_path_factory.mktemp("lived") / "steps")
    bucle("run", at=folder)
    write_rows(folder / "más.csv", rows(5, first=60))
    bucle("data", "add", "sales", "más.csv", at=folder, env={"BUCLE_ACTOR": "Zoë İpek"})
    broken = (folder / "sizes.py").read_text()
    (folder / "sizes.py").write_text(broken.replace("size * 1", "size / 'x'"))
    bucle("run", at=folder, code=2)
    (folder / "sizes.py").write_text(broken)
    bucle("run", at=folder)
    return folder


def _in_a_process(folder: Path, **env: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", _PRINT_STATE, folder],
        env=surroundings(env),
        check=True,
        capture_output=True,
    )
    return done.stdout


def test_the_state_has_the_same_bytes_in_every_process(lived: Path) -> None:
    surrounded = [
        {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"},
        {"PYTHONHASHSEED": "4294967295", "TZ": "America/St_Johns", "LC_ALL": "de_DE.UTF-8"},
        {"PYTHONHASHSEED": "random", "TZ": "XXX+25:61", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "0"},
    ]
    here = state_bytes(fold(open_log(lived).read()))
    assert len(here) > 1000
    assert {_in_a_process(lived, **env) for env in surrounded} == {here}


def test_lists_are_the_same_whatever_the_surroundings(lived: Path) -> None:
    for words in (["log"], ["runs"], ["data", "list"], ["history"]):
        answers = {
            bucle(*words, "--json", at=lived, env={"TZ": zone, "LC_ALL": language}).out
            for zone, language in (("UTC", "C"), ("Asia/Kathmandu", "C.UTF-8"))
        }
        assert len(answers) == 1


def _events(folder: Path) -> list[Event]:
    return list(open_log(folder).read())


def test_an_event_that_is_delivered_again_changes_nothing(lived: Path) -> None:
    events = _events(lived)
    once = state_bytes(fold(events))
    assert state_bytes(fold(event for event in events for _ in range(3))) == once
    assert state_bytes(fold([*events, *events])) == once
    for at in range(1, len(events)):
        assert state_bytes(fold([*events[:at], *events[:at], *events[at:]])) == once


def _appended(drafts: list[Draft]) -> bytes:
    log = MemoryLog()
    log.append(drafts)
    return state_bytes(fold(log.read()))


def _drafts(events: list[Event]) -> Iterator[Draft]:
    for event in events:
        yield Draft(
            kind=event.kind,
            body=event.body,
            version=event.version,
            at=event.at,
            actor=event.actor,
            cause=event.cause,
        )


def test_facts_about_different_things_may_come_in_any_order(lived: Path) -> None:
    # Additions to five datasets: whatever their order in the log, each dataset ends the same.
    added = next(event for event in _events(lived) if event.kind == "data_added")
    (draft,) = _drafts([added])
    five = [
        Draft(
            kind=draft.kind,
            body=draft.body | {"dataset": name},
            version=draft.version,
            at=draft.at,
            actor=draft.actor,
        )
        for name in "abcde"
    ]
    endings = set()
    for order in permutations(five):
        log = MemoryLog()
        log.append(list(order))
        state = fold(log.read())
        endings.add(tuple(sorted((name, str(one)) for name, one in state.datasets.items())))
    assert len(endings) == 1


def test_a_restarted_process_folds_to_what_the_old_one_had(lived: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(lived, tmp_path / "steps"))
    workspace = open_workspace(folder)
    before = state_bytes(workspace.state())
    assert _in_a_process(folder) == before
    bucle("run", at=folder)
    # An open workspace sees what another process has appended.
    assert state_bytes(workspace.state()) == _in_a_process(folder) != before


def test_an_empty_log_and_a_copied_one_fold_alike(lived: Path) -> None:
    assert state_bytes(fold([])) == _appended([])
    events = _events(lived)
    log = MemoryLog()
    log.append(list(_drafts(events)))
    assert [event.hash for event in log.read()] == [event.hash for event in events]
    assert state_bytes(fold(log.read())) == state_bytes(fold(events))
