"""Content under its digest in a folder of this machine.

Imports nothing heavy.
"""

import contextlib
import os
import stat
from pathlib import Path

from bucle.errors import DigestMismatchError, UnknownNameError
from bucle.ids import digest_bytes, is_digest
from bucle.store.files import TEMPORARY_SUFFIX, translated_errors, write_whole

__all__ = ["FileBlobs"]

# Well above any write that is still going on.
_LEFTOVER_AGE_S = 24 * 3600


class FileBlobs:
    """A content store with one file for each digest, in folders by its first two digits.

    Content that was damaged on the disk is refused when read and mended when put again. What a
    killed write left behind is removed by a later write beside it. A put does not wait for the
    disk: a loss of power may lose content that was put just before, never half of it unnoticed.

    Args:
        folder: Where the content is kept; made at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> str:
        """Keep some bytes and return their digest.

        Raises:
            OutsideError: The disk is full or the folder cannot be written; nothing is left.
        """
        digest = digest_bytes(content)
        path = self._path(digest)
        if self._holds(path, content):
            return digest
        if path.is_dir() and not path.is_symlink():
            raise _mismatch(digest, "a folder stands in its place")
        write_whole(path, content)
        _sweep(path)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes kept under a digest, verified.

        Raises:
            UnknownNameError: Nothing is kept under it.
            DigestMismatchError: What is there is not what the digest says.
        """
        if not is_digest(digest):
            raise _unknown(digest)
        content = _read_plain(self._path(digest), digest)
        if digest_bytes(content) != digest:
            raise _mismatch(digest, "its bytes have another digest")
        return content

    def has(self, digest: str) -> bool:
        """Tell whether something is kept under this digest; does not read it."""
        return is_digest(digest) and self._path(digest).is_file()

    def _path(self, digest: str) -> Path:
        """Return where a digest's content stands."""
        return self.folder / digest[:2] / digest[2:]

    @staticmethod
    def _holds(path: Path, content: bytes) -> bool:
        """Tell whether a file already holds exactly this content."""
        try:
            if path.is_symlink() or path.stat().st_size != len(content):
                return False
            return path.read_bytes() == content
        except OSError:
            return False


def _read_plain(path: Path, digest: str) -> bytes:
    """Read a plain file; links are not followed and a device or a pipe cannot make it wait."""
    with translated_errors("read", path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _unknown(digest) from None
        except OSError as error:
            if path.is_symlink():
                raise _mismatch(digest, "a link stands in its place") from error
            raise
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _mismatch(digest, "what stands in its place is not a plain file")
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                return stream.read()
        finally:
            os.close(descriptor)


def _sweep(path: Path) -> None:
    """Remove what killed writes left beside a file that was just written."""
    with contextlib.suppress(OSError):
        now = path.stat().st_mtime
        for leftover in path.parent.glob(f".*{TEMPORARY_SUFFIX}"):
            if now - leftover.stat().st_mtime > _LEFTOVER_AGE_S:
                leftover.unlink(missing_ok=True)


def _unknown(digest: str) -> UnknownNameError:
    """Build the error for a digest under which nothing is kept."""
    return UnknownNameError(
        f"Cannot find content {digest[:80]!r}",
        cause="nothing is kept under this digest",
        code="bucle-211",
    )


def _mismatch(digest: str, cause: str) -> DigestMismatchError:
    """Build the error for content that is not what its digest says."""
    return DigestMismatchError(
        f"Cannot use content {digest!r}",
        cause=cause,
        attempt="restore the file from a copy, or run again the step that made it",
    )
