"""Labels join the predictions they are of, whenever they come: the log against a plain loop."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from bucle.serve.compactor import FEEDBACK, PREDICTIONS, compact, read_log
from bucle.serve.feedback import join_labels, latest_labels, to_feedback, unknown_labels
from bucle.serve.journal import Journal
from bucle.serve.records import Feedback, Prediction
from bucle.store.memory_tables import MemoryTables

START = datetime(2026, 1, 1, tzinfo=UTC)
WORKERS = 2
NAMES = [f"p-{number:032x}" for number in range(12)]
LABELS = ["1", "1.0", "2.5", "-0", "true", "false", '"sold"', '"1"']

workers = st.integers(0, WORKERS - 1)
# The same microsecond never: two workers' clocks do not agree so well that it would mean anything.
pauses = st.sampled_from(
    [timedelta(microseconds=1), timedelta(milliseconds=1), timedelta(seconds=5), timedelta(days=90)]
)
labels = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(LABELS)), min_size=1, max_size=4
)
steps = st.one_of(
    st.tuples(st.just("predict"), workers, st.sampled_from(["champion", "canary", "shadow"])),
    st.tuples(st.just("label"), workers, labels),
    st.tuples(st.just("label"), workers, labels),
    st.tuples(st.just("rotate"), workers, st.none()),
    st.tuples(st.just("restart"), workers, st.none()),
    st.tuples(st.just("compact"), workers, st.none()),
    st.tuples(st.just("swap"), workers, st.none()),
)


class Plain(Struct):
    """What should be there, kept in the plainest way."""

    predictions: list[Prediction] = []
    told: dict[str, list[Feedback]] = {}

    def expected(self, one: Prediction, *, seen: datetime) -> tuple[object, ...]:
        """Return the label, its arrival, how many, how often corrected, and whether restated."""
        told = self.told.get(one.of or one.id, [])
        if not told:
            return None, None, 0, 0, False
        began, corrections = told[0], 0
        for before, after in pairwise(told):
            if before.label != after.label and value(before.label) != value(after.label):
                began, corrections = after, corrections + 1
        restated = corrections > 0 or moment(began.at) > seen
        return told[-1].label, moment(began.at), len(told), corrections, restated


def value(label: str) -> object:
    """Return a label's number; what is none equals only its own text."""
    found = json.loads(label)
    if isinstance(found, str):
        # The text of a number is none: only its JSON form says so.
        return found, "text"
    return float(found)


def moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


class Life:
    """Workers, their logs and the tables, beside what should be there."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.plain = Plain(predictions=[], told={})
        self.tables = MemoryTables()
        self.now, self.model = START, 0
        self.journals = [self.begin(number) for number in range(WORKERS)]

    def begin(self, number: int) -> Journal:
        return Journal(self.log, name=f"w{number}", sync_s=60)

    def predict(self, worker: int, role: str) -> None:
        if len(self.plain.predictions) < len(NAMES) - 3:
            made = _prediction(self.plain, role, now=self.now, model=f"m-{self.model}")
            self.plain.predictions.append(made)
            self.journals[worker].append(made)

    def label(self, worker: int, what: list[tuple[str, str]]) -> None:
        kept = [to_feedback(name, label=text.encode(), at=self.now) for name, text in what]
        self.journals[worker].append_many(kept)
        for one in kept:
            self.plain.told.setdefault(one.id, []).append(one)

    def rotate(self, worker: int, _: None) -> None:
        self.journals[worker]._replace()

    def restart(self, worker: int, _: None) -> None:
        self.journals[worker].close()
        self.journals[worker] = self.begin(worker)

    def swap(self, worker: int, _: None) -> None:
        del worker
        self.model += 1

    def compact(self, worker: int, _: None) -> None:
        del worker
        compact(self.log, self.tables, merge_after=2, keep_s=0)
        self.check(START + timedelta(days=30))

    def check(self, seen: datetime) -> None:
        _assert_same(self.plain, self.log, self.tables, seen=seen)


@settings(max_examples=40)
@given(st.lists(st.tuples(steps, pauses), max_size=30))
def test_the_joined_view_is_that_of_a_plain_loop(history) -> None:
    with tempfile.TemporaryDirectory() as place:
        life = Life(Path(place))
        try:
            for (step, worker, what), pause in history:
                life.now += pause
                getattr(life, step)(worker, what)
        finally:
            for journal in life.journals:
                journal.close()
        life.check(START)
        life.compact(0, None)
        life.check(START)


def _prediction(plain: Plain, role: str, *, now: datetime, model: str) -> Prediction:
    answered = [one for one in plain.predictions if not one.of]
    shadows = role == "shadow" and answered
    return Prediction(
        id=NAMES[len(plain.predictions)],
        at=(now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1),
        model=model,
        role="shadow" if shadows else "canary" if role == "canary" else "champion",
        of=answered[-1].id if shadows else "",
        prediction=float(len(plain.predictions)),
    )


def _assert_same(plain: Plain, log: Path, tables: MemoryTables, *, seen: datetime) -> None:
    predictions = read_log(log, tables, name=PREDICTIONS)
    feedback = read_log(log, tables, name=FEEDBACK)
    joined = join_labels(predictions, feedback, seen=seen)
    columns = ("label", "received", "labels", "corrections", "restated")
    found = {row[0]: row[1:] for row in joined.select("id", *columns).iter_rows()}
    assert joined.height == len(plain.predictions)
    assert found == {one.id: plain.expected(one, seen=seen) for one in plain.predictions}
    # What a metric is made of: predictions beside truths that are numbers.
    measured = joined.filter(joined["value"].is_not_null()).sort("id")
    assert list(measured.select("id", "prediction", "value").iter_rows()) == sorted(
        (one.id, one.prediction, number)
        for one in plain.predictions
        if isinstance(number := value(str(plain.expected(one, seen=seen)[0] or '"-"')), float)
    )
    # Every one that was told is kept, those of ids that nobody knows apart.
    told = [one for labels_ in plain.told.values() for one in labels_]
    assert feedback.height == len(told)
    known = {one.id for one in plain.predictions}
    strange = unknown_labels(predictions, feedback)
    assert sorted(strange["id"]) == sorted(one.id for one in told if one.id not in known)
    assert latest_labels(feedback).height == len(plain.told)
