"""Windows of the champion's answers, for triggers that look at errors or at distances.

Windows end with the periods of `[replay]` and are judged by what was known when the last of them
ended, so that what is seen live is what a replay sees, whenever one looks. Imports polars.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from bucle.charter.metrics import as_loss
from bucle.clock import from_iso, to_iso
from bucle.gates.referee import deciding_metric
from bucle.loop.genuine import label_predictions, read_predictions
from bucle.loop.observations import DriftMeasured, WindowJudged
from bucle.loop.registry import open_champion
from bucle.loop.ripeness import usual_wait
from bucle.loop.spans import Span, parse_span
from bucle.loop.state import State
from bucle.loop.watching.sightings import features_of
from bucle.loop.workspace import Workspace
from bucle.models.metrics import measure
from bucle.models.money import cost_function
from bucle.models.package import Package
from bucle.models.registry import champion
from bucle.serve.compactor import FEEDBACK, read_log
from bucle.watch.distance import measure_distances
from bucle.watch.reference import reference_from_bytes

__all__ = ["see_windows"]

_PERIOD = "1w"
_WINDOW_PERIODS = 3
_LEAST_LABELS = 20
_COLUMNS = ("id", "of", "at", "model", "role", "prediction", "features")


def see_windows(
    workspace: Workspace, state: State, *, kinds: Sequence[str]
) -> tuple[WindowJudged | DriftMeasured, ...]:
    """Return the newest window of the champion of each kind that is not on record yet.

    Args:
        workspace: The project.
        state: What is on record.
        kinds: `performance`, `drift`; others are seen elsewhere.
    """
    package, reigning = open_champion(workspace, state), champion(state.tenures)
    log = workspace.home / "serve" / "log"
    if package is None or reigning is None or not log.is_dir():
        return ()
    span = parse_span(workspace.charter.replay.period or _PERIOD)
    now, since = workspace.clock.now(), from_iso(reigning.since)
    edges = _edges(span, since, now)
    if len(edges) < 2:  # noqa: PLR2004  (a window has two ends)
        return ()
    rows = read_predictions(workspace, columns=_COLUMNS, since=edges[0]).filter(
        (pl.col("role") != "shadow") & (pl.col("at") < edges[-1])
    )
    found = [
        _judged(workspace, state, package, rows, edges) if "performance" in kinds else None,
        _drifted(package, rows, edges) if "drift" in kinds else None,
    ]
    seen = state.observed.get(package.model)
    known: list[object] = [seen.window[1] if seen and seen.window else None]
    known.append(seen.drift[1] if seen and seen.drift else None)
    return tuple(one for one in found if one is not None and one not in known)


def _edges(span: Span, since: datetime, now: datetime) -> list[datetime]:
    """Return where periods end that began with the champion or later, and are over."""
    edge = span.floor(since)
    edges = [edge if edge >= since else span.after(edge)]
    while span.after(edges[-1]) <= now:
        edges.append(span.after(edges[-1]))
    return edges


def _judged(
    workspace: Workspace,
    state: State,
    package: Package,
    rows: pl.DataFrame,
    edges: Sequence[datetime],
) -> WindowJudged | None:
    """Judge the last periods whose labels had time to come, as the last period left them."""
    charter, until = workspace.charter, edges[-1]
    metric = deciding_metric(charter.charter.kpis, kind=package.signature.kind)
    validated = state.models[package.model].metrics.get(metric)
    delay = usual_wait(_told(workspace, until), until)
    ripe = [number for number, end in enumerate(edges[1:], start=1) if until - end >= delay]
    if validated is None or not ripe:
        return None
    first, last = edges[max(0, ripe[-1] - _WINDOW_PERIODS)], edges[ripe[-1]]
    own = rows.filter(
        (pl.col("model") == package.model) & pl.col("at").is_between(first, last, closed="left")
    )
    window = label_predictions(workspace, own, package.signature, until=until)
    known = window.filter(pl.col("truth").is_not_null())
    if known.height < _LEAST_LABELS:
        return None
    threshold = charter.gates.threshold
    found = measure(
        package.signature.kind,
        known["truth"].to_numpy(),
        known["prediction"].to_numpy(),
        threshold=threshold,
        cost=cost_function(charter.charter.money, root=workspace.root, threshold=threshold),
    ).get(metric)
    if found is None:
        return None
    return WindowJudged(
        model=package.model,
        start=to_iso(first),
        end=to_iso(last),
        rows=window.height,
        labelled=known.height,
        metric=metric,
        error=as_loss(metric, found),
        reference=as_loss(metric, validated),
    )


def _told(workspace: Workspace, until: datetime) -> pl.DataFrame:
    """Return the labels that were told by a moment, whoever had answered."""
    told = read_log(
        workspace.home / "serve" / "log", workspace.tables, name=FEEDBACK, columns=("id", "at")
    )
    return told.filter(pl.col("at") <= until)


def _drifted(
    package: Package, rows: pl.DataFrame, edges: Sequence[datetime]
) -> DriftMeasured | None:
    """Measure how far the inputs of the last period lie from those that were learned from."""
    last = rows.filter(pl.col("at").is_between(edges[-2], edges[-1], closed="left"))
    files = package.reference_files
    if not last.height or not files:
        return None
    found = measure_distances(
        reference_from_bytes(files).bins, features_of(last, package.signature)
    )
    if not found:
        return None
    column = max(found, key=lambda name: found[name])
    return DriftMeasured(
        model=package.model,
        start=to_iso(edges[-2]),
        end=to_iso(edges[-1]),
        rows=last.height,
        distance=found[column],
        column=column,
    )
