"""How far probabilities can be believed: what share of the rows called p % were yes.

Imports numpy and nothing of Bucle.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

__all__ = ["ReliabilityBin", "reliability"]


class ReliabilityBin(Struct, frozen=True, kw_only=True):
    """Rows of similar probability: how probable yes was said to be, and how often it was."""

    rows: int
    probability: float
    share_yes: float


def reliability(
    truth: ArrayLike, probability: ArrayLike, *, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Return bins of equal size from the least to the most probable rows.

    Args:
        truth: 0 or 1, shape (rows,).
        probability: Of 1, shape (rows,).
        bins: How many at most; fewer where there are fewer rows.

    Example:
        >>> [bin.share_yes for bin in reliability([0, 0, 0, 1], [0.1, 0.1, 0.9, 0.9], bins=2)]
        [0.0, 0.5]
    """
    true = np.asarray(truth, dtype=np.float64)
    said = np.asarray(probability, dtype=np.float64)
    order = np.argsort(said, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    return tuple(
        ReliabilityBin(
            rows=int(part.size),
            probability=float(said[part].mean()),
            share_yes=float(true[part].mean()),
        )
        for part in parts
    )
