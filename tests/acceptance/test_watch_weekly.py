"""Once a week the live loop tries what the last days can be told by, and keeps what it finds."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from calls import bucle
from shop_days import live, start

from bucle.clock import FixedClock
from bucle.loop.live.deeds import carry_out
from bucle.loop.live.orders import Answer, Order, facts_of
from bucle.loop.watching.watching import watch_project
from bucle.loop.workspace import Workspace, open_workspace

pytestmark = pytest.mark.thorough


class Looks:
    """A shop of thirty days of answers, at which the loop looks on one day after the other."""

    def __init__(self, folder: Path, *, size: float) -> None:
        self.folder = folder
        self.workspace = open_workspace(folder)
        self.began = start(self.workspace)
        live(self.workspace, days=30, size=lambda day: 1.0 if day < 12 else size)

    def look(self, day: int) -> Answer:
        """Look as a process does that has just begun."""
        answer = carry_out(Order(kind="watch", root=str(self.folder)), workspace=self.at(day))
        assert answer.error == ""
        return answer

    def at(self, day: int) -> Workspace:
        clock = FixedClock(self.began + timedelta(days=day))
        return open_workspace(self.folder, clock=clock, actor="loop")

    def day(self, number: int) -> str:
        return str((self.began + timedelta(days=number)).date())

    @property
    def kept(self) -> str | None:
        """The last day of the week that was explained last."""
        found = list((self.workspace.home / "watch").rglob("separation.json"))
        return str(json.loads(found[0].read_bytes())["day"]) if found else None


def test_a_week_is_tried_once_and_the_next_one_seven_days_later(shop: Path) -> None:
    looks = Looks(shop, size=1.0)
    kept = []
    for day in (1, 10, 11, 16, 17, 18, 23, 24):
        looks.look(day)
        kept.append(looks.kept)
    # One day has too few rows, so the next look with enough of them is the first.
    first, second, third = (looks.day(number) for number in (9, 16, 23))
    assert kept[1:] == [first, first, first, second, second, second, third]


def test_what_was_tried_is_shown_with_its_day_until_there_is_something_newer(shop: Path) -> None:
    looks = Looks(shop, size=1.0)
    looks.look(24)
    now = looks.began + timedelta(days=28)
    for explain in ("never", "found"):
        watched = watch_project(looks.workspace, now, explain=explain)
        assert [one for one in watched.alarms if one.layer == "inputs"] == []
        assert watched.separation is not None
        assert watched.separation.until == looks.day(23)
    asked = watch_project(looks.workspace, now, explain="always").separation
    assert asked is not None
    assert asked.until == looks.day(27)
    # Who asks has looked as well: the next one is due a week after that.
    looks.look(32)
    assert looks.kept == looks.day(27)
    # Of what was found later nothing was known before.
    before = looks.began + timedelta(days=20)
    assert watch_project(looks.workspace, before).separation is None
    assert watch_project(looks.workspace, before, explain="always").separation is not None
    assert looks.kept == looks.day(27)


def test_the_commands_say_it_and_it_raises_no_alarm(shop: Path) -> None:
    looks = Looks(shop, size=1.3)
    answer = looks.look(18)
    separation = watch_project(looks.workspace, looks.began + timedelta(days=18)).separation
    assert separation is not None
    assert separation.auc > 0.55
    subjects = {(fact.layer, fact.subject) for fact in facts_of(answer) if "alarm" in fact.kind}
    assert subjects <= {("inputs", "size"), ("inputs", "(prediction)")}
    told = bucle("watch", "--as-of", looks.day(19), at=shop)
    until = looks.day(18) if "CHANGED" in told.out else looks.day(17)
    assert f"the 7 days until {until}" in " ".join(told.out.split())
    document = bucle("watch", "--json", "--as-of", looks.day(19), at=shop).json
    assert document["separation"]["until"] == until
