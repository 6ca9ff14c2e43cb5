"""How far each way to reach people is, and in which log: a file beside the project's state.

With each position stands the hash of its event, so that a log that was put back from a copy, and
has grown since, is not taken for the one that was told of. Imports nothing heavy.
"""

import threading
from pathlib import Path

import msgspec
from msgspec import Struct

from bucle.store.files import write_whole

__all__ = ["Delivered", "Mark"]

_NEWEST = 16


class Mark(Struct, frozen=True, array_like=True):
    """An event up to which all is done with; the hash is empty where an older Bucle wrote it."""

    position: int
    hash: str


class Delivered:
    """How far each channel is, in a file.

    Args:
        path: The file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._marks = _read(path)

    def marks(self, kind: str) -> tuple[Mark, ...]:
        """Return the events a channel was done with, the newest last; none for a new channel.

        The last sixteen are there, and of earlier ones fewer the longer ago they are.
        """
        with self._lock:
            return self._marks.get(kind, ())

    def note(self, kind: str, mark: Mark) -> None:
        """Remember that all events up to one are done with.

        Raises:
            OutsideError: The disk does not take it; it is remembered in memory all the same.
        """
        with self._lock:
            self._marks[kind] = _thinned((*self._marks.get(kind, ()), mark))
            self._write()

    def go_back(self, kind: str, mark: Mark) -> None:
        """Remember that all after an event has to be done again.

        Raises:
            OutsideError: As for `note`.
        """
        with self._lock:
            kept = [one for one in self._marks.get(kind, ()) if one.position < mark.position]
            self._marks[kind] = (*kept, mark)
            self._write()

    def _write(self) -> None:
        write_whole(self._path, msgspec.json.encode(self._marks, order="sorted"))


def _thinned(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Keep the newest marks, and of the others the oldest of each doubling of the distance."""
    newest, others = marks[-1].position, dict[int, Mark]()
    for mark in marks[:-_NEWEST]:
        others.setdefault((newest - mark.position).bit_length(), mark)
    return (*others.values(), *marks[-_NEWEST:])


def _read(path: Path) -> dict[str, tuple[Mark, ...]]:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, int | tuple[Mark, ...]])
    except (OSError, msgspec.DecodeError):
        # Nothing is known: channels begin anew.
        return {}
    marks = {
        kind: (Mark(known, ""),) if isinstance(known, int) else known
        for kind, known in found.items()
    }
    return {
        kind: known
        for kind, known in marks.items()
        if known and all(one.position >= 0 for one in known)
    }
