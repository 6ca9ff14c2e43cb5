"""What a model takes and gives: the names and types of its columns, checked before it sees a row.

Imports polars only when a frame is at hand, so that a signature can be read in light processes.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from bucle.errors import PackageError, nearest

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Feature", "Signature", "conform", "dtypes_of", "signature_of"]

_PLAIN = frozenset(
    {
        "Boolean", "Date", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "Null",
        "String", "Time", "UInt8", "UInt16", "UInt32", "UInt64",
    }
)  # fmt: skip
_TIMED = re.compile(r"(Datetime|Duration)\[(ms|us|ns)(?:, ([A-Za-z0-9_+\-/]+))?\]")
_SHOWN = 5


class Feature(Struct, frozen=True, kw_only=True):
    """One column a model takes; `dtype` reads like `Float64`, `String` or `Datetime[us, UTC]`."""

    name: str
    dtype: str


class Signature(Struct, frozen=True, kw_only=True):
    """What a model takes and gives.

    `classes` are the labels of a yes/no target, yes last; `details` is what it says of a row beside
    its prediction.
    """

    kind: Literal["regression", "classification"]
    target: str
    features: tuple[Feature, ...]
    classes: tuple[str, ...] = ()
    details: tuple[Feature, ...] = ()


def signature_of(
    features: "pl.DataFrame",
    *,
    kind: Literal["regression", "classification"],
    target: str,
    classes: Sequence[str] = (),
) -> Signature:
    """Return the signature of a model fitted on such a frame.

    Raises:
        PackageError: A column is of a type no prediction request can carry.
    """
    return Signature(
        kind=kind,
        target=target,
        features=tuple(
            Feature(name=name, dtype=_dtype_name(name, dtype))
            for name, dtype in features.schema.items()
        ),
        classes=tuple(classes),
    )


def dtypes_of(signature: Signature) -> "dict[str, pl.DataType]":
    """Return the polars types of the columns a model takes, in its order."""
    return {feature.name: _dtype(feature.dtype) for feature in signature.features}


def conform(signature: Signature, frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return exactly the columns a model takes, in its order and of its types.

    Extra columns are left out. Types change only where no value changes: whole numbers to
    numbers with decimals, never words to numbers.

    Raises:
        PackageError: A column is missing or of another type; all of them are named.
    """
    wrong = _mismatches(signature, frame)
    if wrong:
        raise _misfit(signature, frame, wrong)
    columns = []
    for feature in signature.features:
        column = frame.get_column(feature.name)
        if str(column.dtype) != feature.dtype:
            column = _cast(column, feature)
        columns.append(column)
    import polars as pl  # noqa: PLC0415  (the frame brought it)

    return pl.DataFrame(columns)


def _mismatches(signature: Signature, frame: "pl.DataFrame") -> list[str]:
    found = []
    for feature in signature.features:
        if feature.name not in frame.columns:
            found.append(f"column {feature.name!r} is missing")
        elif not _fits(frame.schema[feature.name], feature.dtype):
            actual = frame.schema[feature.name]
            found.append(f"column {feature.name!r} holds {actual} instead of {feature.dtype}")
    return found


def _misfit(signature: Signature, frame: "pl.DataFrame", wrong: list[str]) -> PackageError:
    extra = [name for name in frame.columns if name not in {f.name for f in signature.features}]
    missing = [f.name for f in signature.features if f.name not in frame.columns]
    near = nearest(missing[0], extra) if missing else ()
    shown = "; ".join(wrong[:_SHOWN])
    if len(wrong) > _SHOWN:
        shown += f"; and {len(wrong) - _SHOWN} more"
    return PackageError(
        "Cannot predict these rows: they do not fit the model's signature",
        cause=shown,
        did_you_mean=near,
        code="bucle-166",
    )


def _dtype_name(name: str, dtype: "pl.DataType") -> str:
    import polars as pl  # noqa: PLC0415  (the frame brought it)

    if isinstance(dtype, pl.Datetime):
        zone = f", {dtype.time_zone}" if dtype.time_zone else ""
        return f"Datetime[{dtype.time_unit}{zone}]"
    if isinstance(dtype, pl.Duration):
        return f"Duration[{dtype.time_unit}]"
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return "String"
    if isinstance(dtype, pl.Decimal):
        return "Float64"
    if str(dtype) not in _PLAIN:
        raise PackageError(
            f"Cannot describe column {name!r} of type {dtype} in a signature",
            cause="numbers, words, yes/no, dates, moments and spans can be described",
            attempt=f"drop {name!r} from the features",
            code="bucle-166",
        )
    return str(dtype)


def _dtype(text: str) -> Any:
    import polars as pl  # noqa: PLC0415  (a frame is at hand)

    if text in _PLAIN:
        return getattr(pl, text)()
    found = _TIMED.fullmatch(text)
    if found is None:
        raise PackageError(
            f"Cannot read the type {text!r} in a signature",
            attempt="bucle run",
            code="bucle-160",
        )
    family, zone = found[1], found[3]
    unit: Any = found[2]
    return pl.Datetime(unit, zone) if family == "Datetime" else pl.Duration(unit)


def _fits(actual: "pl.DataType", wanted: str) -> bool:
    """Tell whether a type may stand for the one in the signature."""
    import polars as pl  # noqa: PLC0415  (a frame is at hand)

    expected = _dtype(wanted)
    if pl.Null in (actual, expected):
        return True
    if expected.is_numeric():
        return actual.is_numeric() or actual == pl.Boolean
    if expected == pl.Boolean:
        return actual == pl.Boolean
    if expected == pl.String:
        return actual in (pl.String, pl.Categorical, pl.Enum)
    if expected in (pl.Date, pl.Datetime):
        return actual in (pl.Date, pl.Datetime)
    return bool(actual == expected or type(actual) is type(expected))


def _cast(column: "pl.Series", feature: Feature) -> "pl.Series":
    import polars as pl  # noqa: PLC0415  (a frame is at hand)

    wanted = _dtype(feature.dtype)
    if wanted in (pl.Null, column.dtype):
        return column
    try:
        cast = column.cast(wanted)
        changed = wanted.is_integer() and not (
            cast.cast(pl.Float64).eq_missing(column.cast(pl.Float64)).all()
        )
    except pl.exceptions.PolarsError as error:
        raise _lossy(column, feature) from error
    if changed:
        raise _lossy(column, feature)
    return cast


def _lossy(column: "pl.Series", feature: Feature) -> PackageError:
    return PackageError(
        "Cannot predict these rows: they do not fit the model's signature",
        cause=f"column {feature.name!r} holds {column.dtype} values that are no {feature.dtype}",
        code="bucle-166",
    )
