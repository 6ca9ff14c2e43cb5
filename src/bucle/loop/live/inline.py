"""Jobs that are done where they are asked for, at once: for tests and for simulated time.

Imports nothing heavy.
"""

from bucle.loop.live.deeds import carry_out
from bucle.loop.live.orders import Answer, Order
from bucle.loop.workspace import Workspace

__all__ = ["InlineJobs"]


class InlineJobs:
    """Jobs in this process, done when `start` returns; whoever asks sees what any `Jobs` shows.

    Args:
        workspace: The project, where it is open already; else each job opens it as it is then.
    """

    def __init__(self, workspace: Workspace | None = None) -> None:
        self._workspace = workspace
        self._answers: dict[str, Answer] = {}

    @property
    def is_idle(self) -> bool:
        """Whether every answer was taken."""
        return not self._answers

    def start(self, name: str, order: Order) -> None:
        """Do a job; its answer waits until it is taken."""
        self._answers[name] = carry_out(order, workspace=self._workspace)

    def is_running(self, name: str) -> bool:
        """Tell whether a job of that name has an answer that nobody took."""
        return name in self._answers

    def take(self, name: str) -> Answer | None:
        """Return the answer of a job once; None where there is none."""
        return self._answers.pop(name, None)

    def close(self) -> None:
        """Forget every answer; what was done stays done."""
        self._answers = {}
