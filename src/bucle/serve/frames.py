"""Records in a file so that each is found whole or not at all: length, checksum, content.

Every file has a seed of its own, made of its name, in each frame's head and in its checksum. What
a client sends can therefore not pass for a frame, and a block of another file does not fit.
Pure. Imports nothing heavy.
"""

import struct
import zlib
from collections.abc import Iterable

from msgspec import Struct

__all__ = ["HEAD_BYTES", "Scan", "frame", "frames", "scan", "seed_of"]

_HEAD = struct.Struct("<IIII")
_pack = _HEAD.pack
_unpack = _HEAD.unpack_from
_crc32 = zlib.crc32
_ALL_BITS = 0xFFFFFFFF

HEAD_BYTES = _HEAD.size


class Scan(Struct, frozen=True, kw_only=True):
    """What a file holds.

    `damaged` are stretches (first byte, byte after the last) that are no frames though a frame
    begins or follows there; `torn` is how many bytes at the end are the beginning of a frame whose
    writing was cut off.
    """

    payloads: list[bytes]
    damaged: tuple[tuple[int, int], ...] = ()
    torn: int = 0


def seed_of(stem: str) -> int:
    """Return the seed of a file's frames.

    Args:
        stem: The file's name without what follows its last dot, which changes with its state.
    """
    return _crc32(stem.encode()) or 1


def frame(payload: bytes, *, seed: int) -> bytes:
    """Return a record as it stands in the file.

    Example:
        >>> scan(frame(b"one", seed=7) + frame(b"two", seed=7), seed=7).payloads
        [b'one', b'two']
    """
    size = len(payload)
    return _pack(seed, size, ~(size ^ seed) & _ALL_BITS, _crc32(payload, seed)) + payload


def frames(payloads: Iterable[bytes], *, seed: int) -> bytes:
    """Return records one after the other, as they stand in the file."""
    # What `frame` does, without a call for each: this is on the way of every answer.
    framed = [
        _pack(seed, (size := len(payload)), ~(size ^ seed) & _ALL_BITS, _crc32(payload, seed))
        + payload
        for payload in payloads
    ]
    return framed[0] if len(framed) == 1 else b"".join(framed)


def scan(content: bytes, *, seed: int) -> Scan:
    """Find every frame that is whole, and say which bytes are none.

    A byte that was changed since costs its own frame and is reported; frames after it are found.
    """
    payloads: list[bytes] = []
    damaged: list[tuple[int, int]] = []
    start = 0
    while start < len(content):
        end = _end_of_frame(content, start, seed=seed)
        if end:
            payloads.append(content[start + HEAD_BYTES : end])
            start = end
        elif _is_cut_off(content, start, seed=seed):
            return Scan(payloads=payloads, damaged=tuple(damaged), torn=len(content) - start)
        else:
            following = _next_frame(content, start + 1, seed=seed)
            damaged.append((start, following))
            start = following
    return Scan(payloads=payloads, damaged=tuple(damaged))


def _end_of_frame(content: bytes, start: int, *, seed: int) -> int:
    """Return where a whole frame ends; 0 when none starts here."""
    if len(content) - start < HEAD_BYTES:
        return 0
    mark, size, check, checksum = _unpack(content, start)
    if mark != seed or check != ~(size ^ seed) & _ALL_BITS:
        return 0
    end = start + HEAD_BYTES + size
    if end > len(content) or _crc32(content[start + HEAD_BYTES : end], seed) != checksum:
        return 0
    return int(end)


def _is_cut_off(content: bytes, start: int, *, seed: int) -> bool:
    """Tell whether the rest is how an honest frame begins."""
    head = content[start : start + HEAD_BYTES]
    if not seed.to_bytes(4, "little").startswith(head[:4]):
        return False
    size = int.from_bytes(head[4:8], "little")
    check = (~(size ^ seed) & _ALL_BITS).to_bytes(4, "little")
    if not check.startswith(head[8:12]):
        return False
    return len(head) < HEAD_BYTES or start + HEAD_BYTES + size > len(content)


def _next_frame(content: bytes, start: int, *, seed: int) -> int:
    """Return where the next whole frame, or one that was cut off, starts; else the end."""
    mark = seed.to_bytes(4, "little")
    found = content.find(mark, start)
    while found >= 0:
        cut_off = len(content) - found >= HEAD_BYTES and _is_cut_off(content, found, seed=seed)
        if cut_off or _end_of_frame(content, found, seed=seed):
            return found
        found = content.find(mark, found + 1)
    return len(content)
