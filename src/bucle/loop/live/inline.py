"""Jobs that are done in this process: for tests and for simulated time.

Imports nothing heavy.
"""

from bucle.loop.live.deeds import carry_out
from bucle.loop.live.orders import Answer, Order
from bucle.loop.workspace import Workspace

__all__ = ["InlineJobs"]


class InlineJobs:
    """Jobs in this process, one after the other; whoever asks sees what any `Jobs` shows.

    Args:
        workspace: The project, where it is open already; else each job opens it as it is then.
        is_held: Whether jobs wait until `work` is called, as if they took a while; else each is
            done when `start` returns.
    """

    def __init__(self, workspace: Workspace | None = None, *, is_held: bool = False) -> None:
        self._workspace = workspace
        self._is_held = is_held
        self._orders: dict[str, Order] = {}
        self._answers: dict[str, Answer] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on and every answer was taken."""
        return not self._orders and not self._answers

    def start(self, name: str, order: Order) -> None:
        """Begin a job, and do it unless jobs are held."""
        self._orders[name] = order
        if not self._is_held:
            self.work()

    def work(self) -> int:
        """Do what was begun and return how much that was; answers wait until they are taken."""
        done = 0
        while self._orders:
            name = next(iter(self._orders))
            self._answers[name] = carry_out(self._orders[name], workspace=self._workspace)
            del self._orders[name]
            done += 1
        return done

    def is_running(self, name: str) -> bool:
        """Tell whether a job of that name goes on, or has an answer that nobody took."""
        return name in self._orders or name in self._answers

    def take(self, name: str) -> Answer | None:
        """Return the answer of a job once; None while it goes on, or where there is none."""
        return self._answers.pop(name, None)

    def close(self) -> None:
        """End every job: what was not begun is not done."""
        self._orders, self._answers = {}, {}
