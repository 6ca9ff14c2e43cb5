"""Bytes of a text file made UTF-8 without guessing: a mark or the settings decide the encoding.

Rule: a byte-order mark, or else the clear zero-byte pattern of UTF-16, is believed; anything that
is not UTF-8 is refused with its byte position until the settings name an encoding.
Must not import parsers.
"""

import codecs

from msgspec import Struct

from bucle.charter.checks import is_encoding
from bucle.errors import SourceError, nearest

__all__ = ["PlainText", "choose_codec", "decode_text"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY = (
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow IPC"),
    (b"PK\x03\x04", "ZIP (or Excel)"),
    (b"SQLite format 3", "SQLite"),
    (b"\xd0\xcf\x11\xe0", "old Excel"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_COMMON = ("utf-8", "utf-16", "latin-1", "cp1252", "iso-8859-15", "cp1250", "cp1251", "shift_jis")
_SAMPLE = 4096
_AROUND = 12


class PlainText(Struct, frozen=True, kw_only=True):
    """Text as UTF-8 bytes without a mark; `notes` say what was believed."""

    content: bytes
    notes: tuple[str, ...] = ()


def decode_text(content: bytes, *, name: str, encoding: str | None = None) -> PlainText:
    """Return a file's text as UTF-8.

    Raises:
        SourceError: The bytes are another format, hold a byte that the encoding cannot say (the
            position and line are named), or hold a zero byte.

    Example:
        >>> decode_text("é".encode("utf-16"), name="a.csv").content.decode()
        'é'
    """
    for magic, words in _BINARY:
        if content.startswith(magic):
            raise SourceError(
                f"Cannot read {name} as text: its content is {words}",
                attempt='format = "parquet" (or "arrow"), or save it as CSV in UTF-8',
                code="bucle-123",
            )
    codec, start, notes = choose_codec(content, name=name, encoding=encoding)
    text = content[start:]
    if codec == "utf-8":
        _check(text, codec, name=name, start=start, named=encoding is not None)
        plain = text
    else:
        plain = _check(text, codec, name=name, start=start, named=encoding is not None).encode()
    zero = plain.find(b"\0")
    if zero >= 0:
        raise SourceError(
            f"Cannot read {name}: line {_line(plain, zero)} holds a zero byte (position {zero})",
            cause="text never holds one: the file is damaged or is not text",
            attempt="export the file again, or remove its zero bytes",
            code="bucle-126",
        )
    return PlainText(content=plain, notes=notes)


def choose_codec(
    content: bytes, *, name: str, encoding: str | None = None
) -> tuple[str, int, tuple[str, ...]]:
    """Return the codec of a text that begins like this, where it starts, and what to tell.

    Raises:
        SourceError: The settings name no encoding.
    """
    marked = next(((mark, codec) for mark, codec in _MARKS if content.startswith(mark)), None)
    if encoding is not None:
        codec = _known_codec(encoding, name)
        fits = marked is not None and marked[1].startswith(codec.removesuffix("-sig"))
        return (marked[1], len(marked[0]), ()) if marked and fits else (codec, 0, ())
    if marked is not None:
        notes = () if marked[1] == "utf-8" else (f"{name}: read as {marked[1]}, as its mark says",)
        return marked[1], len(marked[0]), notes
    head = content[:_SAMPLE]
    half = len(head) // 2
    even, odd = head[0::2].count(0), head[1::2].count(0)
    for codec, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if half and others == 0 and zeros > 0.7 * half:
            return codec, 0, (f"{name}: read as {codec}: every second byte is zero",)
    return "utf-8", 0, ()


def _known_codec(encoding: str, name: str) -> str:
    if is_encoding(encoding):
        return codecs.lookup(encoding).name
    raise SourceError(
        f"Cannot read {name}: '{encoding}' is not an encoding",
        did_you_mean=nearest(encoding, _COMMON),
        attempt='encoding = "latin-1"',
        code="bucle-126",
    )


def _check(text: bytes, codec: str, *, name: str, start: int, named: bool) -> str:
    try:
        return text.decode(codec)
    except UnicodeDecodeError as error:
        position = error.start
        around = text[max(0, position - _AROUND) : position + _AROUND].decode("latin-1")
        shown = " ".join(around.split())
        raise SourceError(
            f"Cannot read {name} as {codec.upper()}: line {_line(text, position)} holds byte"
            f" 0x{text[position]:02x} (position {position + start})",
            cause=f"as Latin-1 it would read: {shown}" if not named else error.reason,
            attempt='encoding = "latin-1" (or "cp1252") in bucle.toml; --encoding of bucle new',
            code="bucle-126",
        ) from error


def _line(content: bytes, position: int) -> int:
    """Count line ends of all three kinds before a position."""
    head = content[:position]
    return 1 + head.count(b"\n") + head.count(b"\r") - head.count(b"\r\n")
