"""Items asked of a server as a model would be: what a world proposes by is what the server answers.

Imports polars.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
        self._beside = ThreadPoolExecutor(1)
        self._ahead: tuple[list[dict[str, Any]], Future[list[dict[str, Any]]]] | None = None

    def ask_ahead(self, rows: pl.DataFrame) -> None:
        """Begin to ask for rows that `propose` will be asked for, beside what else goes on.

        Nobody else may use the desk until `wait_ahead`.
        """
        asked = self.as_rows(rows)
        self._ahead = (asked, self._beside.submit(self._desk.sound, asked))

    def wait_ahead(self, *, is_kept: bool) -> None:
        """Wait for what was asked ahead; forget it where somebody else answers by now."""
        if self._ahead is not None:
            self._ahead[1].result()
            self._ahead = self._ahead if is_kept else None

    def close(self) -> None:
        """Ask for nothing more."""
        self._beside.shutdown(cancel_futures=True)

    def propose(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return what the model says beside its predictions, as its `details` do.

        Raises:
            OutsideError: The champion answers without any (bucle-434).
        """
        found = [answer.get("details") for answer in self._sound(self.as_rows(rows))]
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
        return np.asarray([one["prediction"] for one in self._sound(self.as_rows(rows))])

    def settle_on(self, rows: pl.DataFrame) -> list[str]:
        """Ask for rows as they go into the world; return the ids of their predictions."""
        asked, together = self.as_rows(rows), self._desk.together
        found = []
        for at in range(0, len(asked), together):
            self._wait()
            found += [one["id"] for one in self._desk.answer(asked[at : at + together])]
        return found

    def _sound(self, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return answers, those that were asked for ahead where they are to the same rows."""
        ahead, self._ahead = self._ahead, None
        return ahead[1].result() if ahead and ahead[0] == asked else self._desk.sound(asked)

    def as_rows(self, rows: pl.DataFrame) -> list[dict[str, Any]]:
        """Return items as a client sends them."""
        names = [name for name in self._names if name in rows.columns]
        return [
            {name: _plain(value) for name, value in row.items()}
            for row in rows.select(names).to_dicts()
        ]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else value
