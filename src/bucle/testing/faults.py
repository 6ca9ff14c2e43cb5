"""Faults to put into files: what bit rot, torn writes and hands do to them.

Must not be imported by anything but tests.
"""

import os
from pathlib import Path

__all__ = ["cut_file", "flip_byte", "zero_block"]


def flip_byte(path: Path, *, offset: int, mask: int = 0xFF) -> None:
    """Change one byte of a file in place: the bits of `mask` are inverted."""
    with path.open("r+b") as stream:
        stream.seek(offset)
        (byte,) = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([byte ^ mask]))


def cut_file(path: Path, *, size: int) -> None:
    """Keep only the first bytes of a file."""
    os.truncate(path, size)


def zero_block(path: Path, *, offset: int, size: int) -> None:
    """Overwrite a part of a file with zeros, as a lost disk block does."""
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(bytes(size))
