"""What a gate may look at: labels, predictions on the same rows, and what was measured beside.

The rows are chosen before they come here: newer than the training of both models, with labels
that neither has seen. Imports numpy and the floors below; reads nothing and measures nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import force_setattr
from numpy.typing import ArrayLike, NDArray

from bucle.errors import EvidenceError
from bucle.models.metrics import Floats

__all__ = ["Evidence", "Labels", "LeakSuspect"]

Labels = NDArray[Any]


class LeakSuspect(Protocol):
    """Columns that may know the answer, as the leak finder reports them."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns concerned."""
        ...

    @property
    def kind(self) -> str:
        """How they may know it: product, ratio or late."""
        ...

    @property
    def evidence(self) -> str:
        """What was seen, in one sentence."""
        ...


class Evidence(Struct, frozen=True, kw_only=True):
    """Everything a verdict rests on; all arrays have one entry a row, in the same order.

    Args:
        truth: Labels, shape (rows,); 0 and 1 for a yes/no target.
        challenger: The challenger's predictions.
        champion: The champion's predictions on the same rows; None when there is no champion.
        baselines: Naive predictions by name.
        challenger_model: Id of the challenger's package.
        champion_model: Id of the champion's package.
        event_time: When each prediction was due, microseconds since 1970; used to see whether
            rows of one day move together. None when rows carry no time.
        clusters: Which rows belong together (customer, shipment, day); None when rows are
            independent. A row without a cluster (None) stands alone.
        slices: Column name to the value of each row.
        suspects: What the leak finder holds against columns that the model uses.
        package_bytes: Size of the package on disk; None when it was not measured.
        latency_ms: Median time of a single-row prediction; None when it was not measured.
        looks: How often this challenger was judged against this champion before.
        earlier_challengers: How many other challengers were judged on these rows before.
        planned: Independent rows expected at the decision, fixed before the first look; tunes
            the confidence sequence and never its guarantee.

    Raises:
        EvidenceError: Arrays differ in length or hold no numbers, or a count is negative.
    """

    truth: Floats
    challenger: Floats
    champion: Floats | None = None
    baselines: Mapping[str, Floats] = {}
    challenger_model: str = ""
    champion_model: str | None = None
    event_time: NDArray[np.int64] | None = None
    clusters: Labels | None = None
    slices: Mapping[str, Labels] = {}
    suspects: tuple[LeakSuspect, ...] = ()
    package_bytes: int | None = None
    latency_ms: float | None = None
    looks: int = 0
    earlier_challengers: int = 0
    planned: int = 1000

    def __post_init__(self) -> None:
        force_setattr(self, "truth", _to_floats("the labels", self.truth))
        force_setattr(self, "challenger", _to_floats("the challenger", self.challenger))
        if self.champion is not None:
            force_setattr(self, "champion", _to_floats("the champion", self.champion))
        naive = {
            name: _to_floats(f"baseline {name}", values) for name, values in self.baselines.items()
        }
        force_setattr(self, "baselines", naive)
        for name, values in self._arrays():
            if values.ndim != 1 or values.shape != self.truth.shape:
                raise EvidenceError(
                    f"Cannot judge: {name} has shape {values.shape}, "
                    f"the labels have {self.truth.shape}",
                    cause="every array of the evidence has one entry for each row",
                    code="bucle-171",
                )
        for name, count, least in (
            ("looks", self.looks, 0),
            ("earlier_challengers", self.earlier_challengers, 0),
            ("planned", self.planned, 1),
        ):
            if count < least:
                raise EvidenceError(
                    f"Cannot judge: {name} is {count}",
                    cause=f"it counts something and is at least {least}",
                    code="bucle-172",
                )

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.truth.size)

    def _arrays(self) -> list[tuple[str, NDArray[Any]]]:
        found: list[tuple[str, NDArray[Any] | None]] = [
            ("the labels", self.truth),
            ("the challenger", self.challenger),
            ("the champion", self.champion),
            ("the event time", self.event_time),
            ("the clusters", self.clusters),
            *((f"baseline {name}", values) for name, values in self.baselines.items()),
            *((f"slice {name}", values) for name, values in self.slices.items()),
        ]
        return [(name, values) for name, values in found if values is not None]


def _to_floats(name: str, values: ArrayLike) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvidenceError(
            f"Cannot judge: {name} are not numbers"
            if name == "the labels"
            else f"Cannot judge: the predictions of {name} are not numbers",
            cause=str(error),
            code="bucle-173",
        ) from error
