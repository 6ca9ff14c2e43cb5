"""FlatBuffers read with every place checked: what Arrow describes its messages with.

Nothing is believed of an offset or a length; what is out of bounds is malformed and never a crash.
Nothing is followed deeper than its reader asks. Imports nothing heavy.
"""

import struct

__all__ = ["MalformedError", "Table", "root"]

_LONGEST_TEXT = 1_000


class MalformedError(ValueError):
    """Bytes are not what they say they are."""


class Table:
    """One table of a buffer; fields are asked for by number and type.

    Args:
        data: The whole buffer.
        place: Where the table begins.

    Raises:
        MalformedError: No table is there.
    """

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self._place = place
        self._fields = place - _read(data, "<i", place)
        self._size = _read(data, "<H", self._fields)

    def number(self, field: int, form: str, *, default: int) -> int:
        """Return a number in a form of `struct`; the default where the field is left out."""
        place = self._at(field)
        return _read(self._data, form, place) if place else default

    def table(self, field: int) -> "Table | None":
        """Return a table, None where the field is left out."""
        place = self._at(field)
        return Table(self._data, place + _read(self._data, "<I", place)) if place else None

    def text(self, field: int) -> str:
        """Return a text, empty where the field is left out."""
        start, length = self._vector(field, 1)
        if length > _LONGEST_TEXT:
            # Tables may share a text, and each would make a copy of it.
            raise MalformedError(f"a name of {length} bytes is too long")
        try:
            return self._data[start : start + length].decode()
        except UnicodeDecodeError:
            raise MalformedError("a text is not in UTF-8") from None

    def tables(self, field: int, *, most: int) -> "list[Table]":
        """Return a list of tables."""
        start, length = self._vector(field, 4)
        if length > most:
            raise MalformedError(f"there are {length} of what there may be {most} of")
        places = range(start, start + 4 * length, 4)
        return [Table(self._data, place + _read(self._data, "<I", place)) for place in places]

    def rows(self, field: int, form: str) -> list[tuple[int, ...]]:
        """Return a list whose items are numbers in a form of `struct`."""
        width = struct.calcsize(form)
        start, length = self._vector(field, width)
        return list(struct.iter_unpack(form, self._data[start : start + length * width]))

    def _at(self, field: int) -> int:
        """Return where a field is, 0 where it is left out."""
        slot = 4 + 2 * field
        if slot + 2 > self._size:
            return 0
        offset = _read(self._data, "<H", self._fields + slot)
        return self._place + offset if offset else 0

    def _vector(self, field: int, width: int) -> tuple[int, int]:
        """Return where the items of a list begin, and how many there are."""
        place = self._at(field)
        if not place:
            return 0, 0
        start = place + _read(self._data, "<I", place)
        length = _read(self._data, "<I", start)
        if start + 4 + length * width > len(self._data):
            raise MalformedError("a list is longer than what holds it")
        return start + 4, length


def root(data: bytes) -> Table:
    """Return the table that a buffer is.

    Raises:
        MalformedError: It is none.
    """
    return Table(data, _read(data, "<I", 0))


def _read(data: bytes, form: str, place: int) -> int:
    # A negative place would be counted from the end.
    if place < 0 or place + struct.calcsize(form) > len(data):
        raise MalformedError("an offset leads out of it")
    (found,) = struct.unpack_from(form, data, place)
    return int(found)
