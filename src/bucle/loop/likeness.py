"""Lays the rows since the champion's training beside those before, for the gate to compare.

The same live and in a replay. Imports polars and numpy; runs in workers.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bucle.clock import from_iso
from bucle.gates.likeness import check_likeness
from bucle.gates.rows import Rows
from bucle.loop.question import Question
from bucle.models.columns import column_kind
from bucle.models.metrics import Floats
from bucle.types import Check

__all__ = ["check_examples", "check_rows"]

_MOST_BEFORE = 40_000
_MOST_SINCE = 20_000


def check_examples(
    asked: Question, examples: pl.DataFrame, *, classes: tuple[str, ...], until: str | None
) -> Check | None:
    """Compare the examples since a moment with those before; None where they have no time.

    Args:
        asked: What is predicted, from which columns.
        examples: All that is known now, in any order; labels may be missing.
        classes: The two answers of a yes/no target.
        until: Rows before this moment are the yardstick.
    """
    name = asked.event_time
    if until is None or name is None or name not in examples.columns:
        return None
    rows = examples.filter(pl.col(name).is_not_null()).sort(name, maintain_order=True)
    numbered = asked.labelled(rows.with_row_index("_number"))
    label: Floats = np.full(rows.height, np.nan)
    label[numbered["_number"].to_numpy()] = asked.truth(numbered, classes)
    moments = rows[name]
    if isinstance(moments.dtype, pl.Datetime) and moments.dtype.time_zone is not None:
        moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    at = moments.cast(pl.Datetime("us")).to_physical().to_numpy()
    features = rows.select(asked.feature_names(rows))
    return check_rows(features, label=label, at=at, until=until)


def check_rows(
    features: pl.DataFrame, *, label: Floats, at: NDArray[np.int64], until: str
) -> Check:
    """Compare rows that came since a moment with those before.

    Of very many rows the newest before count, and since evenly some.

    Args:
        features: What a prediction is made from, in the order of `at`; moments are not looked at.
        label: What became of each row; NaN where nobody knows.
        at: When each row came, microseconds since 1970, rising.
        until: Rows before this moment are the yardstick.
    """
    limit = round(from_iso(until).timestamp() * 1e6)
    first = int(np.searchsorted(at, limit))
    kept = [column for column in features.iter_columns() if column_kind(column.dtype) in _COMPARED]
    said = pl.DataFrame([*kept, pl.Series("_label", label)])
    again = said.select(pl.struct(pl.all()).is_first_distinct().not_()).to_series().to_numpy()
    before = np.arange(max(0, first - _MOST_BEFORE), first)
    step = max(1, -(-(at.size - first) // _MOST_SINCE))
    chosen = np.concatenate([before, np.arange(first, at.size, step)])
    words = {
        column.name: column.cast(pl.String).drop_nulls().unique().sort()
        for column in kept
        if column_kind(column.dtype) != "number"
    }
    return check_likeness(
        Rows(
            columns={
                column.name: _values(column, words.get(column.name))[chosen] for column in kept
            },
            words={name: tuple(found) for name, found in words.items()},
            label=label[chosen],
            at=at[chosen],
            again=again[chosen],
            first=before.size,
        )
    )


_COMPARED = ("number", "word", "flag")


def _values(column: pl.Series, words: pl.Series | None) -> Floats:
    """Return numbers, NaN for none; of words, the place of each among all."""
    if words is not None:
        column = column.cast(pl.String).cast(pl.Enum(words)).to_physical()
    numbers = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return np.where(np.isfinite(numbers), numbers, np.nan)
