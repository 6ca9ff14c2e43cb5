"""What databases said when they were asked last, and which of it is still to be taken.

Asks through modules that are heavy, and only where there is a database.
"""

from pathlib import Path

from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.loop.chronicle import DatasetRecord
from bucle.types import Clock

__all__ = ["Queries"]


class _Offered(Struct, frozen=True, kw_only=True):
    """A mark, and how many additions there were when it was offered."""

    mark: str
    additions: int


class Queries:
    """Tells whether the rows of a query have moved since they were taken.

    Args:
        clock: For the time between two questions.
        root: The project's folder.
        every_s: A database is asked no more often than this.
    """

    def __init__(self, clock: Clock, *, root: Path, every_s: float) -> None:
        self._clock = clock
        self._root = root
        self._every_s = every_s
        self._asked: dict[str, tuple[float, str]] = {}
        self._known: dict[str, str] = {}
        self._offered: dict[str, _Offered] = {}

    def look(
        self, name: str, url: str, settings: DatasetSettings, record: DatasetRecord | None
    ) -> str | None:
        """Return the mark of rows that are to be taken; None where they are what was taken.

        Args:
            name: The dataset.
            url: Of the database.
            settings: Of the dataset.
            record: What is on record of it.
        """
        mark = self._mark(name, url, settings)
        count = sum(one.fact.origin == "source" for one in record.additions) if record else 0
        offered = self._offered.get(name)
        if offered is not None and count > offered.additions:
            # Rows may have come in between the mark and the reading: the next mark tells.
            self._known[name] = offered.mark
            del self._offered[name]
        last = record.last_sync if record else None
        if last is not None and name not in self._known:
            from bucle.data.marks import query_digest  # noqa: PLC0415  (heavy; once a start)

            digest = query_digest(url, settings=settings, root=self._root)
            if digest in {file.digest for file in last.files}:
                self._known[name] = mark
        if self._known.get(name) == mark:
            return None
        self._known.setdefault(name, "")
        # Whoever takes it reads the rows at some time after the first offer, not after this one.
        self._offered.setdefault(name, _Offered(mark=mark, additions=count))
        return mark

    def settle(self, name: str) -> None:
        """Take note that a query's rows were read after they were offered, and held nothing new."""
        offered = self._offered.pop(name, None)
        if offered is not None:
            # As above: rows that came between the mark and the reading move the next mark.
            self._known[name] = offered.mark

    def _mark(self, name: str, url: str, settings: DatasetSettings) -> str:
        from bucle.data.marks import query_mark  # noqa: PLC0415  (heavy; only for databases)

        now = self._clock.monotonic()
        at, mark = self._asked.get(name, (now - self._every_s, ""))
        if now - at >= self._every_s:
            mark = query_mark(url, settings=settings, root=self._root)
            self._asked[name] = (now, mark)
        return mark
