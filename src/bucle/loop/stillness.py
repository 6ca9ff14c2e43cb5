"""Files that stand still: whoever writes one is done with it, as far as can be seen from outside.

Times are those of a clock that never goes back; what a file says of its own times is only compared
with what it said before. Imports nothing heavy.
"""

import stat
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from bucle.errors import SourceError
from bucle.ids import digest_file
from bucle.types import Clock

__all__ = ["Stillness"]

_Signature = tuple[int, int, int, int, int]
_SIZE = 2


class _Seen(Struct, frozen=True, kw_only=True):
    """A file as it was found: since when it is so, and since when it has not been at rest."""

    signature: _Signature
    since: float
    moving_since: float
    digest: str = ""


class Stillness:
    """What is known of files from one look to the next.

    Args:
        clock: For the time between two looks.
        quiet_s: For how long a file must not have changed.
        patience_s: A file that never rests is taken as it is after this long.
    """

    def __init__(self, clock: Clock, *, quiet_s: float = 1.0, patience_s: float = 600.0) -> None:
        self._clock = clock
        self._quiet_s = quiet_s
        self._patience_s = patience_s
        self._seen: dict[Path, _Seen] = {}

    def digest(self, path: Path) -> str | None:
        """Return the digest of a file's content; None while it is moving, gone or newly empty.

        A file is read when anything about it has changed, and not again before that.

        Raises:
            SourceError: It may not be read (bucle-402), or has been empty for as long as another
                must have stood still (bucle-408).
        """
        try:
            return self._digest(path)
        except FileNotFoundError:
            self._seen.pop(path, None)
            return None
        except OSError as error:
            raise SourceError(
                f"Cannot read '{path}'", cause=(error.strerror or str(error)), code="bucle-402"
            ) from error

    def forget_but(self, paths: Collection[Path]) -> None:
        """Forget every other file, so that what is known does not grow for ever."""
        for path in self._seen.keys() - set(paths):
            del self._seen[path]

    def _digest(self, path: Path) -> str | None:
        now, found = self._clock.monotonic(), _sign(path)
        if found is None:
            self._seen.pop(path, None)
            return None
        seen = self._seen.get(path)
        if not found[_SIZE]:
            self._await_content(path, found, seen, now)
            return None
        if seen is not None and not seen.signature[_SIZE]:
            # For how long it was empty says nothing of how long it has been written.
            seen = None
        if seen is not None and seen.signature == found:
            if seen.digest:
                return seen.digest
            is_still = now - seen.since >= self._quiet_s
        else:
            moving = seen.moving_since if seen is not None and not seen.digest else now
            seen = _Seen(signature=found, since=now, moving_since=moving)
            self._seen[path] = seen
            is_still = False
        is_restless = now - seen.moving_since >= self._patience_s
        if not is_still and not is_restless:
            return None
        digest = digest_file(path)
        if _sign(path) != found and not is_restless:
            return None
        self._seen[path] = _Seen(
            signature=found, since=seen.since, moving_since=seen.moving_since, digest=digest
        )
        return digest

    def _await_content(self, path: Path, found: _Signature, seen: _Seen | None, now: float) -> None:
        """Give an empty file the time that others get, and then refuse it while it is empty."""
        if seen is None or seen.signature != found:
            self._seen[path] = _Seen(signature=found, since=now, moving_since=now)
        elif now - seen.since >= self._quiet_s:
            raise SourceError(
                f"Cannot take '{path}' in: it is empty",
                cause="nobody has written to it for as long as a file must stand still",
                attempt=f"rm '{path}', or write what is missing",
                code="bucle-408",
            )


def _sign(path: Path) -> _Signature | None:
    """Return what changes with a file's content; None for what is no file."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        return None
    # The time of the last change cannot be set back, as that of the content can.
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
