"""What a job is told and what it answers: JSON between the controller and a process of its own.

Imports nothing heavy.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from bucle.loop.events import KINDS, Fact
from bucle.types import Lease

__all__ = ["Answer", "Kind", "Order", "facts_of", "written"]

Kind = Literal[
    "retrain", "judge", "refit", "deploy", "see", "watch", "ingest", "windows", "gain", "code"
]


class Order(Struct, frozen=True, kw_only=True):
    """One thing to do for a project.

    `details` are those of the kind, JSON values. Whatever is written to the log is written under
    `fence`.
    """

    kind: Kind
    root: str
    details: dict[str, Any] = {}
    overrides: tuple[str, ...] = ()
    fence: Lease | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """How it went: facts for the controller to record, or what failed.

    `memory` is what the next order of the kind is to be given. `is_outside` says that the failure
    is the machine's, so that trying again may help. `said` is one line for people, empty for
    nothing; `notes` are more of them, which need no telling again while they are the same.
    """

    facts: tuple[dict[str, Any], ...] = ()
    memory: dict[str, Any] = {}
    error: str = ""
    is_outside: bool = False
    said: str = ""
    notes: tuple[str, ...] = ()


def written(facts: Sequence[Fact]) -> tuple[dict[str, Any], ...]:
    """Return facts as JSON values."""
    return tuple({"kind": fact.kind, "body": msgspec.to_builtins(fact)} for fact in facts)


def facts_of(answer: Answer) -> tuple[Fact, ...]:
    """Return the facts of an answer.

    Raises:
        msgspec.ValidationError: They are none.
    """
    return tuple(msgspec.convert(one["body"], KINDS[one["kind"]]) for one in answer.facts)
