"""Alarms that a change of champion ends: what was wrong, was wrong with the one before.

Pure; imports nothing heavy.
"""

from bucle.loop.observations import AlarmResolved
from bucle.loop.state import State
from bucle.models.registry import champion

__all__ = ["alarms_ended_by"]

_CONTRACT = "contract"


def alarms_ended_by(state: State, model: str) -> tuple[AlarmResolved, ...]:
    """Return that alarms are over, to be put on record with the model that becomes champion.

    Its errors and inputs are judged by what it was made on itself. Breaches of the contract stay
    open, since that holds for every model; nothing is over where it is champion already.

    Args:
        state: What is true before the change.
        model: Who becomes champion.
    """
    reigning = champion(state.tenures)
    if reigning is None or reigning.model == model:
        return ()
    why = f"{model} is champion now, and this was seen of {reigning.model}"
    return tuple(
        AlarmResolved(layer=one.layer, subject=one.subject, why=why)
        for one in state.alarms.values()
        if one.layer != _CONTRACT
    )
