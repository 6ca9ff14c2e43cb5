"""When what is done again and again is due, and what went wrong with it, each trouble said once.

Imports nothing heavy.
"""

from collections.abc import Callable

from bucle.types import Clock

__all__ = ["Rounds"]


class Rounds:
    """Remembers when things were done last, by monotonic time.

    Args:
        clock: Whose monotonic time counts.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._again_at: dict[str, float] = {}
        self._said: dict[str, str] = {}

    def is_due(self, name: str, every_s: float) -> bool:
        """Tell whether something is due; it is then taken for done."""
        now = self._clock.monotonic()
        if now < self._again_at.get(name, now):
            return False
        self._again_at[name] = now + every_s
        return True

    def put_off(self, name: str, seconds: float) -> None:
        """Let something be due again only after a while."""
        self._again_at[name] = self._clock.monotonic() + seconds

    def complain(self, name: str, words: str, say: Callable[[str], None]) -> None:
        """Say what went wrong, unless that was said last."""
        if self._said.get(name) != words:
            self._said[name] = words
            say(f"{name}: {words}")

    def is_well(self, name: str) -> None:
        """Take note that something went right."""
        self._said.pop(name, None)
