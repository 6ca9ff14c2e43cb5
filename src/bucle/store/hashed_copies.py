"""Copies whose bytes are known: each is hashed while it is written, and is on the disk at the end.

Where a file system can share blocks between files, a copy shares them. Imports nothing heavy.
"""

import errno
import hashlib
import os
import shutil
from pathlib import Path

from bucle.store.files import translated_errors

__all__ = ["copy_hashed"]

_PIECE = 8 << 20
# Files from this size on go to the disk while others are still read and hashed.
_LARGE = 1 << 20
_CANNOT = {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM}


def copy_hashed(path: Path, target: Path) -> str:
    """Copy a plain file to a new place, with its mode and time; return the digest of the copy.

    A large file is on the disk when this returns; a small one waits for whoever syncs them all.

    Raises:
        OutsideError: The file cannot be read, or its place is taken or cannot be written.
    """
    total = hashlib.sha256()
    with (
        translated_errors("copy", path),
        path.open("rb", buffering=0) as source,
        target.open("x+b", buffering=0) as copy,
    ):
        done, piece = 0, memoryview(bytearray(_PIECE))
        while count := _copy_piece(source.fileno(), copy.fileno(), at=done):
            end = done + count
            while done < end:
                # What is hashed is read from the copy, so that a wrong copy has a wrong digest.
                read = os.preadv(copy.fileno(), [piece[: end - done]], done)
                if not read:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                total.update(piece[:read])
                done += read
        if done >= _LARGE:
            os.fsync(copy.fileno())
        shutil.copystat(path, target)
    return total.hexdigest()


def _copy_piece(source: int, copy: int, *, at: int) -> int:
    """Copy the next piece of a file, within the kernel where that is possible; return its size."""
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, copy, _PIECE, at, at)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
    content = os.pread(source, _PIECE, at)
    written = 0
    while written < len(content):
        written += os.pwrite(copy, content[written:], at + written)
    return written
