"""What screening leaves: good rows, breaching rows, and what was coerced on the way.

Must not import readers, contracts or tables.
"""

import polars as pl
from msgspec import Struct

from bucle.types import Coercion

__all__ = ["Screened", "storable"]


class Screened(Struct, frozen=True, kw_only=True):
    """Rows told apart by a contract.

    `good` holds the contract's columns in its types, categories as text; `good_index` says which
    rows of the input they are. `bad` has `_index` and `_reasons` (words) for each breaching row.
    `repeated` counts rows that only repeat another one with the same key and content.
    """

    good: pl.DataFrame
    good_index: pl.Series
    bad: pl.DataFrame
    repeated: int = 0
    coercions: tuple[Coercion, ...] = ()
    notes: tuple[str, ...] = ()


def storable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return categories as text and moments in microseconds, as tables keep them."""
    changes = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Categorical | pl.Enum):
            changes.append(pl.col(name).cast(pl.String))
        elif isinstance(dtype, pl.Datetime) and dtype.time_unit != "us":
            changes.append(pl.col(name).dt.cast_time_unit("us"))
    return frame.with_columns(changes)
