"""What the world looks like beside what the champion was made on: three layers, one alarm budget.

A projection: the same log, tables and moment give the same value, and nothing is written. Imports
polars and numpy.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
from msgspec import Struct

from bucle.charter.budget import days_between
from bucle.errors import EvidenceError, RequestError
from bucle.loop.registry import open_champion
from bucle.loop.sightings import answers_since, days_of, labelled_since
from bucle.loop.workspace import Workspace
from bucle.models.metrics import measure
from bucle.models.money import cost_function
from bucle.models.package import Package
from bucle.models.registry import Tenure, champion
from bucle.watch.harm import detect_harm, loss_days
from bucle.watch.inputs import Finding, Look, look_at_inputs
from bucle.watch.losses import row_losses
from bucle.watch.reference import Reference, reference_from_bytes
from bucle.watch.spread import spread_of

__all__ = ["HarmLayer", "InputLayer", "Watched", "watch_project"]

# The alarm budget is split 60 % harm, 30 % inputs, 10 % contract.
_HARM, _INPUTS = 0.6, 0.3
_EPOCH = date(1970, 1, 1)
_HISTORY = 90
_MOST_CHANGES = 5
_LEAST_LABELS = 20
_PAUSE = 2


class InputLayer(Struct, frozen=True, kw_only=True):
    """What the inputs, and the outputs, of the last whole day are beside the reference.

    `date` is the day of the look, None where there was none; `days` how many days could be judged,
    `reference_days` by how many. `since` is the day that findings began on, with pauses of two
    days at most. `visible` names changes that a single day would have shown in 4 of 5 cases, in
    the columns that are found, or else in the first ones.
    """

    date: str | None
    days: int
    reference_days: int
    findings: tuple[Finding, ...] = ()
    since: str | None = None
    visible: dict[str, float] = {}


class HarmLayer(Struct, frozen=True, kw_only=True):
    """What the champion's losses are beside those it was validated at.

    `until` is the last day whose labels are taken for whole: of nine in ten the label comes within
    `delay_days`. `evidence` counts as enough at 1. `error` is the metric since `since`, or over
    all judged days, `reference` what it was validated at, both None without a value.
    """

    metric: str
    until: str | None
    delay_days: float
    rows: int
    labelled: int
    corrected: int
    evidence: float
    alarm: str | None = None
    since: str | None = None
    error: float | None = None
    reference: float | None = None


class Watched(Struct, frozen=True, kw_only=True):
    """All layers at one moment; a layer that cannot say anything is None, and `why` says why."""

    at: str
    champion: str
    days_between: float
    inputs: InputLayer | None
    harm: HarmLayer | None
    why: tuple[str, ...] = ()


def watch_project(workspace: Workspace, now: datetime) -> Watched:
    """Judge what was seen of the world up to a moment.

    Raises:
        RequestError: There is no champion.
        DigestMismatchError: The prediction log is not what was written.
    """
    state = workspace.state()
    package, reigning = open_champion(workspace, state), champion(state.tenures)
    if package is None or reigning is None:
        raise RequestError(
            "Cannot watch: there is no champion yet", attempt="bucle run", code="bucle-381"
        )
    between = days_between(workspace.charter.watch.false_alarms)
    files = package.reference_files
    why: list[str] = []
    inputs = harm = None
    if not files:
        why.append("the champion has no days to judge by: its rows carry no event time")
    else:
        reference = reference_from_bytes(files)
        inputs = _inputs(workspace, package, reference, now, between)
        harm = _harm(workspace, package, reference, reigning, now, between)
        if harm is None:
            why.append("too few labels at validation to judge losses by")
    return Watched(
        at=now.isoformat(),
        champion=reigning.model,
        days_between=between,
        inputs=inputs,
        harm=harm,
        why=tuple(why),
    )


# ---- inputs --------------------------------------------------------------------


def _inputs(
    workspace: Workspace, package: Package, reference: Reference, now: datetime, between: float
) -> InputLayer:
    """Look at each whole day that the reference does not hold itself."""
    known = reference.days
    last = _date(int(known.dates[-1])) if known.dates.size else _EPOCH
    first = max(last + timedelta(days=1), now.astimezone(UTC).date() - timedelta(days=_HISTORY))
    answers = answers_since(workspace, first).filter(pl.col("at") < _today(now))
    none = InputLayer(date=None, days=0, reference_days=int(known.dates.size))
    if not answers.height:
        return none
    days = days_of(answers, reference, package.signature, model=package.model)
    spread, measures = spread_of(known), reference.measures
    level = _INPUTS / between
    looks = [
        look_at_inputs(spread, known, days, measures, date=int(day), level=level)
        for day in days.dates
    ]
    latest = looks[-1]
    since = _since(looks) if latest.findings else None
    named = {finding.measure.column for finding in latest.findings}
    visible = {
        f"{measure.column}: {measure}": change
        for measure, change in zip(measures, latest.visible, strict=True)
        if np.isfinite(change) and (measure.column in named or not named)
    }
    return InputLayer(
        date=str(_date(latest.date)),
        days=int(days.dates.size),
        reference_days=int(known.dates.size),
        findings=latest.findings,
        since=since,
        visible=dict(list(visible.items())[:_MOST_CHANGES]),
    )


def _since(looks: Sequence[Look]) -> str:
    """Return the day that findings began on, taking two quiet days for a pause in them."""
    began, quiet = looks[-1].date, 0
    for look in reversed(looks):
        quiet = 0 if look.findings else quiet + 1
        if quiet > _PAUSE:
            break
        if look.findings:
            began = look.date
    return str(_date(began))


# ---- harm ----------------------------------------------------------------------


def _harm(
    workspace: Workspace,
    package: Package,
    reference: Reference,
    reigning: Tenure,
    now: datetime,
    between: float,
) -> HarmLayer | None:
    """Judge the days since the champion came whose labels are in."""
    form, standard = reference.form, reference.standard
    if form is None or standard is None:
        return None
    began = datetime.fromisoformat(reigning.since).date()
    rows = labelled_since(workspace, began, model=package.model, signature=package.signature)
    delay = _delay(rows, now)
    until = now.astimezone(UTC).date() - timedelta(days=1 + int(np.ceil(delay)))
    mature = rows.filter(pl.col("day") <= until)
    known = mature.filter(pl.col("truth").is_not_null())
    truth, predicted = _floats(known["truth"]), _floats(known["prediction"])
    charter = workspace.charter
    cost = cost_function(
        charter.charter.money, root=workspace.root, threshold=charter.gates.threshold
    )
    try:
        losses = row_losses(form, truth, predicted, cost=cost)
    except EvidenceError:
        return None
    dates = known["day"].cast(pl.Int32).cast(pl.Int64).to_numpy()
    found = detect_harm(loss_days(losses, dates, standard), standard, days_between=between / _HARM)
    judged = dates >= (found.since if found.since is not None else -1)
    value = None
    if judged.sum() >= _LEAST_LABELS:
        value = measure(
            package.signature.kind,
            truth[judged],
            predicted[judged],
            threshold=form.threshold,
            cost=cost,
        ).get(form.metric)
    return HarmLayer(
        metric=form.metric,
        until=str(until) if mature.height else None,
        delay_days=delay,
        rows=mature.height,
        labelled=known.height,
        corrected=int((known["corrections"] > 0).sum()),
        evidence=found.level,
        alarm=_day_or_none(found.alarm),
        since=_day_or_none(found.since),
        error=value,
        reference=package.metrics.get(form.metric),
    )


def _delay(rows: pl.DataFrame, now: datetime) -> float:
    """Return after how many days nine in ten of the labels that come have come; 0 without any.

    Told from rows that have waited as long as the slowest label took, where there are enough of
    them: among younger ones only the quick labels are there yet.
    """
    waited = rows.select(
        wait=(pl.col("received") - pl.col("at")).dt.total_seconds() / 86_400,
        age=(pl.lit(now) - pl.col("at")).dt.total_seconds() / 86_400,
    )
    known = waited.drop_nulls("wait")
    settled = known.filter(pl.col("age") >= pl.col("wait").max())
    chosen = settled if settled.height >= _LEAST_LABELS else known
    found = chosen["wait"].quantile(0.9, interpolation="higher")
    return max(0.0, float(found or 0.0))


def _floats(values: pl.Series) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.asarray(values.cast(pl.Float64).to_numpy(), dtype=np.float64)


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def _day_or_none(day: int | None) -> str | None:
    return None if day is None else str(_date(day))


def _today(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
