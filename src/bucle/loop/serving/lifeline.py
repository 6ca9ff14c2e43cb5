"""The pipe by which a supervisor's processes learn that it has gone. Imports nothing heavy."""

from select import select
from threading import Event, Thread

__all__ = ["stop_with"]


def stop_with(lifeline: int, stopping: Event) -> None:
    """Set an event when the supervisor has gone, without waiting for it.

    Args:
        lifeline: A pipe that nobody writes to: its end comes with that of the supervisor.
        stopping: Set then.
    """

    def wait() -> None:
        select([lifeline], [], [])
        stopping.set()

    Thread(target=wait, daemon=True).start()
