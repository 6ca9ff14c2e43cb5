"""Alarms of the inputs say in plain words what was and what is."""

import pytest

from bucle.loop.watching.inputs import input_alarms
from bucle.loop.watching.watched import InputLayer
from bucle.watch.inputs import Finding
from bucle.watch.yardsticks import Measure


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
        visible={},
    )
    (alarm,) = input_alarms(layer)
    assert (alarm.subject, alarm.why) == ("size", told)
