"""One policy's own copy of a living world: shared history, then the rows that it made itself.

What it learns from, is judged on and looks at comes from its own rows alone. Runs in a worker.
"""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from bucle.clock import from_iso, to_iso
from bucle.data.views import as_asked, as_of, cut_time
from bucle.errors import BucleError, ContractError, StepError
from bucle.ids import short_id
from bucle.loop.policy import window_span
from bucle.loop.replay.history import moments_of, open_history, view_of
from bucle.loop.replay.living import BEST, EXPECTED, LivingWorld
from bucle.loop.replay.material import (
    Known,
    Learned,
    Suspicion,
    match_labels,
    nothing_known,
    stack_rows,
)
from bucle.loop.replay.recipe import Place, Recipe
from bucle.loop.replay.steps import (
    BLOCK,
    Frames,
    Naming,
    asked_rows,
    known_rows,
    predict_blocks,
    question_of,
    suspects_in,
    train,
)
from bucle.loop.replay.survey import Survey, Training
from bucle.models.metrics import Floats, Kind
from bucle.models.prediction import class_names
from bucle.models.signature import Signature
from bucle.pipeline.artifacts import keep_value
from bucle.pipeline.tasks import Artifact
from bucle.store.file_blobs import FileBlobs
from bucle.watch.distance import reference_of

__all__ = ["Branch", "Fitted", "Served", "fit"]


class Served(Struct, frozen=True, kw_only=True):
    """The items of one period as they came, and what they are expected to earn.

    `expected` as the champion proposed, `plain` as it would have without chance, `recorded` as
    history had them; `best` is the most they could earn.
    """

    arrived: pl.DataFrame
    expected: float
    plain: float
    recorded: float
    best: float


class Fitted(Struct, frozen=True, kw_only=True):
    """A model that was trained and kept, with what is known of it."""

    model: Artifact
    signature: Signature
    labels: int
    rows: int
    reference: dict[str, Any]


class Branch:
    """The material of one policy in a living world.

    Args:
        recipe: How examples and models are made.
        place: Where history lies.
        survey: The moments; the digests of their views are not looked at.
        naming: How rows are recognised.
        holdout: The share of labels kept for judging.
        world: What answers.
        exploration: How much chance proposals have.
    """

    def __init__(
        self,
        recipe: Recipe,
        place: Place,
        *,
        survey: Survey,
        naming: Naming,
        holdout: float,
        world: LivingWorld,
        exploration: float,
    ) -> None:
        self.survey = survey
        self.kind: Kind = question_of(recipe).kind
        self.served: list[Served] = []
        self._recipe, self._place, self._naming = recipe, place, naming
        self._root = Path(place.root)
        self._holdout = holdout
        self._world = world
        self._exploration = exploration
        self._settings = recipe.settings[recipe.primary]
        self._models: dict[str, tuple[Any, Signature]] = {}
        self._learned: dict[tuple[str, str | None], Learned] = {}
        self._answers: dict[str, Floats] = {}
        self._rows = pl.DataFrame()
        self._periods: list[int] = []
        self._sizes: list[int] = []
        first = from_iso(survey.moments[survey.first].at)
        recorded = open_history(place, recipe.primary, self._settings)
        self._own = recorded.filter(moments_of(recorded, str(self._settings.event_time)) < first)
        for number in range(-survey.first, 0):
            self._ask(number)
        self.classes = self._find_classes()

    @property
    def rows(self) -> pl.DataFrame:
        """The rows asked so far."""
        return self._rows.drop("_row")

    @property
    def at(self) -> NDArray[np.int64]:
        """When each row came."""
        found: NDArray[np.int64] = self._rows["_at"].to_numpy()
        return found

    @property
    def period(self) -> NDArray[np.int64]:
        """In which period each row came."""
        return np.repeat(self._periods, self._sizes)

    @property
    def views(self) -> tuple[str, ...]:
        """What each model that was trained so far learned from, by digest."""
        return tuple(sorted({one.view for one in self._learned.values()}))

    def suspects(self) -> tuple[Suspicion, ...]:
        """Return the columns that may give the label away, as seen from the first moment."""
        at = self.survey.moments[self.survey.first].at
        found = suspects_in(self._recipe, self._root, self._view(at), moment=at)
        return tuple(msgspec.convert(one, Suspicion) for one in found)

    def serve(self, number: int, champion: Learned) -> None:
        """Let the items of a period come and the champion propose for them."""
        one = self.survey.moments[self.survey.first + number]
        start = from_iso(one.at)
        arrived = self._world.arrivals(start, from_iso(one.end))
        proposed = self._propose(arrived, champion, start, chance=self._exploration)
        plain = proposed
        if self._exploration:
            plain = self._propose(arrived, champion, start, chance=0.0)
        worth = self._world.worth(proposed)
        self.served.append(
            Served(
                arrived=arrived,
                expected=float(worth[EXPECTED].sum()),
                plain=float(self._world.worth(plain)[EXPECTED].sum()),
                recorded=float(self._world.worth(arrived)[EXPECTED].sum()),
                best=float(worth[BEST].sum()),
            )
        )
        lived = self._world.outcomes(proposed)
        self._own = pl.concat([self._own, _fitted(lived, self._own.schema)])
        self._ask(number)

    def forgone(self, number: int, model: Learned) -> float:
        """Return what a model would have forgone in a period, with the same chance."""
        start = from_iso(self.survey.moments[self.survey.first + number].at)
        arrived = self.served[number].arrived
        worth = self._world.worth(self._propose(arrived, model, start, chance=self._exploration))
        return max(0.0, float((worth[BEST] - worth[EXPECTED]).sum()))

    def known(self, number: int | None) -> Known:
        """Return the labels known at a moment, counted from the first; None for all."""
        at = self.survey.moments[self.survey.first + number].at if number is not None else None
        found = known_rows(self._recipe, self._root, self._view(at), moment=at, naming=self._naming)
        return match_labels(
            found,
            numbers=self._rows.select("_row").with_row_index("_number"),
            at=self.at,
            kind=self.kind,
            classes=self.classes,
        )

    def whole(self, number: int, window: str) -> Training:
        """Return the training set of everything known at a moment, within a window."""
        at = self.survey.moments[self.survey.first + number].at
        return self._training(at, self._since(at, window))

    def cut(self, number: int, window: str) -> Training | None:
        """Return the one that leaves the newest labels for judging; None without any."""
        at = self.survey.moments[self.survey.first + number].at
        since = self._since(at, window)
        frame = self._own
        if since is not None:
            frame = frame.filter(self._came >= from_iso(since))
        moment = cut_time(frame, self._settings, holdout=self._holdout, moment=at)
        return None if moment is None else self._training(to_iso(moment), since)

    def adopt(self, window: str, model: Any, fitted: Fitted) -> None:
        """Take over the model of the first day, which is the same for every policy."""
        training = self.whole(0, window)
        self._learned[training.moment, training.since] = self._keep(training, model, fitted)

    def learned(self, training: Training) -> Learned:
        """Return the model of a training set.

        Raises:
            BucleError: The steps failed on it, or it has nothing to learn from.
        """
        name = (training.moment, training.since)
        if name not in self._learned:
            self._learned[name] = self._train(training)
        return self._learned[name]

    def predictions(self, learned: Learned) -> Floats:
        """Return what a model answers to each row asked so far."""
        rows, known = self._rows, self._answers.get(learned.model, np.empty(0))
        # Whole blocks stay as they are; the last one is asked again with what came since.
        kept = known[: known.size // BLOCK * BLOCK] if known.size != rows.height else known
        if kept.size < rows.height:
            (model, signature), since = self._models[learned.model], self.survey.moments[0].at
            more = predict_blocks(model, signature, rows.slice(kept.size), start=since)
            kept = np.concatenate([kept, more])
        self._answers[learned.model] = kept
        return kept

    @property
    def _came(self) -> pl.Expr:
        return moments_of(self._own, str(self._settings.event_time))

    def _propose(
        self, rows: pl.DataFrame, model: Learned, moment: datetime, *, chance: float
    ) -> pl.DataFrame:
        return self._world.propose(rows, self._models[model.model][0], chance, moment)

    def _ask(self, number: int) -> None:
        one = self.survey.moments[self.survey.first + number]
        frames = self._others(one.at, one.end) | {
            self._recipe.primary: as_asked(self._own, one.at, one.end, self._settings)
        }
        found = asked_rows(self._recipe, self._root, frames, start=one.at, naming=self._naming)
        self._rows = stack_rows([self._rows, found]) if self._periods else found
        self._periods.append(number)
        self._sizes.append(found.height)

    def _view(self, at: str | None, *, since: str | None = None) -> Frames:
        seen = as_of(self._own, at, self._settings)
        if since is not None:
            event = moments_of(seen, str(self._settings.event_time))
            seen = seen.filter(event >= from_iso(since))
        return self._others(at, at) | {self._recipe.primary: seen}

    def _others(self, start: str | None, end: str | None) -> Frames:
        """Return the tables that nobody's proposals change, as they were."""
        return {
            name: view_of(open_history(self._place, name, settings), settings, start, end)
            for name, settings in self._recipe.settings.items()
            if name != self._recipe.primary
        }

    def _since(self, at: str, window: str) -> str | None:
        span = window_span(window)
        return None if span is None else to_iso(span.after(from_iso(at), times=-1))

    def _training(self, moment: str, since: str | None) -> Training:
        return Training(moment=moment, since=since, view="", asked_from=moment)

    def _train(self, training: Training) -> Learned:
        frames = self._view(training.moment, since=training.since)
        fitted, model = fit(self._recipe, self._place, frames, moment=training.moment)
        return self._keep(training, model, fitted)

    def _keep(self, training: Training, model: Any, fitted: Fitted) -> Learned:
        name = short_id("m", fitted.model.digest)
        self._models[name] = (model, fitted.signature)
        seen = f"{training.moment} {training.since} {fitted.model.digest}"
        return Learned(
            model=name,
            cut=training.moment,
            view=hashlib.sha256(seen.encode()).hexdigest(),
            labels=fitted.labels,
            rows=fitted.rows,
            reference=fitted.reference,
        )

    def _find_classes(self) -> tuple[str, ...]:
        if self.kind != "classification":
            return ()
        at = self.survey.moments[self.survey.first].at
        found = known_rows(self._recipe, self._root, self._view(at), moment=at, naming=self._naming)
        return class_names(found["_label"])


def fit(recipe: Recipe, place: Place, frames: Frames, *, moment: str) -> tuple[Fitted, Any]:
    """Train a model on frames and keep it; return what is known of it, and the model.

    Raises:
        BucleError: The steps failed on it, or it has nothing to learn from.
    """
    root = Path(place.root)
    try:
        trained = train(recipe, root, frames, moment=moment)
    except BucleError:
        raise
    except Exception as error:
        # A step of the project may fail in any way.
        raise StepError(
            f"Cannot train on what was known on {moment[:10]}",
            cause=f"{type(error).__name__}: {error}",
            code="bucle-269",
        ) from error
    if not trained.labels:
        raise nothing_known(moment)
    found = Fitted(
        model=keep_value(trained.model, blobs=FileBlobs(Path(place.blobs)), root=root),
        signature=trained.signature,
        labels=trained.labels,
        rows=trained.examples.height,
        reference=reference_of(trained.inputs),
    )
    return found, trained.model


def _fitted(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return rows of a world under the columns and types of the dataset."""
    missing = [name for name in schema if name not in rows.columns]
    if missing:
        raise ContractError(
            f"Cannot use the rows of the world: they have no column {missing[0]!r}",
            cause=f"the dataset has the columns {', '.join(schema)}",
            attempt="all columns of the dataset in what outcomes() returns",
            code="bucle-268",
        )
    try:
        return rows.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise ContractError(
            "Cannot use the rows of the world: a column is not of the dataset's type",
            cause=str(error).splitlines()[0],
            code="bucle-268",
        ) from error
