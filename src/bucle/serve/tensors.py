"""Tensors of the Open Inference Protocol: JSON or binary in, columns out, and back.

A tensor holds one column, or all of them where every feature is a number. Nothing is believed
that a tensor says of itself: shape, datatype and bytes have to agree. Imports nothing heavy.
"""

import math
import struct
from collections.abc import Container, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bucle.serve.problems import BadRow, ProblemError, RowsRefusedError

__all__ = ["Tensor", "as_tensor", "datatype_of", "pack", "read_tensors", "to_columns"]

_FORMATS = {
    "BOOL": "B",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
_INTEGERS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
_DTYPES = {
    "Boolean": "BOOL",
    "Float32": "FP32",
    "Float64": "FP64",
    **dict(zip(_INTEGERS, map(str.upper, _INTEGERS), strict=True)),
}
_LENGTH = struct.Struct("<I")
_TWO = 2


class Tensor(Struct, frozen=True, kw_only=True):
    """One tensor of a request; without `data` its values follow the JSON as bytes."""

    name: str
    shape: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=8)]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: list[Any] | UnsetType = UNSET


def datatype_of(dtype: str) -> str:
    """Return the datatype that a column of a type is described by.

    Example:
        >>> datatype_of("Int32"), datatype_of("Date")
        ('INT32', 'BYTES')
    """
    return _DTYPES.get(dtype, "BYTES")


def read_tensors(
    tensors: Sequence[Tensor], binary: bytes, *, known: Container[str]
) -> list[list[Any]]:
    """Return the values of each tensor, flat.

    Args:
        tensors: As the JSON of the request describes them.
        binary: What follows that JSON.
        known: The names of the model's fields; no other one is named as a field.

    Raises:
        ProblemError: Shape, datatype, size and values of a tensor do not agree.
    """
    found, place = [], 0
    for tensor in tensors:
        if tensor.datatype not in _FORMATS and tensor.datatype != "BYTES":
            known = ", ".join((*_FORMATS, "BYTES"))
            raise _wrong(tensor, f"its datatype is {tensor.datatype[:20]!r}, not one of {known}")
        given = tensor.parameters or {}
        field = tensor.name if tensor.name in known else ""
        if "shared_memory_region" in given:
            raise _wrong(tensor, "its values are in shared memory, which this server does not read")
        if given.get("content_type") == "base64":
            raise _wrong(tensor, "its values are base64; texts come as they are")
        if tensor.data is not UNSET:
            found.append(_listed(tensor, tensor.data, field))
            continue
        size = given.get("binary_data_size")
        if type(size) is not int or size < 0:
            raise _wrong(tensor, "it has neither data nor binary_data_size")
        if place + size > len(binary):
            raise _wrong(tensor, f"{size} bytes are announced and {len(binary) - place} are there")
        found.append(_unpacked(tensor, binary[place : place + size], field))
        place += size
    if place != len(binary):
        raise ProblemError(
            422,
            "Cannot read the tensors",
            cause=f"{len(binary) - place} bytes belong to none",
            code="bucle-347",
        )
    return found


def to_columns(
    tensors: Sequence[Tensor], values: Sequence[Sequence[Any]], dtypes: Mapping[str, str]
) -> dict[str, Sequence[Any]]:
    """Return columns by name.

    A single tensor of as many columns as the model has features, all of them numbers, has them in
    the order of the signature. Any other one is a column of its name.

    Args:
        tensors: As they came.
        values: Of each, flat.
        dtypes: Name → type of each feature.

    Raises:
        ProblemError: A tensor is no column, or there are two of one name.
    """
    first = tensors[0]
    if len(tensors) == 1 and len(first.shape) == _TWO and _is_whole_row(first, dtypes):
        words = [name for name, dtype in dtypes.items() if "Int" not in dtype and "Fl" not in dtype]
        if words or first.datatype in {"BYTES", "BOOL"}:
            raise _wrong(first, f"one tensor holds numbers only; {words[:3]} are none: one each")
        width = len(dtypes)
        return {name: values[0][place::width] for place, name in enumerate(dtypes)}
    columns: dict[str, Sequence[Any]] = {}
    for tensor, own in zip(tensors, values, strict=True):
        if len(tensor.shape) > _TWO or tensor.shape[1:] not in ([], [1]):
            raise _wrong(tensor, f"its shape is {tensor.shape}; a column is [n] or [n, 1]")
        if tensor.name in columns:
            raise _wrong(tensor, "there are two of this name")
        columns[tensor.name] = own
    return columns


def as_tensor(dtype: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the datatype of a column, and its values as JSON and `pack` take them.

    A tensor knows no null: where a whole number or a yes/no is missing all are numbers.

    Example:
        >>> from datetime import date
        >>> as_tensor("Int8", [1, None]), as_tensor("Date", [date(2024, 1, 31)])
        (('FP64', [1, None]), ('BYTES', ['2024-01-31']))
    """
    datatype = datatype_of(dtype)
    if datatype == "BYTES":
        return datatype, [value if value is None else _word(value) for value in values]
    if None in values and not datatype.startswith("FP"):
        datatype = "FP64"
    return datatype, list(values)


def pack(datatype: str, values: Sequence[Any]) -> bytes:
    r"""Return values as the binary extension writes them; texts for BYTES.

    What is missing is NaN, or an empty text.

    Example:
        >>> pack("BYTES", ["ab"]), pack("FP64", [1.0])
        (b'\x02\x00\x00\x00ab', b'\x00\x00\x00\x00\x00\x00\xf0?')
    """
    if datatype == "BYTES":
        texts = [(value or "").encode() for value in values]
        return b"".join([_LENGTH.pack(len(text)) + text for text in texts])
    known = [math.nan if value is None else value for value in values]
    return struct.pack(f"<{len(known)}{_FORMATS[datatype]}", *known)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else str(msgspec.to_builtins(value))


def _is_whole_row(tensor: Tensor, dtypes: Mapping[str, str]) -> bool:
    return tensor.shape[1] == len(dtypes) and tensor.name not in dtypes


def _listed(tensor: Tensor, data: list[Any], field: str) -> list[Any]:
    """Return values that came as JSON, nested as the shape says or flat."""
    flat = data
    for length in tensor.shape[1:]:
        if not flat or type(flat[0]) is not list:
            break
        if any(type(part) is not list or len(part) != length for part in flat):
            raise _wrong(tensor, f"its lists are not nested as its shape {tensor.shape} says")
        flat = [value for part in flat for value in part]
    if len(flat) != math.prod(tensor.shape):
        raise _wrong(tensor, f"its shape is {tensor.shape} and it holds {len(flat)} values")
    _require_datatype(tensor, flat, field)
    return flat


def _require_datatype(tensor: Tensor, flat: list[Any], field: str) -> None:
    datatype = tensor.datatype
    low, high = _limits(datatype)
    for place, value in enumerate(flat):
        kind = type(value)
        if value is None:
            continue
        if datatype == "BYTES":
            fits = kind is str
        elif datatype == "BOOL":
            fits = kind is bool
        elif datatype.startswith("FP"):
            fits = kind is float or kind is int
        else:
            fits = kind is int and low <= value <= high
        if not fits:
            row = place // math.prod(tensor.shape[1:])
            raise RowsRefusedError(
                [BadRow.of(row, field, value=_shown(value), rule=f"is no {datatype}")]
            )


def _shown(value: Any) -> str:
    return "a list" if isinstance(value, list | dict) else repr(value)[:80]


def _limits(datatype: str) -> tuple[int, int]:
    bits = int("".join(filter(str.isdigit, datatype)) or 1)
    if datatype.startswith("U"):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _unpacked(tensor: Tensor, content: bytes, field: str) -> list[Any]:
    """Return values that came as bytes."""
    count = math.prod(tensor.shape)
    if tensor.datatype == "BYTES":
        return _texts(tensor, content, count, field)
    letter = _FORMATS[tensor.datatype]
    if len(content) != count * struct.calcsize(f"<{letter}"):
        raise _wrong(tensor, f"{len(content)} bytes are not what its shape {tensor.shape} needs")
    values = list(struct.unpack(f"<{count}{letter}", content))
    if tensor.datatype == "BOOL":
        if any(value > 1 for value in values):
            raise _wrong(tensor, "a BOOL is a byte of 0 or 1")
        return [value == 1 for value in values]
    return values


def _texts(tensor: Tensor, content: bytes, count: int, field: str) -> list[str]:
    found: list[str] = []
    place = 0
    while place + _LENGTH.size <= len(content) and len(found) < count:
        (length,) = _LENGTH.unpack_from(content, place)
        place += _LENGTH.size
        if place + length > len(content):
            break
        try:
            found.append(content[place : place + length].decode())
        except UnicodeDecodeError:
            raise RowsRefusedError(
                [BadRow.of(len(found), field, rule="is no text in UTF-8")]
            ) from None
        place += length
    if place != len(content) or len(found) != count:
        raise _wrong(tensor, f"its bytes are not the {count} texts of its shape {tensor.shape}")
    return found


def _wrong(tensor: Tensor, cause: str) -> ProblemError:
    return ProblemError(
        422,
        f"Cannot read tensor {tensor.name[:80]!r}",
        cause=cause,
        attempt='{"name": FIELD, "shape": [1], "datatype": "FP64", "data": [1.5]} for each field',
        code="bucle-347",
    )
