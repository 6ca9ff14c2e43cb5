"""Faults to plant in history: what they do, and how people write them.

Imports nothing heavy; a fault is planted in a worker, see `history`.
"""

import re

from msgspec import Struct

from bucle.clock import from_iso, to_iso
from bucle.errors import RequestError
from bucle.loop.spans import Span, Unit

__all__ = ["Fault", "parse_fault"]

_FAULT = re.compile(
    r"labels-x(\d{1,9}(?:\.\d{1,9})?):(\d{4}(?:-\d\d){0,2})\.\.(\d{4}(?:-\d\d){0,2})"
)
_UNITS: dict[int, Unit] = {4: "y", 7: "mo", 10: "d"}


class Fault(Struct, frozen=True, kw_only=True):
    """Labels that arrive wrong: half of those that became known in a time are multiplied.

    `start` and `end` are ISO 8601 in UTC; a label that became known at `end` is right again.
    """

    text: str
    factor: float
    start: str
    end: str


def parse_fault(text: str) -> Fault:
    """Read a fault, such as `labels-x100:2013-03..2013-05`; both ends are included.

    Raises:
        RequestError: It is none (bucle-254).

    Example:
        >>> parse_fault("labels-x100:2013-03..2013-05").end
        '2013-06-01T00:00:00.000000Z'
    """
    found = _FAULT.fullmatch(text)
    try:
        fault = _fault(text, *found.groups()) if found else None
        cause = "it would change nothing"
    except ValueError as error:
        fault, cause = None, str(error)
    if fault is None or fault.factor == 1.0 or fault.start >= fault.end:
        raise RequestError(
            f"Cannot plant the fault {text!r}",
            cause=f"{cause if found else 'it is none that is known'}; "
            "a fault is labels-x<factor>:<from>..<to>",
            attempt="--fault labels-x100:2013-03..2013-05",
            code="bucle-254",
        )
    return fault


def _fault(text: str, factor: str, start: str, end: str) -> Fault:
    after = Span(count=1, unit=_UNITS[len(end)]).after(from_iso(_first(end)))
    return Fault(
        text=text, factor=float(factor), start=to_iso(from_iso(_first(start))), end=to_iso(after)
    )


def _first(text: str) -> str:
    """Return the first day of a year or month."""
    return text + "0001-01-01"[len(text) :]
