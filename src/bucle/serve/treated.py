"""Count the nulls and the words never seen in rows that were answered, by column.

Costs a look at each row, and more only where there is something to count. Imports nothing heavy.
"""

from collections.abc import Sequence
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
        self._words = {at: values - {None} for at, values in self._known}

    def count(self, rows: Sequence[Sequence[Any]], counts: Counts) -> None:
        """Count a request's rows, given in the order of the signature."""
        if len(rows) > _BY_COLUMN:
            self._count_columns(rows, counts)
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

    def _count_columns(self, rows: Sequence[Sequence[Any]], counts: Counts) -> None:
        """Count many rows: one look at each column, and at its values only where there is need."""
        for at, column in enumerate(zip(*rows, strict=True)):
            words = self._words.get(at)
            # To look a word up is faster than to compare it with a null.
            if words is not None and words.issuperset(column):
                continue
            nulls = column.count(None)
            if nulls:
                counts.treated(self._names[at], "null", nulls)
            if words is not None:
                unknown = sum(value is not None and value not in words for value in column)
                if unknown:
                    counts.treated(self._names[at], "unknown", unknown)
