"""The models that tell what retraining saves: made at moments evenly apart, in two ways.

One of each two learns from every label known, the other from as many of the newest labels as there
were at the first moment.
"""

from bucle.errors import BucleError
from bucle.loop.replay.archive import Archive
from bucle.loop.replay.benefit import split_benefit
from bucle.loop.replay.findings import Benefit
from bucle.loop.replay.scores import Hindsight
from bucle.loop.replay.survey import Training

__all__ = ["compared_sets", "measure_benefit"]

_MOST = 12
"""Moments at most: the cost of a longer history must not grow with every further one."""


def compared_sets(archive: Archive, window: str) -> list[tuple[Training, int | None]]:
    """Return the training sets in the order of their moments: everything, then the newest."""
    size = archive.known(0).rows.height
    chosen = archive.survey.moments[archive.survey.first :: _stride(archive)]
    return [(moment.whole[window], newest) for moment in chosen for newest in (None, size)]


def measure_benefit(
    archive: Archive, hindsight: Hindsight, window: str, *, seed: int
) -> Benefit | None:
    """Split what retraining saves into newer and more labels; None where it cannot be trained."""
    sets, stride = compared_sets(archive, window), _stride(archive)
    try:
        everything, newest = (
            [archive.learned(one, newest=size) for one, size in sets[part::2]] for part in (0, 1)
        )
    except BucleError:
        return None
    numbers = [at // stride for at in range(hindsight.periods)]
    return split_benefit(
        hindsight.losses([everything[0]] * len(numbers)),
        newest=hindsight.losses([newest[at] for at in numbers]),
        everything=hindsight.losses([everything[at] for at in numbers]),
        moments=len(everything) - 1,
        labels_at_start=everything[0].labels,
        labels_at_end=everything[-1].labels,
        seed=seed,
        level=hindsight.level,
    )


def _stride(archive: Archive) -> int:
    moments = len(archive.survey.moments) - archive.survey.first
    return max(1, -(-moments // _MOST))
