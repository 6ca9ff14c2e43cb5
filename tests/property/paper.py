"""A replay's material on paper: everything in it can be worked out in one's head.

Weeks of 30 rows from 5 January 2026 on; two of them lie before the first moment. The label of a
row in week w is 10 + w, half of them half more and half of them half less, and is known when the
week after its own is over. A model made at moment n answers 10 + n; one that leaves labels for
judging ended three weeks before and answers 10 + n - 3. So the mean error in week w of a model
that answers 10 + a is |w - a|, or 0.5 where they are equal. From week 4 on sizes are 100 larger.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from bucle.charter.reading import read_charter
from bucle.clock import to_iso
from bucle.errors import BucleError
from bucle.loop.replay.material import Known, Learned
from bucle.loop.replay.outlook import Scale, make_scale
from bucle.loop.replay.survey import Moment, Survey, Training
from bucle.watch.distance import reference_of

__all__ = ["BEGINS", "ROWS", "WEEKS", "Paper", "at_week", "error_of", "paper_scale", "paper_survey"]

BEGINS = datetime(2026, 1, 19, tzinfo=UTC)
ROWS, WEEKS, BEFORE = 30, 12, 2
WEEK = timedelta(days=7)
_CHARTER = """
[project]
name = "paper"

[charter.money]
retrain = 3.0
alarm = 1.0

[[charter.kpis]]
metric = "mae"

[data.sales]

[gates]
baselines = ["median"]
margin = 0.0
"""


def at_week(number: int) -> datetime:
    """Return when a week begins; week 0 is the first that is replayed."""
    return BEGINS + number * WEEK


def error_of(week: int, answer: int) -> float:
    """Return the mean error in a week of a model that answers 10 and so much."""
    return abs(week - answer) or 0.5


def paper_scale() -> Scale:
    """Return how errors count on paper: the mean error, a dollar each."""
    from pathlib import Path

    return make_scale(read_charter(_CHARTER).charter, Path("/nowhere"))


def paper_survey(*, delay: float = 7.0) -> Survey:
    """Return the moments of the paper history."""
    moments = [
        Moment(
            at=to_iso(at_week(week)),
            end=to_iso(at_week(week + 1)),
            asked=f"asked {week}",
            known=f"known {week}",
            whole={"expanding": _training(week, whole=True)} if week >= 0 else {},
            cut={"expanding": _training(week, whole=False)} if week >= 0 else {},
        )
        for week in range(-BEFORE, WEEKS)
    ]
    return Survey(
        period="1w", first=BEFORE, moments=tuple(moments), delay=delay, final="everything"
    )


def _training(week: int, *, whole: bool) -> Training:
    # A second later than a moment, so that it is no other training set's.
    ended = to_iso(at_week(week - 3) + timedelta(seconds=1))
    return Training(
        moment=to_iso(at_week(week)) if whole else ended,
        since=None,
        view=f"{'whole' if whole else 'cut'} {week}",
        asked_from=ended,
    )


class Paper:
    """The material; `failing` are weeks in which nothing can be trained.

    `refusing` are weeks whose rows no model answers, `refusing_by` those of single models.
    """

    def __init__(self, *, failing=(), refusing=(), refusing_by=None):
        self.survey = paper_survey()
        self.kind = "regression"
        weeks = np.repeat(np.arange(-BEFORE, WEEKS), ROWS)
        number = np.arange(weeks.size)
        self.period = weeks
        days = weeks * 7 + (number % ROWS) * (7 / ROWS)
        start = round(BEGINS.timestamp() * 1e6)
        self.at = (start + days * 86_400_000_000).astype(np.int64)
        self.truth = 10.0 + weeks + np.where(number % 2, 0.5, -0.5)
        self.rows = pl.DataFrame(
            {
                "_at": self.at,
                "size": (number % ROWS) + np.where(weeks >= 4, 100.0, 0.0),
                "colour": np.where(number % 3, "red", "blue"),
            }
        )
        self._failing = frozenset(failing)
        self._refusing = tuple(refusing)
        self._refusing_by = refusing_by or {}

    def known(self, number):
        last = WEEKS if number is None else number - 2
        seen = self.period <= last
        start = round(BEGINS.timestamp() * 1e6)
        when = start + (self.period + 2) * round(WEEK.total_seconds() * 1e6)
        rows = pl.DataFrame({"_at": self.at, "_known": when, "_label": self.truth}).filter(
            pl.Series(seen)
        )
        times = [pl.from_epoch(name, "us").dt.replace_time_zone("UTC") for name in rows.columns[:2]]
        return Known(
            labels=np.where(seen, self.truth, np.nan),
            when=np.where(seen, when, -1),
            rows=rows.with_columns(times),
            unmatched=0,
        )

    def whole(self, number, window):
        return self.survey.moments[BEFORE + number].whole[window]

    def cut(self, number, window):
        return self.survey.moments[BEFORE + number].cut[window]

    def learned(self, training):
        kind, _, week = training.view.partition(" ")
        if int(week) in self._failing:
            raise BucleError(f"Week {week} is too hot")
        if kind == "cut" and int(week) < 3:
            raise BucleError("No label was known by then")
        answer = int(week) - (0 if kind == "whole" else 3)
        before = self.rows.filter(pl.col("_at") < round(at_week(int(week)).timestamp() * 1e6))
        return Learned(
            model=f"m-{answer}",
            cut=training.moment,
            view=training.view,
            labels=ROWS,
            rows=ROWS,
            reference=reference_of(before.select("size", "colour")),
        )

    def predictions(self, learned):
        answers = np.full(self.at.size, 10.0 + int(learned.model.removeprefix("m-")))
        refused = (*self._refusing, *self._refusing_by.get(learned.model, ()))
        answers[np.isin(self.period, refused)] = np.nan
        return answers
