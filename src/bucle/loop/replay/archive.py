"""Everything a replay may look up: rows asked, labels known at each moment, models and answers.

What is not there yet is made by the engine and kept in its cache, so that a second replay, or one
that was killed, makes nothing twice. Memory stays bounded by the rows asked: predictions and
labels are read when they are needed.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from bucle.errors import BucleError, OutsideError
from bucle.ids import short_id
from bucle.loop.judging import read_artifact
from bucle.loop.replay.survey import Survey, Training
from bucle.loop.replay.tasks import (
    Kitchen,
    answer_task,
    ask_task,
    learn_task,
    look_task,
    suspect_task,
)
from bucle.models.metrics import Floats, Kind
from bucle.models.prediction import class_names, encode_labels
from bucle.pipeline.engine import Engine
from bucle.pipeline.tasks import Artifact, Task, TaskResult, failure_of

__all__ = ["Archive", "Known", "Learned", "Suspicion"]

_KEPT = 48


class Learned(Struct, frozen=True, kw_only=True):
    """A model made at some moment of history; `cut` is when its training ended.

    `view` is the digest of what it learned from.
    """

    model: str
    cut: str
    view: str
    labels: int
    rows: int
    reference: dict[str, Any]
    predictions: Artifact


class Known(Struct, frozen=True, kw_only=True):
    """The labels known at a moment.

    `labels` and `when` (microseconds; when it became known) have one entry a row asked, NaN and
    -1 where nothing was known. `rows` are all labelled rows of history, with `_at` and `_known` as
    moments, `_label` as a number, and the columns beside. `unmatched` counts labelled rows of the
    replay's time that were never asked.
    """

    labels: Floats
    when: NDArray[np.int64]
    rows: pl.DataFrame
    unmatched: int


class Suspicion(Struct, frozen=True, kw_only=True):
    """Columns that may know the answer."""

    columns: tuple[str, ...]
    kind: str
    evidence: str


class Archive:
    """The material of one replay.

    Args:
        engine: Executes what is not in the cache.
        kitchen: What every task shares.
        survey: The moments.
        kind: What is predicted.
    """

    def __init__(self, engine: Engine, kitchen: Kitchen, survey: Survey, *, kind: Kind) -> None:
        self.survey = survey
        self.kind: Kind = kind
        self.trained = 0
        self.seconds = 0.0
        self._engine = engine
        self._kitchen = kitchen
        self._learned: dict[tuple[str, str | None, str, int | None], Learned | BucleError] = {}
        self._arrays: OrderedDict[str, Floats] = OrderedDict()
        frames = [
            engine.read(artifact)
            for artifact in self._execute(
                ask_task(kitchen, at=one.at, end=one.end, view=one.asked) for one in survey.moments
            )
        ]
        self.rows = _stack(frames)
        sizes = [frame.height for frame in frames]
        self.period = np.repeat(np.arange(len(frames)) - survey.first, sizes)
        self.at: NDArray[np.int64] = self.rows["_at"].to_numpy()
        self._numbers = self.rows.select("_row").with_row_index("_number")
        self._asked = engine.keep(self.rows.drop("_row"))
        self.classes = self._find_classes()

    @property
    def models(self) -> tuple[Learned, ...]:
        """Every model that was made so far, in a fixed order."""
        found = [one for one in self._learned.values() if isinstance(one, Learned)]
        return tuple(sorted(found, key=lambda one: (one.cut, one.model)))

    def known(self, number: int | None) -> Known:
        """Return the labels known at a moment, counted from the replay's first; None for all."""
        moments, first = self.survey.moments, self.survey.first
        one = moments[number + first] if number is not None else None
        task = look_task(
            self._kitchen,
            moment=one.at if one else None,
            view=one.known if one else self.survey.final,
        )
        return self._match(self._engine.read(self._execute([task])[0]))

    def prepare(self, trainings: Iterable[tuple[Training, int | None]]) -> None:
        """Make models at once, as many together as there are workers."""
        wanted = [
            (one, newest) for one, newest in trainings if _name(one, newest) not in self._learned
        ]
        distinct = {_name(*one): one for one in wanted}
        tasks = {
            name: learn_task(
                self._kitchen,
                moment=one.moment,
                since=one.since,
                view=one.view,
                newest=newest,
                asked=self._asked,
                asked_from=one.asked_from,
            )
            for name, (one, newest) in distinct.items()
        }
        # Two windows may hold the same rows under the same name in the progress.
        results = self._engine.execute(_renamed(list(tasks.values())))
        for (name, _), result in zip(tasks.items(), results.values(), strict=True):
            self._learned[name] = self._read(result, distinct[name][0])

    def learned(self, training: Training, *, newest: int | None = None) -> Learned:
        """Return the model of a training set.

        Raises:
            BucleError: The steps failed on it, or it has nothing to learn from.
        """
        name = _name(training, newest)
        if name not in self._learned:
            self.prepare([(training, newest)])
        found = self._learned[name]
        if isinstance(found, BucleError):
            raise found
        return found

    def predictions(self, learned: Learned) -> Floats:
        """Return what a model answers to each row asked; NaN before it was made."""
        digest = learned.predictions.digest
        if digest not in self._arrays:
            self._arrays[digest] = self._engine.read(learned.predictions)
            while len(self._arrays) > _KEPT:
                self._arrays.popitem(last=False)
        self._arrays.move_to_end(digest)
        return self._arrays[digest]

    def suspects(self) -> tuple[Suspicion, ...]:
        """Return the columns that may give the label away, as seen from the first moment."""
        one = self.survey.moments[self.survey.first]
        task = suspect_task(self._kitchen, moment=one.at, view=one.known)
        found = self._engine.read(self._execute([task])[0])
        return tuple(msgspec.convert(suspect, Suspicion) for suspect in found)

    def _read(self, result: TaskResult, training: Training) -> Learned | BucleError:
        if result.artifact is None:
            return failure_of(result)
        answer = self._engine.read(result.artifact)
        self.trained += result.state == "ran"
        self.seconds += result.seconds
        model = msgspec.convert(answer["model"], Artifact)
        predictions = msgspec.convert(answer["predictions"], Artifact)
        has = self._engine.blobs.has
        wanted = [self._asked.digest, training.asked_from]
        if answer["asked"] != wanted or not has(predictions.digest):
            task = answer_task(
                self._kitchen,
                model=model,
                signature=answer["signature"],
                asked=self._asked,
                asked_from=training.asked_from,
            )
            predictions = self._execute([task])[0]
        return Learned(
            model=short_id("m-", model.digest),
            cut=training.moment,
            view=training.view,
            labels=answer["labels"],
            rows=answer["rows"],
            reference=answer["reference"],
            predictions=predictions,
        )

    def _execute(self, tasks: Iterable[Task]) -> list[Artifact]:
        found = self._engine.execute(list(tasks))
        return [read_artifact(result) for result in found.values()]

    def _match(self, rows: pl.DataFrame) -> Known:
        """Bring labels to the rows asked, by the name of the row."""
        numbered = rows.with_columns(pl.Series("_label", self._encode(rows["_label"])))
        first = int(self.at[0]) if self.at.size else 0
        later = numbered.filter(pl.col("_at").dt.epoch("us") >= first)
        matched = later.join(self._numbers, on="_row", how="left")
        unmatched = matched["_number"].null_count()
        matched = matched.drop_nulls("_number")
        labels = np.full(self.at.size, np.nan)
        when: NDArray[np.int64] = np.full(self.at.size, -1, dtype=np.int64)
        place = matched["_number"].to_numpy()
        labels[place] = matched["_label"].to_numpy()
        when[place] = matched["_known"].dt.epoch("us").fill_null(-1).to_numpy()
        return Known(labels=labels, when=when, rows=numbered, unmatched=unmatched)

    def _encode(self, labels: pl.Series) -> Floats:
        if self.kind == "classification":
            return encode_labels(labels, self.classes)
        return np.asarray(labels.cast(pl.Float64).to_numpy(), dtype=np.float64)

    def _find_classes(self) -> tuple[str, ...]:
        """Return the two answers of a yes/no target, as they were known at the first moment."""
        if self.kind != "classification":
            return ()
        one = self.survey.moments[self.survey.first]
        task = look_task(self._kitchen, moment=one.at, view=one.known)
        rows = self._engine.read(self._execute([task])[0])
        return class_names(rows["_label"])


def _name(training: Training, newest: int | None) -> tuple[str, str | None, str, int | None]:
    return training.moment, training.since, training.view, newest


def _renamed(tasks: list[Task]) -> list[Task]:
    seen: dict[str, int] = {}
    named = []
    for task in tasks:
        seen[task.name] = seen.get(task.name, 0) + 1
        again = f" ({seen[task.name]})" if seen[task.name] > 1 else ""
        named.append(msgspec.structs.replace(task, name=task.name + again))
    return named


def _stack(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Put the rows of all periods under one another, under the types of the earliest.

    What comes later must not change the type of what came before.
    """
    schema: dict[str, pl.DataType] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            if schema.get(name, pl.Null()) == pl.Null:
                schema[name] = dtype
    settled = []
    for frame in frames:
        try:
            settled.append(frame.select(pl.col(name).cast(to) for name, to in schema.items()))
        except pl.exceptions.PolarsError as error:
            raise OutsideError(
                "Cannot replay: a column of the examples changes its type over history",
                cause=str(error).splitlines()[0],
                attempt="one type in the step that makes the examples, whatever the rows hold",
                code="bucle-262",
            ) from error
    return pl.concat(settled)
