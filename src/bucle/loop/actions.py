"""What may be done next: values that `decide` returns and a world performs. Pure."""

from typing import ClassVar

from msgspec import Struct

from bucle.ids import digest_json

__all__ = [
    "Action",
    "Deploy",
    "Judge",
    "Promote",
    "Refit",
    "Retrain",
    "RollBack",
    "Wait",
    "Withdraw",
    "action_id",
]

_DIGITS = 16


class Action(Struct, frozen=True, kw_only=True):
    """Something to do, once: `id` comes from its cause, so that asking again asks for the same."""

    name: ClassVar[str] = ""

    id: str
    why: str


class Retrain(Action, frozen=True, kw_only=True):
    """Train a model on what is known now; `window` is how much of it.

    `trigger` is the kind of trigger that asked for it, empty for one that is taken up again.
    """

    name: ClassVar[str] = "retrain"

    window: str
    trigger: str = ""


class Judge(Action, frozen=True, kw_only=True):
    """Put a run's model before the referee, beside the champion."""

    name: ClassVar[str] = "judge"

    run: str
    model: str
    champion: str | None


class Refit(Action, frozen=True, kw_only=True):
    """Learn a tested model once more, from everything that is known."""

    name: ClassVar[str] = "refit"

    run: str
    model: str


class Promote(Action, frozen=True, kw_only=True):
    """Make a model the champion; `verdict` is the outcome it comes with, empty without a gate."""

    name: ClassVar[str] = "promote"

    run: str
    model: str
    previous: str | None
    verdict: str


class Deploy(Action, frozen=True, kw_only=True):
    """Put a model beside the champion, or change its share of the keys; with 0 it is a shadow.

    `run` is the one whose candidate it is; empty for the champion before this one, which is kept
    to be compared with.
    """

    name: ClassVar[str] = "deploy"

    run: str
    model: str
    champion: str
    share: float


class Withdraw(Action, frozen=True, kw_only=True):
    """Take a model away from beside the champion."""

    name: ClassVar[str] = "withdraw"

    model: str


class RollBack(Action, frozen=True, kw_only=True):
    """Put the champion before this one back."""

    name: ClassVar[str] = "roll back"

    model: str
    previous: str


class Wait(Action, frozen=True, kw_only=True):
    """Do nothing more now; `settled` says what became of the last run."""

    name: ClassVar[str] = "wait"

    id: str = ""
    settled: str = ""


def action_id(kind: str, *cause: str) -> str:
    """Return the id of an action from what causes it: the same cause, the same action."""
    return f"a-{digest_json([kind, *cause])[:_DIGITS]}"
