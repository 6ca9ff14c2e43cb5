"""Find NaN and infinities in a body: words that many programs write into JSON, and JSON lacks.

Looked at only once a body could not be decoded. Imports nothing heavy.
"""

import json
from collections.abc import Sequence
from typing import Any

from bucle.serve.problems import BadRow

__all__ = ["find_not_finite"]

_WORDS = (b"NaN", b"Infinity")
_MOST_NAME = 80


class _Word(str):
    """A number that is none, as it was written."""

    __slots__ = ()


def find_not_finite(body: bytes, known: Sequence[str], *, most: int) -> list[BadRow]:
    """Return which fields of which rows hold NaN or an infinity; nothing where none does.

    Args:
        body: A row or a list of rows that is JSON but for these words.
        known: The fields there are.
        most: How many to return.
    """
    if not any(word in body for word in _WORDS):
        return []
    try:
        found: Any = json.loads(body, parse_constant=_Word)
    except (ValueError, RecursionError):
        return []
    rows = found if isinstance(found, list) else [found]
    bad: list[BadRow] = []
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            continue
        for name, value in row.items():
            if type(value) is _Word and len(bad) < most:
                at = number if rows is found else None
                bad.append(_bad(at, name, value, known))
    return bad


def _bad(row: int | None, name: str, value: str, known: Sequence[str]) -> BadRow:
    if name not in known:
        return BadRow.of(
            row, name[:_MOST_NAME], rule="is not a field of the model", near=list(known)
        )
    return BadRow.of(row, name, value=str(value), rule="Expected a finite number")
