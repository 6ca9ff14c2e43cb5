"""Columns that bucle.toml names: they must be there, for a gate that looks at none passes all.

Imports polars for types alone.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bucle.errors import PipelineError, nearest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["require_columns"]


def require_columns(examples: "pl.DataFrame", named: Mapping[str, Sequence[str]]) -> None:
    """See that the examples have the columns that keys of bucle.toml name.

    Args:
        examples: The rows that are predicted.
        named: The key in bucle.toml → the columns it names.

    Raises:
        PipelineError: One is not there; the message has the key and the nearest column.
    """
    for key, names in named.items():
        for name in names:
            if name not in examples.columns:
                raise PipelineError(
                    f"Cannot find the column {name!r} among the examples",
                    cause=f"bucle.toml names it as {key}; the examples have "
                    + ", ".join(examples.columns[:12]),
                    did_you_mean=nearest(name, examples.columns),
                    attempt=f"bucle config {key}",
                    code="bucle-238",
                )
