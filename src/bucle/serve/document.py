"""JSON of protocols that are not our own: read whole, each name once, and what it holds bounded.

Their clients write `NaN` where JSON has no word for it, so it is read here and judged later by
the column it stands in. Imports nothing heavy.
"""

import json
from typing import Any, TypeVar

import msgspec

from bucle.serve.problems import ProblemError

__all__ = ["read_document", "require_type"]

_Wanted = TypeVar("_Wanted")


def read_document(body: bytes, *, example: str) -> Any:
    """Return what a body holds.

    Args:
        body: JSON in UTF-8.
        example: What a client could have sent instead.

    Raises:
        ProblemError: It is no JSON, or names a field of an object twice.
    """
    twins: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found) and not twins:
            names = [name for name, _ in found]
            twins.append(next(name for name in names if names.count(name) > 1))
        return made

    try:
        read = json.loads(body.decode(), object_pairs_hook=pairs)
    except RecursionError:
        raise _unreadable("it is nested too deeply", example) from None
    except ValueError as error:
        raise _unreadable(str(error)[:200], example) from None
    if twins:
        raise _unreadable(f"{twins[0][:80]!r} is there twice", example)
    return read


def require_type(read: Any, wanted: type[_Wanted], *, example: str) -> _Wanted:
    """Return what was read as a value of a type.

    Raises:
        ProblemError: It is something else.
    """
    try:
        return msgspec.convert(read, wanted)
    except msgspec.ValidationError as error:
        raise ProblemError(
            422,
            "Cannot read the request",
            cause=str(error)[:200],
            attempt=example,
            code="bucle-346",
        ) from None


def _unreadable(cause: str, example: str) -> ProblemError:
    return ProblemError(
        400, "Cannot read the request", cause=cause, attempt=example, code="bucle-346"
    )
