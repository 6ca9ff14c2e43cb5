"""Files that are there whole or not at all.

Imports nothing heavy, and of Bucle only what lies below.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from bucle.errors import OutsideError

__all__ = ["TEMPORARY_SUFFIX", "sync_folder", "translated_errors", "write_whole"]

# What a killed write may leave behind ends so; readers never look at such names.
TEMPORARY_SUFFIX = ".bucle-tmp"

_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_whole(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file so that a reader sees the old content or all of the new.

    Folders on the way are made. After a crash of the process either content is there; after a
    loss of power the new one is only with `durable`.

    Args:
        path: The file to make or to replace.
        content: All of it.
        durable: Wait until the disk has the content and the name (two fsyncs).

    Raises:
        OutsideError: The disk is full or the folder cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    with translated_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as stream:
                stream.write(content)
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def translated_errors(verb: str, path: Path) -> Iterator[None]:
    """Turn errors of the operating system into OutsideError with a hint.

    Args:
        verb: What was being done to the path, such as `write`.
        path: What it was done to.
    """
    try:
        yield
    except OutsideError:
        raise
    except OSError as error:
        raise _outside(verb, path, error) from error


def _outside(verb: str, path: Path, error: OSError) -> OutsideError:
    """Say what an error of the operating system means here."""
    what = f"Cannot {verb} {str(path)!r}"
    cause = error.strerror or str(error)
    if error.errno in _FULL:
        return OutsideError(
            what,
            cause=f"the disk is full ({cause})",
            attempt="free some space, then the same command again",
            code="bucle-301",
        )
    if error.errno in _READ_ONLY:
        return OutsideError(
            what,
            cause=f"it may only be read ({cause})",
            attempt=f"chmod -R u+w {str(path.parent)!r}, or copy the project to a place of yours",
            code="bucle-302",
        )
    return OutsideError(what, cause=cause)
