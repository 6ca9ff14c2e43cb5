"""How often the referee has looked before: each look more is one chance more for a false promotion.

Live or replayed, verdicts count the looks that are on record here. Pure.
"""

from msgspec import Struct

from bucle.loop.state import State

__all__ = ["FIRST_LOOK", "Looks", "count_looks"]


class Looks(Struct, frozen=True, kw_only=True):
    """Earlier looks: at `same` challenger beside the same champion, at `others` on these rows."""

    same: int = 0
    others: int = 0


FIRST_LOOK = Looks()


def count_looks(state: State, model: str, champion: str | None, *, cut: str | None) -> Looks:
    """Count the verdicts on record that a new one has to answer for.

    Args:
        state: What is on record.
        model: The challenger.
        champion: The model it is judged beside.
        cut: The moment from which the rows that judge it come.
    """
    record = state.models.get(model)
    judged = record.verdicts if record else ()
    return Looks(
        same=sum(known.fact.verdict.champion == champion for known in judged),
        others=sum(
            bool(other.verdicts) and other.model != model and other.cut == cut
            for other in state.models.values()
        ),
    )
