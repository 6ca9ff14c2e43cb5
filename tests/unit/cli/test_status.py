"""What `bucle status` says fits a terminal of 80 columns and names what waits for somebody."""

from typing import Any

from bucle.cli.status import _tell
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
