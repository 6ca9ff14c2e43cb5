"""One digest for all content of a frame, whatever its row order, chunks or file layout.

Rows are a multiset: how often a row is there counts, where it stands does not. NaN is one value
whatever its bits, and -0.0 is 0.0. Must not import sources, contracts or anything above `data`.
"""

import hashlib
import json
from collections.abc import Callable

import numpy as np
import polars as pl

__all__ = ["fingerprint", "json_text", "row_digests"]

_SLICE_ROWS = 1_000_000
_FORM = b"bucle-frame-1"


def fingerprint(frame: pl.DataFrame) -> str:
    """Return the SHA-256 of a frame's column names, types, nulls and every value.

    Columns are taken in the order of their names and rows in sorted order, so two frames with the
    same rows have the same fingerprint. Uses no hash of a library, so it is stable over versions.

    Example:
        >>> one = pl.DataFrame({"item": [1, 2], "price": [5.0, None]})
        >>> fingerprint(one) == fingerprint(one.reverse())
        True
        >>> fingerprint(one) == fingerprint(one.fill_null(0.0))
        False
    """
    plain = _in_canonical_form(frame.select(sorted(frame.columns)))
    ordered = plain.sort(plain.columns, nulls_last=False) if plain.width else plain
    total = hashlib.sha256(_FORM)
    total.update(frame.height.to_bytes(8, "little"))
    schema = frame.schema
    for name in ordered.columns:
        label = json.dumps([name, _type_name(schema[name])], ensure_ascii=False)
        _update_framed(total.update, label.encode("utf-8", "surrogatepass"))
        for start in range(0, max(ordered.height, 1), _SLICE_ROWS):
            _update_column(total.update, ordered[name].slice(start, _SLICE_ROWS))
    return total.hexdigest()


def row_digests(frame: pl.DataFrame, *, salt: str = "") -> list[str]:
    """Return 32 hexadecimal digits for each row: equal rows have equal ones, in any frame."""
    plain = _in_canonical_form(frame.select(sorted(frame.columns)))
    texts = plain.select(pl.struct(pl.all().cast(pl.String)).struct.json_encode()).to_series()
    key = hashlib.sha256(salt.encode()).digest()
    return [
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=key).hexdigest()
        for text in texts.to_list()
    ]


def json_text(value: object) -> str | None:
    """Return the JSON text by which a nested value is kept and compared; null stays null."""
    return None if value is None else json.dumps(_plain(value), sort_keys=True, default=str)


def _plain(value: object) -> object:
    return value.to_list() if isinstance(value, pl.Series) else value


def _in_canonical_form(frame: pl.DataFrame) -> pl.DataFrame:
    """Give equal values equal bits and turn types without a plain buffer into text."""
    columns = []
    for name, dtype in frame.schema.items():
        if dtype.is_float():
            # Adding zero would do for its sign, but polars leaves such a sum out.
            unsigned = pl.when(pl.col(name) == 0).then(0.0).otherwise(pl.col(name))
            columns.append(unsigned.fill_nan(float("nan")).cast(dtype).alias(name))
        elif dtype.is_nested() or dtype == pl.Object:
            values = [json_text(value) for value in frame[name].to_list()]
            columns.append(pl.lit(pl.Series(name, values, dtype=pl.String)).alias(name))
        elif dtype == pl.Binary:
            columns.append(pl.col(name).bin.encode("hex"))
        elif isinstance(dtype, pl.Categorical | pl.Enum | pl.Decimal | pl.Int128 | pl.UInt128):
            columns.append(pl.col(name).cast(pl.String))
        else:
            columns.append(pl.col(name))
    return frame.select(columns)


def _type_name(dtype: pl.DataType) -> str:
    """Name a type in words of our own: a library's wording may change with its version."""
    if isinstance(dtype, pl.Datetime):
        return f"Datetime {dtype.time_unit} {dtype.time_zone or 'naive'}"
    if isinstance(dtype, pl.Duration):
        return f"Duration {dtype.time_unit}"
    if isinstance(dtype, pl.Decimal):
        return f"Decimal {dtype.precision} {dtype.scale}"
    return type(dtype).__name__


def _update_framed(update: Callable[[bytes], None], content: bytes) -> None:
    """Hash some bytes with their length, so that borders count."""
    update(len(content).to_bytes(8, "little"))
    update(content)


def _update_column(update: Callable[[bytes], None], values: pl.Series) -> None:
    update(np.packbits(values.is_null().to_numpy()).tobytes())
    if values.dtype == pl.String:
        filled = values.fill_null("")
        update(filled.str.len_bytes().cast(pl.UInt64).to_numpy().astype("<u8").tobytes())
        update("".join(filled.to_list()).encode("utf-8", "surrogatepass"))
        return
    if values.dtype == pl.Boolean:
        numbers = values.fill_null(value=False).cast(pl.UInt8).to_numpy()
    elif values.dtype.is_float():
        numbers = values.cast(pl.Float64).fill_null(0.0).to_numpy()
    elif values.dtype == pl.Null:
        return
    else:
        wide = pl.UInt64 if values.dtype == pl.UInt64 else pl.Int64
        numbers = values.to_physical().cast(wide).fill_null(0).to_numpy()
    update(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes())
