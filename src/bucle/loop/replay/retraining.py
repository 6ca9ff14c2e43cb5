"""The models that tell what retraining saves: made at moments evenly apart, in two ways.

One of each two learns from every label known, the other from as many of the newest labels as there
were at the first moment.
"""

import numpy as np
import polars as pl

from bucle.clock import from_iso
from bucle.errors import BucleError
from bucle.loop.replay.archive import Archive
from bucle.loop.replay.benefit import split_benefit
from bucle.loop.replay.findings import Benefit
from bucle.loop.replay.scores import Hindsight
from bucle.loop.replay.survey import Moment, Training

__all__ = ["compared_sets", "measure_benefit"]

_MOST = 12
"""Moments at most: the cost of a longer history must not grow with every further one."""


def compared_sets(archive: Archive, window: str) -> list[tuple[Training, int | None]]:
    """Return the training sets: everything at each moment, then the newest at each but the first.

    At the first moment everything is the newest.
    """
    chosen = [moment.whole[window] for moment in _moments(archive)]
    size = _size(archive, chosen[0])
    return [*((one, None) for one in chosen), *((one, size) for one in chosen[1:])]


def measure_benefit(
    archive: Archive, hindsight: Hindsight, window: str, *, seed: int
) -> Benefit | None:
    """Split what retraining saves into newer and more labels.

    None where one of the models cannot be trained, or refuses a row.
    """
    sets, stride = compared_sets(archive, window), _stride(archive)
    count = len(_moments(archive))
    try:
        models = [archive.learned(one, newest=size) for one, size in sets]
    except BucleError:
        return None
    everything, newest = models[:count], [models[0], *models[count:]]
    numbers = [at // stride for at in range(hindsight.periods)]
    stays, new, every = (
        hindsight.losses([chosen[at] for at in numbers])
        for chosen in ([models[0]] * count, newest, everything)
    )
    if not all(np.isfinite(losses).all() for losses in (stays, new, every)):
        return None
    return split_benefit(
        stays,
        newest=new,
        everything=every,
        moments=count - 1,
        labels_at_start=models[0].labels,
        labels_at_end=everything[-1].labels,
        seed=seed,
        level=hindsight.level,
    )


def _size(archive: Archive, first: Training) -> int:
    """Return how many labels a first training set holds, within its window."""
    rows = archive.known(0).rows
    if first.since is not None:
        rows = rows.filter(pl.col("_at") >= from_iso(first.since))
    return rows.height


def _moments(archive: Archive) -> tuple[Moment, ...]:
    return archive.survey.moments[archive.survey.first :: _stride(archive)]


def _stride(archive: Archive) -> int:
    moments = len(archive.survey.moments) - archive.survey.first
    return max(1, -(-moments // _MOST))
