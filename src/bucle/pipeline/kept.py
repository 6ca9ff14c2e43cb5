"""Small texts kept under a key: what was worked out once and can be worked out again.

A text that is missing or damaged counts as not kept. Must not import anything heavy.
"""

import os
import threading
from pathlib import Path
from typing import Protocol

from bucle.ids import digest_bytes, is_digest
from bucle.store.files import TEMPORARY_SUFFIX, write_whole

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
        self._prefix = f"{folder}/"

    def get(self, kind: str, key: str) -> bytes | None:
        """Return what is kept under a key, None if nothing or nothing whole is."""
        try:
            with open(self._path(kind, key), "rb") as stream:  # noqa: PTH123  (speed, see put)
                digest, _, content = stream.read().partition(b"\n")
        except OSError:
            return None
        return content if digest == digest_bytes(content).encode() else None

    def put(self, kind: str, key: str, content: bytes) -> None:
        """Keep a text.

        Raises:
            OutsideError: The folder cannot be written.
        """
        path = self._path(kind, key)
        whole = digest_bytes(content).encode() + b"\n" + content
        temporary = f"{path}.{os.getpid()}.{threading.get_ident()}{TEMPORARY_SUFFIX}"
        # Twice a step: plain calls of the system take a third of the time of `write_whole`.
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                written = os.write(descriptor, whole)
            finally:
                os.close(descriptor)
            if written == len(whole):
                os.replace(temporary, path)  # noqa: PTH105  (as above)
                return
        except OSError:
            pass  # the folder is missing, or there is something to say about the disk
        write_whole(Path(path), whole)

    def _path(self, kind: str, key: str) -> str:
        name = key if is_digest(key) else digest_bytes(key.encode("utf-8", "surrogatepass"))
        return f"{self._prefix}{kind}/{name[:2]}/{name[2:]}"


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
