"""Rows that show what a finding means: the id of a prediction and the value that it came with.

Imports polars.
"""

from collections.abc import Sequence

import polars as pl
from msgspec import Struct

from bucle.watch.yardsticks import Measure, Yardstick, known_of, value_of

__all__ = ["ROW", "Example", "pick_examples", "say_value"]

ROW = "(row)"
"""What the ids of rows are called among the columns."""

_LONGEST = 40


class Example(Struct, frozen=True, kw_only=True):
    """A row that shows a finding: its id, and the value of the column as people read it."""

    id: str
    value: str


def pick_examples(
    rows: pl.DataFrame,
    measure: Measure,
    sticks: Sequence[Yardstick],
    *,
    rising: bool,
    most: int = 3,
) -> tuple[Example, ...]:
    """Return rows that moved a measure the way it went; none where no row could show it.

    Of a mean they are the highest values, or the lowest; of a share that grew, the rows that count;
    of one that shrank, rows that do not.

    Args:
        rows: With `ROW` and the measure's column.
        measure: What was found.
        sticks: What is measured of each column.
        rising: Whether the measure went up.
        most: How many rows, at most.
    """
    stick = next((stick for stick in sticks if stick.column == measure.column), None)
    if stick is None or measure.column not in rows.columns:
        return ()
    dtype = rows.schema[measure.column]
    if measure.kind == "mean":
        known = rows.filter(known_of(stick, dtype))
        shown = known.sort(measure.column, descending=rising, maintain_order=True)
    else:
        value = value_of(measure, stick, dtype)
        shown = rows.filter((value == int(rising)).fill_null(value=False))
    return tuple(
        Example(id=str(name), value=say_value(value))
        for name, value in shown.head(most).select(ROW, measure.column).iter_rows()
    )


def say_value(value: object) -> str:
    """Return a value in a few letters.

    Example:
        >>> say_value(0.1 + 0.2), say_value(None)
        ('0.3', 'null')
    """
    if value is None:
        return "null"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
