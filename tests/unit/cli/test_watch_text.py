"""What `bucle watch` says fits a terminal of 80 columns and leaves nothing out."""

import msgspec
import pytest

from bucle.cli.terminal import Terminal
from bucle.cli.watch_text import tell_watched
from bucle.loop.watching.watched import (
    Alarm,
    ContractLayer,
    HarmLayer,
    InputLayer,
    JudgedDay,
    RunningDay,
    Watched,
)
from bucle.watch.contract import Breach
from bucle.watch.coverage import Coverage
from bucle.watch.estimate import LossEstimate
from bucle.watch.examples import Example
from bucle.watch.inputs import Finding, Visible
from bucle.watch.restatement import Restatement
from bucle.watch.separation import SeparatingColumn, Separation
from bucle.watch.yardsticks import Measure

LONG = "line_item_insurance_in_dollars_as_declared_by_the_vendor"

HARM = HarmLayer(
    metric="mae",
    until="2026-03-28",
    delay_days=2.5,
    rows=1000,
    labelled=900,
    corrected=3,
    evidence=1e50,
    expected=1.5,
    limit=1.6,
    alarm="2026-03-20",
    since="2026-03-15",
    error=2.5,
    reference=1.5,
    days=tuple(
        JudgedDay(date=f"2026-03-{day}", mature=day < 28, rows=100, labelled=90, corrected=0)
        for day in range(20, 31)
    ),
    running=RunningDay(
        until="2026-03-30T14:15:00+00:00", rows=3100, labelled=3000, loss=5.125, evidence=2.0
    ),
    restated=(
        Restatement(
            date="2026-03-02",
            judged="a",
            restated="b",
            before=0.31,
            after=0.35,
            late=12,
            corrected=1,
        ),
    ),
    coverage=Coverage(
        level=0.9,
        validated=0.91,
        recent=0.81,
        rows=900,
        first="2026-02-27",
        last="2026-03-28",
        factor=1.3,
        adapted_level=0.92,
        days=(),
    ),
    estimate=LossEstimate(
        metric="mae", rows=200, loss=1.5, low=1.4, high=1.6, compared=30, reference=1.5
    ),
)

WATCHED = Watched(
    at="2026-03-31T00:00:00+00:00",
    champion="m-0123456789ab",
    days_between=180,
    inputs=InputLayer(
        date="2026-03-30",
        days=30,
        reference_days=200,
        findings=tuple(
            Finding(
                measure=Measure(column=LONG, kind="share", word=LONG),
                span=span,
                found=0.5,
                expected=0.25,
                error=0.01,
                p=1e-9,
                since="2026-03-20",
            )
            for span in range(1, 13)
        ),
        since="2026-03-20",
        visible=(
            Visible(
                measure=Measure(column=LONG, kind="share", word=LONG), change=0.125, span=7, moved=0
            ),
            Visible(measure=Measure(column="size", kind="mean"), change=2, span=1, moved=0),
        ),
    ),
    harm=HARM,
    contract=ContractLayer(
        judged=("volume of predictions",),
        breaches=(
            Breach(
                kind="volume",
                subject="predictions",
                since="2026-03-30",
                found=0,
                expected=500,
                unit="rows",
                why="0 rows on 2026-03-30, where about 500 are usual (judged over a day)",
            ),
        ),
        unknown=("freshness of sales: too few additions",),
    ),
    alarms=(
        Alarm(
            layer="harm",
            subject="mae",
            since="2026-03-15",
            why="mae 2.5 since 2026-03-15, validated at 1.5",
            examples=(Example(id="p-" + "0" * 32, value="said 1, was 9"),),
        ),
    ),
    separation=Separation(
        auc=0.72,
        natural=0.55,
        compared=6,
        rows=700,
        reference_rows=1500,
        until="2026-03-30",
        columns=(SeparatingColumn(column=LONG, share=0.2),),
    ),
    why=("the champion has no days to judge by: its rows carry no event time",),
)


def said(watched: Watched, capsys: pytest.CaptureFixture[str]) -> str:
    tell_watched(Terminal(), watched)
    return capsys.readouterr().out


def test_every_line_fits_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = said(WATCHED, capsys).splitlines()
    assert max(map(len, lines)) <= 80


def test_each_part_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(said(WATCHED, capsys).split())
    for part in (
        "harm ALARM since 2026-03-15, evidence over 1,000 of 1",
        "900 labels of 1,000 rows (90%) until 2026-03-28, 3 corrected",
        "3,000 labels of 2026-03-30 until 14:15, mean loss 5.125 a row in absolute error",
        f"a change of 0.125 would show in 7 days: {LONG}: share of",
        "a change of 2 would show in a day: size: mean without extremes",
        "re-stated 2026-03-02: 0.31 -> 0.35 (12 labels late, 1 corrected)",
        "intervals held 81.0% of 900 rows with a label, of 2026-02-27 to 2026-03-28, promised",
        "1.3 times as large, at the level 92.0%",
        "without a label should lose 1.5 (1.4 to 1.6) a row in absolute error, 1.5 at validation:",
        "if the rules of the world have not changed",
        "03-30 90%* (* still waits)",
        "inputs CHANGED since 2026-03-20 on 2026-03-30, judged by 200 days",
        "and 2 more: --json",
        (
            "a classifier tells the 7 days until 2026-03-30 from the reference with AUC 0.72 "
            "(0.5 is not at all; weeks of the reference itself reach 0.55)"
        ),
        "contract BREACHED, 1 finding",
        "not judged: freshness of sales: too few additions",
        "alarms 1 harm: mae, since 2026-03-15",
        "said 1, was 9",
    ):
        assert part in text


def test_of_few_labels_no_factor_is_said_but_how_many_are_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert HARM.coverage is not None
    few = msgspec.structs.replace(HARM.coverage, rows=124, factor=1.0, missing=376)
    harm = msgspec.structs.replace(HARM, coverage=few)
    tell_watched(Terminal(), msgspec.structs.replace(WATCHED, harm=harm))
    text = " ".join(capsys.readouterr().out.split())
    assert "by how much widths are off can be told after 376 more labels" in text
    assert "times as large" not in text


def test_a_quiet_project_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = Watched(
        at=WATCHED.at,
        champion=WATCHED.champion,
        days_between=180,
        inputs=InputLayer(date=None, days=0, reference_days=9),
        harm=None,
        contract=ContractLayer(judged=()),
    )
    text = said(quiet, capsys)
    assert "no whole day of predictions yet" in text
    assert "nothing to judge by yet" in text
    assert "alarms    none" in text


@pytest.mark.parametrize(
    ("until", "labelled", "told"),
    [
        (None, 0, "no labels yet"),
        (None, 90, "not judged yet"),
        ("2026-03-28", 0, "no labels came"),
    ],
)
def test_days_that_are_not_judged_are_told_apart_from_labels_that_are_none(
    capsys, until, labelled, told
):
    day = JudgedDay(date="2026-03-29", mature=False, rows=100, labelled=labelled, corrected=0)
    waiting = msgspec.structs.replace(HARM, until=until, labelled=0, days=(day,), running=None)
    tell_watched(Terminal(), msgspec.structs.replace(WATCHED, harm=waiting))
    assert f"harm      {told}" in capsys.readouterr().out


def test_a_first_day_that_is_judged_in_part_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    first = msgspec.structs.replace(HARM, until=None, rows=0, labelled=0)
    tell_watched(Terminal(), msgspec.structs.replace(WATCHED, harm=first))
    text = " ".join(capsys.readouterr().out.split())
    assert "harm ALARM since" in text
    assert "3,000 labels of 2026-03-30 until 14:15" in text
    assert "until None" not in text
