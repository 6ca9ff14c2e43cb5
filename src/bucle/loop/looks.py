"""What the record says a verdict must answer for: earlier looks, and what a person has accepted.

Each look more is one chance more for a false promotion. Live or replayed, verdicts count the looks
that are on record here. Pure.
"""

from msgspec import Struct

from bucle.gates.wording import LIKENESS
from bucle.loop.state import State
from bucle.loop.twins import alike

__all__ = ["FIRST_LOOK", "Looks", "accepted_until", "count_looks"]


class Looks(Struct, frozen=True, kw_only=True):
    """Earlier looks: at `same` challenger beside the same champion, at `others` on these rows."""

    same: int = 0
    others: int = 0


FIRST_LOOK = Looks()


def count_looks(state: State, model: str, champion: str | None, *, cut: str | None) -> Looks:
    """Count the verdicts on record that a new one has to answer for.

    A model that was packaged anew is the one it was: what answers the same has one series of looks.

    Args:
        state: What is on record.
        model: The challenger.
        champion: The model it is judged beside.
        cut: The moment from which the rows that judge it come.
    """
    same, champions = alike(state, model), alike(state, champion) if champion else {None}
    records = [state.models[name] for name in same if name in state.models]
    others = {
        other.fit or other.model
        for other in state.models.values()
        if other.verdicts and other.model not in same and other.cut == cut
    }
    return Looks(
        same=sum(
            known.fact.verdict.champion in champions
            for record in records
            for known in record.verdicts
        ),
        others=len(others),
    )


def accepted_until(state: State, champion: str | None) -> str | None:
    """Return until when rows are taken as they are because a person has promoted on them.

    None where no verdict on the champion has found rows unlike those before: its own cut counts.
    """
    record = state.models.get(champion) if champion else None
    if record is None or not record.runs:
        return None
    overruled = any(
        check.name == LIKENESS and check.outcome != "pass"
        for known in record.verdicts
        for check in known.fact.verdict.checks
    )
    made = state.runs.get(record.runs[-1])
    return made.finished.end if overruled and made is not None and made.finished else None
