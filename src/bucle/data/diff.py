"""What changed between two versions of a dataset: rows by key, and cells by column.

Compares frames in memory; reads and writes nothing. Must not import stores or models.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

import polars as pl
from msgspec import Struct

from bucle.data.headers import RESERVED
from bucle.errors import ContractError, UnknownNameError, nearest

__all__ = ["Difference", "RowChange", "diff_versions"]

_SIGN = RESERVED + "sign"
_OLD = RESERVED + "old:"


class RowChange(Struct, frozen=True, kw_only=True):
    """One row that differs, in JSON values.

    `key` names the row (empty without a key). `before` and `after` hold the whole row where it was
    added or removed, and only the cells that differ where it changed.
    """

    kind: Literal["added", "removed", "changed"]
    key: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]


class Difference(Struct, frozen=True, kw_only=True):
    """How one version differs from another.

    `columns` counts the changed cells of each column that both versions have, and holds no zeros;
    a column that only one version has is in `columns_added` or `columns_removed`.
    """

    added: int
    removed: int
    changed: int
    columns: dict[str, int]
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    examples: tuple[RowChange, ...] = ()


def diff_versions(
    old: pl.DataFrame, new: pl.DataFrame, *, key: Sequence[str] = (), examples: int = 5
) -> Difference:
    """Tell which rows were added, removed and changed between two versions.

    With a key, rows are matched by it. Without one, rows are compared as multisets: a changed row
    counts as one removed and one added. Null equals null and NaN equals NaN; the order of rows and
    of columns does not matter. A column of another type is compared by value where the two types
    have a common one, by text otherwise.

    Args:
        old: The earlier version.
        new: The later version.
        key: Columns that identify a row; unique in both versions.
        examples: At most this many rows of each kind are shown.

    Raises:
        UnknownNameError: A key column is missing from one of the versions.
        ContractError: The key is not unique in one of the versions.

    Example:
        >>> old = pl.DataFrame({"id": [1, 2], "price": [3.0, 4.0]})
        >>> new = pl.DataFrame({"id": [2, 3], "price": [5.0, 6.0]})
        >>> found = diff_versions(old, new, key=["id"])
        >>> found.added, found.removed, found.changed, found.columns
        (1, 1, 1, {'price': 1})
    """
    shared = [name for name in old.columns if name in new.columns]
    old_rows, new_rows = _same_types(old, new, shared=shared)
    if key:
        for which, frame in (("old", old), ("new", new)):
            _check_key(frame, key=key, which=which)
        return _diff_by_key(old_rows, new_rows, key=list(key), shared=shared, examples=examples)
    return _diff_as_multisets(old_rows, new_rows, shared=shared, examples=examples)


def _check_key(frame: pl.DataFrame, *, key: Sequence[str], which: str) -> None:
    for name in key:
        if name not in frame.columns:
            raise UnknownNameError(
                f"Cannot compare by key: the {which} version has no column {name!r}",
                did_you_mean=nearest(name, frame.columns),
                code="bucle-181",
            )
    repeated = frame.height - frame.select(key).n_unique() if frame.height else 0
    if repeated:
        raise ContractError(
            f"Cannot compare by key: {', '.join(key)} is not unique in the {which} version",
            cause=f"{repeated} rows repeat the key of another row",
            attempt="name more columns as the key, or compare without a key",
            code="bucle-180",
        )


def _same_types(
    old: pl.DataFrame, new: pl.DataFrame, *, shared: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bring shared columns to one type, so that they can be joined and compared."""
    casts: dict[str, pl.DataType | type[pl.DataType]] = {}
    for name in shared:
        ours, theirs = old.schema[name], new.schema[name]
        if ours == theirs:
            continue
        numeric = ours.is_numeric() and theirs.is_numeric()
        temporal = ours in (pl.Date, pl.Datetime) and theirs in (pl.Date, pl.Datetime)
        if numeric:
            exact = ours.is_integer() and theirs.is_integer()
            casts[name] = pl.Int128 if exact else pl.Float64
        else:
            casts[name] = pl.Datetime("us") if temporal else pl.String
    return old.cast(casts), new.cast(casts)  # type: ignore[arg-type]


def _diff_by_key(
    old: pl.DataFrame, new: pl.DataFrame, *, key: list[str], shared: list[str], examples: int
) -> Difference:
    added = new.join(old, on=key, how="anti", nulls_equal=True)
    removed = old.join(new, on=key, how="anti", nulls_equal=True)
    values = [name for name in shared if name not in key]
    renamed = old.select(key + values).rename({name: _OLD + name for name in values})
    both = new.select(key + values).join(
        renamed, on=key, how="inner", nulls_equal=True, maintain_order="left"
    )
    differs = both.select(pl.col(name).ne_missing(pl.col(_OLD + name)) for name in values)
    counts = {name: int(differs[name].sum()) for name in values}
    mask = differs.select(pl.any_horizontal(pl.all())).to_series() if values else None
    changed = both.filter(mask) if mask is not None else both.head(0)
    shown = [
        *(_whole_row(row, kind="added", key=key) for row in _first(added, key, examples)),
        *(_whole_row(row, kind="removed", key=key) for row in _first(removed, key, examples)),
        *(_cells(row, key=key, values=values) for row in _first(changed, key, examples)),
    ]
    return Difference(
        added=added.height,
        removed=removed.height,
        changed=changed.height,
        columns={name: count for name, count in counts.items() if count},
        columns_added=tuple(name for name in new.columns if name not in shared),
        columns_removed=tuple(name for name in old.columns if name not in shared),
        examples=tuple(shown),
    )


def _diff_as_multisets(
    old: pl.DataFrame, new: pl.DataFrame, *, shared: list[str], examples: int
) -> Difference:
    signed = pl.concat(
        [
            old.select(shared).with_columns(pl.lit(-1, dtype=pl.Int64).alias(_SIGN)),
            new.select(shared).with_columns(pl.lit(1, dtype=pl.Int64).alias(_SIGN)),
        ]
    )
    surplus = (
        signed.group_by(shared, maintain_order=True).agg(pl.col(_SIGN).sum())
        if shared
        else signed.select(pl.col(_SIGN).sum())
    )
    added = surplus.filter(pl.col(_SIGN) > 0)
    removed = surplus.filter(pl.col(_SIGN) < 0)
    shown = [
        *(_whole_row(row, kind="added", key=[]) for row in _first(added, [], examples)),
        *(_whole_row(row, kind="removed", key=[]) for row in _first(removed, [], examples)),
    ]
    return Difference(
        added=int(added[_SIGN].sum()),
        removed=-int(removed[_SIGN].sum()),
        changed=0,
        columns={},
        columns_added=tuple(name for name in new.columns if name not in shared),
        columns_removed=tuple(name for name in old.columns if name not in shared),
        examples=tuple(shown),
    )


def _first(frame: pl.DataFrame, key: list[str], examples: int) -> list[dict[str, Any]]:
    """Return the first rows by key, so that the same versions show the same examples."""
    ordered = frame.sort(key, nulls_last=True) if key else frame
    return ordered.head(examples).drop(_SIGN, strict=False).to_dicts()


def _whole_row(
    row: dict[str, Any], *, kind: Literal["added", "removed"], key: list[str]
) -> RowChange:
    plain = {name: _json(value) for name, value in row.items()}
    return RowChange(
        kind=kind,
        key={name: plain[name] for name in key},
        before=plain if kind == "removed" else {},
        after=plain if kind == "added" else {},
    )


def _cells(row: dict[str, Any], *, key: list[str], values: list[str]) -> RowChange:
    before = {name: _json(row[_OLD + name]) for name in values}
    after = {name: _json(row[name]) for name in values}
    differing = [name for name in values if before[name] != after[name]]
    return RowChange(
        kind="changed",
        key={name: _json(row[name]) for name in key},
        before={name: before[name] for name in differing},
        after={name: after[name] for name in differing},
    )


def _json(value: object) -> object:
    """Return a value as JSON can say it; times in ISO 8601, NaN and infinities as words."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_json(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _json(part) for name, part in value.items()}
    return str(value)
