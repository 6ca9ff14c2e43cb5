"""Names of columns as a file gives them: made usable, and every change told.

Must not import readers or tables.
"""

import re
import unicodedata
from collections.abc import Sequence

from bucle.errors import SourceError

__all__ = ["RESERVED", "clean_names", "refuse_values"]

# Columns that are added on the way to a version begin so, and no others.
RESERVED = "bucle:"

_MAX_LETTERS = 255
# What is written, read and typed column by column takes milliseconds for each.
_MAX_COLUMNS = 5_000
# polars takes these for a choice of columns wherever it is given a name.
_PATTERN = re.compile(r"\*|\^.*\$")
_VALUE = re.compile(r"[+-]?(\d[\d.,:/ T-]*|\.\d+)([eE][+-]?\d+)?Z?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_SHOWN = 5


def clean_names(names: Sequence[str], *, where: str) -> tuple[list[str], tuple[str, ...]]:
    """Return usable, different names and notes on what was changed.

    A name that is empty, `*`, `^...$` or begins with `bucle:` becomes `column_N`, a name that is
    there already gets `_2`, line ends within a name become spaces. Names that differ by case,
    space or Unicode form only are kept and told.

    Raises:
        SourceError: There are more than 5,000 names, or one is longer than 255 letters.

    Example:
        >>> clean_names(["a", "a", ""], where="f.csv")[0]
        ['a', 'a_2', 'column_3']
    """
    if len(names) > _MAX_COLUMNS:
        raise SourceError(
            f"Cannot use {where}: it has {len(names):,} columns",
            cause=f"a dataset has at most {_MAX_COLUMNS:,}",
            attempt="a table of rows instead of columns, or the columns that are needed",
            code="bucle-127",
        )
    taken = set(names)
    used: set[str] = set()
    last: dict[str, int] = {}
    cleaned: list[str] = []
    changes: list[str] = []
    for number, given in enumerate(names, start=1):
        if len(given) > _MAX_LETTERS:
            raise SourceError(
                f"Cannot use {where}: the name of column {number} has {len(given):,} letters",
                cause=f"a name has at most {_MAX_LETTERS}; it begins with {given[:30]!r}",
                attempt="shorten the name in the source",
                code="bucle-127",
            )
        name = _CONTROL.sub(" ", given).strip() if _CONTROL.search(given) else given
        usable = name.strip() and not _PATTERN.fullmatch(name) and not name.startswith(RESERVED)
        name = name if usable else f"column_{number}"
        if name in used or (name != given and name in taken):
            last[name] = _next_number(name, last.get(name, 1) + 1, taken)
            name = f"{name}_{last[name]}"
            taken.add(name)
        if name != given:
            changes.append(f"column {number} {given!r} is called '{name}'")
        used.add(name)
        cleaned.append(name)
    notes = [f"{where}: {change}" for change in changes[:_SHOWN]]
    if len(changes) > _SHOWN:
        notes.append(f"{where}: {len(changes) - _SHOWN} more columns were renamed the same way")
    return cleaned, (*notes, *_look_alikes(cleaned, where))


def refuse_values(names: Sequence[str], *, where: str) -> None:
    """Refuse a first line that does not look like one of names.

    Raises:
        SourceError: It is blank, or holds values only.
    """
    filled = [name.strip() for name in names if name.strip()]
    if not filled:
        raise SourceError(
            f"Cannot use {where}: its first line holds no name",
            attempt="put the names of the columns in the first line",
            code="bucle-127",
        )
    if all(_VALUE.fullmatch(name) for name in filled):
        shown = ", ".join(filled[:3])
        raise SourceError(
            f"Cannot use {where}: its first line holds values, not names ({shown})",
            attempt="put the names of the columns in the first line",
            code="bucle-127",
        )


def _next_number(name: str, number: int, taken: set[str]) -> int:
    while f"{name}_{number}" in taken:
        number += 1
    return number


def _look_alikes(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Tell of names a person would take for one."""
    first: dict[str, str] = {}
    found = []
    for name in names:
        folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        if folded in first:
            found.append(f"{where}: columns {first[folded]!r} and {name!r} look alike")
        first.setdefault(folded, name)
    return tuple(found[:_SHOWN])
