"""The registry: who was champion from when to when, as plain values folded from the log.

Pure: no disk, no clock. Imports nothing heavy and nothing of Bucle.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

__all__ = ["Deployment", "Tenure", "champion", "last_good", "was_rolled_back"]


class Tenure(Struct, frozen=True, kw_only=True):
    """The time in which one model version was champion.

    `since` and `until` are ISO 8601 in UTC; `until` is None while it lasts. `how` says whether it
    began with a promotion or by rolling back to it, `because` why, `by` through whom.
    """

    model: str
    since: str
    until: str | None = None
    by: str
    because: str
    how: Literal["promote", "rollback"] = "promote"


class Deployment(Struct, frozen=True, kw_only=True):
    """A challenger that works beside the champion, on its way or on trial.

    `share` is what part of the keys it answers: 0 for a shadow, which answers none. `since` is
    when it came to that share, ISO 8601 in UTC; `began` when it was deployed. `run` made it and
    the loop leads it step by step; empty for one that is left as it is. `is_former` says that it
    was champion before this one, and is kept to be compared with. `moves` is how often it came to a
    share, this time included.
    """

    model: str
    share: float
    since: str
    began: str
    by: str
    because: str
    run: str = ""
    is_former: bool = False
    moves: int = 1

    @property
    def stage(self) -> Literal["shadow", "canary"]:
        """Which of the two it is."""
        return "canary" if self.share > 0 else "shadow"


def champion(tenures: Sequence[Tenure]) -> Tenure | None:
    """Return the tenure that lasts, None before the first promotion.

    Args:
        tenures: In the order of the log.
    """
    return tenures[-1] if tenures and tenures[-1].until is None else None


def last_good(tenures: Sequence[Tenure]) -> Tenure | None:
    """Return the tenure a rollback leads to by default, None when there is none.

    It is the latest one of another model than the champion, leaving out models whose latest
    tenure was ended by rolling back from them: rolling back twice goes two champions back, never
    to and fro.

    Example:
        >>> def of(model, how="promote", until="later"):
        ...     return Tenure(model=model, since="", until=until, by="", because="", how=how)
        >>> history = [of("a"), of("b"), of("c"), of("b", how="rollback", until=None)]
        >>> last_good(history).model
        'a'
    """
    current = champion(tenures)
    settled = {current.model} if current else set()
    for at in range(len(tenures) - 1, -1, -1):
        tenure = tenures[at]
        if tenure.model in settled:
            continue
        ended_badly = at + 1 < len(tenures) and tenures[at + 1].how == "rollback"
        if not ended_badly:
            return tenure
        settled.add(tenure.model)
    return None


def was_rolled_back(tenures: Sequence[Tenure], model: str) -> bool:
    """Tell whether the latest tenure of a model was ended by rolling back from it.

    Such a model does not become champion again without a person's word.
    """
    for at in range(len(tenures) - 1, -1, -1):
        if tenures[at].model == model:
            return at + 1 < len(tenures) and tenures[at + 1].how == "rollback"
    return False
