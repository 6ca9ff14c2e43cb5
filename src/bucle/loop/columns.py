"""Columns that bucle.toml names: they must be there, for a gate that looks at none passes all."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from bucle.errors import PipelineError, nearest

__all__ = ["check_columns", "require_columns"]


def check_columns(examples: Any, *, named: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the columns of the examples when those that bucle.toml names are among them.

    A built-in step that comes before the model's, so that no fit is lost on a mistyped name.

    Raises:
        PipelineError: One is not there, or the examples are no frame.
    """
    if not isinstance(examples, pl.DataFrame):
        raise PipelineError(
            f"Cannot judge: the examples are no frame but {type(examples).__name__}",
            cause="the step that [pipeline] names as examples returns a polars DataFrame",
            attempt='examples = "STEP" in [pipeline]',
            code="bucle-234",
        )
    require_columns(examples, named)
    return examples.columns


def require_columns(examples: pl.DataFrame, named: Mapping[str, Sequence[str]]) -> None:
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
