"""The bodies of requests that a load sends: rows that were given, or typical ones of a model.

Imports nothing heavy until typical rows are asked for.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from bucle.errors import RequestError, UsageError
from bucle.models.package import Package
from bucle.models.signature import dtypes_of

__all__ = ["bodies_of", "read_lines", "read_row", "typical_rows"]

_MOST_BODIES = 1000
_MOST_BYTES = 64_000_000


def typical_rows(package: Package | None) -> list[bytes]:
    """Return rows as JSON that are typical of what a model was fitted on.

    Each value was seen, or lies between two that were, so the contract's rules let it pass.

    Raises:
        RequestError: There is no model.
    """
    if package is None:
        raise RequestError(
            "Cannot load: there is no champion to make typical rows of",
            attempt="bucle run",
            code="bucle-366",
        )
    from bucle.models.profile import sample_rows  # noqa: PLC0415  (heavy)

    rows = sample_rows(package.profile, dtypes_of(package.signature)).to_dicts()
    first = rows[0]
    return [
        msgspec.json.encode({name: _or(row[name], first[name]) for name in row}) for row in rows
    ]


def read_row(text: str) -> list[bytes]:
    """Return one row that was given as JSON.

    Raises:
        UsageError: It is no object.
    """
    return [_object(text.encode("utf-8", "surrogateescape"), where="--row")]


def read_lines(content: bytes, *, where: str) -> list[bytes]:
    """Return the rows of JSON lines.

    Raises:
        UsageError: A line is no object, or there is none.
    """
    rows = [
        _object(line, where=f"{where}:{number}")
        for number, line in enumerate(content.splitlines(), 1)
        if line.strip()
    ]
    if not rows:
        raise UsageError("Cannot load with no rows", cause="the file is empty", where=where)
    return rows


def bodies_of(rows: Sequence[bytes], *, count: int) -> tuple[bytes, ...]:
    """Return bodies of so many rows each that go through all rows again and again.

    One row is sent as an object, several as a list; there are at most 1,000 bodies and 64 MB.

    Raises:
        UsageError: One body alone would be larger.

    Example:
        >>> bodies_of([b"{}"], count=1), bodies_of([b"1", b"2", b"3"], count=2)
        ((b'{}',), (b'[1,2]', b'[3,1]', b'[2,3]'))
    """
    bodies: list[bytes] = []
    size = 0
    for number in range(min(len(rows), _MOST_BODIES)):
        first = number * count
        chosen = [rows[at % len(rows)] for at in range(first, first + count)]
        if sum(map(len, chosen)) > _MOST_BYTES:
            raise UsageError(
                f"Cannot send {count:,} rows in one request",
                cause=f"they are more than {_MOST_BYTES:,} bytes",
                attempt="bucle load --rows 1",
            )
        bodies.append(chosen[0] if count == 1 else b"[" + b",".join(chosen) + b"]")
        size += len(bodies[-1])
        if size > _MOST_BYTES:
            break
    return tuple(bodies)


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value


def _object(text: bytes, *, where: str) -> bytes:
    try:
        text.decode("utf-8")
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            "Cannot read a row: it is no JSON object",
            cause=str(error),
            where=where,
            attempt="bucle load --row '{\"field\": 1}'",
        ) from error
    return text.strip()
