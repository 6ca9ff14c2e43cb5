"""Everything a replay may look up: rows asked, labels known at each moment, models and answers.

What is not there yet is made by the engine and kept in its cache, so that a second replay, or one
that was killed, makes nothing twice. Memory stays bounded by the rows asked: predictions and
labels are read when they are needed.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from bucle.clock import from_iso
from bucle.errors import BucleError, RequestError
from bucle.grammar import say_count
from bucle.ids import short_id
from bucle.loop.judging import read_artifact
from bucle.loop.replay.material import (
    Known,
    Learned,
    Suspicion,
    match_labels,
    nothing_known,
    stack_rows,
)
from bucle.loop.replay.survey import Moment, Survey, Training
from bucle.loop.replay.tasks import (
    Kitchen,
    answer_task,
    ask_task,
    learn_task,
    look_task,
    suspect_task,
)
from bucle.models.metrics import Floats, Kind
from bucle.models.prediction import class_names
from bucle.pipeline.engine import Engine
from bucle.pipeline.tasks import Artifact, Task, TaskResult, failure_of

if TYPE_CHECKING:
    from bucle.pipeline.execution import Execution

__all__ = ["Archive"]

_Name = tuple[str, str, int, str]
_KEPT = 48
_CLASSES = 2
_SHOWN = 3


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
        self._learned: dict[_Name, Learned | BucleError] = {}
        self._ahead: Execution | None = None
        self._awaited: dict[_Name, tuple[Training, str]] = {}
        self._arrays: OrderedDict[str, Floats] = OrderedDict()
        frames = [
            engine.read(artifact)
            for artifact in self._execute(
                ask_task(kitchen, at=one.at, end=one.end, view=one.asked) for one in survey.moments
            )
        ]
        self.rows = stack_rows(frames)
        sizes = [frame.height for frame in frames]
        self.period = np.repeat(np.arange(len(frames)) - survey.first, sizes)
        self.at = self.rows["_at"].to_numpy()
        _check_names(self.rows, kitchen.key)
        self._numbers = self.rows.select("_row").with_row_index("_number")
        self._asked = engine.keep(self.rows.drop("_row"))
        self.classes = self._find_classes()

    @property
    def models(self) -> tuple[Learned, ...]:
        """Every model that was made so far, in a fixed order."""
        found = [one for one in self._learned.values() if isinstance(one, Learned)]
        return tuple(sorted(found, key=lambda one: (one.cut, one.model)))

    @property
    def failures(self) -> tuple[str, ...]:
        """Words on the trainings that failed, none where none did."""
        learned = self._learned.items()
        failed = [(name[0], one.what) for name, one in learned if isinstance(one, BucleError)]
        if not failed:
            return ()
        moment, what = min(failed)
        count = say_count(len(failed), "training")
        return (f"{count} failed, the first on {moment[:10]}: {what.rstrip('.')}",)

    @property
    def distinct(self) -> int:
        """How many training sets made a model."""
        return len({name[:-1] for name, one in self._learned.items() if isinstance(one, Learned)})

    def known(self, number: int | None) -> Known:
        """Return the labels known at a moment, counted from the replay's first; None for all."""
        task = self._look(number)
        if self._ahead is not None and task.name in self._ahead:
            rows = read_artifact(self._ahead.wait(task.name))
        else:
            rows = self._execute([task])[0]
        return match_labels(
            self._engine.read(rows),
            numbers=self._numbers,
            at=self.at,
            kind=self.kind,
            classes=self.classes,
            until=from_iso(self.survey.moments[-1].end),
        )

    def whole(self, number: int, window: str) -> Training:
        """Return the training set of everything known at a moment, within a window."""
        return self._moment(number).whole[window]

    def cut(self, number: int, window: str) -> Training | None:
        """Return the one that leaves the newest labels for judging; None without any."""
        return self._moment(number).cut[window]

    def prepare(
        self, trainings: Iterable[tuple[Training, int | None]], *, moments: Iterable[int] = ()
    ) -> None:
        """Begin to make models, and the labels known at moments; whoever needs one waits for it."""
        distinct = {
            _name(one, newest): (one, self._learn(one, newest)) for one, newest in trainings
        }
        looks = [self._look(number) for number in moments]
        # Two windows may hold the same rows under the same name in the progress.
        models = _renamed([task for _, task in distinct.values()])
        self._ahead = self._engine.begin([*looks, *models])
        self._awaited = {
            name: (training, task.name)
            for (name, (training, _)), task in zip(distinct.items(), models, strict=True)
        }

    def finish(self) -> None:
        """Wait for everything that was begun."""
        for name in tuple(self._awaited):
            self._take(name)
        if self._ahead is not None:
            self._ahead.end()
            self._ahead = None

    def learned(self, training: Training, *, newest: int | None = None) -> Learned:
        """Return the model of a training set.

        Raises:
            BucleError: The steps failed on it, or it has nothing to learn from.
        """
        name = _name(training, newest)
        if name in self._awaited:
            self._take(name)
        if name not in self._learned:
            task = self._learn(training, newest)
            result = self._engine.execute([task])[task.name]
            self._learned[name] = self._read(result, training)
        found = self._learned[name]
        if isinstance(found, BucleError):
            raise found
        return found

    def predictions(self, learned: Learned) -> Floats:
        """Return what a model answers to each row asked; NaN before it was made."""
        kept = learned.predictions
        if kept is None:
            raise AssertionError("every model of history keeps its answers")
        digest = kept.digest
        if digest not in self._arrays:
            self._arrays[digest] = self._engine.read(kept)
            while len(self._arrays) > _KEPT:
                self._arrays.popitem(last=False)
        self._arrays.move_to_end(digest)
        return self._arrays[digest]

    def suspects(self) -> tuple[Suspicion, ...]:
        """Return the columns that may give the label away, as seen from the first moment."""
        one = self._moment(0)
        task = suspect_task(self._kitchen, moment=one.at, view=one.known)
        found = self._engine.read(self._execute([task])[0])
        return tuple(msgspec.convert(suspect, Suspicion) for suspect in found)

    def _take(self, name: _Name) -> None:
        """Wait for a model that was begun."""
        training, task = self._awaited.pop(name)
        if self._ahead is None:
            raise AssertionError("what is awaited was begun")
        self._learned[name] = self._read(self._ahead.wait(task), training)

    def _learn(self, training: Training, newest: int | None) -> Task:
        return learn_task(
            self._kitchen,
            moment=training.moment,
            since=training.since,
            view=training.view,
            newest=newest,
            asked=self._asked,
            asked_from=training.asked_from,
        )

    def _look(self, number: int | None) -> Task:
        one = self._moment(number) if number is not None else None
        return look_task(
            self._kitchen,
            moment=one.at if one else None,
            view=one.known if one else self.survey.final,
        )

    def _moment(self, number: int) -> Moment:
        return self.survey.moments[self.survey.first + number]

    def _read(self, result: TaskResult, training: Training) -> Learned | BucleError:
        if result.artifact is None:
            return failure_of(result)
        answer = self._engine.read(result.artifact)
        if not answer["labels"]:
            return nothing_known(training.moment)
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
            again = self._engine.execute([task])[task.name]
            if again.artifact is None:
                return failure_of(again)
            predictions = again.artifact
        return Learned(
            model=short_id("m", model.digest),
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

    def _find_classes(self) -> tuple[str, ...]:
        """Return the two answers of a yes/no target, as they were known at the first moment."""
        if self.kind != "classification":
            return ()
        one = self._moment(0)
        rows = self._engine.read(self._execute([self._look(0)])[0])
        classes = class_names(rows["_label"])
        if len(classes) != _CLASSES:
            shown = ", ".join(classes[:_SHOWN])
            raise RequestError(
                f"Cannot replay from {one.at[:10]}: the labels known then have "
                f"{say_count(len(classes), 'value')} ({shown}), a yes/no answer has two",
                attempt="a later --from" if len(classes) < _CLASSES else 'kind = "regression"',
                code="bucle-259",
            )
        return classes


def _check_names(rows: pl.DataFrame, key: tuple[str, ...]) -> None:
    twice = rows.filter(pl.col("_row").is_duplicated())
    if twice.height:
        named = "key" if len(key) == 1 else "keys"
        raise RequestError(
            f"Cannot replay: {twice.height:,} rows share their name with another, such as "
            f"{twice['_row'][0]}",
            cause=f"{', '.join(key)} ({named} in [pipeline]) does not name one row"
            if key
            else "the dataset's key does not name one row of the examples",
            attempt='key = ["COLUMN", "COLUMN"] in [pipeline]',
            code="bucle-279",
        )


def _name(training: Training, newest: int | None) -> _Name:
    # One that is asked from an earlier moment on has more answers, whatever it learned from.
    # How far back it looks is in the view: two windows that hold the same rows are one set.
    return training.moment, training.view, newest or 0, training.asked_from


def _renamed(tasks: list[Task]) -> list[Task]:
    seen: dict[str, int] = {}
    named = []
    for task in tasks:
        seen[task.name] = seen.get(task.name, 0) + 1
        again = f" ({seen[task.name]})" if seen[task.name] > 1 else ""
        named.append(msgspec.structs.replace(task, name=task.name + again))
    return named
