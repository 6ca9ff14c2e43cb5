"""Open a file of trees for scoring, after reading it against a short list of what it may hold.

ONNX can name files outside itself and hold other operators; a file of trees does neither. Every
field of every message is read and must be one that Bucle writes. Imports onnxruntime when a
session is opened, never onnx.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from bucle.errors import PackageError

__all__ = ["check_trees_file", "open_session"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST = 10  # bytes of a number
_MORE = 0x80

_Fields: TypeAlias = Mapping[int, "_Fields | None"]

# Field numbers of onnx.proto that a file of trees holds; None where nothing is below.
_SHAPE: _Fields = {1: {1: None, 2: None}}
_VALUE: _Fields = {1: None, 2: {1: {1: None, 2: _SHAPE}}}
_TENSOR: _Fields = {1: None, 2: None, 8: None, 9: None}
_ATTRIBUTE: _Fields = {1: None, 3: None, 5: _TENSOR, 8: None, 20: None}
_NODE: _Fields = {1: None, 2: None, 4: None, 5: _ATTRIBUTE, 7: None}
_GRAPH: _Fields = {1: _NODE, 2: None, 11: _VALUE, 12: _VALUE}
_MODEL: _Fields = {1: None, 7: _GRAPH, 8: {1: None, 2: None}}
_OPERATOR = {4: b"TreeEnsemble", 7: b"ai.onnx.ml"}


def open_session(content: bytes) -> Any:
    """Return an onnxruntime session of one thread on a file of trees.

    Raises:
        PackageError: The bytes hold anything but trees, or onnxruntime does not take them.
    """
    check_trees_file(content)
    # 0.2 s, only where a model is scored; it ships no types.
    import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class
        raise _refused(str(error)) from error


def check_trees_file(content: bytes) -> None:
    """Refuse a file that holds anything but trees as Bucle writes them.

    Raises:
        PackageError: A field, an operator or a reference to a file that has no place here.
    """
    operators = _walk(content, 0, len(content), _MODEL, "model")
    if operators != 1:
        raise _refused(f"{operators} operators instead of one")


def _walk(content: bytes, start: int, end: int, allowed: _Fields, name: str) -> int:
    """Check every field of a message; return how many operators are in it."""
    operators = 0
    seen: dict[int, bytes] = {}
    for field, low, high in _fields(content, start, end):
        if field not in allowed:
            raise _refused(f"field {field} of {name}")
        below = allowed[field]
        if below is not None:
            operators += _walk(content, low, high, below, f"{name}.{field}")
        elif allowed is _NODE:
            seen[field] = content[low:high]
    if allowed is _NODE:
        if any(seen.get(field) != wanted for field, wanted in _OPERATOR.items()):
            raise _refused(f"operator {seen.get(4, b'')[:40]!r}")
        operators += 1
    return operators


def _fields(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each field of a message."""
    at = start
    while at < end:
        key, at = _number(content, at, end)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            low = at
            while at < end and content[at] & _MORE:
                at += 1
            at += 1
        elif kind == _BYTES:
            size, low = _number(content, at, end)
            at = low + size
        elif kind in (_FIXED32, _FIXED64):
            low, at = at, at + (4 if kind == _FIXED32 else 8)
        else:
            raise _refused(f"a field of kind {kind}")
        if at > end:
            raise _refused("a field is cut off")
        yield field, low, at


def _number(content: bytes, at: int, end: int) -> tuple[int, int]:
    total = 0
    for place in range(_MOST):
        if at >= end:
            break
        byte = content[at]
        at += 1
        total |= (byte & 0x7F) << (7 * place)
        if not byte & _MORE:
            return total, at
    raise _refused("a number is cut off")


def _refused(cause: str) -> PackageError:
    return PackageError(
        "Cannot use the trees of a compiled model",
        cause=cause[:200],
        attempt="bucle run",
        code="bucle-312",
    )
