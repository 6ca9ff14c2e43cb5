"""Processes that keep a project going beside the ones that answer. Imports nothing heavy."""

from msgspec import Struct

from bucle.charter.reading import Loaded

__all__ = ["Companion", "CompanionSettings"]


class Companion(Struct, frozen=True, kw_only=True):
    """A process beside a server's own: its name, and the module that it runs."""

    name: str
    module: str


class CompanionSettings(Struct, frozen=True, kw_only=True):
    """What the supervisor tells a companion; `lifeline` is a pipe that ends with it.

    `loaded` is the charter as the supervisor has read it. `watched` are places where new data comes
    in, as the command line has them.
    """

    root: str
    loaded: Loaded
    lifeline: int
    watched: tuple[str, ...] = ()
