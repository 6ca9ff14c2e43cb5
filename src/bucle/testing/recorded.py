"""A recorded log gone through once more: would the same decisions be taken on what was known?

Must not be imported by anything but tests.
"""

from collections.abc import Container, Iterable

from msgspec import Struct

from bucle.clock import from_iso
from bucle.loop.actions import Action, Deploy, Judge, Promote, Refit, Retrain, RollBack, Withdraw
from bucle.loop.decide import decide
from bucle.loop.events import (
    Decided,
    Deployed,
    Fact,
    Promoted,
    Refitted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    Withdrawn,
    read_fact,
)
from bucle.loop.policy import Policy
from bucle.loop.state import Fold
from bucle.types import Event

__all__ = ["Difference", "decide_again"]

_EFFECTS: dict[type[Fact], type[Action] | tuple[type[Action], ...]] = {
    Promoted: Promote,
    RolledBack: RollBack,
    Deployed: Deploy,
    # A candidate that cannot be put beside the champion, or a champion that cannot come back.
    Withdrawn: (Withdraw, Deploy, RollBack),
    Refitted: Refit,
    RunFinished: Retrain,
}


class Difference(Struct, frozen=True, kw_only=True):
    """An effect on record that would not be decided on now: where, what it is, what would be."""

    position: int
    effect: str
    decided: str


def decide_again(
    events: Iterable[Event], policy: Policy, *, people: Container[str] = ()
) -> tuple[tuple[str, ...], tuple[Difference, ...]]:
    """Take every decision of a recorded log again, on the state of its moment.

    A training is decided on at the look that says so and is on record once its process has read
    the project; what came between the two may be another reason.

    Args:
        events: The log, from its beginning.
        policy: What its loop followed.
        people: Actors who decide by themselves; what they did is only taken in.

    Returns:
        The names of the decisions that were taken again, in order, and what differs.
    """
    folded = Fold()
    taken: list[str] = []
    different: list[Difference] = []
    begun: set[str] = set()
    for event in events:
        fact = read_fact(event)
        if isinstance(fact, Decided) and Retrain.name in fact.did:
            begun |= {one.id for one in decide(folded.state(), policy, from_iso(event.at))}
        wanted = _decided_by(fact)
        if wanted and event.actor not in people:
            state = folded.state()
            if wanted not in state.acted:
                (action,) = decide(state, policy, from_iso(event.at))
                if isinstance(fact, RunStarted) and wanted in begun:
                    taken.append(Retrain.name)
                elif _is_effect(fact, action, wanted):
                    taken.append(action.name)
                else:
                    different.append(
                        Difference(
                            position=event.position,
                            effect=event.kind,
                            decided=f"{action.name}: {action.why}",
                        )
                    )
        folded.apply(event)
    return tuple(taken), tuple(different)


def _decided_by(fact: Fact | None) -> str:
    """Return the id of the action that a fact is the effect of, empty where nobody decided it."""
    if isinstance(fact, RunStarted):
        return fact.asked
    # A verdict in the commit of its run names no action: it is known by its run.
    if isinstance(fact, VerdictGiven):
        return fact.action or f"of {fact.run}"
    return fact.action if fact is not None else ""


def _is_effect(fact: Fact | None, action: Action, wanted: str) -> bool:
    if isinstance(fact, RunStarted):
        return isinstance(action, Retrain) and action.id == wanted
    if isinstance(fact, VerdictGiven):
        return isinstance(action, Judge) and action.run == fact.run
    kind = _EFFECTS.get(type(fact)) if fact is not None else None
    return kind is not None and isinstance(action, kind) and action.id == wanted
