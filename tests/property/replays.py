"""Small projects that are replayed in this process, and what a replay of theirs knew by a moment.

Used by the proof that nothing looks ahead.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import replace

from bucle.clock import from_iso
from bucle.loop.replay.archive import Archive
from bucle.loop.replay.course import Course
from bucle.loop.replay.material import Learned
from bucle.loop.replay.replay import ReplayRequest, _plan, _Replay, _Walk, combine
from bucle.loop.replay.survey import Moment
from bucle.loop.workspace import Workspace, open_workspace
from bucle.pipeline.cache import Cache
from bucle.pipeline.engine import Engine
from bucle.pipeline.executors import SerialExecutor
from bucle.pipeline.kept import FileKept

__all__ = [
    "KINDS",
    "START",
    "Row",
    "draw_rows",
    "known_by",
    "poison",
    "walked_through",
    "workspace_of",
    "write_project",
]

FIRST = datetime(2025, 1, 6, tzinfo=UTC)
START = FIRST + timedelta(days=21)
DAYS = 49
END = FIRST + timedelta(days=DAYS)
BRANDS = ("ash", "birch", "cedar")
KINDS = ("row-wise", "grouping", "history", "yes or no", "at once")

_CHARTER = """\
[project]
name = "small"

[charter]
problem = "What is a thing worth?"

[charter.money]
retrain = 2.0
alarm = 1.0

[[charter.kpis]]
metric = "{metric}"

[data.sales]
source = "sales.csv"
key = "id"
event_time = "sold_at"
label = "price"
{late}
contract = "contract.py:Sales"

[pipeline]
examples = "examples"
target = "price"
features = {features}
kind = "{kind}"
key = "id"

[gates]
baselines = ["median"]
slices = ["brand"]
margin = 0.5
holdout = 0.3
"""

_CONTRACT = '''\
"""What a valid sale is."""

import dataframely as dy


class Sales(dy.Schema):
    id = dy.Int64(primary_key=True)
    sold_at = dy.Datetime(time_zone="UTC")
    paid_at = dy.Datetime(nullable=True, time_zone="UTC")
    brand = dy.String(nullable=True)
    size = dy.Float64(nullable=True)
    price = dy.{price}(nullable=True)
'''

_EXAMPLES = {
    "row-wise": "    return sales",
    "grouping": """\
    return sales.with_columns(
        pl.col("size").mean().over("brand").alias("usual"),
        pl.col("size").rank().alias("rank"),
    )""",
    "history": """\
    ordered = sales.sort("sold_at", "id")
    earlier = pl.col("price").shift(1).cum_sum().over("brand")
    return ordered.with_columns(
        earlier.forward_fill().over("brand").fill_null(0.0).alias("usual"),
        pl.col("price").mean().alias("rank"),
    )""",
}

_PIPELINE = '''\
"""Two steps."""

import polars as pl


def examples(sales: pl.DataFrame) -> pl.DataFrame:
{examples}


def model(examples: pl.DataFrame):
    from line import {learner}

    known = examples.drop_nulls("price")
    return {learner}().fit(known.select({features}), known["price"])
'''

_LINE = '''\
"""Learners that take no time."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


def _numbers(X):
    plain = np.column_stack([X[name].cast(float).to_numpy() for name in X.columns])
    return np.column_stack([np.ones(len(plain)), np.nan_to_num(plain)])


class Line(RegressorMixin, BaseEstimator):
    """A plane through everything, a little flattened."""

    def fit(self, X, y):
        points, truth = _numbers(X), np.asarray(y, dtype=float)
        whole = points.T @ points + np.eye(points.shape[1])
        self.slopes_ = np.linalg.solve(whole, points.T @ truth)
        return self

    def predict(self, X):
        return _numbers(X) @ self.slopes_


class Odds(ClassifierMixin, BaseEstimator):
    """The odds as a plane, squeezed."""

    def fit(self, X, y):
        self.classes_ = np.unique(np.asarray(y))
        truth = (np.asarray(y) == self.classes_[-1]).astype(float)
        self.line_ = Line().fit(X, truth)
        return self

    def predict_proba(self, X):
        odds = np.clip(self.line_.predict(X), 0.01, 0.99)
        return np.column_stack([1.0 - odds, odds])

    def predict(self, X):
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]
'''


class Row(NamedTuple):
    """One sale."""

    id: int
    sold_at: datetime
    paid_at: datetime | None
    brand: str | None
    size: float | None
    price: float | None


def draw_rows(seed: int, *, count: int = 300) -> list[Row]:
    """Return sales over seven weeks whose price changes on the way; some are never paid."""
    drawn = random.Random(seed)
    days = sorted(drawn.uniform(0, DAYS) for _ in range(count))
    return [_draw(drawn, number, FIRST + timedelta(days=day)) for number, day in enumerate(days)]


def poison(
    rows: Sequence[Row], at: datetime, seed: int, *, rows_from: datetime, late: bool
) -> list[Row]:
    """Change every label that arrives after a moment and every row from another one on.

    Args:
        rows: What would have happened.
        at: Labels that arrive after it are changed.
        seed: Of what happens instead.
        rows_from: Rows of this moment or later are changed, dropped and added; not before `at`.
        late: Whether labels have a time of their own; without, they are known with their row.
    """
    drawn = random.Random(seed)
    kept = [_poisoned(drawn, row, at, late=late) for row in rows if row.sold_at < rows_from]
    kept += [
        _draw(drawn, row.id, _later(drawn, rows_from), wild=True)
        for row in rows
        if row.sold_at >= rows_from and drawn.random() < 0.6
    ]
    first = len(rows)
    for number in range(first, first + drawn.randrange(60)):
        # Anywhere in the file, not only at its end.
        place = drawn.randrange(len(kept) + 1)
        kept.insert(place, _draw(drawn, number, _later(drawn, rows_from), wild=True))
    return [*kept, _draw(drawn, 10_000, END, wild=True)]


def _later(drawn: random.Random, moment: datetime) -> datetime:
    return moment + (END - moment) * drawn.uniform(0, 1.5)


def _draw(drawn: random.Random, number: int, at: datetime, *, wild: bool = False) -> Row:
    brand, size = drawn.choice(BRANDS), drawn.uniform(1, 20)
    trend = 1.0 + 3.0 * ((at - FIRST) / timedelta(days=DAYS))
    price = trend * size + drawn.gauss(0, 2) + 5 * BRANDS.index(brand)
    if wild:
        price, size = price * drawn.choice([1, -40, 1e6]), size * drawn.choice([1, 0, -1e5])
        brand = drawn.choice([*BRANDS, "new", ""])
    paid = at + timedelta(days=drawn.expovariate(0.4)) if drawn.random() < 0.93 else None
    missing = drawn.random() < 0.05
    return Row(number, at, paid, brand or None, None if missing else size, price)


def _poisoned(drawn: random.Random, row: Row, at: datetime, *, late: bool) -> Row:
    known = row.paid_at if late else row.sold_at
    if known is not None and known <= at:
        return row
    arrives = max(at, row.sold_at) + timedelta(days=drawn.uniform(0.001, 30))
    paid = arrives if drawn.random() < 0.7 else None
    price = drawn.choice([None, -5.0, drawn.uniform(-1e6, 1e6)])
    # Without a time of its own for labels, that column is one like others.
    return row._replace(paid_at=paid if late else row.paid_at, price=price)


def write_project(folder: Path, rows: Sequence[Row], *, kind: str) -> Path:
    """Write a project of one kind of pipeline into a new folder."""
    folder.mkdir(parents=True)
    classes, late = kind == "yes or no", kind != "at once"
    examples = _EXAMPLES.get(kind, _EXAMPLES["row-wise"])
    features = ["size", "usual", "rank"] if kind in {"grouping", "history"} else ["size"]
    charter = _CHARTER.format(
        metric="brier" if classes else "mae",
        late='label_time = "paid_at"' if late else "",
        features=msgspec.json.encode(features).decode(),
        kind="classification" if classes else "regression",
    )
    contract = _CONTRACT.format(price="String" if classes else "Float64")
    learner = "Odds" if classes else "Line"
    pipeline = _PIPELINE.format(examples=examples, learner=learner, features=features)
    (folder / "bucle.toml").write_text(charter)
    (folder / "contract.py").write_text(contract)
    (folder / "pipeline.py").write_text(pipeline)
    (folder / "line.py").write_text(_LINE)
    with (folder / "sales.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(_cells(row, classes=classes) for row in rows)
    return folder


def _cells(row: Row, *, classes: bool) -> list[object]:
    price = row.price
    answer = "" if price is None else "dear" if price > 25 else "cheap"
    shown = answer if classes else "" if price is None else repr(price)
    times = [row.sold_at.isoformat(), row.paid_at.isoformat() if row.paid_at else ""]
    size = "" if row.size is None else repr(row.size)
    return [row.id, *times, row.brand or "", size, shown]


class _Here(Workspace):
    """A project whose steps run in this process."""

    def engine(self, progress: Any = None) -> Engine:
        return Engine(
            self.code_reader,
            blobs=self.blobs,
            cache=Cache(FileKept(self.home / "cache")),
            folder=self.home / "blobs",
            seed=self.charter.pipeline.seed,
            progress=progress,
            executor=lambda *_args, **_options: SerialExecutor(),
        )


def workspace_of(folder: Path) -> Workspace:
    """Open a project whose steps run in this process."""
    opened = open_workspace(folder, environ={"USER": "tester"})
    return _Here(opened.root, loaded=opened.loaded, actor="tester", clock=opened.clock)


@contextmanager
def walked_through(folder: Path, request: ReplayRequest) -> Iterator[_Walk]:
    """Walk through a project's history; what was found can be looked up inside the block."""
    workspace = workspace_of(folder)
    policies = combine(request, workspace.charter)
    with workspace.engine() as engine:
        yield _Replay(workspace, engine, _plan(workspace), request, policies).walk()


def known_by(walked: _Walk, at: datetime, *, rows_to: datetime) -> dict[str, Any]:
    """Return all that a replay asked, predicted, saw and decided up to a moment.

    Decisions are those of moments up to `at`; predictions those of periods that began by then and
    had ended by `rows_to`.
    """
    archive = walked.archive
    survey = archive.survey
    moments = survey.moments[survey.first :]
    decided = [number for number, one in enumerate(moments) if from_iso(one.at) <= at]
    ended = [number for number in decided if from_iso(moments[number].end) <= rows_to]
    past = pl.Series(archive.period <= (ended[-1] if ended else -1))
    rows = archive.rows.filter(past)
    seen = {number: archive.known(number) for number in decided}
    return {
        # Rows that a period still waits for are no part of what was there.
        "moments": [
            moment if number in ended else replace(moment, asked="")
            for number, moment in enumerate(moments[: len(decided)])
        ],
        "delay": survey.delay,
        "rows": rows.write_json(),
        "predictions": {
            (model.model, model.cut, model.view, _begin(archive, model)): archive.predictions(
                model
            )[past].tobytes()
            for model in archive.models
            if any((model.cut, model.view) in _trainings(moments[number]) for number in decided)
        },
        "labels": {number: known.labels[past].tobytes() for number, known in seen.items()},
        "times": {number: known.when[past].tobytes() for number, known in seen.items()},
        "decisions": {
            course.policy.name: [
                (leg.champion.model, leg.candidate and leg.candidate.model, leg.look, leg.head)
                for leg in course.legs[: len(decided)]
            ]
            for course in walked.courses
        },
        "timelines": {
            course.policy.name: [_tick(walked, course, number, at) for number in ended]
            for course in walked.courses
        },
    }


def _begin(archive: Archive, model: Learned) -> int:
    """Return from which row on a model answers: the same training may be asked from two."""
    return int(np.argmax(np.isfinite(archive.predictions(model))))


def _trainings(moment: Moment) -> set[tuple[str, str]]:
    found = (*moment.whole.values(), *moment.cut.values())
    return {(training.moment, training.view) for training in found if training is not None}


def _tick(walked: _Walk, course: Course, number: int, at: datetime) -> dict[str, Any]:
    """Return a period as it stands in the JSON; the hindsight of it only where all was known."""
    tick: dict[str, Any] = msgspec.to_builtins(walked.hindsight._tick(course, number))
    mine = walked.archive.period == number
    when = walked.final.when[mine]
    settled = (when >= 0) & (when <= round(at.timestamp() * 1e6))
    if not settled.all():
        for name in ("rows", "error", "money"):
            del tick[name]
    return tick
