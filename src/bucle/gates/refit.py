"""What was tested is what ships, unless a refit on all rows proves no worse than its twin.

Pure numpy; the same paired comparison as between challenger and champion.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bucle.charter.metrics import METRICS
from bucle.gates.comparison import Rule
from bucle.gates.gains import bound_gain, check_gain
from bucle.gates.integrity import check_predictions
from bucle.models.metrics import Cost, Floats, losses
from bucle.types import Check

__all__ = ["REFIT_TOLERANCE", "compare_refit"]

REFIT_TOLERANCE = 0.02


def compare_refit(
    truth: Floats,
    tested: Floats,
    refit: Floats,
    *,
    metric: str,
    confidence: float = 0.95,
    tolerance: float = REFIT_TOLERANCE,
    clusters: NDArray[Any] | None = None,
    threshold: float = 0.5,
    cost: Cost | None = None,
) -> Check:
    """Answer whether a refit may ship in the place of the model that was tested.

    Pass when it is shown not to lose more than the tolerance on the rows that its twin was tested
    on. The refit has learned from these rows, so the check cannot show that it is better: it
    catches a refit that went wrong. Only a pass ships the refit; otherwise its twin ships.

    Args:
        truth: Labels of the rows the twin was tested on.
        tested: The tested twin's predictions.
        refit: The refit's predictions on the same rows.
        metric: The metric whose row losses are compared.
        confidence: How sure each bound is.
        tolerance: Share of the twin's loss that still counts as equal.
        clusters: Which rows belong together.
        threshold: From which probability on the answer is yes.
        cost: Cost a row, for the metric `money`.

    Example:
        >>> truth = np.arange(1.0, 101.0)
        >>> compare_refit(truth, truth + 1.0, truth + 1.0, metric="mae").outcome
        'pass'
    """
    yes_no = METRICS[metric].kind == "classification"
    broken = check_predictions(
        truth,
        {"the refit": refit, "its tested twin": tested},
        name="refit",
        kind="classification" if yes_no else "regression",
    )
    if broken.outcome != "pass":
        return broken
    # Absurd magnitudes overflow into infinities, which bound nothing and so decide nothing.
    with np.errstate(all="ignore"):
        gain = bound_gain(
            losses(metric, truth, tested, threshold=threshold, cost=cost),
            losses(metric, truth, refit, threshold=threshold, cost=cost),
            rule=Rule(confidence=confidence),
            margin=tolerance,
            clusters=clusters,
        )
    return check_gain("refit", gain, over="its tested twin")
