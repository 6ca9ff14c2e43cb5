"""Built-in steps that package a model and put it before the referee; they run in a worker.

A package is judged as it lies on the disk: opened by its digests, loaded by the allow-list, so
that what was tested is what ships.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from bucle.charter.settings import CharterSettings, GateSettings, Kpi, Money
from bucle.data.leaks import Suspect, find_leaks
from bucle.errors import PipelineError
from bucle.gates.baselines import BaselineColumns, predict_baselines
from bucle.gates.evidence import Evidence
from bucle.gates.referee import deciding_metric, judge
from bucle.gates.refit import compare_refit
from bucle.loop.columns import require_columns
from bucle.loop.views import keep_newer
from bucle.models.card import render_card
from bucle.models.intervals import fit_intervals
from bucle.models.metrics import Cost, Floats, find_warnings, measure
from bucle.models.money import cost_function
from bucle.models.package import Package, PackageContents, open_package, write_package
from bucle.models.prediction import class_names, encode_labels, predict
from bucle.models.profile import profile_of
from bucle.models.reliability import reliability
from bucle.models.signature import conform, signature_of
from bucle.pipeline.estimators import estimator_to_bytes

__all__ = [
    "Question",
    "compare_packages",
    "judge_package",
    "make_package",
    "make_refit_package",
]

_LEVEL = 0.9
_LATENCY_CALLS = 15


class Question(Struct, frozen=True, kw_only=True):
    """What is predicted, from which columns, and how an error counts.

    `features` is empty for every column of the examples but the `hidden` ones (keys and labels),
    the target and the times. `cut` is where training ended; None when rows carry no event time.
    """

    kind: Literal["regression", "classification"]
    target: str
    features: tuple[str, ...]
    hidden: tuple[str, ...]
    event_time: str | None
    label_time: str | None
    cut: str | None
    threshold: float
    money: Money
    seed: int

    def feature_names(self, frame: pl.DataFrame) -> list[str]:
        """Return the columns a prediction may use."""
        if self.features:
            return list(self.features)
        hidden = {*self.hidden, self.target, self.event_time, self.label_time}
        return [name for name in frame.columns if name not in hidden]

    def labelled(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose label is known, in the order of their event time."""
        known = pl.col(self.target).is_not_null()
        if frame.schema[self.target].is_float():
            known &= pl.col(self.target).is_finite()
        rows = frame.filter(known)
        if self.event_time is not None and self.event_time in rows.columns:
            rows = rows.sort(self.event_time, maintain_order=True)
        return rows

    def unseen(self, newer: pl.DataFrame, *, after: str | None = None) -> pl.DataFrame:
        """Return the labelled rows that neither this training nor another one has seen."""
        rows = keep_newer(newer, event_time=self.event_time, cut=self.cut)
        return self.labelled(keep_newer(rows, event_time=self.event_time, cut=after))

    def truth(self, rows: pl.DataFrame, classes: tuple[str, ...]) -> Floats:
        """Return the labels as numbers; 1 for yes."""
        labels = rows[self.target]
        if self.kind == "classification":
            return encode_labels(labels, classes)
        return np.asarray(labels.cast(pl.Float64).to_numpy(), dtype=np.float64)

    def cost(self, root: Path) -> Cost:
        """Return what an error costs."""
        return cost_function(self.money, root=root, threshold=self.threshold)


def make_package(
    model: Any,
    train: pl.DataFrame,
    newer: pl.DataFrame,
    *,
    question: dict[str, Any],
    charter: dict[str, Any],
    gates: dict[str, Any],
    lineage: dict[str, Any],
    packages: str,
    root: str,
) -> dict[str, Any]:
    """Measure a fitted model on newer rows, beside naive baselines, and write its package.

    Returns:
        `model` (the package's id), `digest` (in full), `metrics` and `warnings`.
    """
    asked = msgspec.convert(question, Question)
    _require_estimator(model)
    features = asked.feature_names(train)
    rows = asked.unseen(newer)
    classes = class_names(train[asked.target]) if asked.kind == "classification" else ()
    signature = signature_of(
        train.select(features), kind=asked.kind, target=asked.target, classes=classes
    )
    inputs = conform(signature, rows)
    truth = asked.truth(rows, classes)
    predicted = predict(model, inputs, kind=asked.kind) if rows.height else truth
    cost = asked.cost(Path(root))
    metrics = measure(asked.kind, truth, predicted, threshold=asked.threshold, cost=cost)
    naive = _baselines(asked, msgspec.convert(gates, GateSettings), train, newer, rows, classes)
    baselines = {
        name: measure(asked.kind, truth, guess, threshold=asked.threshold, cost=cost)
        for name, guess in naive.items()
    }
    warnings = find_warnings(asked.kind, truth, predicted)
    band = (
        fit_intervals(inputs, truth, predicted, level=_LEVEL, seed=asked.seed)
        if asked.kind == "regression"
        else None
    )
    if band is not None and band.intervals.coverage is not None:
        metrics["coverage"] = band.intervals.coverage
    contents = PackageContents(
        estimator=estimator_to_bytes(model, project=Path(root)),
        signature=signature,
        metrics=metrics,
        measured={"rows": rows.height, "baselines": baselines, "warnings": list(warnings)},
        profile=profile_of(train.select(features)),
        lineage=lineage,
        card="",
        intervals=band.intervals if band else None,
        scale=estimator_to_bytes(band.scale) if band and band.scale else None,
        calibration=reliability(truth, predicted) if classes and rows.height else (),
    )
    return _write(contents, charter, packages)


def judge_package(
    package: dict[str, Any],
    train: pl.DataFrame,
    newer: pl.DataFrame,
    *,
    question: dict[str, Any],
    gates: dict[str, Any],
    kpis: list[dict[str, Any]],
    champion: str | None,
    champion_digest: str | None,
    champion_cut: str | None,
    looks: int,
    others: int,
    packages: str,
    root: str,
) -> dict[str, Any]:
    """Put a package before the referee, on rows that neither it nor the champion has seen.

    Returns:
        The verdict as JSON values.
    """
    asked = msgspec.convert(question, Question)
    settings = msgspec.convert(gates, GateSettings)
    require_columns(newer, _named(settings))
    folder, project = Path(packages), Path(root)
    challenger = open_package(folder, package["model"], project=project, digest=package["digest"])
    reigning = (
        open_package(folder, champion, project=project, digest=champion_digest)
        if champion is not None
        else None
    )
    rows = asked.unseen(newer, after=champion_cut)
    if reigning is not None and champion_cut is None and asked.cut is not None:
        # Nobody can say which of these rows the champion has learned from.
        rows = rows.clear()
    classes = challenger.signature.classes
    evidence = Evidence(
        truth=asked.truth(rows, classes),
        challenger=_predict(challenger, rows),
        champion=_predict(reigning, rows) if reigning else None,
        baselines=_baselines(asked, settings, train, newer, rows, classes),
        challenger_model=challenger.model,
        champion_model=champion,
        event_time=_times(rows, asked.event_time),
        clusters=_clusters(rows, settings),
        slices={name: rows[name].cast(pl.String).to_numpy() for name in settings.slices},
        suspects=_suspects(asked, train, challenger),
        package_bytes=challenger.size_bytes,
        latency_ms=_latency(challenger, rows),
        looks=looks,
        earlier_challengers=others,
    )
    verdict = judge(
        evidence,
        settings=settings,
        kpis=msgspec.convert(kpis, list[Kpi]),
        kind=asked.kind,
        cost=asked.cost(Path(root)),
    )
    answer: dict[str, Any] = msgspec.to_builtins(verdict)
    return answer


def make_refit_package(
    model: Any,
    newer: pl.DataFrame,
    package: dict[str, Any],
    *,
    question: dict[str, Any],
    charter: dict[str, Any],
    lineage: dict[str, Any],
    packages: str,
    root: str,
) -> dict[str, Any]:
    """Write the package of a refit; metrics and intervals are those of its tested twin.

    The refit has learned from the rows that its twin was measured on, so nothing measured there
    would be true of it.
    """
    asked = msgspec.convert(question, Question)
    twin = open_package(Path(packages), package["model"], project=Path(root))
    known = asked.labelled(newer)
    contents = PackageContents(
        estimator=estimator_to_bytes(model, project=Path(root)),
        signature=twin.signature,
        metrics=twin.metrics,
        measured={**twin.measured, "measured_on": twin.model},
        profile=profile_of(known.select([column.name for column in twin.signature.features])),
        lineage={**lineage, "twin": twin.model},
        card="",
        intervals=twin.intervals,
        scale=twin.scale_bytes,
        calibration=twin.calibration,
    )
    return _write(contents, charter, packages)


def compare_packages(
    refit: dict[str, Any],
    newer: pl.DataFrame,
    package: dict[str, Any],
    *,
    question: dict[str, Any],
    gates: dict[str, Any],
    kpis: list[dict[str, Any]],
    packages: str,
    root: str,
) -> dict[str, Any]:
    """Compare a refit with its tested twin on the rows that the twin was tested on."""
    asked = msgspec.convert(question, Question)
    settings = msgspec.convert(gates, GateSettings)
    folder, project = Path(packages), Path(root)
    tested = open_package(folder, package["model"], project=project)
    rows = asked.unseen(newer)
    check = compare_refit(
        asked.truth(rows, tested.signature.classes),
        _predict(tested, rows),
        _predict(open_package(folder, refit["model"], project=project), rows),
        metric=deciding_metric(msgspec.convert(kpis, list[Kpi]), kind=asked.kind),
        confidence=settings.confidence,
        clusters=_clusters(rows, settings),
        threshold=asked.threshold,
        cost=asked.cost(project),
    )
    answer: dict[str, Any] = msgspec.to_builtins(check)
    return answer


def _require_estimator(model: Any) -> None:
    if not callable(getattr(model, "predict", None)):
        raise PipelineError(
            f"Cannot judge: the model step returned {type(model).__name__}, which cannot predict",
            cause="the step that [pipeline] names as model returns a fitted estimator",
            attempt="return learner.fit(rows, labels)",
            code="bucle-241",
        )


def _write(contents: PackageContents, charter: dict[str, Any], packages: str) -> dict[str, Any]:
    card = render_card(contents, charter=msgspec.convert(charter, CharterSettings))
    whole = msgspec.structs.replace(contents, card=card)
    model = write_package(Path(packages), whole)
    return {
        "model": model,
        "digest": open_package(Path(packages), model).digest,
        "metrics": contents.metrics,
        "warnings": list(contents.measured.get("warnings", ())),
    }


def _predict(package: Package, rows: pl.DataFrame) -> Floats:
    """Predict; a package that cannot take these rows gives NaN, which no gate passes."""
    if not rows.height:
        return np.empty(0)
    missing = [
        column.name for column in package.signature.features if column.name not in rows.columns
    ]
    if missing:
        return np.full(rows.height, np.nan)
    return package.predict(rows)


def _baselines(
    asked: Question,
    settings: GateSettings,
    train: pl.DataFrame,
    newer: pl.DataFrame,
    rows: pl.DataFrame,
    classes: tuple[str, ...],
) -> dict[str, Floats]:
    """Predict the rows naively; the last value may look back on every label known by then."""
    if not rows.height:
        return {}
    name = asked.target
    numbered = [
        frame.with_columns(pl.Series(name, asked.truth(frame, classes)))
        for frame in (asked.labelled(train), asked.labelled(newer), rows)
    ]
    key = settings.baseline_key if settings.baseline_key in rows.columns else None
    columns = BaselineColumns(
        target=name,
        key=key,
        event_time=asked.event_time if asked.event_time in rows.columns else None,
        label_time=asked.label_time if asked.label_time in rows.columns else None,
    )
    return predict_baselines(
        settings.baselines,
        numbered[0],
        numbered[2],
        columns=columns,
        kind=asked.kind,
        history=numbered[1],
    )


def _suspects(asked: Question, train: pl.DataFrame, package: Package) -> tuple[Suspect, ...]:
    """Look among the columns that the model uses for those that give the label away."""
    features = [column.name for column in package.signature.features]
    times = [name for name in (asked.event_time, asked.label_time) if name in train.columns]
    wanted = dict.fromkeys([*features, asked.target, *(name for name in times if name)])
    found = find_leaks(
        train.select(list(wanted)),
        target=asked.target,
        event_time=asked.event_time if asked.event_time in train.columns else None,
        label_time=asked.label_time if asked.label_time in train.columns else None,
    )
    return tuple(suspect for suspect in found if set(suspect.columns) <= set(features))


def _clusters(rows: pl.DataFrame, settings: GateSettings) -> Any:
    name = settings.cluster
    return rows[name].cast(pl.String).to_numpy() if name in rows.columns else None


def _named(settings: GateSettings) -> dict[str, Sequence[str]]:
    """Return the columns that gates name, by their keys."""
    one = {"gates.cluster": settings.cluster, "gates.baseline_key": settings.baseline_key}
    return {key: [name] for key, name in one.items() if name} | {"gates.slices": settings.slices}


def _times(rows: pl.DataFrame, name: str | None) -> Any:
    if name is None or name not in rows.columns:
        return None
    moments = rows[name]
    if isinstance(moments.dtype, pl.Datetime) and moments.dtype.time_zone is not None:
        moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return moments.cast(pl.Datetime("us")).to_physical().to_numpy()


def _latency(package: Package, rows: pl.DataFrame) -> float | None:
    """Return the median time of a single-row prediction in milliseconds."""
    if not rows.height:
        return None
    one = rows.head(1)
    _predict(package, one)
    spent = []
    for _ in range(_LATENCY_CALLS):
        start = time.perf_counter()
        _predict(package, one)
        spent.append(time.perf_counter() - start)
    return float(np.median(spent)) * 1000.0
