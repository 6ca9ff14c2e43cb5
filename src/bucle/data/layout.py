"""Where the rows of a delimited text begin and end, found without parsing their values.

Works on whole buffers with numpy. Must not import readers, contracts or tables.
"""

import contextlib
import csv
import io
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.errors import SourceError

__all__ = ["Layout", "find_layout", "find_separator"]

_QUOTE, _LF, _CR = 0x22, 0x0A, 0x0D
_SEPARATORS = ",;\t|"
_SAMPLE_BYTES = 65_536
_SAMPLE_ROWS = 50


class Layout(Struct, frozen=True, kw_only=True):
    """Rows of a text whose quotes are all in their place.

    For each row: its first byte, the byte after its last, how many separators it has outside
    quotes, and its line number.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    separators: NDArray[np.int64]
    lines: NDArray[np.int64]


def find_layout(content: bytes, *, separator: str) -> Layout | None:
    r"""Return where rows lie, or None when a quote stands where a plain parser would misread it.

    Line ends may be of any kind, mixed; those within quotes are content.

    Example:
        >>> found = find_layout(b'a,b\r1,"x\ny"', separator=",")
        >>> found.lines.tolist(), found.separators.tolist()
        ([1, 2], [1, 1])
    """
    buffer = np.frombuffer(content, dtype=np.uint8)
    quotes = np.flatnonzero(buffer == _QUOTE)
    if quotes.size and not _are_regular(buffer, quotes, ord(separator)):
        return None
    is_end = buffer == _LF
    is_return = buffer == _CR
    is_return[:-1] &= buffer[1:] != _LF
    marks = np.flatnonzero(is_end | is_return)
    breaks = _outside(marks, quotes)
    if not breaks.size or breaks[-1] != buffer.size - 1:
        last = np.append(breaks, buffer.size)
    else:
        last = breaks
    starts = np.concatenate(([0], last[:-1] + 1))
    ends = last.copy()
    ended = ends < buffer.size
    before = np.clip(ends - 1, 0, None)
    pair = ended & (ends > starts) & (buffer[np.clip(ends, 0, buffer.size - 1)] == _LF)
    pair &= buffer[before] == _CR
    ends[pair] -= 1
    commas = _outside(np.flatnonzero(buffer == ord(separator)), quotes)
    upto = np.searchsorted(commas, last)
    return Layout(
        starts=starts,
        ends=ends,
        separators=np.diff(upto, prepend=0),
        lines=np.searchsorted(marks, starts) + 1,
    )


def find_separator(content: bytes, *, name: str, given: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the one character between values and a note when it is not a comma.

    Without one in the settings it is the character, of comma, semicolon, tab and bar, that splits
    the first rows most evenly; a comma where none does.

    Raises:
        SourceError: The separator of the settings is not one plain character.
    """
    if given is not None:
        if len(given) != 1 or ord(given) > 0x7F or given in '"\r\n':  # noqa: PLR2004  (ASCII)
            raise SourceError(
                f"Cannot read {name}: {given!r} cannot separate values",
                attempt='separator = ";" (one character)',
                code="bucle-125",
            )
        return given, ()
    sample = content[:_SAMPLE_BYTES].decode("utf-8", "ignore")
    scores = {mark: _evenness(sample, mark) for mark in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda mark: scores[mark])
    if best == "," or scores[best] == (0, 0):
        return ",", ()
    return best, (f"{name}: values are separated by {best!r}",)


def _evenness(sample: str, separator: str) -> tuple[int, int]:
    """Return how many of the first rows have as many values as the first one, and how many."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    widths: list[int] = []
    with contextlib.suppress(csv.Error):
        widths.extend(len(row) for row, _ in zip(reader, range(_SAMPLE_ROWS), strict=False))
    if not widths or widths[0] == 1:
        return (0, 0)
    return (_count_equal(widths), widths[0])


def _count_equal(widths: Sequence[int]) -> int:
    return sum(width == widths[0] for width in widths)


def _outside(positions: NDArray[np.int64], quotes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions that have an even number of quotes before them."""
    if not quotes.size:
        return positions
    kept: NDArray[np.int64] = positions[np.searchsorted(quotes, positions) % 2 == 0]
    return kept


def _are_regular(buffer: NDArray[np.uint8], quotes: NDArray[np.int64], separator: int) -> bool:
    """Tell whether each quote opens or closes a whole value, or is doubled within one."""
    if quotes.size % 2:
        return False
    borders = np.array([separator, _LF, _CR, _QUOTE], dtype=np.uint8)
    opening, closing = quotes[0::2], quotes[1::2]
    before = buffer[np.clip(opening - 1, 0, None)]
    after = buffer[np.clip(closing + 1, None, buffer.size - 1)]
    opens = np.isin(before, borders) | (opening == 0)
    closes = np.isin(after, borders) | (closing == buffer.size - 1)
    return bool(opens.all() and closes.all())
