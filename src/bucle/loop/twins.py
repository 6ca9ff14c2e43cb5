"""Which model versions stand for one and the same model. Pure.

A package says more than its model does: how wide its intervals are, what it was made from. Made
again of the same training rows it is another version that answers what the first one answers.
"""

from bucle.loop.state import State
from bucle.models.registry import champion

__all__ = ["alike", "is_of_champion", "twins"]


def alike(state: State, model: str) -> set[str]:
    """Return a model and all that were fitted to the very same; refits are not looked for.

    Of a model whose fit is not on record there is only itself.
    """
    record = state.models.get(model)
    if record is None or not record.fit:
        return {model}
    return {name for name, known in state.models.items() if known.fit == record.fit}


def twins(state: State, model: str) -> set[str]:
    """Return a model, the one that was tested for it, and every refit of that one."""
    record = state.models.get(model)
    tested = (record.twin if record is not None else None) or model
    return {model, tested} | {name for name, known in state.models.items() if known.twin == tested}


def is_of_champion(state: State, model: str) -> bool:
    """Tell whether a model answers what the champion, or the one tested for it, answers."""
    reigning = champion(state.tenures)
    if reigning is None:
        return False
    record = state.models.get(reigning.model)
    tested = record.twin if record is not None else None
    return not alike(state, model).isdisjoint({reigning.model, tested})
