"""What `bucle status` says fits a terminal of 80 columns and names what waits for somebody."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from state_samples import crowned, judged, made, ran

from bucle.charter.reading import read_charter
from bucle.cli.status import _tell
from bucle.cli.status_loop import _missing
from bucle.cli.terminal import Terminal
from bucle.loop.activity import Paired

LONG = "no alarm of harm is open; data grew by 0%, not above +20%; the next is due in 89 days"

FACTS: dict[str, Any] = {
    "champion": {"model": "m-0123456789ab", "since": "2026-03-31T06:00:00+00:00"},
    "challenger": {
        "model": "m-ba9876543210",
        "stage": "shadow",
        "share": 0.0,
        "since": "2026-03-31T06:00:00+00:00",
        "former": True,
    },
    "servers": [],
    "waiting": [],
    "loop": {
        "leader": "",
        "paused": {"since": "2026-03-31T06:00:00+00:00", "because": "stocktaking " * 8},
        "alarms": [
            {"layer": "inputs", "subject": "size", "since": "2026-03-30", "why": "was 1, is 2 " * 9}
        ],
        "approvals": [],
        "promotion": None,
        "last_run": "r-1",
        "failed_run": "r-1 failed: " + "there was no data to be had " * 5,
        "next": f"nothing: {LONG}",
    },
    "answers": {"200": 4},
    "failed": {},
    "models": (),
    "paired": Paired(
        champion="m-0123456789ab",
        challenger="m-ba9876543210",
        rows=4172,
        labelled=4172,
        metric="wape",
        apart=0.01,
        gain=-0.004,
        low=-0.005,
        high=-0.002,
    ),
}


def said(capsys, monkeypatch, **changes: Any) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    _tell(Terminal(), FACTS | changes, days=7)
    told: str = capsys.readouterr().out
    assert all(len(line) <= 80 for line in told.splitlines()), told
    return " ".join(told.split())


def test_every_line_fits_and_nothing_is_left_out(capsys, monkeypatch):
    told = said(capsys, monkeypatch)
    assert LONG in told
    assert told.count("stocktaking") == 8
    assert told.count("there was no data") == 5
    assert "however often you look" in told


def test_a_shadow_that_was_champion_is_told_from_one_on_its_way(capsys, monkeypatch):
    assert "champion before" in said(capsys, monkeypatch)
    on_its_way = FACTS["challenger"] | {"former": False}
    assert "champion before" not in said(capsys, monkeypatch, challenger=on_its_way)


def test_without_a_champion_all_the_rest_is_told(capsys, monkeypatch):
    told = said(capsys, monkeypatch, champion=None, challenger=None, paired=None)
    assert told.startswith("champion none yet server none is up")
    assert told.count("stocktaking") == 8
    assert told.count("there was no data") == 5
    assert LONG in told
    assert "bucle run" not in told


def test_a_run_is_advised_where_nothing_was_trained(capsys, monkeypatch):
    loop = FACTS["loop"] | {"last_run": None, "failed_run": ""}
    told = said(capsys, monkeypatch, champion=None, challenger=None, paired=None, loop=loop)
    assert told.startswith("champion none yet. Try: bucle run server")


@pytest.mark.parametrize(
    ("gates", "name", "command"),
    [
        ("approval = ['business']", "approval", 'bucle approve m-a --as business --because "..."'),
        ("promote = 'ask'", "promotion", "bucle promote m-a"),
    ],
)
def test_whose_word_a_first_model_waits_for_is_told_with_the_command(
    capsys, monkeypatch, gates, name, command
):
    charter = read_charter(f"[project]\nname = 'shop'\n\n[gates]\n{gates}\n").charter
    workspace: Any = SimpleNamespace(charter=charter)
    passed = (*ran("r-1", "m-a"), judged(run="r-1", model="m-a"))
    facts = {"champion": None, "challenger": None, "paired": None}
    facts["loop"] = FACTS["loop"] | {"failed_run": ""} | _missing(workspace, made(*passed))
    told = said(capsys, monkeypatch, **facts)
    assert re.search(rf"{name} .*(is asked|a person): {re.escape(command)} next", told)
    over = _missing(workspace, made(*passed, crowned("m-a")))
    assert over == {"approvals": [], "promotion": None}
