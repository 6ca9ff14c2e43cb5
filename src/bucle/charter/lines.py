"""Where each key of a TOML text stands: the parser gives values only, errors need the line.

The text need not be valid: what cannot be read is skipped, in time linear in its length. Must not
import anything heavy.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from bucle.errors import CharterError

__all__ = ["key_lines", "line_of"]

_PART = r"(?:[A-Za-z0-9_-]+|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*')"
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER = re.compile(rf"(\[\[?)[ \t]*({_KEY})[ \t]*\]")
_ASSIGNMENT = re.compile(rf"({_KEY})[ \t]*=")
_EACH_PART = re.compile(_PART)
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_TOKEN = re.compile(
    r"\"\"\"(?:\\.|[^\\])*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'"
    r"|#[^\n]*|[\[\]{}]|\n|[^\"'#\[\]{}\n]+|.",
    re.DOTALL,
)
_DEEPEST = 16


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    r"""Return the line, counted from 1, of each table and key; items of an array by their number.

    Raises:
        CharterError: A key has more parts than any charter needs, which a parser would only read
            in quadratic time.

    Example:
        >>> key_lines("[gates]\nholdout = 0.2\n")
        {('gates',): 1, ('gates', 'holdout'): 2}
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    lines: dict[tuple[str, ...], int] = {}
    tables: dict[tuple[str, ...], int] = {}
    current: tuple[str, ...] = ()
    position = 0
    while True:
        position = _after(_BLANK, text, position)
        if position >= len(text):
            return lines
        line = bisect_right(starts, position)
        if header := _HEADER.match(text, position):
            current = _split(header[2], line)
            if header[1] == "[[":
                tables[current] = tables.get(current, -1) + 1
                current = (*current, str(tables[current]))
                lines.setdefault(current[:-1], line)
            lines.setdefault(current, line)
            position = _skip_value(text, header.end(), None, lines, starts)
        elif assignment := _ASSIGNMENT.match(text, position):
            path = current + _split(assignment[1], line)
            lines.setdefault(path, line)
            position = _skip_value(text, assignment.end(), path, lines, starts)
        else:
            position = _skip_value(text, position, None, lines, starts)


def line_of(path: Sequence[str], lines: Mapping[tuple[str, ...], int]) -> int | None:
    """Return the line of a key, or of the nearest table around it that has one."""
    for length in range(len(path), 0, -1):
        if (found := lines.get(tuple(path[:length]))) is not None:
            return found
    return None


def _split(key: str, line: int) -> tuple[str, ...]:
    parts = _EACH_PART.findall(key)
    if len(parts) > _DEEPEST:
        raise CharterError(
            f"Cannot read a key of {len(parts)} parts",
            cause=f"no key of a charter has more than {_DEEPEST}",
            where=f"bucle.toml:{line}",
        )
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in parts)


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _skip_value(
    text: str,
    position: int,
    path: tuple[str, ...] | None,
    lines: dict[tuple[str, ...], int],
    starts: Sequence[int],
) -> int:
    """Return where the next statement may begin, noting the inline tables of an array."""
    depth = 0
    tables = 0
    while token := _TOKEN.match(text, position):
        if token[0] in {"[", "{"}:
            if token[0] == "{" and depth == 1 and path is not None:
                lines.setdefault((*path, str(tables)), bisect_right(starts, position))
                tables += 1
            depth += 1
        elif token[0] in {"]", "}"}:
            depth -= 1
        elif token[0] == "\n" and depth <= 0:
            return token.end()
        position = token.end()
    return len(text)
