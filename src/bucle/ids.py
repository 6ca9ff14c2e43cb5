"""Identity: content digests, canonical bytes and ids derived from causes.

A digest is 64 lower-case hexadecimal digits of SHA-256. Imports nothing of Bucle.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "canonical_json",
    "digest_bytes",
    "digest_file",
    "digest_json",
    "digest_parts",
    "is_digest",
    "new_run_id",
    "short_id",
]

_DIGEST_LENGTH = 64
# Made once: `json.dumps` makes one for each call, which is a fifth of the work for an event.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: object) -> bytes:
    """Return the one byte form of a JSON value: sorted keys, no spaces, UTF-8.

    Raises:
        ValueError: The value holds NaN or an infinity.
        TypeError: The value holds something JSON cannot say.

    Example:
        >>> canonical_json({"b": 1, "a": [None, "ñ"]}).decode()
        '{"a":[null,"ñ"],"b":1}'
    """
    return _ENCODER.encode(value).encode("utf-8", "surrogatepass")


def digest_bytes(content: bytes | bytearray | memoryview) -> str:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(content).hexdigest()


def digest_json(value: object) -> str:
    """Return the digest of a value's canonical JSON."""
    return digest_bytes(canonical_json(value))


def digest_parts(parts: Iterable[bytes]) -> str:
    """Return one digest for a sequence of byte strings; their borders count.

    Example:
        >>> digest_parts([b"ab", b"c"]) == digest_parts([b"a", b"bc"])
        False
    """
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()


def digest_file(path: Path) -> str:
    """Return the digest of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_digest(text: str) -> bool:
    """Tell whether a text has the form of a digest."""
    return len(text) == _DIGEST_LENGTH and all(letter in "0123456789abcdef" for letter in text)


def short_id(prefix: str, digest: str) -> str:
    """Return the short form people read and type: a prefix and 12 digits.

    Example:
        >>> short_id("m", "0123456789abcdef" * 4)
        'm-0123456789ab'
    """
    return f"{prefix}-{digest[:12]}"


def new_run_id(stamp: str) -> str:
    """Return a fresh run id that sorts by the time it was made.

    Args:
        stamp: The moment as `clock.to_iso` writes it.

    Example:
        >>> new_run_id("2026-01-02T03:04:05.000000Z")[:18]
        'r-20260102-030405-'
    """
    date, time = stamp[:10].replace("-", ""), stamp[11:19].replace(":", "")
    return f"r-{date}-{time}-{os.urandom(3).hex()}"
