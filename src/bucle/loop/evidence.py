"""Built-in steps that put a package before the referee, with the evidence it is judged on.

They run in a worker. A package is judged as it lies on the disk: opened by its digests, loaded by
the allow-list, so that what was tested is what ships.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from bucle.charter.settings import GateSettings, Kpi
from bucle.clock import from_iso
from bucle.data.leaks import Suspect, find_leaks
from bucle.gates.baselines import BaselineColumns, predict_baselines
from bucle.gates.evidence import Evidence
from bucle.gates.referee import deciding_metric, judge, with_check
from bucle.gates.refit import compare_refit
from bucle.loop.columns import require_columns
from bucle.loop.likeness import check_examples
from bucle.loop.question import Question
from bucle.models.metrics import Floats, losses
from bucle.models.package import Package, open_package
from bucle.types import Check, Verdict

__all__ = ["compare_packages", "estimate_gain", "judge_package", "predict_naively"]

_LATENCY_CALLS = 15
_LEAST_GAIN_ROWS = 20


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
    accepted: str | None = None,
) -> dict[str, Any]:
    """Put a package before the referee, on rows that neither it nor the champion has seen.

    The rows since the champion's training must be like those before. Where a person has promoted
    the champion although they were not, `accepted` is the moment until which they were taken as
    they are.

    Returns:
        The verdict as JSON values.
    """
    asked, settings = msgspec.convert(question, Question), msgspec.convert(gates, GateSettings)
    require_columns(newer, _named(settings))
    folder, project = Path(packages), Path(root)
    challenger = open_package(folder, package["model"], project=project, digest=package["digest"])
    reigning = _open(folder, champion, project=project, digest=champion_digest)
    classes = challenger.signature.classes
    rows = _rows_for_both(asked, newer, champion=champion, cut=champion_cut)
    evidence = msgspec.structs.replace(
        _gather(asked, settings, challenger, reigning, rows),
        baselines=predict_naively(asked, settings, train, newer, rows, classes),
        suspects=_suspects(asked, train, challenger),
        looks=looks,
        earlier_challengers=others,
    )
    criteria = msgspec.convert(kpis, list[Kpi])
    cost = asked.cost(project)
    verdict = judge(evidence, settings=settings, kpis=criteria, kind=asked.kind, cost=cost)
    likeness = (
        check_examples(asked, newer, classes=classes, until=accepted or champion_cut)
        if champion is not None
        else None
    )
    return _as_json(with_check(verdict, likeness))


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
    return _as_json(check)


def estimate_gain(
    package: dict[str, Any],
    newer: pl.DataFrame,
    *,
    question: dict[str, Any],
    kpis: list[dict[str, Any]],
    champion: str,
    champion_digest: str | None,
    champion_cut: str | None,
    since: str,
    packages: str,
    root: str,
) -> dict[str, Any]:
    """Return what a new model would have saved on labels that became known after a moment.

    Returns:
        `rows` that neither model has seen, the share `gain` of the champion's loss on them, and
        the money `saved`; of too few rows only their number.
    """
    asked, project = msgspec.convert(question, Question), Path(root)
    challenger = open_package(Path(packages), package["model"], project=project)
    reigning = open_package(Path(packages), champion, project=project, digest=champion_digest)
    rows = _rows_for_both(asked, newer, champion=champion, cut=champion_cut)
    if asked.label_time in rows.columns:
        moment = pl.lit(from_iso(since)).cast(rows.schema[str(asked.label_time)])
        rows = rows.filter(pl.col(str(asked.label_time)) > moment)
    truth = asked.truth(rows, challenger.signature.classes)
    old, new = (_predict(one, rows) for one in (reigning, challenger))
    known = np.isfinite(old) & np.isfinite(new)
    if int(known.sum()) < _LEAST_GAIN_ROWS:
        return {"rows": int(known.sum())}
    truth, old, new = truth[known], old[known], new[known]
    metric, cost = (
        deciding_metric(msgspec.convert(kpis, list[Kpi]), kind=asked.kind),
        asked.cost(project),
    )
    summed = "log_loss" if metric == "auc" else metric
    before, after = (
        losses(summed, truth, found, threshold=asked.threshold, cost=cost) for found in (old, new)
    )
    lost = float(before.sum())
    return {
        "rows": int(known.sum()),
        "gain": 1.0 - float(after.sum()) / lost if lost > 0 else 0.0,
        "saved": float(np.sum(cost(truth, old) - cost(truth, new))),
    }


def predict_naively(
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


def _open(folder: Path, model: str | None, *, project: Path, digest: str | None) -> Package | None:
    return open_package(folder, model, project=project, digest=digest) if model else None


def _rows_for_both(
    asked: Question, newer: pl.DataFrame, *, champion: str | None, cut: str | None
) -> pl.DataFrame:
    """Return the labelled rows that neither the challenger nor the champion has seen."""
    rows = asked.unseen(newer, after=cut)
    # Without its cut nobody can say which of these rows the champion has learned from.
    is_unknown = champion is not None and cut is None and asked.cut is not None
    return rows.clear() if is_unknown else rows


def _gather(
    asked: Question,
    settings: GateSettings,
    challenger: Package,
    champion: Package | None,
    rows: pl.DataFrame,
) -> Evidence:
    """Return what the models themselves show on the rows that judge them."""
    return Evidence(
        truth=asked.truth(rows, challenger.signature.classes),
        challenger=_predict(challenger, rows),
        champion=_predict(champion, rows) if champion else None,
        challenger_model=challenger.model,
        champion_model=champion.model if champion else None,
        event_time=_times(rows, asked.event_time),
        clusters=_clusters(rows, settings),
        slices={name: rows[name].cast(pl.String).to_numpy() for name in settings.slices},
        package_bytes=challenger.size_bytes,
        latency_ms=_latency(challenger, rows),
    )


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


def _as_json(answer: Verdict | Check) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(answer)
    return values


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
