"""What every fact of the life cycle has. Pure; imports nothing heavy."""

from typing import ClassVar

from msgspec import Struct

__all__ = ["Fact"]


class Fact(Struct, frozen=True, kw_only=True):
    """What every kind of event has: a name and the version of its fields.

    `action` is the id of the action whose effect the fact is, empty when nobody decided it. An
    effect counts once: folding leaves out a second fact of the same action.
    """

    kind: ClassVar[str] = ""
    version: ClassVar[int] = 1

    action: str = ""
