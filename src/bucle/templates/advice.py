"""Words about columns that a few values kept from being what they mostly are, and how to mend it.

Reads frames, so only the `blank` template imports it.
"""

import json
import shlex
from collections.abc import Mapping, Sequence

import polars as pl

from bucle.charter.settings import DatasetSettings
from bucle.data.numbers import read_floats
from bucle.grammar import say_count
from bucle.types import Coercion

__all__ = ["tell_texts"]


def tell_texts(
    frame: pl.DataFrame,
    coercions: Sequence[Coercion],
    *,
    target: str,
    lines: Mapping[str, int],
    reading: DatasetSettings,
) -> list[str]:
    """Say which columns stayed text because of some values, and what to type to change it.

    Args:
        frame: Rows in the types that were decided on.
        coercions: What inference reported.
        target: The column predicted; where it is read as numbers all the same, labels are lost.
        lines: The line of contract.py that each column stands in.
        reading: How the files were read.
    """
    notes = []
    for told in coercions:
        if not told.became.startswith("text"):
            continue
        shown = ", ".join(map(repr, told.examples[:3]))
        count = say_count(told.count, "value")
        if frame.schema[told.column] == pl.String:
            mend = _mending(frame[told.column], told, line=lines[told.column], reading=reading)
            notes.append(f"{told.column}: kept as text because of {count} such as {shown}; {mend}")
        elif told.column == target:
            notes.append(f"{told.column}: no label in {count} such as {shown}")
    return notes


def _mending(text: pl.Series, told: Coercion, *, line: int, reading: DatasetSettings) -> str:
    if "day or month" in told.became:
        return "say --dates day-first or --dates month-first"
    numbers = read_floats(text, decimal=reading.decimal).values.count()
    kind = "Float64" if 2 * numbers > text.count() else "Datetime"
    options = " ".join(f"--null-values {shlex.quote(value)}" for value in told.examples)
    absent = json.dumps([*reading.null_values, *told.examples], ensure_ascii=False)
    return (
        f"where they mean that nothing is known, make it again with {options}, or set null_values "
        f"= {absent} in [data.rows] of bucle.toml, dy.{kind}(nullable=True) in line {line} of "
        f"contract.py, and {text.name!r} among the features of bucle.toml and pipeline.py"
    )
