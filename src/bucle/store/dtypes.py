"""Column types that tables cannot hold as they are, and what holds them without loss.

    UInt8, UInt16, UInt32     the next wider signed integer
    UInt64                    Decimal(20, 0)
    Int128, UInt128           Decimal(38, 0)
    Float16                   Float32
    Time, Duration            Int64 in the type's own unit
    Datetime                  microseconds; with a time zone, in UTC
    Categorical, Enum, Null   String
    Array                     List
    List, Struct              the same, with their inner types held so

The type a column had is written beside it, so reading gives it back. Imports polars.
"""

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

__all__ = ["dtype_from_json", "dtype_to_json", "stored_dtype"]

_AS_THEY_ARE: tuple[type[pl.DataType], ...] = (
    pl.Int8,
    pl.Int16,
    pl.Int32,
    pl.Int64,
    pl.Float32,
    pl.Float64,
    pl.Boolean,
    pl.String,
    pl.Binary,
    pl.Date,
)
_OTHERWISE: dict[type[pl.DataType], pl.DataType] = {
    pl.UInt8: pl.Int16(),
    pl.UInt16: pl.Int32(),
    pl.UInt32: pl.Int64(),
    pl.UInt64: pl.Decimal(20, 0),
    pl.Int128: pl.Decimal(38, 0),
    pl.UInt128: pl.Decimal(38, 0),
    pl.Float16: pl.Float32(),
    pl.Time: pl.Int64(),
    pl.Duration: pl.Int64(),
    pl.Categorical: pl.String(),
    pl.Enum: pl.String(),
    pl.Null: pl.String(),
}
_BARE: dict[str, type[pl.DataType]] = {
    kind.__name__: kind
    for kind in (*_AS_THEY_ARE, *_OTHERWISE)
    if kind not in {pl.Duration, pl.Enum}
}


def stored_dtype(dtype: pl.DataType) -> pl.DataType | None:
    """Return the type that holds a type's values in a table; None when none does.

    Example:
        >>> stored_dtype(pl.List(pl.UInt8()))
        List(Int16)
    """
    kind = type(dtype)
    if kind in _AS_THEY_ARE or isinstance(dtype, pl.Decimal):
        return dtype
    if kind in _OTHERWISE:
        return _OTHERWISE[kind]
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime("us", "UTC" if dtype.time_zone else None)
    if isinstance(dtype, pl.List | pl.Array):
        inner = stored_dtype(_instance(dtype.inner))
        return pl.List(inner) if inner is not None else None
    if isinstance(dtype, pl.Struct):
        return _stored_struct(dtype)
    return None


def dtype_to_json(dtype: pl.DataType) -> Any:
    """Return a type as a JSON value.

    Example:
        >>> dtype_to_json(pl.List(pl.Enum(["a"])))
        ['List', ['Enum', ['a']]]
    """
    if isinstance(dtype, pl.Datetime):
        return ["Datetime", dtype.time_unit, dtype.time_zone]
    if isinstance(dtype, pl.Duration):
        return ["Duration", dtype.time_unit]
    if isinstance(dtype, pl.Decimal):
        return ["Decimal", dtype.precision, dtype.scale]
    if isinstance(dtype, pl.Enum):
        return ["Enum", dtype.categories.to_list()]
    if isinstance(dtype, pl.Array):
        return ["Array", dtype_to_json(_instance(dtype.inner)), dtype.size]
    if isinstance(dtype, pl.List):
        return ["List", dtype_to_json(_instance(dtype.inner))]
    if isinstance(dtype, pl.Struct):
        fields = [[field.name, dtype_to_json(_instance(field.dtype))] for field in dtype.fields]
        return ["Struct", fields]
    return type(dtype).__name__


def dtype_from_json(value: Any) -> pl.DataType:
    """Return the type that `dtype_to_json` wrote.

    Raises:
        ValueError: The value is no such type.

    Example:
        >>> dtype_from_json(["Datetime", "us", None])
        Datetime(time_unit='us', time_zone=None)
    """
    try:
        if isinstance(value, str):
            return _BARE[value]()
        return _composed(value[0], value[1:])
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no column type: {value!r}") from error


def _composed(name: str, arguments: list[Any]) -> pl.DataType:
    """Build a type that has arguments."""
    if name == "List":
        return pl.List(dtype_from_json(arguments[0]))
    if name == "Array":
        return pl.Array(dtype_from_json(arguments[0]), arguments[1])
    if name == "Struct":
        return pl.Struct({field: dtype_from_json(inner) for field, inner in arguments[0]})
    known = {"Datetime": pl.Datetime, "Duration": pl.Duration, "Decimal": pl.Decimal}
    return pl.Enum(arguments[0]) if name == "Enum" else known[name](*arguments)


def _stored_struct(dtype: pl.Struct) -> pl.DataType | None:
    """Return the struct that holds a struct's values."""
    folded = {field.name.casefold() for field in dtype.fields}
    if not dtype.fields or len(folded) < len(dtype.fields) or any("\0" in name for name in folded):
        return None
    inner = {field.name: stored_dtype(_instance(field.dtype)) for field in dtype.fields}
    held = {name: kind for name, kind in inner.items() if kind is not None}
    return pl.Struct(held) if len(held) == len(inner) else None


def _instance(dtype: "PolarsDataType") -> pl.DataType:
    """Return a type given as a class as an instance of it."""
    return dtype() if isinstance(dtype, type) else dtype
