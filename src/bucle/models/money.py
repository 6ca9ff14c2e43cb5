"""What an error costs: the built-in costs, and the one a project writes itself.

A cost is a function of arrays of truth and prediction that returns one cost a row. Imports numpy
and the floors below.
"""

from pathlib import Path

import numpy as np

from bucle.charter.checks import MONEY_ERRORS
from bucle.charter.project_code import load_name
from bucle.charter.settings import Money
from bucle.errors import BucleError, CharterError, EvidenceError, nearest
from bucle.grammar import with_article
from bucle.models.metrics import Cost, Floats

__all__ = ["cost_function"]


def cost_function(money: Money, *, root: Path | None = None, threshold: float = 0.5) -> Cost:
    """Return the cost of an error that the charter names.

    `absolute` is |e|, `squared` e². `asymmetric` is `under` times what a prediction is too low
    plus `over` times what it is too high. `zero-one` is `under` for a yes that was called no and
    `over` for a no that was called yes, at the threshold.

    Args:
        money: `[charter.money]`.
        root: The project's folder, needed for `file.py:function`.
        threshold: From which probability on the answer is yes.

    Raises:
        CharterError: The charter names no such cost, or the function cannot be loaded.

    Example:
        >>> cost = cost_function(Money(error="asymmetric", under=1.0, over=0.3))
        >>> cost(np.array([10.0, 10.0]), np.array([8.0, 12.0])).tolist()
        [2.0, 0.6]
    """
    if ":" in money.error:
        return _project_cost(money.error, root)
    under, over = money.under, money.over
    built_in: dict[str, Cost] = {
        "absolute": lambda truth, prediction: np.abs(prediction - truth),
        "squared": lambda truth, prediction: (prediction - truth) ** 2,
        "asymmetric": lambda truth, prediction: (
            under * np.maximum(truth - prediction, 0.0) + over * np.maximum(prediction - truth, 0.0)
        ),
        "zero-one": lambda truth, prediction: (
            under * ((truth > 0) & (prediction < threshold))
            + over * ((truth <= 0) & (prediction >= threshold))
        ),
    }
    if money.error not in built_in:
        raise CharterError(
            f"There is no cost {money.error!r}",
            where="[charter.money] error",
            did_you_mean=nearest(money.error, MONEY_ERRORS),
            attempt='error = "absolute", or "file.py:function" for one of your own',
            code="bucle-162",
        )
    return built_in[money.error]


def _project_cost(reference: str, root: Path | None) -> Cost:
    if root is None:
        raise CharterError(
            f"Cannot load the cost {reference!r} without a project",
            where="[charter.money] error",
            code="bucle-162",
        )
    function = load_name(root, reference)
    if not callable(function):
        raise CharterError(
            f"Cannot use {reference!r} as a cost: it is {with_article(type(function).__name__)}",
            where="[charter.money] error",
            attempt="def cost(truth, prediction): return abs(truth - prediction)",
            code="bucle-162",
        )

    def cost(truth: Floats, prediction: Floats) -> Floats:
        # The project's function gets copies: what it does to its arrays stays its own.
        try:
            return np.asarray(function(truth.copy(), prediction.copy()), dtype=np.float64)
        except BucleError:
            raise
        except Exception as error:
            raise EvidenceError(
                f"Cannot measure money: {reference} raised {type(error).__name__}",
                cause=str(error),
                where=reference.partition(":")[0],
                code="bucle-161",
            ) from error

    return cost
