"""Alarms of the inputs say in plain words what was and what is."""

import pytest

from bucle.loop.watching.inputs import input_alarms, most_telling
from bucle.loop.watching.watched import InputLayer
from bucle.watch.inputs import Finding, Visible
from bucle.watch.reference import OUTPUT
from bucle.watch.yardsticks import Kind, Measure


@pytest.mark.parametrize(
    ("measure", "expected", "found", "told"),
    [
        (
            Measure(column="size", kind="mean"),
            1.25,
            40.0,
            "the mean without extremes was 1.25, is 40, over 7 days",
        ),
        (
            Measure(column="size", kind="below", at=0.476),
            0.2499,
            0.0,
            "25 % were at most 0.476, now 0 %, over 7 days",
        ),
        (
            Measure(column="size", kind="share", word="new"),
            0.012,
            0.12345,
            "1.2 % were 'new', now 12.3 %, over 7 days",
        ),
        (
            Measure(column="size", kind="other"),
            0.01,
            0.5,
            "1 % were of the rare values, now 50 %, over 7 days",
        ),
        (
            Measure(column="size", kind="null"),
            0.0,
            0.0104,
            "0 % were empty, now 1.04 %, over 7 days",
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Measure) else "",
)
def test_an_alarm_says_what_was_and_what_is(measure, expected, found, told):
    finding = Finding(measure=measure, span=7, found=found, expected=expected, error=0.01, p=1e-9)
    layer = InputLayer(
        date="2026-03-30",
        days=30,
        reference_days=200,
        findings=(finding,),
        since="2026-03-20",
    )
    (alarm,) = input_alarms(layer)
    assert (alarm.subject, alarm.why) == ("size", told)


def seen(column: str, kind: Kind, moved: float, *, word: str = "") -> Visible:
    measure = Measure(column=column, kind=kind, word=word)
    return Visible(measure=measure, change=0.1, span=7, moved=moved)


def test_the_output_leads_and_each_column_is_told_once_by_what_came_nearest() -> None:
    known = (
        seen("still", "null", 0.0),
        seen("still", "mean", 0.1),
        seen("still", "below", 0.9),
        seen("brand", "share", 0.2, word="frequent"),
        seen("brand", "share", 0.8, word="rare"),
        seen("grade", "null", 0.6),
        seen("size", "mean", 0.7),
        seen("last", "mean", 0.01),
        seen("least", "mean", 0.0),
        seen(OUTPUT, "mean", 0.05),
    )
    told = most_telling(known, set())
    assert [(one.measure.column, one.measure.kind) for one in told] == [
        (OUTPUT, "mean"),
        ("size", "mean"),
        ("grade", "null"),
        ("brand", "share"),
        ("still", "mean"),
    ]
    assert told[3].measure.word == "frequent"
    assert [one.measure.column for one in most_telling(known, {"brand", "last"})] == [
        "brand",
        "last",
    ]
