"""Columns of Arrow: which types are read, and how their bytes become values.

Each value is made from bytes that are there; a place that leads out of them is malformed. Imports
nothing heavy.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from msgspec import Struct

from bucle.serve.flatbuffer import MalformedError, Table

__all__ = ["Kind", "Validity", "decode", "kind_of"]

_MICROSECONDS = (1_000_000, 1_000, 1)
_NANOSECONDS = 3
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (a moment without a zone)
_INLINE = 12
_WHOLE = {8: "b", 16: "h", 32: "i", 64: "q"}
_FLOATS = ("e", "f", "d")


class Kind(Struct, frozen=True, kw_only=True):
    """What a column holds.

    `family` is what its values are; `form` how one is packed, in the words of `struct`, and `size`
    in how many bytes. `unit` is that of a time: 0 seconds, 1 milli-, 2 micro-, 3 nanoseconds.
    """

    family: str
    form: str = ""
    size: int = 0
    unit: int = 0
    zoned: bool = False

    @property
    def is_null(self) -> bool:
        """Whether there is nothing but null, and no buffer."""
        return self.family == "null"

    @property
    def is_view(self) -> bool:
        """Whether texts stand in buffers of any number."""
        return self.form == "view"

    @property
    def parts(self) -> int:
        """How many buffers there are beside that of the nulls, without those of a view."""
        return 0 if self.is_null else (2 if self.form in {"text", "large text"} else 1)


class Validity(Struct, frozen=True):
    """Which of the rows of a batch are null: a bit each, 1 for a value."""

    bits: memoryview | None
    rows: int
    nulls: int

    def apply(self, values: Sequence[Any]) -> list[Any]:
        """Return values with None where there is none."""
        known = self.known()
        if known is None:
            return list(values)
        return [value if there else None for value, there in zip(values, known, strict=True)]

    def known(self) -> list[bool] | None:
        """Return for each row whether there is a value; None where all have one."""
        if self.bits is None or not self.nulls or not len(self.bits):
            return None
        return _bits(self.bits, self.rows)


def kind_of(number: int, details: Table | None) -> Kind | None:
    """Return a type by its number in Arrow's format; None for one that is not read."""
    if details is None:
        raise MalformedError("a column has no type")
    read = _KINDS.get(number)
    return read(details) if read else None


def decode(
    kind: Kind, parts: Sequence[memoryview], validity: Validity, *, text_left: int
) -> list[Any]:
    """Return the values of a column in one batch.

    Args:
        kind: What it holds.
        parts: Its buffers, without that of the nulls.
        validity: Its rows, and which are null.
        text_left: How many bytes all its texts may take.

    Raises:
        MalformedError: The buffers are not what the type needs.
    """
    rows = validity.rows
    if kind.is_null:
        return [None] * rows
    if kind.is_view:
        return _views(parts, validity, text_left)
    if kind.family == "text":
        return _texts(kind, parts, validity)
    if kind.family == "flag":
        return validity.apply(_bits(parts[0], rows))
    if len(parts[0]) < rows * kind.size:
        raise MalformedError("a column is shorter than its batch")
    raw = struct.unpack_from(f"<{rows}{kind.form}", parts[0])
    make = _MAKERS.get(kind.family)
    if make is None:
        return validity.apply(raw)
    known = validity.known() or [True] * rows
    try:
        return [
            make(kind, value) if there else None for value, there in zip(raw, known, strict=True)
        ]
    except (OverflowError, ValueError):
        raise MalformedError(f"a {kind.family} is beyond the years 1 to 9999") from None


def _bits(content: memoryview, rows: int) -> list[bool]:
    needed = (rows + 7) // 8
    if len(content) < needed:
        raise MalformedError("a column is shorter than its batch")
    return [byte >> place & 1 == 1 for byte in content[:needed] for place in range(8)][:rows]


def _texts(kind: Kind, parts: Sequence[memoryview], validity: Validity) -> list[Any]:
    offsets, content = parts
    rows = validity.rows
    if not rows:
        return []
    if len(offsets) < (rows + 1) * kind.size:
        raise MalformedError("a column is shorter than its batch")
    places = struct.unpack_from(f"<{rows + 1}{'q' if kind.size == 8 else 'i'}", offsets)  # noqa: PLR2004
    if any(start > end for start, end in pairwise(places)):
        raise MalformedError("a text ends before it begins")
    if places[0] < 0 or places[-1] > len(content):
        raise MalformedError("a text is not within its column")
    known = validity.known() or [True] * rows
    return [
        _text(content[start:end]) if there else None
        for (start, end), there in zip(pairwise(places), known, strict=True)
    ]


def _views(parts: Sequence[memoryview], validity: Validity, text_left: int) -> list[Any]:
    views, *contents = parts
    if len(views) < 16 * validity.rows:
        raise MalformedError("a column is shorter than its batch")
    known = validity.known() or [True] * validity.rows
    found: list[Any] = []
    for row, there in enumerate(known):
        if not there:
            found.append(None)
            continue
        length, _, number, offset = struct.unpack_from("<4i", views, 16 * row)
        if length < 0:
            raise MalformedError("a text has less than no letters")
        if length <= _INLINE:
            found.append(_text(views[16 * row + 4 : 16 * row + 4 + length]))
            continue
        if not 0 <= number < len(contents) or offset < 0 or offset + length > len(contents[number]):
            raise MalformedError("a text is not within its column")
        text_left -= length
        if text_left < 0:
            raise MalformedError("its texts say the same bytes too often")
        found.append(_text(contents[number][offset : offset + length]))
    return found


def _text(content: memoryview) -> str:
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError:
        raise MalformedError("a text is not in UTF-8") from None


def _day(kind: Kind, value: int) -> date:
    days = value if kind.size == 4 else value // 86_400_000  # noqa: PLR2004  (bytes)
    return date.fromordinal(_EPOCH_DAY + days)


def _span(kind: Kind, value: int) -> timedelta:
    whole = value // 1000 if kind.unit == _NANOSECONDS else value * _MICROSECONDS[kind.unit]
    return timedelta(microseconds=whole)


def _moment(kind: Kind, value: int) -> datetime:
    found = _EPOCH + _span(kind, value)
    return found.replace(tzinfo=UTC) if kind.zoned else found


def _clock(kind: Kind, value: int) -> time:
    found = _EPOCH + _span(kind, value)
    if found.date() != _EPOCH.date():
        raise ValueError(value)
    return found.time()


_MAKERS: dict[str, Callable[[Kind, Any], Any]] = {
    "date": _day,
    "moment": _moment,
    "span": _span,
    "time": _clock,
}


def _whole(details: Table) -> Kind | None:
    bits = details.number(0, "<i", default=0)
    form = _WHOLE.get(bits)
    if form is None:
        return None
    signed = details.number(1, "<B", default=0)
    return Kind(family="whole", form=form if signed else form.upper(), size=bits // 8)


def _float(details: Table) -> Kind | None:
    precision = details.number(0, "<h", default=0)
    if not 0 <= precision < len(_FLOATS):
        return None
    return Kind(family="number", form=_FLOATS[precision], size=2 << precision)


def _date(details: Table) -> Kind:
    in_days = details.number(0, "<h", default=1) == 0
    return Kind(family="date", form="i" if in_days else "q", size=4 if in_days else 8)


def _timed(family: str, *, default: int) -> Callable[[Table], Kind | None]:
    def read(details: Table) -> Kind | None:
        unit = details.number(0, "<h", default=default)
        if not 0 <= unit <= _NANOSECONDS:
            return None
        zoned = family == "moment" and bool(details.text(1))
        bits = details.number(1, "<i", default=32) if family == "time" else 64
        if bits not in {32, 64}:
            return None
        return Kind(family=family, form=_WHOLE[bits], size=bits // 8, unit=unit, zoned=zoned)

    return read


def _always(kind: Kind) -> Callable[[Table], Kind]:
    return lambda _: kind


_KINDS: dict[int, Callable[[Table], Kind | None]] = {
    1: _always(Kind(family="null")),
    2: _whole,
    3: _float,
    5: _always(Kind(family="text", form="text", size=4)),
    6: _always(Kind(family="flag")),
    8: _date,
    9: _timed("time", default=1),
    10: _timed("moment", default=0),
    18: _timed("span", default=1),
    20: _always(Kind(family="text", form="large text", size=8)),
    24: _always(Kind(family="text", form="view", size=16)),
}
