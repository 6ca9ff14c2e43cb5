"""Ways to reach people: where a message goes, and what it means when it does not get there.

Imports nothing heavy.
"""

from typing import Protocol

from msgspec import Struct

from bucle.errors import OutsideError
from bucle.loop.alarms.messages import Message

__all__ = ["Channel", "Failure"]


class Failure(Struct, frozen=True, kw_only=True):
    """Why a message did not get there.

    `attempts` is how often it makes sense to try, as long as patience lasts where it is None;
    `wait_s` is how long the other side asked to be left alone.
    """

    error: OutsideError
    attempts: int | None = None
    wait_s: float = 0.0


class Channel(Protocol):
    """One way to reach people.

    Guarantees: sending takes a bounded time, whatever is on the other side, and raises nothing;
    `close` may be called from another thread and ends a sending under way.
    """

    @property
    def kind(self) -> str:
        """What its progress is remembered under."""
        ...

    @property
    def name(self) -> str:
        """What people call it; no secret."""
        ...

    def send(self, message: Message) -> Failure | None:
        """Bring one message there; None when it arrived."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...
