"""Rows in the order of their time, and the windows of them that are laid side by side.

Imports numpy alone.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.models.metrics import Floats

__all__ = ["Rows", "Span", "Spans", "spans_of"]

_LEAST = 25
_MOST_SHOWN = 25
_PARTS = (1, 2, 3)
_WINDOWS = 12
_LEAST_WINDOWS = 6
_MOST_WINDOWS = 48
_REACH = 4


class Rows(Struct, frozen=True, kw_only=True, eq=False):
    """Examples in the order of their event time; the first `first` of them are the yardstick.

    Args:
        columns: What a prediction is made from; NaN for none. Of a column of words, the place of
            each row's word in `words`.
        words: The words of a column, in a fixed order, each once; none of a column of numbers.
        label: What became of each row; NaN where nobody knows.
        at: When each row came, microseconds since 1970.
        again: Whether a row says the same as an earlier one.
        first: How many rows came before the champion's training ended.
    """

    columns: Mapping[str, Floats]
    words: Mapping[str, Sequence[str]]
    label: Floats
    at: NDArray[np.int64]
    again: NDArray[np.bool_]
    first: int

    @property
    def size(self) -> int:
        """How many rows there are."""
        return int(self.at.size)

    def labelled(self) -> "Rows":
        """Return the rows whose label is known."""
        keep = np.isfinite(self.label)
        return self.chosen(np.flatnonzero(keep), first=int(keep[: self.first].sum()))

    def chosen(self, places: NDArray[np.int64], *, first: int) -> "Rows":
        """Return some rows, in the order of their places; `first` of them are the yardstick."""
        return Rows(
            columns={name: values[places] for name, values in self.columns.items()},
            words=self.words,
            label=self.label[places],
            at=self.at[places],
            again=self.again[places],
            first=first,
        )

    def is_number(self, name: str) -> bool:
        """Tell whether a column holds numbers."""
        return name not in self.words

    def codes(self, name: str) -> NDArray[np.int64]:
        """Return a number for each value of a column, the same for the same value; -1 for none."""
        values = self.columns[name]
        known = np.isfinite(values)
        codes = np.full(values.size, -1, dtype=np.int64)
        codes[known] = (
            np.unique(values[known], return_inverse=True)[1]
            if self.is_number(name)
            else values[known]
        )
        return codes

    def word(self, name: str, value: float) -> str:
        """Return what a column's value stands for, as text."""
        words = self.words.get(name)
        return (words[round(value)] if words is not None else str(value))[:_MOST_SHOWN]

    def day(self, place: int) -> str:
        """Return the day on which a row came."""
        return str(datetime.fromtimestamp(int(self.at[place]) / 1e6, tz=UTC).date())


class Span(Struct, frozen=True):
    """Rows from `start` and before `stop`, beside those from `since` on; a `part` of the fresh."""

    since: int
    start: int
    stop: int
    part: int = 0

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.stop - self.start

    @property
    def inside(self) -> slice:
        """Its rows."""
        return slice(self.start, self.stop)

    @property
    def earlier(self) -> slice:
        """The rows that it is compared with."""
        return slice(self.since, self.start)


class Spans(Struct, frozen=True):
    """Windows of the yardstick, and windows of the rows since; none where there are too few."""

    before: tuple[Span, ...] = ()
    fresh: tuple[Span, ...] = ()


def spans_of(first: int, size: int) -> Spans:
    """Lay windows over rows of which the first so many are the yardstick.

    Fresh windows have all, half and a third of the fresh rows, at least 25; those before a third
    of them, or less where there would be fewer than twelve. Each is compared with up to four times
    as many rows before it.

    Example:
        >>> spans = spans_of(600, 700)
        >>> [(span.start, span.stop) for span in spans.fresh if span.part == 1]
        [(600, 700)]
        >>> spans_of(100, 700).fresh
        ()
    """
    fresh = size - first
    width = max(_LEAST, min(fresh // _PARTS[-1], first // _WINDOWS))
    if fresh < _LEAST or first < width * _LEAST_WINDOWS:
        return Spans()
    oldest = max(width, first - _MOST_WINDOWS * width)
    starts = range(first - width, oldest - 1, -max(1, width // 2))
    before = tuple(Span(max(0, start - _REACH * width), start, start + width) for start in starts)
    found: list[Span] = []
    for part in _PARTS:
        wide = fresh // part
        if wide < _LEAST:
            continue
        places = list(range(first, size - wide + 1, max(1, wide // _REACH)))
        if places[-1] != size - wide:
            places.append(size - wide)
        found += [
            Span(max(0, start - _REACH * wide), start, start + wide, part) for start in places
        ]
    return Spans(before, tuple(found))
