"""Items asked of a server as a model would be: what a world proposes by is what the server answers.

Imports polars.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from bucle.errors import OutsideError
from bucle.loop.simulation.desk import Desk
from bucle.models.metrics import Floats

__all__ = ["Asker"]


class Asker:
    """Stands in for a model wherever a world asks one.

    Args:
        desk: The server's client.
        names: The columns of items that are sent.
        wait: Called before each request for items that are settled on: one comes after the other.
    """

    def __init__(self, desk: Desk, names: Sequence[str], *, wait: Callable[[], object]) -> None:
        self._desk = desk
        self._wait = wait
        self._names = tuple(names)

    def propose(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return what the model says beside its predictions, as its `details` do.

        Raises:
            OutsideError: The champion answers without any (bucle-434).
        """
        found = [answer.get("details") for answer in self._desk.sound(self.as_rows(rows))]
        if any(one is None for one in found):
            raise OutsideError(
                "Cannot go on: the champion answers without what the world asks for",
                cause="`propose` needs the `details` of an answer",
                attempt="a method details(rows) of the model",
                code="bucle-434",
            )
        return pl.DataFrame(found)

    def predict(self, rows: pl.DataFrame) -> Floats:
        """Return predictions for rows that nobody has settled on."""
        return np.asarray([one["prediction"] for one in self._desk.sound(self.as_rows(rows))])

    def settle_on(self, rows: pl.DataFrame) -> list[str]:
        """Ask for rows as they go into the world; return the ids of their predictions."""
        asked, together = self.as_rows(rows), self._desk.together
        found = []
        for at in range(0, len(asked), together):
            self._wait()
            found += [one["id"] for one in self._desk.answer(asked[at : at + together])]
        return found

    def as_rows(self, rows: pl.DataFrame) -> list[dict[str, Any]]:
        """Return items as a client sends them."""
        names = [name for name in self._names if name in rows.columns]
        return [
            {name: _plain(value) for name, value in row.items()}
            for row in rows.select(names).to_dicts()
        ]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else value
