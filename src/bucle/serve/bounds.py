"""Limits of dates, moments, times of day and spans, which the decoder of rows cannot check itself.

Costs nothing for a model whose contract has none. Imports msgspec and nothing heavy.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from bucle.models.rules import Limit, Rule, moment_of
from bucle.models.signature import Signature
from bucle.serve.problems import BadRow

__all__ = ["Bounds", "describe_limit"]

_KINDS = {
    "Date": "a date",
    "Datetime": "a moment",
    "Time": "a time",
    "Duration": "a span",
}
_BREAKS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("least", ">=", operator.lt),
    ("above", ">", operator.le),
    ("most", "<=", operator.gt),
    ("below", "<", operator.ge),
)


class _Bound(Struct, frozen=True):
    at: int
    name: str
    limit: Any
    breaks: Callable[[Any, Any], bool]
    rule: str


class Bounds:
    """The limits of one model's columns of time.

    Args:
        signature: What the model takes.
        rules: What the contract says of its columns.
    """

    def __init__(self, signature: Signature, rules: Mapping[str, Rule]) -> None:
        self._bounds: list[_Bound] = []
        for at, feature in enumerate(signature.features):
            rule = rules.get(feature.name)
            for part, sign, breaks in _BREAKS if rule is not None else ():
                said: Limit | None = getattr(rule, part)
                limit = moment_of(said, feature.dtype)
                if limit is not None:
                    words = f"Expected {_KINDS[feature.dtype.partition('[')[0]]} {sign} {said}"
                    self._bounds.append(_Bound(at, feature.name, limit, breaks, words))

    def __bool__(self) -> bool:
        return bool(self._bounds)

    def broken(self, rows: Sequence[Sequence[Any]], *, most: int) -> list[tuple[int, BadRow]]:
        """Return the first rows that break a limit, by number, and what is wrong with each.

        Args:
            rows: Values in the order of the signature.
            most: How many to return.
        """
        found: list[tuple[int, BadRow]] = []
        for number, row in enumerate(rows):
            for bound in self._bounds:
                value = row[bound.at]
                if value is not None and bound.breaks(value, bound.limit):
                    shown = msgspec.json.encode(value).decode()
                    found.append(
                        (number, BadRow.of(None, bound.name, value=shown, rule=bound.rule))
                    )
                    break
            if len(found) == most:
                break
        return found


def describe_limit(limit: Limit) -> str:
    """Return a limit as people read it."""
    return limit if isinstance(limit, str) else f"{limit:g}"
