"""The harm layer of a project: what labels say of the champion, day by day, as far as they are in.

Imports polars and numpy.
"""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from bucle.errors import EvidenceError
from bucle.loop.ripeness import MOST_LABELS, usual_of, usual_wait
from bucle.loop.statements import restated_days
from bucle.loop.watching.kept_labels import labelled_rows
from bucle.loop.watching.watched import Alarm, HarmLayer, JudgedDay, RunningDay
from bucle.loop.workspace import Workspace
from bucle.models.metrics import Cost, Floats, measure
from bucle.models.money import cost_function
from bucle.models.package import Package
from bucle.models.registry import Tenure
from bucle.serve.compactor import FEEDBACK, read_log_counted
from bucle.watch.coverage import Coverage, adapt_coverage, interval_scores
from bucle.watch.estimate import LossEstimate, Validated, estimate_loss, expected_losses
from bucle.watch.examples import Example, say_value
from bucle.watch.harm import SLOTS, Harm, LossDay, Standard, detect_harm, loss_days
from bucle.watch.losses import LossForm, plain_losses, row_losses
from bucle.watch.reference import Reference
from bucle.watch.restatement import Statement

__all__ = ["harm_alarms", "watch_harm"]

_EPOCH = date(1970, 1, 1)
_LEAST_LABELS = 20
_RECENT = 28
_EXAMPLES = 3
_SLOT = timedelta(days=1) / SLOTS
_DAY_US = 86_400_000_000


def watch_harm(
    workspace: Workspace,
    package: Package,
    reference: Reference,
    reigning: Tenure,
    *,
    now: datetime,
    days_between: float,
) -> HarmLayer | None:
    """Judge the days since the champion came whose labels are in; None without a standard.

    What each day was judged at is kept, so that a label that comes later is seen to change it.
    """
    form, standard = reference.form, reference.standard
    if form is None or standard is None:
        return None
    began = datetime.fromisoformat(reigning.since).date()
    rows = labelled_rows(
        workspace, began, model=package.model, signature=package.signature, now=now
    )
    # A champion of few days knows only its quick labels: others' took what labels take here.
    delay = max(_delay(rows, now), _usual_days(workspace, now))
    edge = _edge(now.astimezone(UTC) - timedelta(days=delay))
    until = edge.date() - timedelta(days=1)
    ripe = rows.filter(pl.col("at") < edge)
    cost = _cost(workspace)
    try:
        judged = _with_losses(ripe, form, cost)
    except EvidenceError:
        return None
    mature = ripe.filter(pl.col("day") <= until)
    known = judged.filter(pl.col("day") <= until)
    seen = _loss_days(known, standard)
    running = _running(_loss_days(judged.filter(pl.col("day") > until), standard))
    found = detect_harm(seen, standard, days_between=days_between, running=running)
    judged = known if found.since is None else judged.filter(pl.col("day") >= _date(found.since))
    return HarmLayer(
        metric=form.metric,
        until=str(until) if mature.height else None,
        delay_days=delay,
        rows=mature.height,
        labelled=known.height,
        corrected=int((known["corrections"] > 0).sum()),
        evidence=found.level,
        expected=standard.mean,
        limit=standard.limit,
        alarm=_day_or_none(found.alarm),
        since=_day_or_none(found.since),
        error=_metric(judged, package, form, cost),
        reference=package.metrics.get(form.metric),
        days=_days(rows, found, seen, until=until),
        running=None
        if running is None
        else RunningDay(
            until=edge.isoformat(),
            rows=ripe.height - mature.height,
            labelled=running.rows,
            loss=running.total / running.rows,
            evidence=found.level,
        ),
        restated=restated_days(workspace, package.model, _statements(known, mature, seen, now=now)),
        coverage=_coverage(known, package),
        estimate=_estimate(rows, known, package, reference, now=now),
        examples=_examples(judged) if found.alarm is not None else (),
    )


def harm_alarms(layer: HarmLayer) -> tuple[Alarm, ...]:
    """Return the alarm of the layer, where there is one."""
    if layer.alarm is None:
        return ()
    found = "" if layer.error is None else f" {layer.error:.4g}"
    before = "" if layer.reference is None else f", validated at {layer.reference:.4g}"
    return (
        Alarm(
            layer="harm",
            subject=layer.metric,
            since=layer.since or layer.alarm,
            why=f"{layer.metric}{found} since {layer.since}{before}",
            examples=layer.examples,
        ),
    )


def _edge(moment: datetime) -> datetime:
    """Return where the slot of a moment begins."""
    return moment - (moment - datetime.min.replace(tzinfo=UTC)) % _SLOT


def _with_losses(rows: pl.DataFrame, form: LossForm, cost: Cost | None) -> pl.DataFrame:
    """Return the labelled rows with the loss of each.

    Raises:
        EvidenceError: A value is not finite, or the metric needs what is missing.
    """
    known = rows.filter(pl.col("truth").is_not_null())
    losses = row_losses(form, _floats(known["truth"]), _floats(known["prediction"]), cost=cost)
    return known.with_columns(loss=losses)


def _loss_days(known: pl.DataFrame, standard: Standard) -> tuple[LossDay, ...]:
    passed = known["at"].dt.epoch("us").to_numpy() % _DAY_US
    slots = passed // (_DAY_US // SLOTS)
    return loss_days(_floats(known["loss"]), _dates(known), standard, slots=slots)


def _running(days: tuple[LossDay, ...]) -> LossDay | None:
    """Return the day that is judged in part; None where it has too few labels for that."""
    return days[0] if days and days[0].parts else None


def _days(
    rows: pl.DataFrame, found: Harm, seen: tuple[LossDay, ...], *, until: date
) -> tuple[JudgedDay, ...]:
    """Return every day with answers, young ones too."""
    judged = {
        _date(day.date): (day.total / day.rows, value)
        for day, value in zip(seen, found.evidence, strict=False)
    }
    whole = (
        rows.group_by("day")
        .agg(
            rows=pl.len(),
            labelled=pl.col("truth").count(),
            corrected=(pl.col("corrections") > 0).sum(),
        )
        .sort("day")
    )
    return tuple(
        JudgedDay(
            date=str(day),
            mature=day <= until,
            rows=count,
            labelled=labelled,
            corrected=corrected,
            loss=judged.get(day, (None, None))[0],
            evidence=judged.get(day, (None, None))[1],
        )
        for day, count, labelled, corrected in whole.iter_rows()
    )


def _statements(
    known: pl.DataFrame, mature: pl.DataFrame, seen: tuple[LossDay, ...], *, now: datetime
) -> dict[str, Statement]:
    """Return what is stated of each judged day."""
    corrections = dict(known.group_by("day").agg(pl.col("corrections").sum()).iter_rows())
    rows = dict(mature.group_by("day").len().iter_rows())
    return {
        str(_date(day.date)): Statement(
            at=now.isoformat(),
            rows=rows[_date(day.date)],
            labelled=day.rows,
            corrections=corrections[_date(day.date)],
            loss=day.total / day.rows,
        )
        for day in seen
    }


def _coverage(known: pl.DataFrame, package: Package) -> Coverage | None:
    """Return how often intervals held; None where the champion has none."""
    intervals = package.intervals
    rows = known.drop_nulls("high")
    if intervals is None or not rows.height:
        return None
    scores = interval_scores(
        _floats(rows["truth"]), _floats(rows["prediction"]), _floats(rows["high"])
    )
    return adapt_coverage(scores, _dates(rows), level=intervals.level, validated=intervals.coverage)


def _estimate(
    rows: pl.DataFrame,
    known: pl.DataFrame,
    package: Package,
    reference: Reference,
    *,
    now: datetime,
) -> LossEstimate | None:
    """Return what the recent rows without a label are expected to cost, as past days were.

    Losses are taken as they are here, neither capped nor beside what the truth would excuse: the
    width of an interval knows of neither. None where intervals are as wide for every row, and so
    say of none more than validation did.
    """
    form, standard, intervals = reference.form, reference.standard, package.intervals
    if form is None or standard is None:
        return None
    is_regression = package.signature.kind == "regression"
    if is_regression and not (intervals and (intervals.scaled or intervals.group_quantiles)):
        return None
    recent = now.astimezone(UTC).date() - timedelta(days=_RECENT)
    open_rows = rows.filter(pl.col("truth").is_null() & (pl.col("day") >= recent))
    validated = reference.validated
    ahead, past = (
        _expected(part, package, form, validated=validated) for part in (open_rows, known)
    )
    if ahead is None or past is None:
        return None
    # A package of an earlier version tells the mean of losses as they are followed only.
    before = form.ratio * form.typical if form.ratio else standard.mean
    return estimate_loss(
        form.metric,
        ahead,
        past=past,
        actual=plain_losses(form, _floats(known["truth"]), _floats(known["prediction"])),
        dates=_dates(known),
        reference=before if validated is None else validated.loss,
        is_relative=is_regression and (validated is None or validated.usual(form.metric) is None),
    )


def _expected(
    part: pl.DataFrame, package: Package, form: LossForm, *, validated: Validated | None
) -> Floats | None:
    has_ends = part["high"].null_count() == 0
    return expected_losses(
        form.metric,
        prediction=_floats(part["prediction"]),
        high=_floats(part["high"]) if has_ends else None,
        validated=validated,
        calibration=tuple((one.probability, one.share_yes) for one in package.calibration),
        threshold=form.threshold,
    )


def _examples(judged: pl.DataFrame) -> tuple[Example, ...]:
    """Return the rows with the largest losses."""
    worst = judged.sort("loss", descending=True, maintain_order=True).head(_EXAMPLES)
    return tuple(
        Example(id=name, value=f"said {say_value(said)}, was {say_value(truth)}")
        for name, said, truth in worst.select("id", "prediction", "truth").iter_rows()
    )


def _metric(
    judged: pl.DataFrame, package: Package, form: LossForm, cost: Cost | None
) -> float | None:
    if judged.height < _LEAST_LABELS:
        return None
    truth, predicted = _floats(judged["truth"]), _floats(judged["prediction"])
    kind = package.signature.kind
    return measure(kind, truth, predicted, threshold=form.threshold, cost=cost).get(form.metric)


def _cost(workspace: Workspace) -> Cost:
    charter = workspace.charter
    return cost_function(
        charter.charter.money, root=workspace.root, threshold=charter.gates.threshold
    )


def _delay(rows: pl.DataFrame, now: datetime) -> float:
    """Return after how many days nine in ten of these rows' labels have come; 0 without any."""
    waited = rows.select(
        wait=(pl.col("received") - pl.col("at")).dt.total_milliseconds(),
        age=(pl.lit(now) - pl.col("at")).dt.total_milliseconds(),
    )
    return usual_of(waited.drop_nulls("wait")).total_seconds() / 86_400


def _usual_days(workspace: Workspace, now: datetime) -> float:
    """Return after how many days nine in ten labels have come, whoever answered."""
    log = workspace.home / "serve" / "log"
    labels, _ = read_log_counted(
        log, workspace.tables, name=FEEDBACK, columns=("id", "at"), last=MOST_LABELS
    )
    labels = labels.filter(pl.col("at") <= now)
    return usual_wait(labels, now).total_seconds() / 86_400


def _floats(values: pl.Series) -> Floats:
    return np.asarray(values.cast(pl.Float64).to_numpy(), dtype=np.float64)


def _dates(rows: pl.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return rows["day"].cast(pl.Int32).cast(pl.Int64).to_numpy()


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def _day_or_none(day: int | None) -> str | None:
    return None if day is None else str(_date(day))
