"""Whom a worker died with: a challenger that kills workers is not let in again.

Each worker notes whom it lets in, and takes the note back when it ends in order or has run long
enough. What a worker finds noted when it starts is what the one before did not survive, unless
that one still runs or was told to end.
"""

import contextlib
import os
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from bucle.store.files import write_whole
from bucle.store.processes import is_alive

__all__ = ["Caution", "caution_path", "deaths_noted", "forgive"]

_MOST_DEATHS = 3


class _Note(Struct, frozen=True):
    """A challenger, how many workers in a row have died with it, and who counted the last."""

    model: str
    deaths: int
    pid: int = 0


class Caution:
    """Remembers one worker's challengers across its deaths.

    Args:
        path: Where the note is.
        steady_s: After how many seconds with a challenger a death is no longer put down to it.
    """

    def __init__(self, path: Path, *, steady_s: float = 60.0) -> None:
        self._path = path
        self._steady_s = steady_s
        self._since = 0.0
        self._found = _read(path)
        # Started beside a worker that it will replace, it follows no death.
        self._died = 0 if self._found is None else self._found.deaths - _runs(self._found.pid)
        self._noted = ""

    def dares(self, model: str) -> bool:
        """Tell whether a challenger may be let in; it is then taken for let in."""
        deaths = self._died if self._found and self._found.model == model else 0
        if deaths >= _MOST_DEATHS:
            return False
        if self._noted != model:
            # A disk that takes no note makes nobody less able to answer.
            with contextlib.suppress(OSError):
                _write(self._path, _Note(model, deaths + 1, os.getpid()))
            self._noted, self._since = model, time.monotonic()
        return True

    def look(self) -> None:
        """Take the note back once the challenger has been in for long enough."""
        if self._noted and time.monotonic() - self._since > self._steady_s:
            self.survived()

    def survived(self) -> None:
        """Take the note back: nobody has died."""
        self._found = None
        note = _read(self._path) if self._noted else None
        if note is not None and note.pid == os.getpid():
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def caution_path(folder: Path, worker: int) -> Path:
    """Return where a worker's note is.

    Args:
        folder: Where servers keep what they know.
        worker: Its number.
    """
    return folder / f"challenger-{worker}.json"


def deaths_noted(path: Path) -> int:
    """Return with how many deaths a worker's challenger is charged if that worker has died now.

    0 where it has none, or has survived it. It grows with each death up to three, so whoever
    hurries as long as it grows does so three times at most.

    Args:
        path: Where the worker's note is.
    """
    note = _read(path)
    return note.deaths if note is not None else 0


def forgive(path: Path, pid: int) -> None:
    """Take back the death that a worker would be counted for: it was told to end.

    Args:
        path: Where the worker's note is.
        pid: Its process.
    """
    note = _read(path)
    if note is None or note.pid != pid:
        return
    with contextlib.suppress(OSError):
        if note.deaths > 1:
            _write(path, _Note(note.model, note.deaths - 1))
        else:
            path.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    """Tell whether a process runs that is not this one."""
    return pid not in {0, os.getpid()} and is_alive(pid)


def _write(path: Path, note: _Note) -> None:
    write_whole(path, msgspec.json.encode(note))


def _read(path: Path) -> _Note | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Note)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
