"""Samples of what was watched, for the tests of its report."""

from datetime import date, timedelta

from bucle.loop.watching.watched import (
    Alarm,
    ContractLayer,
    Detailed,
    HarmLayer,
    InputLayer,
    JudgedDay,
    RunningDay,
    Watched,
)
from bucle.watch.contract import Breach, VolumeDay
from bucle.watch.coverage import Coverage, CoverageDay
from bucle.watch.estimate import LossEstimate
from bucle.watch.examples import Example
from bucle.watch.inputs import Finding, Visible
from bucle.watch.restatement import Restatement
from bucle.watch.separation import SeparatingColumn, Separation
from bucle.watch.series import Series
from bucle.watch.yardsticks import Measure

__all__ = ["DAYS", "detailed", "empty"]

DAYS = tuple(str(date(2026, 3, 1) + timedelta(days=number)) for number in range(30))


def series(column: str, measure: Measure, *, moved: bool) -> Series:
    values = tuple(
        0.5 + 0.01 * (number % 7) + 0.3 * (moved and number > 20) for number in range(30)
    )
    return Series(
        column=column,
        kind=measure.kind,
        what=str(measure),
        dates=DAYS,
        rows=(100,) * 30,
        # A day without a row that counts, in the midst.
        values=(*values[:9], None, *values[10:]),
        expected=(0.5,) * 30,
        low=(0.4,) * 30,
        high=(0.6,) * 30,
        found=tuple(moved and number > 22 for number in range(30)),
        reference_dates=("2026-02-01",),
        reference_values=(0.5,),
    )


def harm(name: str) -> HarmLayer:
    return HarmLayer(
        metric="mae",
        until=DAYS[-3],
        delay_days=2.0,
        rows=2_800,
        labelled=2_600,
        corrected=3,
        evidence=1.7,
        expected=0.3,
        limit=0.33,
        alarm=DAYS[20],
        since=DAYS[15],
        error=0.41,
        reference=0.3,
        days=tuple(
            JudgedDay(
                date=day,
                mature=number < 28,
                rows=100,
                labelled=90 if number < 28 else 20,
                corrected=1 if number == 4 else 0,
                loss=0.3 + 0.01 * (number > 15) * number,
                evidence=0.05 * number if number < 28 else None,
            )
            for number, day in enumerate(DAYS)
        ),
        running=RunningDay(
            until=f"{DAYS[-1]}T14:15:00+00:00", rows=60, labelled=55, loss=0.9, evidence=1.7
        ),
        restated=(
            Restatement(
                date=DAYS[4],
                judged="2026-03-08T06:00:00+00:00",
                restated="2026-03-12T06:00:00+00:00",
                before=0.31,
                after=0.35,
                late=12,
                corrected=1,
            ),
        ),
        coverage=Coverage(
            level=0.9,
            validated=0.902,
            recent=0.81,
            rows=2_000,
            first=DAYS[0],
            last=DAYS[27],
            factor=1.31,
            adapted_level=0.93,
            days=tuple(
                CoverageDay(date=day, rows=90, observed=0.8, adapted=0.9, factor=1.3, level=0.92)
                for day in DAYS[:28]
            ),
        ),
        estimate=LossEstimate(
            metric="mae", rows=400, loss=0.36, low=0.3, high=0.44, compared=20, reference=0.3
        ),
        examples=(Example(id="p-1", value=name),),
    )


def detailed(name: str = "size") -> Detailed:
    """Return what was watched of a project in trouble; `name` stands wherever a project names."""
    mean = Measure(column=name, kind="mean", low=0.0, high=1.0)
    word = Measure(column=name, kind="share", word=name)
    null = Measure(column="quiet", kind="null")
    finding = Finding(
        measure=word,
        span=7,
        found=0.8,
        expected=0.5,
        error=0.02,
        p=1e-6,
        since=DAYS[22],
        examples=(Example(id="p-2", value=name),),
    )
    watched = Watched(
        at="2026-03-31T06:00:00+00:00",
        champion="m-0123456789ab",
        days_between=180.0,
        inputs=InputLayer(
            date=DAYS[-1],
            days=30,
            reference_days=60,
            findings=(finding,),
            since=DAYS[22],
            visible=(Visible(measure=mean, change=0.25, span=7, moved=0.5),),
        ),
        harm=harm(name),
        contract=ContractLayer(
            judged=("volume of predictions",),
            breaches=(
                Breach(
                    kind="nulls",
                    subject=name,
                    since=DAYS[-1],
                    found=0.02,
                    expected=0.0,
                    unit="share",
                    why=f"2 % of {name} is missing",
                ),
            ),
            volume=tuple(
                VolumeDay(date=day, rows=100, expected=99.0, low=80.0, high=120.0)
                if number > 13
                else VolumeDay(date=day, rows=100)
                for number, day in enumerate(DAYS)
            ),
            unknown=("freshness of sales: too few additions",),
        ),
        alarms=(
            Alarm(layer="harm", subject="mae", since=DAYS[15], why="mae 0.41, validated at 0.3"),
            Alarm(
                layer="inputs",
                subject=name,
                since=DAYS[22],
                why=f"share of {name!r} 0.5 -> 0.8",
                examples=finding.examples,
            ),
            Alarm(layer="contract", subject=name, since=DAYS[-1], why="2 % is missing"),
        ),
        separation=Separation(
            auc=0.71,
            natural=0.55,
            compared=8,
            rows=2_000,
            reference_rows=2_000,
            until=DAYS[-1],
            columns=(SeparatingColumn(column=name, share=0.2),),
        ),
        why=(f"a note on {name}",),
    )
    told = (
        series("quiet", null, moved=False),
        series(name, mean, moved=False),
        series(name, word, moved=True),
    )
    return Detailed(watched=watched, series=told, profiled=30)


def empty() -> Detailed:
    """Return what is watched where nothing can be said."""
    watched = Watched(
        at="2026-03-31T06:00:00+00:00",
        champion="m-0123456789ab",
        days_between=180.0,
        inputs=None,
        harm=None,
        contract=ContractLayer(judged=()),
        why=("the champion has no days to judge by",),
    )
    return Detailed(watched=watched, series=(), profiled=0)
