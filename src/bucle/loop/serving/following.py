"""Who has to serve, as the log says: read again and again, only what was written since.

Imports nothing heavy.
"""

from msgspec import Struct

from bucle.loop.state import Fold
from bucle.loop.workspace import Workspace
from bucle.models.registry import champion

__all__ = ["Follower", "Wanted"]


class Wanted(Struct, frozen=True, kw_only=True):
    """A model that has to serve; `digest` is that of its package, None where none is on record."""

    model: str
    digest: str | None


class Follower:
    """Follows a project's log.

    Args:
        workspace: The project.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._fold = Fold()
        self._wanted: Wanted | None = None
        self._is_new = True

    def wanted(self) -> Wanted | None:
        """Return the champion as the log says it now; None where there is none.

        Raises:
            LogError: The log cannot be read.
        """
        for event in self._workspace.log.read(after=self._fold.position):
            self._fold.apply(event)
            self._is_new = True
        if self._is_new:
            self._wanted = self._find()
            self._is_new = False
        return self._wanted

    def _find(self) -> Wanted | None:
        state = self._fold.state()
        reigning = champion(state.tenures)
        if reigning is None:
            return None
        record = state.models.get(reigning.model)
        return Wanted(model=reigning.model, digest=record.digest if record else None)
