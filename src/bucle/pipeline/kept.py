"""Small texts kept under a key: what was worked out once and can be worked out again.

A text that is missing or damaged counts as not kept. Must not import anything heavy.
"""

from pathlib import Path
from typing import Protocol

from bucle.ids import digest_bytes
from bucle.store.files import write_whole

__all__ = ["FileKept", "Kept", "MemoryKept"]


class Kept(Protocol):
    """Small texts under keys.

    Guarantees: a text is kept whole or not at all and given back only if it is what was kept;
    safe for concurrent use, where the last writer of a key wins.
    """

    def get(self, kind: str, key: str) -> bytes | None:
        """Return what is kept under a key, None if nothing or nothing whole is."""
        ...

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Keep a text."""
        ...


class FileKept:
    """Texts in files of a folder, each with its digest in the first line.

    Args:
        folder: Where they are kept; made at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, kind: str, key: str) -> bytes | None:
        """Return what is kept under a key, None if nothing or nothing whole is."""
        try:
            digest, _, content = self._path(kind, key).read_bytes().partition(b"\n")
        except OSError:
            return None
        return content if digest == digest_bytes(content).encode() else None

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Keep a text.

        Raises:
            OutsideError: The folder cannot be written.
        """
        whole = digest_bytes(content).encode() + b"\n" + content
        write_whole(self._path(kind, key), whole)

    def _path(self, kind: str, key: str) -> Path:
        name = key if len(key) == 64 and key.isalnum() else digest_bytes(key.encode())  # noqa: PLR2004  (a digest)
        return self.folder / kind / name[:2] / name[2:]


class MemoryKept:
    """Texts that end with their process."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        """Return what is kept under a key."""
        return self._texts.get((kind, key))

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Keep a text."""
        self._texts[kind, key] = bytes(content)
