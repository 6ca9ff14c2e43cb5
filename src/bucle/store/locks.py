"""Locks between processes that a killed holder cannot leave locked.

Imports nothing heavy, and of Bucle only what lies below.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bucle.clock import SystemClock
from bucle.errors import OutsideError
from bucle.store.files import translated_errors

__all__ = ["LockHeldError", "exclusive"]

_FIRST_PAUSE_S = 0.0005
_LONGEST_PAUSE_S = 0.02
_HELD = {errno.EAGAIN, errno.EACCES}


class LockHeldError(OutsideError):
    """Another process holds a lock for longer than was to be waited."""

    code = "bucle-303"


@contextlib.contextmanager
def exclusive(path: Path, *, wait_s: float = 30.0) -> Iterator[None]:
    """Hold a lock file alone: one thread of one process at a time.

    The kernel frees the lock when its holder ends, however it ends, so a lock file that was left
    over means nothing. The file stays: removing it would let two holders in.

    Args:
        path: The lock file; made, with its folder, when missing.
        wait_s: Seconds to wait for another holder.

    Raises:
        LockHeldError: Another process holds it for longer.
        OutsideError: The folder cannot be written.
    """
    with translated_errors("lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with translated_errors("lock", path):
            _take(descriptor, path, wait_s=wait_s)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, *, wait_s: float) -> None:
    """Ask for the lock until it is ours or the time is over."""
    clock = SystemClock()
    deadline = clock.monotonic() + wait_s
    pause = _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise
        else:
            return
        if clock.monotonic() >= deadline:
            raise LockHeldError(
                f"Cannot lock {str(path)!r}",
                cause=f"another process has held it for more than {wait_s:g} s",
                attempt=f"fuser {str(path)!r}  (shows who holds it)",
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)
