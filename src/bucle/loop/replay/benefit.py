"""Why retraining helped: because the labels were newer, or because there were more of them.

Pure numpy on sums of losses; imports the intervals and values of the replay only.
"""

import math

import numpy as np

from bucle.errors import EvidenceError
from bucle.loop.replay.comparison import Difference, Floats, bound_ratio
from bucle.loop.replay.findings import Benefit

__all__ = ["split_benefit"]


def split_benefit(
    stays: Floats,
    *,
    newest: Floats,
    everything: Floats,
    moments: int,
    labels_at_start: int,
    labels_at_end: int,
    seed: int,
    level: float = 0.9,
) -> Benefit:
    """Split what retraining saved into the part of newer labels and the part of more labels.

    Shares of the loss of the model that stays: `whole = 1 - Σ everything / Σ stays`, `newer = 1 -
    Σ newest / Σ stays`, `more = whole - newer`. Below zero it did harm. Each has its own block
    bootstrap interval (`comparison.bound_ratio`), on the same resamples; blocks are at least as
    long as a retrained model serves. Where too few periods differ, the bounds are infinite.

    Args:
        stays: Sum of losses per period, in time order, of the model trained at the start.
        newest: Of models that learned, at each moment, from as many labels, but the newest ones.
        everything: Of models that learned, at each moment, from every label known.
        moments: How many retrains these are.
        labels_at_start: Labels known at the start: those of `stays` and of each `newest`.
        labels_at_end: Labels known at the last moment.
        seed: Draws the blocks.
        level: How often each interval is meant to hold.

    Raises:
        EvidenceError: The arrays do not fit each other.

    Example:
        >>> stays = np.full(12, 10.0)
        >>> found = split_benefit(
        ...     stays,
        ...     newest=0.9 * stays,
        ...     everything=0.8 * stays,
        ...     moments=12,
        ...     labels_at_start=100,
        ...     labels_at_end=1200,
        ...     seed=0,
        ... )
        >>> round(found.whole, 3), round(found.newer, 3), round(found.more, 3)
        (0.2, 0.1, 0.1)
    """
    _check_losses(stays, newest, everything)
    persists = math.ceil(stays.size / max(1, moments))

    def bound(saved: Floats) -> Difference:
        return bound_ratio(saved, stays, level=level, seed=seed, persists=persists)

    whole, newer, more = (
        bound(stays - everything),
        bound(stays - newest),
        bound(newest - everything),
    )
    return Benefit(
        whole=whole.difference,
        whole_low=whole.low,
        whole_high=whole.high,
        newer=newer.difference,
        newer_low=newer.low,
        newer_high=newer.high,
        more=more.difference,
        more_low=more.low,
        more_high=more.high,
        moments=moments,
        labels_at_start=labels_at_start,
        labels_at_end=labels_at_end,
    )


def _check_losses(*losses: Floats) -> None:
    shapes = {one.shape for one in losses}
    if len(shapes) == 1 and all(
        one.ndim == 1 and bool(np.isfinite(one).all()) and one.min(initial=0.0) >= 0.0
        for one in losses
    ):
        return
    raise EvidenceError(
        "Cannot split the benefit of retraining",
        cause="wanted sums of losses, finite and at least 0, of the same periods for three models",
        code="bucle-274",
    )
