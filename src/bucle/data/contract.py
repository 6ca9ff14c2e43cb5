"""The contract of a dataset: its types, its rules, and the rows that keep them.

A contract is a dataframely schema of the project. Must not import readers or tables.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import dataframely as dy
import polars as pl
from dataframely.exc import SchemaError

from bucle.charter.project_code import load_name
from bucle.charter.settings import DatasetSettings
from bucle.data.breaches import Breaches, type_words
from bucle.data.casting import cast_column
from bucle.data.keys import ROW_INDEX, settle_keys
from bucle.data.rows import coercion_of
from bucle.data.screened import Screened, storable
from bucle.errors import ContractError, nearest
from bucle.grammar import say_count

if TYPE_CHECKING:
    from bucle.types import Coercion

__all__ = ["Contract", "load_contract", "screen"]

Contract = type[dy.Schema]


def load_contract(root: Path, *, reference: str) -> Contract:
    """Return the dataframely schema that `file.py:Name` means.

    Raises:
        ContractError: The name is no dataframely schema.
    """
    found = load_name(root, reference)
    if isinstance(found, type) and issubclass(found, dy.Schema):
        return found
    raise ContractError(
        f"Cannot use {reference} as a contract: it is {type(found).__name__}",
        cause="a contract is a class that inherits from dataframely.Schema",
        attempt="class Sales(dy.Schema): price = dy.Float64(min=0)",
        code="bucle-130",
    )


def screen(frame: pl.DataFrame, schema: Contract, *, settings: DatasetSettings) -> Screened:
    """Bring rows to the contract's types and tell those that keep it from those that do not.

    A value that is not of its column's type becomes null and is reported when the column may be
    null and holds no categories; otherwise its row breaches. With a key, rows that repeat another
    one are left out, and rows with one key but different content all breach.

    Raises:
        ContractError: A column of the contract is missing, or the contract itself fails.
        SourceError: Day and month cannot be told apart in a column of dates.
    """
    columns = schema.columns()
    notes = _check_names(frame, list(columns), schema.__name__)
    breaches = Breaches(frame)
    typed: list[pl.Series] = []
    coercions: list[Coercion] = []
    for name, column in columns.items():
        read = cast_column(frame[name], column.dtype, settings=settings)
        typed.append(read.values)
        coercions.extend(read.coercions)
        notes.extend(read.notes)
        if not read.failed.any():
            continue
        if column.nullable and not isinstance(column, dy.Enum):
            coercions.append(coercion_of(name, frame[name].filter(read.failed).to_list()))
        else:
            rows = read.failed.arg_true().to_list()
            breaches.add(name, rows, type_words(column))
    whole = pl.DataFrame(typed).with_row_index(ROW_INDEX)
    unique = settle_keys(whole, settings=settings, breaches=breaches)
    _apply_rules(unique, schema, breaches)
    bad = breaches.frame()
    good = unique.join(bad, left_on=ROW_INDEX, right_on="_index", how="anti", maintain_order="left")
    return Screened(
        good=storable(good.drop(ROW_INDEX)),
        good_index=good[ROW_INDEX],
        bad=bad,
        repeated=whole.height - unique.height,
        coercions=tuple(coercions),
        notes=tuple(notes),
    )


def _check_names(frame: pl.DataFrame, wanted: Sequence[str], contract: str) -> list[str]:
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        others = [name for name in frame.columns if name not in wanted]
        raise ContractError(
            f"Cannot apply contract {contract}: the data has no column "
            + ", ".join(map(repr, missing[:5])),
            cause="columns there: " + ", ".join(map(repr, frame.columns[:12])),
            did_you_mean=nearest(missing[0], others),
            attempt="rename it in the file or in the contract, or make it in `prepare`",
            code="bucle-132",
        )
    extra = [name for name in frame.columns if name not in wanted]
    if not extra:
        return []
    shown = ", ".join(extra[:8]) + (", …" if len(extra) > 8 else "")  # noqa: PLR2004  (shown)
    return [f"{say_count(len(extra), 'column')} not in the contract, so not kept: {shown}"]


def _apply_rules(rows: pl.DataFrame, schema: Contract, breaches: Breaches) -> None:
    if not rows.height:
        return
    # The index must be a column of the schema to come out with the rows that breach it.
    fields = {ROW_INDEX: dy.Any(), "__module__": schema.__module__}
    indexed = cast("Contract", type(schema.__name__, (schema,), fields))
    wanted = {name: column.dtype for name, column in schema.columns().items()}
    try:
        _, failure = indexed.filter(rows)
    except SchemaError as error:
        raise ContractError(
            f"Cannot apply contract {schema.__name__}",
            cause=str(error).split("\n", 1)[0],
            code="bucle-130",
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError) as error:
        raise ContractError(
            f"Cannot apply contract {schema.__name__}: one of its rules fails",
            cause=str(error).split("\n", 1)[0],
            code="bucle-130",
        ) from error
    details = failure.details()
    rules = [name for name in details.columns if name not in wanted and name != ROW_INDEX]
    for rule in rules:
        broken = details.filter(pl.col(rule).cast(pl.String) == "invalid")[ROW_INDEX].to_list()
        breaches.add_rule(rule, broken, schema)
