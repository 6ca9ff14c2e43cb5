"""One row into the matrices of two forms at once: each word is looked up once for both.

The model and the scale of its errors read the same columns. Imports what an encoder imports.
"""

from collections.abc import Callable, Sequence
from typing import Any

from bucle.models.compiled.encoder import Encoder, Part

__all__ = ["Together"]

_Place = int | slice
_Entry = tuple[Any, Any]
_Words = tuple[int, Callable[[Any], _Entry | None], Callable[[Any], _Entry], _Place, _Place]


class Together:
    """Write rows into the buffers of two encoders of the same columns.

    Guarantee: what they would write themselves. For a row that one of them refuses it may raise
    anything; whoever asks then asks them, and learns what is wrong.

    Args:
        first: Of the model.
        second: Of the scale of its errors.
    """

    def __init__(self, first: Encoder, second: Encoder) -> None:
        self._first, self._second = first.view, second.view
        self._words: list[_Words] = []
        self._others: list[tuple[int, Callable[[Any], Any], Any, _Place]] = []
        ours, theirs = _words_of(first), _words_of(second)
        both = sorted(ours.keys() & theirs.keys())
        self._words = [_pair(ours[source], theirs[source]) for source in both]
        for encoder, known in ((first, ours), (second, theirs)):
            self._others += [
                (part.source, part.read, encoder.view, part.place)
                for part in encoder.parts
                if part.source not in both or part is not known.get(part.source)
            ]

    def write(self, row: Sequence[Any]) -> None:
        """Write a row into both buffers."""
        first, second = self._first, self._second
        for source, find, read, here, there in self._words:
            value = row[source]
            entry = find(value)
            if entry is None:
                entry = read(value)
            first[here], second[there] = entry
        for source, take, view, place in self._others:
            view[place] = take(row[source])


def _words_of(encoder: Encoder) -> dict[int, Part]:
    """Return for each column of words the part that reads it."""
    return {part.source: part for part in encoder.parts if part.words is not None}


def _pair(ours: Part, theirs: Part) -> _Words:
    def read(value: Any) -> _Entry:
        return ours.read(value), theirs.read(value)

    known = {word: read(word) for word in sorted((ours.words or set()) & (theirs.words or set()))}
    return ours.source, known.get, read, ours.place, theirs.place
