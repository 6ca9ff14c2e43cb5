"""Where a simulated process can be killed or stopped, and where others may act in between.

Must not be imported by anything but tests. Imports nothing heavy.
"""

from collections.abc import Callable

from bucle.testing.chance import chance
from bucle.testing.options import Options

__all__ = ["Interruptions", "KilledError"]


class KilledError(BaseException):
    """The process was killed here; nothing after this point has happened."""


class Interruptions:
    """Counts the points between two effects; at any of them it kills, or lets others act.

    Args:
        options: What the seed stands for.
        kill_at: The point to kill at, counted from 1; the only kill then.
        stop_at: The point to stop a leader at; the only stop then.
        on_kill: Told where a kill happens.
    """

    def __init__(
        self,
        options: Options,
        *,
        kill_at: int | None = None,
        stop_at: int | None = None,
        on_kill: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.passed = 0
        self.is_calm = False
        self.others: Callable[[], None] | None = None
        self._share = options.faults.crash
        self._kill_at = kill_at
        self._stop_at = stop_at
        self._stops = options.faults.stops
        self._halt = chance(options.seed, "stops")
        self._draw = chance(options.seed, "interruptions")
        self._on_kill = on_kill

    def stops_here(self) -> bool:
        """Tell whether a leader is stopped at the point that was passed last."""
        if self._stop_at is not None:
            return self.passed == self._stop_at
        return self._halt.happens(self._stops)

    def pass_point(self, where: str) -> None:
        """Pass a point between two effects.

        Raises:
            KilledError: The process ends here.
        """
        self.passed += 1
        if self.others is not None and not self.is_calm:
            self.others()
        at_this = self.passed == self._kill_at
        by_chance = self._kill_at is None and not self.is_calm and self._draw.happens(self._share)
        if at_this or by_chance:
            self._on_kill(where)
            raise KilledError(where)
