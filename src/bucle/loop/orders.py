"""What people told the loop: facts that it obeys.

A class is what this version of Bucle writes. Imports nothing heavy and does no I/O.
"""

from typing import ClassVar

from bucle.loop.fact import Fact

__all__ = ["Approved", "Paused", "Resumed", "RetrainAsked"]


class RetrainAsked(Fact, frozen=True, kw_only=True):
    """A person wants a new model, whatever the triggers say."""

    kind: ClassVar[str] = "retrain_asked"

    because: str


class Paused(Fact, frozen=True, kw_only=True):
    """A person told the loop to start nothing new."""

    kind: ClassVar[str] = "paused"

    because: str


class Resumed(Fact, frozen=True, kw_only=True):
    """A person told the loop to go on."""

    kind: ClassVar[str] = "resumed"

    because: str


class Approved(Fact, frozen=True, kw_only=True):
    """A role let a model answer; `role` is one that the charter asks for."""

    kind: ClassVar[str] = "approved"

    model: str
    role: str
    because: str
