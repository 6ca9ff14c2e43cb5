"""Worlds that answer: a class of the project whose items respond to what a champion proposes.

Recorded history never answers: a price nobody asked was never paid or refused. A world that is
known, such as a simulated store, does. Imports nothing heavy.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from bucle.charter.project_code import load_name
from bucle.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

__all__ = ["BEST", "EXPECTED", "LivingWorld", "open_world"]

EXPECTED = "expected"
BEST = "best"
_METHODS = ("arrivals", "propose", "outcomes", "worth")


class LivingWorld(Protocol):
    """A world with its own items, luck and truth.

    Every policy meets the same items and the same luck: what an item does depends on the item and
    on what was proposed for it, never on who asks, when, or in which order.

    For a simulation it may also have `shocks`, what can befall it, in words by name, with
    `strike(shock, start, end)`; `misprints`, what can go wrong with its books, with
    `misprint(kind, books)`; and `draw(seed)`, which writes another world over its files.
    """

    def arrivals(self, start: datetime, end: datetime) -> "pl.DataFrame":
        """Return the items that come from `start` and before `end`, as they were recorded.

        They have the dataset's columns but for what becomes known later.
        """
        ...

    def propose(
        self, rows: "pl.DataFrame", model: Any, exploration: float, moment: datetime
    ) -> "pl.DataFrame":
        """Return items with what the model proposes for them, moved by a share of chance."""
        ...

    def outcomes(self, rows: "pl.DataFrame") -> "pl.DataFrame":
        """Return items with all that becomes known of them, and when, under what was proposed."""
        ...

    def worth(self, rows: "pl.DataFrame") -> "pl.DataFrame":
        """Return what each item is expected to earn under its proposal, and the best possible.

        Columns `expected` and `best`, in money, exact: no luck is in them.
        """
        ...


def open_world(root: Path, reference: str) -> LivingWorld:
    """Make the world that a project names, `file.py:Name`, called without arguments.

    Raises:
        RequestError: It is no such class (bucle-267).
        CharterError: Its file cannot be imported.
    """
    made = load_name(root, reference)
    if not callable(made):
        raise _unfit(reference, "it cannot be called")
    world = cast("Callable[[], object]", made)()
    missing = [name for name in _METHODS if not callable(getattr(world, name, None))]
    if missing:
        raise _unfit(reference, f"it has no {' and no '.join(missing)}")
    return cast("LivingWorld", world)


def _unfit(reference: str, cause: str) -> RequestError:
    return RequestError(
        f"Cannot replay in the world {reference!r}",
        cause=cause,
        attempt=f"a class with the methods {', '.join(_METHODS)}",
        code="bucle-267",
    )
