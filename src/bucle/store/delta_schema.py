"""How a table's columns are recorded in its Delta schema: one JSON text in each field's metadata.

Imports polars and deltalake.
"""

import json
from collections.abc import Sequence

import polars as pl
from arro3.core import Schema, Table
from deltalake import DeltaTable

from bucle.ids import canonical_json
from bucle.store.dtypes import dtype_from_json, dtype_to_json
from bucle.store.table_form import Column

__all__ = ["columns_of_table", "with_recorded_columns"]

_KEY = "bucle.column"


def with_recorded_columns(stored: pl.DataFrame, columns: Sequence[Column]) -> Table:
    """Return rows as an Arrow table whose fields say what their columns were."""
    rows = Table.from_arrow(stored)
    schema = rows.schema
    fields = [
        schema.field(index).with_metadata({_KEY: _to_text(column)})
        for index, column in enumerate(columns)
    ]
    return rows.with_schema(Schema(fields))


def columns_of_table(table: DeltaTable) -> tuple[Column, ...]:
    """Return the columns of a version as they were written.

    Raises:
        ValueError: A column carries no record: the table was written by another program.
    """
    return tuple(
        _from_text(field.name, str(field.metadata.get(_KEY, ""))) for field in table.schema().fields
    )


def _to_text(column: Column) -> str:
    """Write what a column was."""
    record = {"name": column.name, "dtype": dtype_to_json(column.dtype)}
    return canonical_json(record).decode()


def _from_text(stored_name: str, text: str) -> Column:
    """Read what a column was."""
    if not text:
        raise ValueError(f"column {stored_name!r} was written by another program")
    record = json.loads(text)
    return Column(
        stored_name=stored_name, name=record["name"], dtype=dtype_from_json(record["dtype"])
    )
