"""Files read once, as they were at one moment: regular ones only, bounded, with their digest.

Must not import parsers: this is what stands before them.
"""

import errno
import os
import stat
import sys
import zlib
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from bucle.errors import OutsideError, SourceError
from bucle.ids import digest_bytes

__all__ = ["MAX_BYTES", "Snapshot", "open_file", "read_snapshot", "unpack_gzip"]

MAX_BYTES = 4 * 1024**3
_MAX_RATIO = 200
_FREE_BYTES = 64 * 1024**2
_PIECE = 16 * 1024**2
_GZIP_MAGIC = b"\x1f\x8b"
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class Snapshot(Struct, frozen=True, kw_only=True):
    """The bytes a file had when it was opened, and their digest.

    `grown` tells that the file had become longer by the time it was read: `content` then ends
    where the file ended at first, perhaps within a row.
    """

    name: str
    content: bytes
    digest: str
    grown: bool = False


def read_snapshot(path: Path, *, name: str = "", max_bytes: int = MAX_BYTES) -> Snapshot:
    """Read a regular file's bytes, no more than it had when it was opened.

    Never waits: a pipe, a device or a folder is refused before a byte is read.

    Raises:
        SourceError: There is no such file, it may not be read, is empty, too large, not a regular
            file, or was rewritten while it was read.
        OutsideError: The disk failed.
    """
    label = name or str(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _cannot_open(label, error) from error
    try:
        before = os.fstat(handle)
        _refuse_odd(label, before, max_bytes)
        content = _read_exactly(handle, before.st_size)
        after = os.fstat(handle)
    except OSError as error:
        raise OutsideError(
            f"Cannot read {label}", cause=error.strerror or str(error), code="bucle-129"
        ) from error
    finally:
        os.close(handle)
    rewritten = after.st_size == before.st_size and after.st_mtime_ns != before.st_mtime_ns
    if len(content) < before.st_size or rewritten:
        raise SourceError(
            f"Cannot read {label}: it was rewritten while it was read",
            attempt="the same command once the file is complete",
            code="bucle-122",
        )
    return Snapshot(
        name=label,
        content=content,
        digest=digest_bytes(content),
        grown=after.st_size > before.st_size,
    )


def open_file(path: Path, *, name: str = "") -> BinaryIO:
    """Open a regular file for reading piece by piece; never waits.

    Raises:
        SourceError: There is no such file, it may not be read, is empty or not a regular file.
    """
    label = name or str(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _cannot_open(label, error) from error
    try:
        _refuse_odd(label, os.fstat(handle), sys.maxsize)
    except BaseException:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def unpack_gzip(snapshot: Snapshot, *, max_bytes: int = MAX_BYTES) -> Snapshot:
    """Return a snapshot unpacked when its bytes are gzip; the digest stays that of the file.

    Raises:
        SourceError: The name and the bytes disagree, the file is cut or damaged, or it would
            become more than 200 times as large (and larger than 64 MB), or than `max_bytes`.
    """
    packed = snapshot.content[:2] == _GZIP_MAGIC
    if packed != snapshot.name.endswith(".gz"):
        said, found = ("gzip", "no gzip") if not packed else ("plain text", "gzip")
        raise SourceError(
            f"Cannot read {snapshot.name}: its name says {said}, its content is {found}",
            attempt="rename the file so that only a gzip file ends in .gz",
            code="bucle-123",
        )
    if not packed:
        return snapshot
    limit = min(max_bytes, max(_FREE_BYTES, _MAX_RATIO * len(snapshot.content)))
    try:
        content = _inflate(snapshot, limit)
    except zlib.error as error:
        raise SourceError(
            f"Cannot unpack {snapshot.name}: it is damaged", cause=str(error), code="bucle-123"
        ) from error
    return Snapshot(
        name=snapshot.name, content=content, digest=snapshot.digest, grown=snapshot.grown
    )


def _inflate(snapshot: Snapshot, limit: int) -> bytes:
    pieces: list[bytes] = []
    total, rest = 0, snapshot.content
    while rest[:2] == _GZIP_MAGIC:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            piece = member.decompress(rest, _PIECE)
            rest = member.unconsumed_tail
            pieces.append(piece)
            total += len(piece)
            if total > limit:
                raise SourceError(
                    f"Cannot unpack {snapshot.name}: {len(snapshot.content):,} bytes would become"
                    f" more than {limit:,}",
                    cause="so large a ratio is the mark of a file made to fill memory",
                    attempt="unpack it yourself and add the plain file if you trust it",
                    code="bucle-124",
                )
            if not piece and not rest and not member.eof:
                raise SourceError(
                    f"Cannot unpack {snapshot.name}: it ends before its content does",
                    cause="the file was cut short",
                    code="bucle-123",
                )
        rest = member.unused_data
    return b"".join(pieces)


def _read_exactly(handle: int, size: int) -> bytes:
    pieces = []
    while size > 0:
        piece = os.read(handle, min(size, _PIECE))
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _refuse_odd(label: str, found: os.stat_result, max_bytes: int) -> None:
    for is_kind, words in _KINDS:
        if is_kind(found.st_mode):
            raise SourceError(
                f"Cannot read {label}: it is {words}, not a file",
                attempt=f"'{label}/*.csv'" if words == "a folder" else "copy its content to a file",
                code="bucle-121",
            )
    if found.st_size == 0:
        raise SourceError(f"Cannot read {label}: the file is empty", code="bucle-121")
    if found.st_size > max_bytes:
        raise SourceError(
            f"Cannot read {label}: {found.st_size:,} bytes are more than {max_bytes:,}",
            attempt="split the file and add its parts, or convert it to Parquet in parts",
            code="bucle-124",
        )


def _cannot_open(label: str, error: OSError | ValueError) -> SourceError:
    reasons = {
        errno.ENOENT: "there is no such file",
        errno.EACCES: "this user may not read it",
        errno.ELOOP: "its links go round in a circle",
        errno.ENAMETOOLONG: "the name is too long",
        errno.ENXIO: "it is a device or a socket, not a file",
    }
    number = error.errno if isinstance(error, OSError) else None
    cause = reasons.get(number or 0, str(error))
    return SourceError(f"Cannot read {label!r}: {cause}", code="bucle-121")
