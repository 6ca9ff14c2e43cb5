"""Alarms that a change of champion ends: what was wrong, was wrong with the one before.

Pure; imports nothing heavy.
"""

from bucle.loop.observations import AlarmResolved
from bucle.loop.state import State
from bucle.models.registry import champion

__all__ = ["alarms_ended_by", "why_ended"]

_CONTRACT = "contract"


def alarms_ended_by(state: State, model: str) -> tuple[AlarmResolved, ...]:
    """Return that alarms are over, to be put on record after the change of champion.

    Its errors and inputs are judged by what it was made on itself. Breaches of the contract stay
    open, since that holds for every model; nothing is over where it is champion already.

    Args:
        state: What is true before the change.
        model: Who becomes champion.
    """
    reigning = champion(state.tenures)
    if reigning is None or reigning.model == model:
        return ()
    why = why_ended(model, reigning.model)
    return tuple(
        AlarmResolved(layer=one.layer, subject=one.subject, why=why)
        for one in state.alarms.values()
        if one.layer != _CONTRACT
    )


def why_ended(model: str, former: str) -> str:
    """Say why an alarm is over.

    Args:
        model: Who is champion now.
        former: Of whom it was seen.
    """
    return f"{model} is champion now, and this was seen of {former}"
