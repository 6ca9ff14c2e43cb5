"""A live loop in fast time decides what a replay of the same history decides.

The history is real: shipments of a freight office. Time is a file that all processes read; rows are
asked for and labels told over HTTP, and what the loop did is compared with `bucle replay`, reason
by reason.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest
from calls import bucle
from loops import PATIENCE_S, Loop, await_that, events, up

from bucle.clock import CLOCK_VARIABLE, SharedClock, from_iso, to_iso
from bucle.loop.live.rules import live_policy
from bucle.loop.spans import parse_span
from bucle.loop.workspace import open_workspace
from bucle.testing.recorded import decide_again

FIRST = datetime(2011, 8, 1, tzinfo=UTC)
MONTH = parse_span("1mo")
QUIET_S = 3.0
_ROWS = """
import json, sys
from pathlib import Path
from pipeline import FEATURES, clean, shipments
from bucle.store.delta_tables import DeltaTables

rows = shipments(clean(DeltaTables(Path(".bucle/tables")).read("lines")))
rows = rows.with_columns(rows["event_time"].cast(str), rows["label_time"].cast(str))
print(json.dumps(rows.select("event_time", "label_time", "freight", *FEATURES).to_dicts()))
"""


class Office:
    """A freight office whose time is told: its folder, and the clock of all its processes."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        bucle("new", folder, "--template", "scms", "--data", source, at=folder.parent)
        # Its first model must not have to wait for years until it is good enough.
        charter = folder / "bucle.toml"
        lines = charter.read_text().splitlines(keepends=True)
        charter.write_text("".join(line for line in lines if not line.startswith("must = ")))
        path = folder / "clock"
        path.write_bytes(bytes(8))
        self.clock = SharedClock(path)
        self.clock.move(FIRST)
        self.env = {CLOCK_VARIABLE: str(path)}
        bucle("data", "add", "lines", at=folder, env=self.env)

    def shipments(self) -> list[dict[str, Any]]:
        """Return what is asked and told, in the order of the questions."""
        done = subprocess.run(
            [sys.executable, "-c", _ROWS], cwd=self.folder, check=True, capture_output=True
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


def moments(count: int) -> Iterator[datetime]:
    for number in range(count):
        yield MONTH.after(FIRST, times=number) if number else FIRST


def settle(loop: Loop, now: datetime) -> None:
    """Wait until the loop has looked at a moment and has nothing in hand."""
    at = to_iso(now)
    await_that(
        lambda: any(one.at == at for one in events(loop.folder, "decided")),
        what=lambda: f"a look at {at}; it said:\n{loop.told}",
    )
    deadline = time.monotonic() + PATIENCE_S
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_S:
        assert time.monotonic() < deadline, loop.told
        if loop.processes("bucle.loop.live.job"):
            quiet_since = time.monotonic()
        time.sleep(0.1)


def trade(loop: Loop, asked: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Ask for a month's prices, and return the shipments by the id of the answer."""
    rows = [
        {name: value for name, value in one.items() if name not in {*_TIMES, "freight"}}
        for one in asked
    ]
    if not rows:
        return {}
    with loop.client() as client:
        answer = client.post("/predict", json=rows)
        assert answer.status_code == 200, answer.text
        return {one["id"]: row for one, row in zip(answer.json(), asked, strict=True)}


_TIMES = ("event_time", "label_time")


def trade_by_day(
    loop: Loop,
    office: Office,
    asked: list[dict[str, Any]],
    waiting: dict[str, dict[str, Any]],
    *,
    until: str,
) -> dict[str, dict[str, Any]]:
    """Ask for prices and tell labels on the day of each; labels wait where they did not come."""
    days = {to_iso_day(one) for one in asked}
    told = {to_iso(from_iso(one["label_time"])) for one in [*waiting.values(), *asked]}
    found: dict[str, dict[str, Any]] = {}
    for day in sorted(days | {one for one in told if one < until}):
        office.clock.move(from_iso(day))
        fresh = trade(loop, [one for one in asked if to_iso_day(one) == day])
        found |= fresh
        waiting |= fresh
        tell(loop, waiting, from_iso(day))
    return found


def tell(loop: Loop, waiting: dict[str, dict[str, Any]], now: datetime) -> None:
    """Tell the labels that are known by now, and forget them."""
    known = {
        name: one
        for name, one in waiting.items()
        if one["freight"] is not None and from_iso(one["label_time"]) <= now
    }
    if known:
        with loop.client() as client:
            body = [
                {"id": name, "label": one["freight"], "label_time": one["label_time"]}
                for name, one in known.items()
            ]
            assert client.post("/feedback", json=body).status_code == 202
    for name in known:
        del waiting[name]


def live(office: Office, policy: str, *, months: int, by_day: bool) -> list[tuple[str, str]]:
    """Let the loop go through months, and return what it decided at the beginning of each.

    Where it matters when an answer was given and its label told, each has its own day.
    """
    words = (
        *("--set", "deploy.steps=[]"),
        *("--set", "gates.refit=true"),
        *("--set", f'retrain.policy="{policy}"'),
        *("--set", "retrain.most_per_month=99"),
        *("--set", 'replay.period="1mo"'),
    )
    history = office.shipments()
    waiting: dict[str, dict[str, Any]] = {}
    answered = 0
    with up(office.folder, *words, env=office.env) as loop:
        bucle("retrain", "--because", "to begin with", at=office.folder, env=office.env)
        loop.await_event("promoted")
        with loop.client() as client:
            await_that(
                lambda: client.get("/readyz").status_code == 200,
                what=lambda: f"the champion to answer; it said:\n{loop.told}",
            )
        for now in moments(months):
            office.clock.move(now)
            tell(loop, waiting, now)
            settle(loop, now)
            until = to_iso(MONTH.after(now))
            asked = [one for one in history if to_iso(now) <= to_iso_day(one) < until]
            if by_day:
                fresh = trade_by_day(loop, office, asked, waiting, until=until)
            else:
                fresh = trade(loop, asked)
                waiting |= fresh
            answered += len(fresh)
        assert answered > 20 * months
        assert loop.stop() == 0
    charter = open_workspace(office.folder, overrides=[one for one in words if one != "--set"])
    taken, different = decide_again(
        events(office.folder), live_policy(charter.charter), people={getuser()}
    )
    assert taken
    assert different == ()
    return [said_at(office.folder, now) for now in moments(months)]


def to_iso_day(one: dict[str, Any]) -> str:
    return to_iso(from_iso(one["event_time"]))


def said_at(folder: Path, now: datetime) -> tuple[str, str]:
    """Return what was begun at a moment, and what became of it or why nothing was."""
    found = [one.body for one in events(folder, "decided") if one.at == to_iso(now)]
    begun = [one for one in found if one["did"]]
    why = found[-1]["why"] if found else ""
    if not begun:
        return "", why
    return begun[0]["why"], why


def replayed(office: Office, policy: str, *, months: int) -> list[dict[str, Any]]:
    end = to_iso(MONTH.after(FIRST, times=months))[:10]
    document = bucle(
        *("replay", "--from", to_iso(FIRST)[:10], "--to", end, "--period", "1mo"),
        *("--policy", policy, "--gate", "referee+refit", "--json"),
        at=office.folder,
        env={CLOCK_VARIABLE: None},
        timeout=PATIENCE_S + 60 * months,
    ).json
    (course,) = document["policies"]
    found: list[dict[str, Any]] = course["timeline"]
    return found


@pytest.mark.parametrize(
    ("policy", "months"),
    [
        pytest.param("every:1mo", 3, marks=pytest.mark.thorough),
        pytest.param("gain", 6, marks=pytest.mark.slow),
        pytest.param("performance:+5%", 8, marks=pytest.mark.slow),
        pytest.param("every:1mo", 30, marks=pytest.mark.slow),
        pytest.param("gain", 30, marks=pytest.mark.slow),
    ],
)
def test_a_live_loop_decides_what_its_replay_decides(
    policy: str, months: int, shared_data: Path, tmp_path: Path
) -> None:
    office = Office(tmp_path / "office", shared_data / "scms_consignments.csv")
    by_day = policy.startswith("performance")
    lived = live(office, policy, months=months, by_day=by_day)
    ticks = replayed(office, policy, months=months)
    assert [one["at"][:10] for one in ticks] == [to_iso(now)[:10] for now in moments(months)]
    # The first month is that of the first model, which a replay takes for given.
    for (begun, ended), tick in list(zip(lived, ticks, strict=True))[1:]:
        if tick["did"]:
            because, _, outcome = tick["why"].partition("; ")
            assert begun == because, (tick["at"], lived)
            assert ended.startswith(outcome), (tick["at"], lived)
        else:
            assert not begun, (tick["at"], lived)
            assert ended.endswith(tick["why"]), (tick["at"], lived)
