"""What a command prints through: one JSON document or words, never both on one stream.

Imports nothing of Bucle.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

__all__ = ["Terminal", "columns"]

_MAX_WIDTH = 100


class Terminal:
    """Where a command writes.

    With `json` the answer is one document on stdout and every word goes to stderr; without, words
    go to stdout. Characters that could steer a terminal are shown escaped.

    Args:
        json: Whether the answer is one JSON document.
    """

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self._answers = sys.stdout

    @property
    def width(self) -> int:
        """Columns to write in: those of the terminal, at most 100, 80 where there is none."""
        return min(shutil.get_terminal_size((80, 24)).columns, _MAX_WIDTH)

    def say(self, text: str = "") -> None:
        """Print words; wrapped by the caller where it matters."""
        stream = sys.stderr if self.json else sys.stdout
        print(_printable(text, stream.encoding), file=stream, flush=True)

    def warn(self, text: str) -> None:
        """Print words beside the answer, on stderr."""
        print(_printable(text, sys.stderr.encoding), file=sys.stderr, flush=True)  # noqa: T201

    def paragraph(self, text: str, *, indent: str = "") -> None:
        """Print words folded to the terminal's width; a command at their end stays whole."""
        first, *more = _fold(text, self.width - len(indent))
        self.say(indent + first)
        for line in more:
            self.say(" " * len(indent) + line)

    def table(self, rows: Sequence[Sequence[str]], *, header: Sequence[str] = ()) -> None:
        """Print rows as aligned columns; the last column takes what is left of the width."""
        for line in columns(rows, header=header, width=self.width):
            self.say(line)

    def answer(self, document: Any) -> None:
        """Print the machine-readable answer when it was asked for."""
        if self.json:
            text = json.dumps(document, ensure_ascii=True, indent=2)
            print(text, file=self._answers, flush=True)

    def answer_line(self, document: Any) -> None:
        """Print one of many machine-readable answers, a line each, when they were asked for."""
        if self.json:
            print(json.dumps(document, ensure_ascii=True), file=self._answers, flush=True)


def columns(
    rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), width: int = 80
) -> list[str]:
    """Lay rows out in columns two spaces apart; numbers to the right, long last cells folded.

    Example:
        >>> columns([["a", "1"], ["bcd", "20"]], header=["name", "n"])
        ['name   n', 'a      1', 'bcd   20']
    """
    whole = [header, *rows] if header else rows
    cells = [[str(cell).replace("\n", " ") for cell in row] for row in whole]
    if not cells:
        return []
    count = max(len(row) for row in cells)
    cells = [row + [""] * (count - len(row)) for row in cells]
    body = cells[1:] if header else cells
    right = [
        bool(body) and all(_is_number(row[i]) for row in body) and any(row[i] for row in body)
        for i in range(count)
    ]
    sizes = [max(len(row[i]) for row in cells) for i in range(count)]
    room = max(20, width - sum(sizes[:-1]) - 2 * (count - 1))
    lines: list[str] = []
    for row in cells:
        folded = _fold(row[-1], room)
        last = folded[0].rjust(sizes[-1]) if right[-1] else folded[0]
        fixed = [
            cell.rjust(size) if to_right else cell.ljust(size)
            for cell, size, to_right in zip(row[:-1], sizes, right, strict=False)
        ]
        lines.append("  ".join([*fixed, last]).rstrip())
        offset = " " * (sum(sizes[:-1]) + 2 * (count - 1))
        lines.extend(offset + more for more in folded[1:])
    return lines


def _is_number(text: str) -> bool:
    return (
        text in {"", "-", "–"} or text.strip("+-%$").replace(",", "").replace(".", "", 1).isdigit()
    )


def _printable(text: str, encoding: str | None) -> str:
    shown = "".join(
        letter if letter == "\n" or letter.isprintable() else repr(letter)[1:-1] for letter in text
    )
    return shown.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")


def _fold(text: str, width: int) -> list[str]:
    """Return the lines of a text; a command at its end can still be copied where there is room."""
    words, colon, command = text.partition(": bucle ")
    call = " ".join(["bucle", *command.split()])
    if not colon or len(call) > width:
        return textwrap.wrap(text, width) or [""]
    lines = textwrap.wrap(f"{words}:", width)
    if len(lines[-1]) + 1 + len(call) <= width:
        return [*lines[:-1], f"{lines[-1]} {call}"]
    return [*lines, call]
