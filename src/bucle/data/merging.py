"""New rows merged with those that are there: by key, or as a multiset where there is none.

Must not import readers, contracts or tables.
"""

from collections.abc import Sequence

import polars as pl
from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.data.casting import cast_column
from bucle.data.headers import RESERVED
from bucle.errors import ContractError
from bucle.grammar import say_count

__all__ = ["Merged", "align_rows", "merge_by_key", "replace_rows", "unite_rows"]

_AT = RESERVED + "at"
_TIME = RESERVED + "occurrence"


class Merged(Struct, frozen=True, kw_only=True):
    """All rows after a batch; `fresh` holds the rows that were not there before.

    `changed` counts rows whose key was there with other content; they keep their place.
    """

    frame: pl.DataFrame
    fresh: pl.DataFrame
    added: int
    changed: int
    unchanged: int
    removed: int = 0


def merge_by_key(current: pl.DataFrame, batch: pl.DataFrame, *, key: Sequence[str]) -> Merged:
    """Put rows in by key: a new key adds, other content replaces, equal content changes nothing.

    The key is there once at most in `batch`.

    Raises:
        ContractError: The key is not unique among the rows that are there.

    Example:
        >>> old = pl.DataFrame({"id": [1, 2], "price": [5, 6]})
        >>> new = pl.DataFrame({"id": [2, 3], "price": [7, 8]})
        >>> merge_by_key(old, new, key=["id"]).frame.rows()
        [(1, 5), (2, 7), (3, 8)]
    """
    names = list(key)
    if current.select(names).is_duplicated().any():
        raise ContractError(
            f"Cannot use ({', '.join(names)}) as key: rows of the current version share it",
            attempt="a key that names one row, or no key",
            code="bucle-134",
        )
    places = batch.select(names).join(
        current.select(names).with_row_index(_AT), on=names, how="left", maintain_order="left"
    )[_AT]
    known = places.is_not_null()
    at = places.drop_nulls()
    again = batch.filter(known)
    differs = _differ(current[at], again)
    changed, targets = again.filter(differs), at.filter(differs)
    fresh = batch.filter(~known)
    order = pl.int_range(0, current.height, eager=True, dtype=pl.Int64)
    moved = pl.int_range(current.height, current.height + changed.height, eager=True)
    order = order.scatter(targets.to_list(), moved) if changed.height else order
    return Merged(
        frame=pl.concat([pl.concat([current, changed])[order], fresh]),
        fresh=fresh,
        added=fresh.height,
        changed=changed.height,
        unchanged=again.height - changed.height,
    )


def unite_rows(current: pl.DataFrame, batch: pl.DataFrame) -> Merged:
    """Unite two multisets of rows: each row is there as often as in the one that has it most.

    So the same content twice adds nothing, and equal rows within one batch all stay.

    Example:
        >>> unite_rows(pl.DataFrame({"a": [1, 1]}), pl.DataFrame({"a": [1, 2, 2]})).added
        2
    """
    columns = current.columns
    occurrence = pl.int_range(pl.len()).over(columns).alias(_TIME)
    fresh = (
        batch.with_columns(occurrence)
        .join(
            current.with_columns(occurrence),
            on=[*columns, _TIME],
            how="anti",
            nulls_equal=True,
            maintain_order="left",
        )
        .drop(_TIME)
    )
    return Merged(
        frame=pl.concat([current, fresh]),
        fresh=fresh,
        added=fresh.height,
        changed=0,
        unchanged=batch.height - fresh.height,
    )


def replace_rows(current: pl.DataFrame, batch: pl.DataFrame) -> Merged:
    """Put a batch in the place of all rows, and count as multisets what came and what went.

    Example:
        >>> replace_rows(pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [2, 3]})).removed
        1
    """
    united = unite_rows(current, batch)
    return Merged(
        frame=batch,
        fresh=united.fresh,
        added=united.added,
        changed=0,
        unchanged=united.unchanged,
        removed=current.height - united.unchanged,
    )


def align_rows(
    current: pl.DataFrame, *, schema: pl.Schema, settings: DatasetSettings
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Bring rows of an earlier version to the columns and types of a later contract.

    A new column is null in old rows; a column that is no more is left out; both are told.

    Raises:
        ContractError: A value of the current version does not fit its new type.
    """
    notes = []
    columns = []
    for name, dtype in schema.items():
        if name not in current.columns:
            notes.append(
                f"column '{name}' is new: it is null in {say_count(current.height, 'old row')}"
            )
            columns.append(pl.Series(name, [None], dtype=dtype).new_from_index(0, current.height))
            continue
        read = cast_column(current[name], dtype, settings=settings)
        if read.failed.any():
            raise ContractError(
                f"Cannot change column '{name}' from {current.schema[name]} to {dtype}",
                cause=f"{read.failed.sum():,} values of the current version would be lost, such as "
                f"{current[name].filter(read.failed)[0]}",
                attempt="a new column name for the new type",
                code="bucle-134",
            )
        columns.append(read.values)
        notes += [
            f"column '{name}': {say_count(told.count, 'old value')} became {told.became}"
            for told in read.coercions
        ]
    gone = [name for name in current.columns if name not in schema]
    if gone:
        notes.append("columns are no longer in the contract and are left out: " + ", ".join(gone))
    return pl.DataFrame(columns), tuple(notes)


def _differ(old: pl.DataFrame, new: pl.DataFrame) -> pl.Series:
    """Tell for each pair of rows whether any value differs; null equals null."""
    total = pl.Series([False], dtype=pl.Boolean).new_from_index(0, new.height)
    for name in new.columns:
        total |= old[name].ne_missing(new[name])
    return total
