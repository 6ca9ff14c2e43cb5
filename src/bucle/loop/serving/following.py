"""Who has to serve, as the log says: read again and again, only what was written since.

Imports nothing heavy.
"""

from msgspec import Struct

from bucle.loop.state import Fold, State
from bucle.loop.workspace import Workspace
from bucle.models.registry import champion, last_good

__all__ = ["Follower", "Wanted", "Wish"]


class Wanted(Struct, frozen=True, kw_only=True):
    """A model that has to serve; `digest` is that of its package, None where none is on record."""

    model: str
    digest: str | None


class Wish(Struct, frozen=True, kw_only=True):
    """Who has to serve: the champion, and a challenger beside it with its share of the keys.

    `earlier` is the champion that a rollback would put back; it is kept ready.
    """

    champion: Wanted
    challenger: Wanted | None = None
    share: float = 0.0
    earlier: Wanted | None = None


class Follower:
    """Follows a project's log.

    Args:
        workspace: The project.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._fold = Fold()
        self._wish: Wish | None = None
        self._is_new = True

    def wish(self) -> Wish | None:
        """Return who has to serve as the log says it now; None where there is no champion.

        Raises:
            LogError: The log cannot be read.
        """
        for event in self._workspace.log.read(after=self._fold.position):
            self._fold.apply(event)
            self._is_new = True
        if self._is_new:
            self._wish = _find(self._fold.state())
            self._is_new = False
        return self._wish


def _find(state: State) -> Wish | None:
    reigning = champion(state.tenures)
    if reigning is None:
        return None
    deployed, earlier = state.deployment, last_good(state.tenures)
    return Wish(
        champion=_wanted(state, reigning.model),
        challenger=_wanted(state, deployed.model) if deployed else None,
        share=deployed.share if deployed else 0.0,
        earlier=_wanted(state, earlier.model) if earlier else None,
    )


def _wanted(state: State, model: str) -> Wanted:
    record = state.models.get(model)
    return Wanted(model=model, digest=record.digest if record else None)
