"""`bucle why-not` says why nothing is done, each trigger by its name, at 80 columns."""

import pytest

from bucle.cli.orders import _tell_waiting
from bucle.cli.terminal import Terminal
from bucle.cli.wording import tell_policy
from bucle.loop.decide import Wait
from bucle.loop.triggers import Standing

LABELS = "no new labels to estimate a gain on"
TRIGGERS = (
    Standing(trigger="gain", why=LABELS),
    Standing(trigger="performance:+15%", why="no window with all its labels " * 3),
    Standing(trigger="cron:0,10,20,30 6-18 1-15 * mon-fri", why="the next is due at noon"),
)
IDLE = "; ".join(one.why for one in TRIGGERS)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def lines(capsys, why, *, triggers=TRIGGERS, idle=IDLE, settled="") -> list[str]:
    _tell_waiting(Terminal(), Wait(why=why, settled=settled), triggers, idle=idle)
    told: list[str] = capsys.readouterr().out.splitlines()
    assert max(map(len, told)) <= 80
    return told


def test_each_trigger_is_named_beside_its_reason(capsys):
    told = lines(capsys, IDLE)
    assert told[0] == f"why not   gain              {LABELS}"
    assert told[1].startswith("          performance:+15%  no window with all its labels")
    assert told[-2:] == [
        "          cron:0,10,20,30 6-18 1-15 * mon-fri",
        "                            the next is due at noon",
    ]


def test_what_stands_in_the_way_of_all_comes_first(capsys):
    assert lines(capsys, "it is paused: stocktaking")[:2] == [
        "why not   it is paused: stocktaking",
        f"          gain              {LABELS}",
    ]
    told = lines(capsys, f"m-1 is on its way: 3 rows; {IDLE}", settled="it was promoted")
    assert told[0] == "why not   m-1 is on its way: 3 rows"
    assert told[-1] == "last run  it was promoted"


def test_a_policy_without_triggers_says_so(capsys):
    never = "the policy never retrains"
    assert lines(capsys, never, triggers=(), idle=never) == [f"why not   {never}"]


def test_a_long_policy_is_folded_between_its_triggers(capsys):
    name = "harm/regret/gain/age:90d/every:8w/data:+20%/code/performance:+15%/cron:*/15 6 * * mon x"
    tell_policy(Terminal(), name, indent="policy    ")
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "policy    harm/regret/gain/age:90d/every:8w/data:+20%/code/performance:+15%/"
    assert max(map(len, told)) <= 80
    assert told[1] == "          cron:*/15 6 * * mon x"
    assert "".join(told).replace("policy ", "").replace(" ", "") == name.replace(" ", "")
