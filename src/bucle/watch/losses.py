"""Losses that can be followed over time: a value a row whose mean says how well a model does.

Metrics that divide by the truth, such as WAPE, rise with it when prices rise although the model
errs no more; their rows are measured against the share of the truth that was lost at validation.
Pure numpy.
"""

import numpy as np
from msgspec import Struct

from bucle.models.metrics import Cost, Floats, losses

__all__ = ["LossForm", "loss_form", "plain_losses", "row_losses"]


class LossForm(Struct, frozen=True, kw_only=True):
    """How rows become losses, fixed at validation.

    A loss is `part - ratio * base + ratio * typical`, where `part` is what the row adds to the
    metric's sum and `base` what it adds to its divisor: |y| for `wape`, the squared distance of
    the truth, or of its logarithm, from `centre` for `r2` and `r2_log`. Other metrics have no
    divisor and their losses are as they are. At validation the mean is that of the parts.
    """

    metric: str
    ratio: float = 0.0
    typical: float = 0.0
    centre: float = 0.0
    threshold: float = 0.5


def loss_form(
    metric: str,
    truth: Floats,
    prediction: Floats,
    *,
    threshold: float = 0.5,
    cost: Cost | None = None,
) -> LossForm:
    """Return the form of a metric's losses, from the rows that a model was validated on.

    `auc` has no loss that a single row could have; `log_loss` stands for it.

    Raises:
        EvidenceError: The metric has no value on these rows.
    """
    name = "log_loss" if metric == "auc" else metric
    form = LossForm(metric=name, threshold=threshold)
    if name not in ("wape", "r2", "r2_log") or not truth.size:
        return form
    centre = float(_scale(name, truth).mean())
    parts = losses(name, truth, prediction, threshold=threshold, cost=cost)
    typical = float(_base(name, truth, centre).mean())
    if typical == 0.0:
        return form
    return LossForm(
        metric=name,
        ratio=float(parts.mean()) / typical,
        typical=typical,
        centre=centre,
        threshold=threshold,
    )


def row_losses(
    form: LossForm, truth: Floats, prediction: Floats, *, cost: Cost | None = None
) -> Floats:
    """Return the loss of each row, lower is better.

    Raises:
        EvidenceError: A value is not finite, or the metric needs what is missing.
    """
    parts = plain_losses(form, truth, prediction, cost=cost)
    if form.ratio == 0.0:
        return parts
    return parts - form.ratio * (_base(form.metric, truth, form.centre) - form.typical)


def plain_losses(
    form: LossForm, truth: Floats, prediction: Floats, *, cost: Cost | None = None
) -> Floats:
    """Return what each row adds to the metric's sum, whatever its truth is.

    Raises:
        EvidenceError: A value is not finite, or the metric needs what is missing.
    """
    return losses(form.metric, truth, prediction, threshold=form.threshold, cost=cost)


def _base(metric: str, truth: Floats, centre: float) -> Floats:
    """Return what each row adds to a metric's divisor."""
    if metric == "wape":
        return np.abs(truth)
    return np.asarray((_scale(metric, truth) - centre) ** 2, dtype=np.float64)


def _scale(metric: str, truth: Floats) -> Floats:
    """Return truths on the scale that a metric measures them on."""
    if metric != "r2_log":
        return truth
    positive = truth[truth > 0]
    least = float(positive.min()) if positive.size else 1.0
    return np.asarray(np.log(np.maximum(truth, least)), dtype=np.float64)
