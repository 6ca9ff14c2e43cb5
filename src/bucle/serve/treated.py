"""Count the nulls and the words never seen in rows that were answered, by column.

Costs a look at each row, and more only where there is something to count. Imports nothing heavy.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from bucle.models.package import Package
from bucle.models.treatments import known_values
from bucle.serve.counts import Counts

__all__ = ["Treated"]

_BY_COLUMN = 8
"""From so many rows on it is faster to look at columns."""


class Treated:
    """Counts what one model's rows hold that it treats rather than knows.

    Args:
        package: The model.
    """

    def __init__(self, package: Package) -> None:
        signature = package.signature
        self._names = tuple(feature.name for feature in signature.features)
        known = known_values(signature, package.record, package.profile)
        self._known = tuple(
            (at, known[name] | {None}) for at, name in enumerate(self._names) if name in known
        )
        self._words = tuple(known[name] - {None} if name in known else None for name in self._names)

    def count(self, rows: Sequence[Sequence[Any]], counts: Counts) -> None:
        """Count a request's rows, given in the order of the signature."""
        if len(rows) > _BY_COLUMN:
            for found in self.find(list(zip(*rows, strict=True))):
                counts.treated(*found)
            return
        known = self._known
        for row in rows:
            if None in row:
                for at, value in enumerate(row):
                    if value is None:
                        counts.treated(self._names[at], "null")
            for at, values in known:
                if row[at] not in values:
                    counts.treated(self._names[at], "unknown")

    def find(
        self, columns: Sequence[Sequence[Any]], *, known: AbstractSet[int] = frozenset()
    ) -> list[tuple[str, str, int]]:
        """Return what there is to count in rows given by column: column, treatment, how often.

        Args:
            columns: The values of each.
            known: Columns, by their number, that are known to hold nothing to count.
        """
        found: list[tuple[str, str, int]] = []
        for at, (name, words, column) in enumerate(
            zip(self._names, self._words, columns, strict=True)
        ):
            if at in known:
                continue
            others = 0
            if words is None:
                nulls = column.count(None)
            elif words.issuperset(column):
                # To look a word up is faster than to compare it with a null.
                continue
            else:
                odd = set(column) - words
                nulls = column.count(None) if None in odd else 0
                others = sum(map(odd.__contains__, column)) - nulls
            if nulls:
                found.append((name, "null", nulls))
            if others:
                found.append((name, "unknown", others))
        return found
