"""Keys within one batch: repeated rows left out, empty and contradicting ones told.

Must not import readers or tables.
"""

import polars as pl

from bucle.charter.settings import DatasetSettings
from bucle.data.breaches import Breaches
from bucle.data.headers import RESERVED
from bucle.errors import ContractError, nearest

__all__ = ["ROW_INDEX", "key_columns", "settle_keys"]

ROW_INDEX = RESERVED + "index"


def key_columns(settings: DatasetSettings) -> list[str]:
    """Return the names of a dataset's key; none when rows are a multiset."""
    return [settings.key] if isinstance(settings.key, str) else list(settings.key)


def settle_keys(
    rows: pl.DataFrame, *, settings: DatasetSettings, breaches: Breaches
) -> pl.DataFrame:
    """Return rows without those that repeat another one; tell keys that cannot stand.

    Rows carry `ROW_INDEX`. Without a key in the settings they come back as they are.

    Raises:
        ContractError: The rows have no such column.
    """
    keys = key_columns(settings)
    if not keys:
        return rows
    for name in keys:
        if name not in rows.columns:
            raise ContractError(
                f"Cannot use '{name}' as key: there is no such column",
                did_you_mean=nearest(name, rows.columns),
                code="bucle-132",
            )
    unique = _without_repeated(rows, breaches)
    empty = unique.filter(pl.any_horizontal(pl.col(keys).is_null()))
    words = f"the key ({', '.join(keys)}) is empty"
    breaches.tell(empty[ROW_INDEX].to_list(), words, columns=keys)
    filled = unique.filter(pl.all_horizontal(pl.col(keys).is_not_null()))
    twice = filled.filter(filled.select(keys).is_duplicated())
    for row in twice.select(ROW_INDEX, *keys).iter_rows():
        shown = ", ".join(f"{name}={value}" for name, value in zip(keys, row[1:], strict=True))
        breaches.tell([row[0]], f"the key {shown} is there more than once with other content")
    return unique


def _without_repeated(rows: pl.DataFrame, breaches: Breaches) -> pl.DataFrame:
    content = [name for name in rows.columns if name != ROW_INDEX]
    # A row that has lost a value must not pass for the repetition of another one.
    lost = rows[ROW_INDEX].is_in(sorted(breaches.rows()))
    whole = rows.filter(~lost).unique(content, keep="first", maintain_order=True)
    return pl.concat([whole, rows.filter(lost)]).sort(ROW_INDEX)
