"""Alarms: raised once, resolved when they were quiet for two looks, told with the same words."""

import msgspec
import pytest

from bucle.loop.alarms.changes import find_news
from bucle.loop.alarms.messages import MessageFold
from bucle.loop.events import Promoted
from bucle.loop.observations import AlarmRaised, AlarmResolved
from bucle.loop.watching.watched import Alarm, ContractLayer, HarmLayer, InputLayer, Watched
from bucle.watch.examples import Example

HARM = Alarm(layer="harm", subject="mae", since="2026-01-01", why="mae 7 since 2026-01-01")
INPUT = Alarm(
    layer="inputs",
    subject="brand",
    since="2026-01-01",
    why="more nulls",
    examples=tuple(Example(id=f"p-{number}", value="null") for number in range(9)),
)
VOLUME = Alarm(layer="contract", subject="predictions: volume", since="2026-01-01", why="none came")
SEEN_HARM = HarmLayer(
    metric="mae",
    until=None,
    delay_days=1.0,
    rows=1,
    labelled=1,
    corrected=0,
    evidence=0.0,
    expected=1.0,
    limit=1.0,
)
SEEN_INPUTS = InputLayer(date="2026-01-01", days=3, reference_days=30)


def look(*alarms, **changes):
    watched = Watched(
        at="2026-01-02T00:00:00+00:00",
        champion="m-1",
        days_between=180.0,
        inputs=SEEN_INPUTS,
        harm=SEEN_HARM,
        contract=ContractLayer(judged=("volume of predictions",)),
        alarms=alarms,
    )
    return msgspec.structs.replace(watched, **changes)


def promoted(model, previous=None):
    return Promoted(model=model, previous=previous, because="it passed", verdict="pass")


class Watcher:
    """A project in memory, looked at again and again."""

    def __init__(self, project):
        self.project = project
        self.project.record(promoted("m-1"))
        self.quiet = {}

    def look(self, *alarms, **changes):
        news = find_news(self.project.workspace.state(), look(*alarms, **changes), quiet=self.quiet)
        self.project.record(*news.facts)
        self.quiet = news.quiet
        return [(type(fact).__name__.removeprefix("Alarm"), fact.name) for fact in news.facts]

    @property
    def open(self):
        return set(self.project.workspace.state().alarms)

    def messages(self):
        fold = MessageFold("shop")
        return [one for event in self.project.workspace.log.read() for one in fold.apply(event)]


@pytest.fixture
def watcher(shop):
    return Watcher(shop())


def test_an_alarm_is_raised_once_and_resolved_after_two_quiet_looks(watcher):
    assert watcher.look(HARM) == [("Raised", "harm: mae")]
    assert watcher.look(HARM) == []
    assert watcher.look() == []
    assert watcher.open == {"harm: mae"}
    assert watcher.look() == [("Resolved", "harm: mae")]
    assert watcher.open == set()
    assert watcher.look(HARM) == [("Raised", "harm: mae")]


def test_what_comes_and_goes_tells_people_once(watcher):
    watcher.look(HARM)
    for _ in range(5):
        assert watcher.look() == []
        assert watcher.look(HARM) == []


def test_a_restart_between_two_quiet_looks_counts_again(watcher):
    watcher.look(HARM)
    watcher.look()
    watcher.quiet = {}
    assert watcher.look() == []
    assert watcher.look() == [("Resolved", "harm: mae")]


def test_each_alarm_has_a_life_of_its_own(watcher):
    assert len(watcher.look(HARM, INPUT, VOLUME)) == 3
    assert watcher.look(INPUT) == []
    assert sorted(watcher.look(INPUT)) == [
        ("Resolved", "contract: predictions: volume"),
        ("Resolved", "harm: mae"),
    ]
    assert watcher.open == {"inputs: brand"}


@pytest.mark.parametrize(
    ("alarm", "blind"),
    [
        (HARM, {"harm": None}),
        (INPUT, {"inputs": None}),
        (INPUT, {"inputs": InputLayer(date=None, days=0, reference_days=30)}),
        (
            VOLUME,
            {
                "contract": ContractLayer(
                    judged=(), unknown=("volume of predictions: too few whole days",)
                )
            },
        ),
    ],
)
def test_who_cannot_judge_says_nothing_of_an_open_alarm(watcher, alarm, blind):
    watcher.look(alarm)
    for _ in range(4):
        assert watcher.look(**blind) == []
    watcher.look()
    assert watcher.look() == [("Resolved", alarm.name)]


def test_what_was_seen_of_another_model_raises_nothing(watcher):
    watcher.project.record(promoted("m-2", previous="m-1"))
    assert watcher.look(HARM, INPUT, VOLUME) == [("Raised", "contract: predictions: volume")]


def test_some_examples_go_on_record(watcher):
    watcher.look(INPUT)
    (alarm,) = watcher.project.workspace.state().alarms.values()
    assert alarm.examples == tuple({"id": f"p-{number}", "value": "null"} for number in range(5))
    assert alarm.model == "m-1"


# ---- messages ---------------------------------------------------------------


def test_each_event_is_told_in_one_line_under_the_key_of_its_hash(watcher):
    watcher.look(HARM)
    watcher.look()
    watcher.look()
    first, second = watcher.messages()
    events = {event.hash: event for event in watcher.project.workspace.log.read()}
    assert events[first.key].kind == AlarmRaised.kind
    assert events[second.key].kind == AlarmResolved.kind
    assert first.text == "shop: alarm, harm: mae: mae 7 since 2026-01-01"
    assert second.text == "shop: resolved, harm: mae: not seen in 2 looks"
    assert (first.status, second.status) == ("raised", "resolved")
    assert second.since == "2026-01-01"
    assert watcher.messages() == [first, second]


def test_a_new_champion_closes_what_was_said_of_the_one_before(watcher):
    watcher.look(HARM, INPUT, VOLUME)
    watcher.project.record(promoted("m-2", previous="m-1"))
    closed = watcher.messages()[3:]
    assert [(one.status, one.layer, one.why) for one in closed] == [
        ("resolved", "harm", "m-2 is champion now, and this was seen of m-1"),
        ("resolved", "inputs", "m-2 is champion now, and this was seen of m-1"),
    ]
    assert len({one.key for one in watcher.messages()}) == 5
    assert watcher.open == {"contract: predictions: volume"}


def test_what_is_recorded_twice_is_told_once(watcher):
    watcher.look(HARM)
    raised = next(iter(watcher.project.workspace.state().alarms.values()))
    over = AlarmResolved(layer="harm", subject="mae", why="over")
    watcher.project.record(raised, over, over)
    assert [one.status for one in watcher.messages()] == ["raised", "resolved"]
