"""The head anchor: a small file beside the log that says where the log ended.

Whoever removes the end of the log must change this file too; a copy of it kept elsewhere shows
even that. Imports nothing heavy.
"""

import re
from pathlib import Path

from bucle.ids import canonical_json
from bucle.store.files import write_whole
from bucle.types import Head

__all__ = ["Anchor"]

_FORM = re.compile(rb'\{"hash":"([0-9a-f]{64})","position":([1-9][0-9]{0,18})\}\n?')


class Anchor:
    """The recorded head of a log, replaced whole after each commit.

    It is never needed to read the log and may lag behind it, so it is not forced to the disk.

    Args:
        path: The anchor file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Head | None:
        """Return the recorded head; None when the file is missing or not readable as one."""
        try:
            match = _FORM.fullmatch(self.path.read_bytes())
        except OSError:
            return None
        return Head(int(match[2]), match[1].decode()) if match else None

    def write(self, head: Head) -> None:
        """Record a head.

        Raises:
            OutsideError: The disk is full or the folder cannot be written.
        """
        content = canonical_json({"position": head.position, "hash": head.hash})
        write_whole(self.path, content + b"\n")
