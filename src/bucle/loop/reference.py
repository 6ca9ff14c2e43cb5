"""The reference of a model, made when it is packaged: its days, its outputs, its losses.

Runs in a worker, where models are packaged.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bucle.charter.settings import CharterSettings
from bucle.errors import EvidenceError
from bucle.gates.referee import deciding_metric
from bucle.loop.question import Question
from bucle.models.intervals import Band
from bucle.models.metrics import Cost, Floats
from bucle.models.signature import Signature, conform
from bucle.watch.distance import reference_of
from bucle.watch.estimate import Validated, validated_of
from bucle.watch.harm import SLOTS, Standard, standard_of
from bucle.watch.losses import LossForm, loss_form, plain_losses, row_losses
from bucle.watch.reference import make_reference, reference_bytes

__all__ = ["reference_files"]

_DAY_S = 86_400


def reference_files(
    asked: Question,
    signature: Signature,
    train: pl.DataFrame,
    newer: pl.DataFrame,
    *,
    unseen: pl.DataFrame,
    truth: Floats,
    predicted: Floats,
    charter: CharterSettings,
    cost: Cost,
    band: Band | None = None,
) -> dict[str, bytes]:
    """Return the files of a model's reference; none where rows carry no event time.

    Args:
        asked: What the model is asked.
        signature: What it takes.
        train: The rows it has learned from.
        newer: The rows after these.
        unseen: Those that it was validated on, with `truth` and `predicted`.
        truth: Their labels.
        predicted: Its predictions of them.
        charter: Which metric decides.
        cost: What an error costs.
        band: Its intervals, where it has any.
    """
    time = asked.event_time
    if time is None or any(time not in frame.columns for frame in (train, unseen)):
        return {}
    names = [feature.name for feature in signature.features]
    parts = [frame for frame in (train, newer) if {time, *names} <= set(frame.columns)]
    rows = pl.concat([frame.select(*names, _day(time)) for frame in parts], how="vertical_relaxed")
    days = unseen.select(_day(time))["_day"]
    form, standard = _validated(asked, charter, truth, predicted, unseen[time], cost)
    reference = make_reference(
        conform(signature, rows),
        rows["_day"],
        outputs=predicted,
        output_days=days,
        form=form,
        standard=standard,
        bins=reference_of(conform(signature, train.select(names))),
        validated=None
        if form is None or standard is None
        else _lost(form, conform(signature, unseen), truth, predicted, cost=cost, band=band),
    )
    return reference_bytes(reference)


def _validated(
    asked: Question,
    charter: CharterSettings,
    truth: Floats,
    predicted: Floats,
    times: pl.Series,
    cost: Cost,
) -> tuple[LossForm | None, Standard | None]:
    """Return how losses are followed, and what they were; nothing where they have no value."""
    metric = deciding_metric(charter.kpis, kind=asked.kind)
    days = times.cast(pl.Date).cast(pl.Int32)
    dates = days.cast(pl.Int64).fill_null(0).to_numpy()
    try:
        form = loss_form(metric, truth, predicted, threshold=asked.threshold, cost=cost)
        standard = standard_of(
            row_losses(form, truth, predicted, cost=cost), dates, slots=_slots(times)
        )
    except EvidenceError:
        return None, None
    return form, standard


def _lost(
    form: LossForm,
    features: pl.DataFrame,
    truth: Floats,
    predicted: Floats,
    *,
    cost: Cost,
    band: Band | None,
) -> Validated:
    """Return what rows lost, and how wide their intervals are."""
    high = None
    if band is not None and band.intervals.quantile is not None:
        high = band.around(features, predicted)[1]
    losses = plain_losses(form, truth, predicted, cost=cost)
    return validated_of(losses, prediction=predicted, high=high)


def _slots(times: pl.Series) -> NDArray[np.int64] | None:
    """Return the slot of each moment in its day; None where days are all that is known."""
    if not isinstance(times.dtype, pl.Datetime) or times.null_count():
        return None
    clock = times.dt
    passed = (clock.hour().cast(pl.Int64) * 60 + clock.minute()) * 60 + clock.second()
    if not passed.max():
        return None
    return (passed * SLOTS // _DAY_S).to_numpy()


def _day(time: str) -> pl.Expr:
    return pl.col(time).cast(pl.Date).alias("_day")
