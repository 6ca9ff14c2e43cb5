"""Files of any size read piece by piece, each as `read_source` reads a whole one.

A piece ends where a row ends, so memory holds a few megabytes whatever the file holds. Must not
import contracts or tables.
"""

import codecs
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from bucle.charter.settings import DatasetSettings
from bucle.data.columnar import iterate_parquet
from bucle.data.delimited import read_delimited
from bucle.data.files import open_file
from bucle.data.layout import find_separator
from bucle.data.records import read_json_lines
from bucle.data.rows import SourceRows, shifted
from bucle.data.sources import format_of, read_source
from bucle.data.text import choose_codec, decode_text
from bucle.errors import OutsideError, SourceError

__all__ = ["Piece", "read_pieces"]

_PIECE_BYTES = 4 << 20
_ROW_BYTES = 64 << 20
_ROWS = 20_000
_GZIP = b"\x1f\x8b"
_FREE_BYTES = 64_000_000
_MOST_RATIO = 200
_LF, _CR, _QUOTE = b'\n\r"'


class Piece(Struct, frozen=True, kw_only=True):
    """Some rows of a file, with their lines in it, and what part of the file is read, 0 to 1."""

    rows: SourceRows
    done: float


def read_pieces(
    path: Path, settings: DatasetSettings, *, piece_bytes: int = _PIECE_BYTES
) -> Iterator[Piece]:
    """Yield the rows of a file in their order.

    CSV, JSON lines and Parquet come in pieces; an Arrow file comes as one. Types of JSON values
    are those of their piece. A quote that is out of place may cost the rows around the end of a
    piece their form; they are among the broken ones then.

    Raises:
        SourceError: The file cannot be read as asked, or holds a row of more than 64 MB.
        OutsideError: The disk failed.
    """
    name = str(path)
    with open_file(path) as stream:
        head = stream.read(64)
        kind = settings.format or format_of(name, head)
        packed = head.startswith(_GZIP)
        if packed != name.endswith(".gz") or kind not in ("csv", "jsonl", "parquet"):
            # As a whole, or refused in the words of that.
            yield Piece(rows=read_source(path, settings), done=1.0)
            return
        if kind == "parquet" and not packed:
            for rows, done in iterate_parquet(path, name=name, rows=_ROWS):
                yield Piece(rows=rows, done=done)
            return
        stream.seek(0)
        try:
            yield from _Text(stream, path, settings, kind=kind, packed=packed).pieces(piece_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(
                f"Cannot unpack {name}: it is damaged", cause=str(error), code="bucle-123"
            ) from error
        except OSError as error:
            if isinstance(error, OutsideError):
                raise
            raise OutsideError(
                f"Cannot read {name}", cause=error.strerror or str(error), code="bucle-129"
            ) from error


class _Text:
    """A text file on its way into rows."""

    def __init__(
        self, stream: BinaryIO, path: Path, settings: DatasetSettings, *, kind: str, packed: bool
    ) -> None:
        self._raw = stream
        self._name = str(path)
        self._size = os.fstat(stream.fileno()).st_size
        self._plain = cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if packed else stream
        self._most = max(_FREE_BYTES, _MOST_RATIO * self._size) if packed else None
        self._settings = settings
        self._kind = kind
        self._header = b""
        self._lines = 0
        self._taken = 0

    def pieces(self, piece_bytes: int) -> Iterator[Piece]:
        """Yield rows until the file ends."""
        waiting = b""
        ended = False
        texts = self._texts(piece_bytes)
        while not ended:
            more = next(texts, None)
            ended = more is None
            waiting += more or b""
            end = len(waiting) if ended else self._last_end(waiting)
            if end == 0:
                if len(waiting) > _ROW_BYTES:
                    raise SourceError(
                        f"Cannot read {self._name}: the row at line {self._lines + 1:,} is longer "
                        f"than {_ROW_BYTES:,} bytes",
                        cause="a quote is opened there and never closed, perhaps",
                        code="bucle-124",
                    )
                continue
            body, waiting = waiting[:end], waiting[end:]
            if body.strip():
                yield Piece(rows=self._rows(body), done=self._raw.tell() / self._size)
            self._lines += _count_lines(body)

    def _texts(self, piece_bytes: int) -> Iterator[bytes]:
        """Yield the text as UTF-8, cut anywhere but within a letter."""
        first = self._read(piece_bytes)
        codec, start, _ = choose_codec(first, name=self._name, encoding=self._settings.encoding)
        if codec == "utf-8":
            # What it begins with, and what it must not hold, is looked at once here.
            end = max(map(first.rfind, (b"\n", b"\r"))) + 1
            whole = first if len(first) < piece_bytes else b""
            decode_text(first[:end] or whole, name=self._name)
        decoder = codecs.getincrementaldecoder(codec)()
        block = first[start:]
        try:
            while block:
                yield decoder.decode(block).encode()
                block = self._read(piece_bytes)
            yield decoder.decode(b"", final=True).encode()
        except UnicodeDecodeError as error:
            raise SourceError(
                f"Cannot read {self._name} as {codec.upper()}: after line {self._lines:,} there is "
                f"a byte 0x{error.object[error.start]:02x}",
                cause=error.reason,
                attempt='encoding = "latin-1" (or "cp1252") in the section of its dataset',
                code="bucle-126",
            ) from error

    def _read(self, size: int) -> bytes:
        block = self._plain.read(size)
        self._taken += len(block)
        if self._most is not None and self._taken > self._most:
            raise SourceError(
                f"Cannot unpack {self._name}: it becomes more than {_MOST_RATIO} times as large",
                attempt="unpack it first",
                code="bucle-124",
            )
        return block

    def _rows(self, body: bytes) -> SourceRows:
        if b"\0" in body:
            raise SourceError(
                f"Cannot read {self._name}: after line {self._lines:,} there is a zero byte",
                cause="text never holds one: the file is damaged or is not text",
                attempt="export the file again, or remove its zero bytes",
                code="bucle-126",
            )
        if self._kind == "jsonl":
            return shifted(read_json_lines(body, name=self._name), self._lines)
        if self._header:
            header_lines = _count_lines(self._header)
            found = read_delimited(self._header + body, name=self._name, settings=self._settings)
            return replace(shifted(found, self._lines - header_lines), notes=())
        separator, notes = find_separator(body, name=self._name, given=self._settings.separator)
        self._settings = replace(self._settings, separator=separator)
        found = read_delimited(body, name=self._name, settings=self._settings)
        self._header = body[: self._first_end(body)]
        return replace(found, notes=(*notes, *found.notes))

    def _last_end(self, text: bytes) -> int:
        """Return where the last whole row of a text ends, 0 where none does."""
        ends = self._ends(text)
        return int(ends[-1]) if ends.size else 0

    def _first_end(self, text: bytes) -> int:
        """Return where the first row ends that holds anything."""
        found = (end for end in self._ends(text).tolist() if text[:end].strip())
        return next(found, len(text))

    def _ends(self, text: bytes) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Return the places behind line ends outside quotes."""
        buffer = np.frombuffer(text, dtype=np.uint8)
        if self._kind == "jsonl":
            return np.asarray(np.flatnonzero(buffer == _LF) + 1, dtype=np.int64)
        is_end = buffer == _LF
        # A return at the very end may have its line feed in the next block.
        is_end[:-1] |= (buffer[:-1] == _CR) & (buffer[1:] != _LF)
        marks = np.flatnonzero(is_end)
        quotes = np.flatnonzero(buffer == _QUOTE)
        outside = np.searchsorted(quotes, marks) % 2 == 0
        return np.asarray(marks[outside] + 1, dtype=np.int64)


def _count_lines(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
