"""What a client learns of a row. Imports nothing heavy."""

from typing import Any

from msgspec import Struct

from bucle.models.compiled.contributions import Contributions

__all__ = ["Answer"]


class Answer(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a client learns of one row.

    `prediction` is the number, or the probability of yes; `by` is the role of the model that gave
    it; `shadow` names the model that scores the same row beside it, where there is one. `details`
    is what the estimator says beside the number, `contributions` what each column added to it,
    where that was asked.
    """

    prediction: float
    id: str
    model: str
    interval: tuple[float, float] | None = None
    by: str = "champion"
    shadow: str | None = None
    details: dict[str, Any] | None = None
    contributions: Contributions | None = None
