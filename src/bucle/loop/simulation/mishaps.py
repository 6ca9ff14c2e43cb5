"""What goes wrong in a simulation: which mishaps there are, when, and how people write them.

Pure. Imports nothing heavy.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from bucle.clock import from_iso
from bucle.errors import RequestError, nearest

__all__ = [
    "BOOKS_STILL",
    "KILL",
    "MISHAPS",
    "Mishap",
    "Trap",
    "parse_mishap",
    "usual_mishaps",
    "usual_traps",
]

KILL = "worker-killed"
BOOKS_STILL = "books-still"
MISHAPS = {
    "labels-x100": "the books say a hundred times too much of what was earned",
    "no-labels": "nobody tells what becomes of the items",
    BOOKS_STILL: "the books are no longer exported: the loop gets no new rows",
    KILL: "the process that answers is killed",
}
"""What can go wrong in any world; a world may know more."""

_FORM = re.compile(r"([a-z][a-z0-9-]*):(\d+|\d{4}-\d\d-\d\d)(?:\.\.(\d+|\d{4}-\d\d-\d\d))?")


class Mishap(Struct, frozen=True, kw_only=True):
    """One thing that goes wrong, from a moment on and before another; `told` is for people.

    What is `hidden` ends as soon as somebody looks for the reason of a rollback.
    """

    kind: str
    start: datetime
    end: datetime
    told: str = ""
    hidden: bool = False

    def covers(self, moment: datetime) -> bool:
        """Tell whether it goes on at a moment."""
        return self.start <= moment < self.end


class Trap(Struct, frozen=True, kw_only=True):
    """A hidden mishap that waits until so many new champions have come."""

    kind: str
    champions: int
    told: str = ""

    def spring(self, day: datetime, *, last: datetime) -> Mishap:
        """Return the mishap that begins on a day, and is over at a last moment."""
        return Mishap(kind=self.kind, start=day, end=last, told=self.told, hidden=True)


def parse_mishap(text: str, *, start: datetime, known: Mapping[str, str]) -> Mishap:
    """Read `KIND:FROM..TO`: days since the start, or dates; both ends are included.

    Args:
        text: What was written; without `..TO` it lasts a day.
        start: The first day of the simulation, which is day 0.
        known: What can happen, in words by kind.

    Raises:
        RequestError: It is none (bucle-431).

    Example:
        >>> first = from_iso("2024-10-07")
        >>> parse_mishap("no-labels:10..19", start=first, known=MISHAPS).end.isoformat()
        '2024-10-27T00:00:00+00:00'
    """
    found = _FORM.fullmatch(text)
    cause, kind = "it is written KIND:FROM..TO, with days or dates", ""
    if found is not None:
        kind = found[1]
        try:
            begin = _moment(found[2], start)
            end = _moment(found[3] or found[2], start) + timedelta(days=1)
            if kind in known and begin < end:
                return Mishap(kind=kind, start=begin, end=end, told=known[kind])
            cause = "it would end before it begins"
        except (ValueError, OverflowError) as error:
            cause = str(error)
        if kind not in known:
            cause = "what can go wrong here: " + ", ".join(known)
    raise RequestError(
        f"Cannot let {text!r} happen",
        cause=cause,
        did_you_mean=nearest(kind, list(known)) if kind and kind not in known else (),
        attempt=f"--fault {next(iter(known))}:40..60",
        code="bucle-431",
    )


def usual_mishaps(start: datetime, days: int, *, shocks: Mapping[str, str]) -> tuple[Mishap, ...]:
    """Return what goes wrong in a simulation that asked for nothing else.

    Each falls on the same share of the time, however long that is. `usual_traps` are the others.

    Args:
        start: The first day.
        days: How many there are.
        shocks: What can befall the world, in words by kind; the first one has come shortly before
            the first day, and stays.
    """
    planned = [
        *[(shock, -0.24, 1.0) for shock in list(shocks)[:1]],
        (KILL, 0.05, 0.0),
        ("no-labels", 0.20, 0.23),
        ("labels-x100", 0.91, 0.95),
    ]
    told = {**MISHAPS, **shocks}
    found = []
    for kind, first, last in planned:
        begin = start + timedelta(days=round(first * days))
        length = max(1, round(max(0.0, last - first) * days))
        end = begin + timedelta(days=length)
        found.append(Mishap(kind=kind, start=begin, end=end, told=told[kind]))
    return tuple(found)


def usual_traps(misprints: Mapping[str, str]) -> tuple[Trap, ...]:
    """Return what goes wrong once a new champion has come: the world's first misprint.

    The next model is made from wrong books, and the gate sees the same books. Once it is champion
    the books stand still, so that no other one takes its place: labels alone tell, and to go back
    is all that is left to do. Then somebody looks at the books.

    Args:
        misprints: What can go wrong with the world's books, in words by kind.
    """
    wrong = [Trap(kind=kind, champions=1, told=told) for kind, told in misprints.items()][:1]
    still = Trap(kind=BOOKS_STILL, champions=2, told=MISHAPS[BOOKS_STILL])
    return (*wrong, still) if wrong else ()


def _moment(text: str, start: datetime) -> datetime:
    return start + timedelta(days=int(text)) if text.isdigit() else from_iso(text)
