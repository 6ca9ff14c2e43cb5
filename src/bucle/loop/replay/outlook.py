"""What can be seen at one moment of a replay: verdicts, finished windows, drift and gains.

Sees labels that were known at the moment and rows that had come before it, and nothing later.
Shared by all policies; a verdict on the same two models is worked out once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from bucle.charter.metrics import as_loss
from bucle.charter.settings import Charter, GateSettings
from bucle.clock import from_iso
from bucle.errors import BucleError
from bucle.gates.baselines import BaselineColumns, predict_baselines
from bucle.gates.evidence import Evidence
from bucle.gates.referee import deciding_metric, judge, with_check
from bucle.gates.refit import compare_refit
from bucle.grammar import say_count
from bucle.loop.likeness import check_rows
from bucle.loop.looks import FIRST_LOOK, Looks
from bucle.loop.replay.material import Known, Learned, Material, Suspicion
from bucle.loop.replay.survey import Training
from bucle.loop.ripeness import usual_of
from bucle.models.metrics import Cost, Floats, losses, measure
from bucle.models.money import cost_function
from bucle.types import Check, Verdict
from bucle.watch.distance import measure_distances

__all__ = ["Outlook", "Scale", "Window", "make_scale"]

_WINDOW_PERIODS = 3
_LEAST_LABELS = 20


class Scale(Struct, frozen=True, kw_only=True):
    """How errors are measured: the deciding metric, the cost of an error, the charter's gates.

    `summed` is the metric whose losses are added up over rows where sums are compared: that of the
    deciding one, or log loss for AUC, which is no sum over rows.
    """

    metric: str
    gates: GateSettings
    charter: Charter
    cost: Cost

    def error(self, kind: Any, truth: Floats, prediction: Floats) -> float | None:
        """Return the metric of some rows; None where it has no value."""
        found = measure(kind, truth, prediction, threshold=self.gates.threshold, cost=self.cost)
        return found.get(self.metric)

    @property
    def summed(self) -> str:
        """The metric whose losses may be added up over any rows."""
        return "log_loss" if self.metric == "auc" else self.metric

    def losses(self, truth: Floats, prediction: Floats) -> Floats:
        """Return what each row loses, at least 0: for money, more than with the truth itself."""
        if self.metric == "money":
            more = self.cost(truth, prediction) - self.cost(truth, truth)
            return np.maximum(more, 0.0, dtype=np.float64)
        return losses(
            self.summed, truth, prediction, threshold=self.gates.threshold, cost=self.cost
        )


class Window(Struct, frozen=True, kw_only=True):
    """A finished window of one model: its periods, its rows, and its error in loss form."""

    first: int
    last: int
    rows: int
    labelled: int
    error: float


def make_scale(charter: Charter, root: Path) -> Scale:
    """Read from the charter how errors are measured.

    A replay does not time predictions or weigh packages: those limits are left out.
    """
    kind = charter.pipeline.kind
    return Scale(
        metric=deciding_metric(charter.charter.kpis, kind=kind),
        gates=replace(charter.gates, max_latency_ms=None, max_megabytes=None),
        charter=charter,
        cost=cost_function(charter.charter.money, root=root, threshold=charter.gates.threshold),
    )


class Outlook:
    """The view from the moments of a replay, one after another.

    Args:
        archive: The material.
        scale: How errors are measured.
        suspects: Columns that may know the answer.
    """

    def __init__(self, archive: Material, scale: Scale, suspects: Sequence[Suspicion] = ()) -> None:
        self.archive = archive
        self.scale = scale
        self.number = 0
        self._suspects = tuple(suspects)
        self._known: Known | None = None
        self._wait: timedelta | None = None
        self._verdicts: dict[tuple[int, str, str | None, Looks], Verdict] = {}

    def move(self, number: int) -> None:
        """Go to a moment, counted from the replay's first."""
        self.number = number
        self._known = self._wait = None

    @property
    def known(self) -> Known:
        """The labels known at this moment."""
        if self._known is None:
            self._known = self.archive.known(self.number)
        return self._known

    @property
    def usual_wait(self) -> timedelta:
        """How long labels usually take, told from what was asked since the first moment."""
        if self._wait is None:
            asked = (self.archive.period >= 0) & np.isfinite(self.known.labels)
            at, when = self.archive.at[asked], self.known.when[asked]
            now = round(self.now.timestamp() * 1e6)
            waits = pl.DataFrame({"wait": (when - at) // 1000, "age": (now - at) // 1000})
            self._wait = usual_of(waits)
        return self._wait

    @property
    def now(self) -> datetime:
        """The moment."""
        moments = self.archive.survey.moments
        return from_iso(moments[self.archive.survey.first + self.number].at)

    def learned(self, training: Training) -> Learned:
        """Return the model of a training set, which answers every row that came by now.

        Raises:
            BucleError: The steps failed on it, or it refuses a row that has come.
        """
        model = self.archive.learned(training)
        # Rows that no one asked it to answer are left out: those before its own time.
        asked = self.archive.at >= round(from_iso(training.asked_from).timestamp() * 1e6)
        rows = np.flatnonzero(asked & (self.archive.period < self.number))
        refused = int(np.sum(~np.isfinite(self.archive.predictions(model)[rows])))
        if refused:
            raise BucleError(
                f"Cannot use the model made on {training.moment[:10]}: it refuses "
                + say_count(refused, "row"),
                code="bucle-277",
            )
        return model

    def judge(
        self, challenger: Learned, champion: Learned | None, *, looks: Looks = FIRST_LOOK
    ) -> Verdict:
        """Put a challenger before the referee, on rows that neither model has seen.

        Args:
            challenger: The model that may ship.
            champion: The one that reigns.
            looks: How often one has looked before.
        """
        name = (self.number, challenger.model, champion.model if champion else None, looks)
        if name not in self._verdicts:
            self._verdicts[name] = self._judge(challenger, champion, looks)
        return self._verdicts[name]

    def compare_refit(self, tested: Learned, refit: Learned) -> Check:
        """Compare a refit with its tested twin, on the rows that the twin was tested on."""
        rows = self._unseen(tested)
        return compare_refit(
            self.known.labels[rows],
            self.archive.predictions(tested)[rows],
            self.archive.predictions(refit)[rows],
            metric=self.scale.metric,
            confidence=self.scale.gates.confidence,
            clusters=self._clusters(rows),
            threshold=self.scale.gates.threshold,
            cost=self.scale.cost,
        )

    def validated(self, tested: Learned) -> float | None:
        """Return a model's error, in loss form, on rows newer than its training."""
        return self._error(tested, self._unseen(tested))

    def finished_window(self, model: Learned, *, since: int) -> Window | None:
        """Return the newest window of a champion in which 90 % of the labels had time to come.

        How long that is, is told from the labels known at the moment, as it is of a live project.

        Args:
            model: The champion.
            since: The period in which it became champion.
        """
        ends = self.archive.survey.moments[self.archive.survey.first :]
        delay = self.usual_wait
        ripe = [
            number
            for number in range(since, self.number)
            if self.now - from_iso(ends[number].end) >= delay
        ]
        if not ripe:
            return None
        last = ripe[-1]
        first = max(since, last - _WINDOW_PERIODS + 1)
        asked = (self.archive.period >= first) & (self.archive.period <= last)
        answered = np.isfinite(self.archive.predictions(model))
        rows = np.flatnonzero(asked & answered & np.isfinite(self.known.labels))
        error = self._error(model, rows) if rows.size >= _LEAST_LABELS else None
        if error is None:
            return None
        return Window(
            first=first, last=last, rows=int(asked.sum()), labelled=int(rows.size), error=error
        )

    def distance(self, model: Learned) -> tuple[float, str, int] | None:
        """Return how far the inputs of the last period lie from a model's, the column, the rows."""
        asked = self.archive.rows.filter(pl.Series(self.archive.period == self.number - 1))
        found = measure_distances(model.reference, asked)
        if not found:
            return None
        column = max(found, key=lambda name: found[name])
        return found[column], column, asked.height

    def gain(
        self, champion: Learned, challenger: Learned, *, since: datetime
    ) -> tuple[float, float, int] | None:
        """Return the share of the loss and the money saved on labels that came since, and the rows.

        Only rows that neither model has learned from, whose label became known after `since`.
        """
        rows = self._unseen(challenger, champion)
        rows = rows[self.known.when[rows] > round(since.timestamp() * 1e6)]
        if rows.size < _LEAST_LABELS:
            return None
        truth = self.known.labels[rows]
        old, new = (
            self.archive.predictions(champion)[rows],
            self.archive.predictions(challenger)[rows],
        )
        lost, found = self.scale.losses(truth, old).sum(), self.scale.losses(truth, new).sum()
        saved = float(np.sum(self.scale.cost(truth, old) - self.scale.cost(truth, new)))
        return (float(1.0 - found / lost) if lost > 0 else 0.0), saved, int(rows.size)

    def _unseen(self, *models: Learned) -> NDArray[np.int64]:
        """Return the labelled rows that came after the training of all models, before now."""
        cut = max(from_iso(model.cut) for model in models)
        later = self.archive.at >= round(cut.timestamp() * 1e6)
        past = self.archive.period < self.number
        rows = np.flatnonzero(later & past & np.isfinite(self.known.labels))
        for model in models:
            # What a champion refuses later on can compare nothing.
            rows = rows[np.isfinite(self.archive.predictions(model)[rows])]
        return rows

    def _error(self, model: Learned, rows: NDArray[np.int64]) -> float | None:
        if not rows.size:
            return None
        found = self.scale.error(
            self.archive.kind, self.known.labels[rows], self.archive.predictions(model)[rows]
        )
        return None if found is None else as_loss(self.scale.metric, found)

    def _judge(self, challenger: Learned, champion: Learned | None, looks: Looks) -> Verdict:
        rows = self._unseen(*(model for model in (challenger, champion) if model is not None))
        gates = self.scale.gates
        evidence = Evidence(
            truth=self.known.labels[rows],
            challenger=self.archive.predictions(challenger)[rows],
            champion=self.archive.predictions(champion)[rows] if champion else None,
            baselines=self._baselines(challenger, rows),
            challenger_model=challenger.model,
            champion_model=champion.model if champion else None,
            event_time=self.archive.at[rows],
            clusters=self._clusters(rows),
            slices={name: self._beside(name, rows) for name in gates.slices},
            suspects=self._suspects,
            looks=looks.same,
            earlier_challengers=looks.others,
        )
        verdict = judge(
            evidence,
            settings=gates,
            kpis=self.scale.charter.charter.kpis,
            kind=self.archive.kind,
            cost=self.scale.cost,
        )
        # Of a verdict that does not pass anyway the question would change nothing.
        if champion is None or verdict.outcome != "pass":
            return verdict
        return with_check(verdict, self._likeness(champion))

    def _likeness(self, champion: Learned) -> Check:
        """Compare the rows since the champion's training with those asked before."""
        past = np.flatnonzero(self.archive.period < self.number)
        frame = self.archive.rows[past]
        beside = [name for name in frame.columns if name.startswith("_")]
        return check_rows(
            frame.drop(beside),
            label=self.known.labels[past],
            at=self.archive.at[past],
            until=champion.cut,
        )

    def _baselines(self, challenger: Learned, rows: NDArray[np.int64]) -> dict[str, Floats]:
        if not rows.size:
            return {}
        cut = from_iso(challenger.cut)
        history = self.known.rows
        learned = (pl.col("_at") < cut) & (pl.col("_known") <= cut)
        train = history.filter(learned)
        if not train.height:
            # The step that makes the examples keeps only newer ones: what was asked before knows.
            train = self._asked_rows(np.flatnonzero(np.isfinite(self.known.labels))).filter(learned)
        if not train.height:
            return {}
        key = self.scale.gates.baseline_key
        columns = BaselineColumns(
            target="_label",
            key=f"_beside {key}" if key else None,
            event_time="_at",
            label_time="_known",
        )
        asked = self._asked_rows(rows).with_columns(
            pl.lit(None, dtype=pl.Datetime("us", "UTC")).alias("_known")
        )
        return predict_baselines(
            self.scale.gates.baselines,
            train,
            asked,
            columns=columns,
            kind=self.archive.kind,
            history=history,
        )

    def _asked_rows(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """Return rows asked, with their labels and when these became known."""
        return self.archive.rows[rows].with_columns(
            pl.from_epoch("_at", "us").dt.replace_time_zone("UTC"),
            pl.from_epoch(pl.Series("_known", self.known.when[rows]), "us").dt.replace_time_zone(
                "UTC"
            ),
            pl.Series("_label", self.known.labels[rows]),
        )

    def _clusters(self, rows: NDArray[np.int64]) -> NDArray[Any] | None:
        name = self.scale.gates.cluster
        return self._beside(name, rows) if name else None

    def _beside(self, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        return self.archive.rows[f"_beside {name}"].cast(pl.String).to_numpy()[rows]
