"""The clocks of a simulated machine: one that can be set wrong, and one that never goes back.

Must not be imported by anything but tests. Imports nothing heavy.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

__all__ = ["Machine"]


class Machine:
    """A wall clock that shows the true time but for what it was set wrong by.

    Args:
        true: Returns the true time.
    """

    def __init__(self, true: Callable[[], datetime]) -> None:
        self.offset = timedelta()
        self._true = true
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """Return what the wall clock shows, right or wrong."""
        return self._true() + self.offset

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._elapsed_s

    def elapse(self, seconds: float) -> None:
        """Let seconds pass, too few to matter to a wall clock that is read once a day."""
        self._elapsed_s += seconds
