"""Breaches of a contract in words that a person understands: column, value and rule.

Must not import readers or tables.
"""

from collections.abc import Sequence

import dataframely as dy
import polars as pl

__all__ = ["Breaches", "type_words"]

_LETTERS = 60
_CHOICES = 8
_TYPE_WORDS = (
    (dy.Enum, ""),
    (dy.Bool, "yes or no"),
    (dy.Date, "a date"),
    (dy.Datetime, "a date with time"),
    (dy.Time, "a time of day"),
)


def type_words(column: dy.Column) -> str:
    """Say what a value of a column is not.

    Example:
        >>> type_words(dy.Int64())
        'is not a whole number'
    """
    if isinstance(column, dy.Enum):
        return _choice_words(column.categories)
    for kind, words in _TYPE_WORDS:
        if isinstance(column, kind):
            return f"is not {words}"
    if column.dtype.is_integer():
        return f"is not a whole number{_bounds(column.dtype)}"
    if column.dtype.is_numeric():
        return "is not a number"
    return f"is not {column.dtype}"


class Breaches:
    """Collects, for each row of a frame, the reasons why it breaches the contract.

    Args:
        frame: The rows as they came, whose values the reasons quote.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self._reasons: dict[int, list[str]] = {}
        self._columns: dict[int, set[str]] = {}
        self._keys: set[int] = set()

    def rows(self) -> set[int]:
        """Return the rows that breach so far."""
        return set(self._reasons)

    def add(self, column: str, rows: Sequence[int], words: str) -> None:
        """Note that values of a column break a rule; the reason quotes each value."""
        values = self._frame[column].gather(list(rows)).to_list()
        for row, value in zip(rows, values, strict=True):
            self._columns.setdefault(row, set()).add(column)
            self._note(row, f"{column}: {_shown(value)} {words}")

    def tell(self, rows: Sequence[int], reason: str, *, columns: Sequence[str] = ()) -> None:
        """Note a reason about keys for some rows; it covers every rule of these columns."""
        for row in rows:
            self._keys.add(row)
            self._columns.setdefault(row, set()).update(columns)
            self._note(row, reason)

    def add_rule(self, rule: str, rows: Sequence[int], schema: type[dy.Schema]) -> None:
        """Note that rows break a rule of the contract, by dataframely's name of it.

        A rule that fails only because of a breach already noted is left out.
        """
        column, bar, kind = rule.partition("|")
        if not bar:
            self._add_named(rule, rows, schema)
            return
        fresh = [row for row in rows if column not in self._columns.get(row, ())]
        if kind == "nullability":
            for row in fresh:
                self._note(row, f"{column} is empty")
        else:
            self.add(column, fresh, _rule_words(schema.columns()[column], kind))

    def frame(self) -> pl.DataFrame:
        """Return `_index` and `_reasons`, in the order of the rows."""
        rows = sorted(self._reasons)
        return pl.DataFrame(
            {"_index": rows, "_reasons": [self._reasons[row] for row in rows]},
            schema={"_index": pl.UInt32, "_reasons": pl.List(pl.String)},
        )

    def _add_named(self, rule: str, rows: Sequence[int], schema: type[dy.Schema]) -> None:
        if rule == "primary_key":
            names = ", ".join(schema.primary_key())
            words = f"the key ({names}) is there more than once"
            rows = [row for row in rows if row not in self._keys]
        else:
            words = f"breaks the rule '{rule.replace('_', ' ')}'"
        for row in rows:
            self._note(row, words)

    def _note(self, row: int, reason: str) -> None:
        reasons = self._reasons.setdefault(row, [])
        if reason not in reasons:
            reasons.append(reason)


def _rule_words(column: dy.Column, kind: str) -> str:
    """Say which rule of a column a value breaks."""
    limit = getattr(column, kind, None)
    words = {
        "min": f"is below the least allowed, {limit}",
        "max": f"is above the most allowed, {limit}",
        "min_exclusive": f"is not above {limit}",
        "max_exclusive": f"is not below {limit}",
        "min_length": f"is shorter than {limit}",
        "max_length": f"is longer than {limit}",
        "regex": f"does not match {limit}",
        "nan": "is not a number",
        "inf": "is not finite",
        "unique": "is there more than once",
    }
    if kind == "is_in" and limit is not None:
        return _choice_words([str(choice) for choice in limit])
    if kind in words:
        return words[kind]
    name = kind.removeprefix("check").strip("_")
    return f"breaks its check '{name}'" if name else "breaks its check"


def _choice_words(choices: Sequence[str]) -> str:
    shown = ", ".join(list(choices)[:_CHOICES]) + (", …" if len(choices) > _CHOICES else "")
    return f"is not one of {shown}"


def _bounds(dtype: pl.DataType) -> str:
    if dtype == pl.Int64:
        return ""
    low = pl.select(dtype.min()).item()  # type: ignore[attr-defined]
    high = pl.select(dtype.max()).item()  # type: ignore[attr-defined]
    return f" from {low} to {high}"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= _LETTERS else value[: _LETTERS - 1] + "…")
    return "nothing" if value is None else str(value)
