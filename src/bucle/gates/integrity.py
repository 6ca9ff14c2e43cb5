"""Labels and predictions that are no numbers: named and refused before anything is measured.

Pure numpy.
"""

from collections.abc import Mapping

import numpy as np

from bucle.gates.wording import say_amount
from bucle.models.metrics import Floats, Kind
from bucle.types import Check

__all__ = ["check_predictions", "find_fault"]

_LARGEST = 1e100


def check_predictions(
    truth: Floats,
    predictions: Mapping[str, Floats],
    *,
    name: str = "predictions",
    kind: Kind = "regression",
) -> Check:
    """Answer whether all labels and predictions can be measured.

    Finite, at most 1e100 in size so that their squares are numbers too, and for a classification
    labels of 0 or 1 and probabilities between them.
    """
    faults = [
        f"{who}: {fault}"
        for who, values in {"the labels": truth, **predictions}.items()
        if (fault := find_fault(values, kind=kind, labels=who == "the labels"))
    ]
    if faults:
        return Check(name=name, outcome="fail", why="; ".join(faults))
    return Check(name=name, outcome="pass", why="every label and prediction is a finite number")


def find_fault(values: Floats, *, kind: Kind = "regression", labels: bool = False) -> str:
    """Say what keeps numbers from being measured; empty when nothing does.

    Example:
        >>> find_fault(np.array([1.0, np.nan]))
        '1 of 2 are not finite numbers, first in row 2'
    """
    bad = ~np.isfinite(values)
    if bad.any():
        return _count(bad, "are not finite numbers")
    bad = np.abs(values) > _LARGEST
    if bad.any():
        return _count(bad, f"are beyond {_LARGEST:g} and cannot be squared")
    if kind == "classification":
        bad = ~np.isin(values, (0.0, 1.0)) if labels else (values < 0.0) | (values > 1.0)
        if bad.any():
            rule = "0 or 1" if labels else "probabilities"
            return f"{_count(bad, f'are not {rule}')} ({say_amount(float(values[bad][0]))})"
    return ""


def _count(bad: np.ndarray, what: str) -> str:
    return f"{int(bad.sum()):,} of {bad.size:,} {what}, first in row {int(bad.argmax()) + 1:,}"
