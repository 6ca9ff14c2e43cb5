"""The project's own preparation of raw rows, called and checked.

Must not import readers or tables.
"""

import traceback
from collections.abc import Callable
from pathlib import Path

import polars as pl

from bucle.charter.project_code import load_name
from bucle.errors import BucleError, ContractError

__all__ = ["load_prepare", "prepare_rows"]


def load_prepare(root: Path, *, reference: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return the project's function that readies raw rows for the contract.

    Raises:
        ContractError: The name is no function.
    """
    found = load_name(root, reference)
    if callable(found) and not isinstance(found, type):
        return found
    raise ContractError(
        f"Cannot use {reference} to prepare rows: it is no function",
        attempt="def prepare(raw: pl.DataFrame) -> pl.DataFrame: ...",
        code="bucle-133",
    )


def prepare_rows(
    raw: pl.DataFrame, function: Callable[[pl.DataFrame], pl.DataFrame], *, reference: str
) -> pl.DataFrame:
    """Return what the project's function makes of raw rows: one row for each, in their order.

    Raises:
        ContractError: The function raises, gives no frame, or another number of rows.
    """
    try:
        prepared = function(raw.clone())
    except BucleError:
        raise
    except Exception as error:
        raise ContractError(
            f"Cannot prepare rows with {reference}: {type(error).__name__}",
            cause=str(error).split("\n", 1)[0],
            where=_place(error, reference.partition(":")[0]),
            attempt="the function on a few rows in a test of the project",
            code="bucle-133",
        ) from error
    if not isinstance(prepared, pl.DataFrame):
        raise ContractError(
            f"Cannot use what {reference} gives: {type(prepared).__name__} is no polars DataFrame",
            code="bucle-133",
        )
    if prepared.height != raw.height:
        raise ContractError(
            f"Cannot use what {reference} gives: {prepared.height:,} rows for {raw.height:,}",
            cause="each raw row must stay one row, so that none is lost and each can be traced",
            attempt="filter and join in pipeline.py",
            code="bucle-133",
        )
    return prepared


def _place(error: BaseException, file: str) -> str:
    """Return the last line of the project's own file that the error went through."""
    name = Path(file).name
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).name == name
    ]
    return f"{file}:{lines[-1]}" if lines else file
