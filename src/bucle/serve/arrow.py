"""Arrow IPC read into columns: streams and files of flat columns, uncompressed.

Native readers of this format believe too much of what a stranger sends: crafted bytes make them
take memory without end, or end the process. This one takes flat columns only, checks every length
against the bytes that are there, and is bounded in what it makes of them. Imports nothing heavy.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from bucle.serve.arrow_types import Kind, Validity, decode, kind_of
from bucle.serve.columns import require_room
from bucle.serve.flatbuffer import MalformedError, Table, root
from bucle.serve.problems import ProblemError

__all__ = ["ArrowColumn", "read_arrow"]

_START, _END = b"ARROW1\0\0", b"ARROW1"
_BLOCK = "<qi4xq"
_CONTINUED = 0xFFFFFFFF
_INT = 2
_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3
_MOST_FIELDS = 5_000
_MOST_CELLS = 2_000_000
_MOST_TEXT = 32_000_000
_LITTLE = 0


class ArrowColumn(Struct, frozen=True):
    """One column: its values, and what they are by their type, such as `text` or `date`."""

    family: str
    values: list[Any]


class _Field(Struct, frozen=True):
    name: str
    kind: Kind
    dictionary: int | None = None
    index: Kind | None = None


class _Message(Struct, frozen=True):
    kind: int
    header: Table
    body: memoryview


def read_arrow(body: bytes) -> dict[str, ArrowColumn]:
    """Return the columns of a stream, or of a file.

    Args:
        body: All of it.

    Raises:
        ProblemError: It is malformed (400), or holds what is not read here or too much (422, 413).
    """
    try:
        return _Reader().read(body)
    except (MalformedError, struct.error) as error:
        raise ProblemError(
            400,
            "Cannot read the Arrow stream",
            cause=str(error),
            attempt="frame.write_ipc_stream(…) of polars, or pyarrow.ipc.new_stream(…)",
            code="bucle-350",
        ) from None


class _Reader:
    """What is known of a stream so far."""

    def __init__(self) -> None:
        self._fields: list[_Field] = []
        self._values: list[list[Any]] = []
        self._kinds: dict[int, Kind] = {}
        self._dictionaries: dict[int, list[Any]] = {}
        self._rows = 0
        self._text = 0

    def read(self, body: bytes) -> dict[str, ArrowColumn]:
        messages = _in_file(body) if body.startswith(_START) else _in_stream(body)
        first = next(messages, None)
        if first is None or first.kind != _SCHEMA:
            raise MalformedError("it does not begin with a schema")
        self._fields = _read_schema(first.header)
        self._values = [[] for _ in self._fields]
        self._kinds = {
            field.dictionary: field.kind for field in self._fields if field.dictionary is not None
        }
        for message in messages:
            if message.kind == _RECORDS:
                self._add(message.header, message.body)
            elif message.kind == _DICTIONARY:
                self._learn(message.header, message.body)
            else:
                raise MalformedError(f"a message is of kind {message.kind}")
        return {
            field.name: ArrowColumn(field.kind.family, values)
            for field, values in zip(self._fields, self._values, strict=True)
        }

    def _add(self, header: Table, body: memoryview) -> None:
        kinds = [field.index or field.kind for field in self._fields]
        for place, (field, values) in enumerate(
            zip(self._fields, self._batch(header, body, kinds), strict=True)
        ):
            found = values
            if field.dictionary is not None:
                found = self._look_up(self._dictionaries.get(field.dictionary, []), values)
            self._values[place] += found

    def _learn(self, header: Table, body: memoryview) -> None:
        """Take over the values that a dictionary stands for."""
        number = header.number(0, "<q", default=0)
        kind, batch = self._kinds.get(number), header.table(1)
        if kind is None or batch is None:
            raise MalformedError("a dictionary belongs to no column")
        (values,) = self._batch(batch, body, [kind])
        if header.number(2, "<B", default=0):
            self._dictionaries.setdefault(number, []).extend(values)
        else:
            self._dictionaries[number] = values

    def _batch(self, header: Table, body: memoryview, kinds: Sequence[Kind]) -> list[list[Any]]:
        """Return the values of each column of a batch."""
        if header.table(3) is not None:
            raise _unsupported("it is compressed", "write it without compression")
        rows = header.number(0, "<q", default=0)
        nodes = header.rows(1, "<qq")
        self._require_room(rows, len(kinds))
        if len(nodes) != len(kinds) or any(length != rows for length, _ in nodes):
            raise MalformedError("a batch does not fit its schema")
        buffers = _Buffers(header.rows(2, "<qq"), body)
        variadic = (count for (count,) in header.rows(4, "<q"))
        found = []
        for kind, (_, nulls) in zip(kinds, nodes, strict=True):
            valid = None if kind.is_null else buffers.next()
            parts = [buffers.next() for _ in range(kind.parts)]
            if kind.is_view:
                parts += [buffers.next() for _ in range(_bounded(next(variadic, 0), buffers.left))]
            validity = Validity(valid, rows, nulls)
            values = decode(kind, parts, validity, text_left=_MOST_TEXT - self._text)
            self._spend(values)
            found.append(values)
        return found

    def _require_room(self, rows: int, columns: int) -> None:
        if rows < 0:
            raise MalformedError("a batch has less than no rows")
        self._rows += rows
        require_room(self._rows)
        if self._rows * columns > _MOST_CELLS:
            raise _too_much(f"{_MOST_CELLS:,} values")

    def _look_up(self, known: Sequence[Any], places: Sequence[int | None]) -> list[Any]:
        for place in places:
            if place is not None and not 0 <= place < len(known):
                raise MalformedError("a value is not in its dictionary")
        values = [None if place is None else known[place] for place in places]
        self._spend(values)
        return values

    def _spend(self, values: Sequence[Any]) -> None:
        """Count what texts would take written out: a dictionary repeats them for nothing."""
        self._text += sum([len(value) for value in values if type(value) is str])
        if self._text > _MOST_TEXT:
            raise _too_much(f"{_MOST_TEXT:,} letters of text")


class _Buffers:
    """The pieces of a batch's body, one after the other."""

    def __init__(self, places: Sequence[tuple[int, ...]], body: memoryview) -> None:
        self._places = iter(places)
        self._body = body
        self.left = len(places)

    def next(self) -> memoryview:
        found = next(self._places, None)
        if found is None:
            raise MalformedError("a batch has too few buffers")
        self.left -= 1
        offset, length = found
        if offset < 0 or length < 0 or offset + length > len(self._body):
            raise MalformedError("a buffer is not within its batch")
        return self._body[offset : offset + length]


def _in_stream(body: bytes) -> Iterator[_Message]:
    """Yield the messages of a stream."""
    place = 0
    whole = memoryview(body)
    while place + 8 <= len(body):
        message, place = _message(whole, place)
        if message is None:
            return
        yield message
        place += -place % 8


def _in_file(body: bytes) -> Iterator[_Message]:
    """Yield the messages of a file, which its last bytes lead to."""
    end = len(body) - len(_END) - 4
    if end < 0 or not body.endswith(_END):
        raise MalformedError("it ends before a file does")
    (size,) = struct.unpack_from("<i", body, end)
    if not 0 < size <= end:
        raise MalformedError("its footer is not within it")
    footer = root(body[end - size : end])
    schema = footer.table(1)
    if schema is None:
        raise MalformedError("a file has no schema")
    whole = memoryview(body)
    yield _Message(_SCHEMA, schema, whole[:0])
    left = len(body)
    for place, size, length in (*footer.rows(2, _BLOCK), *footer.rows(3, _BLOCK)):
        # The same bytes are not read again and again.
        left -= size + length
        if min(place, size, length, left) < 0:
            raise MalformedError("a message is not within its file")
        message, _ = _message(whole, place)
        if message is not None:
            yield message


def _message(whole: memoryview, place: int) -> tuple[_Message | None, int]:
    """Return the message at a place, None at the end of a stream, and the place after it."""
    if place + 8 > len(whole):
        raise MalformedError("a message is cut short")
    continued, size = struct.unpack_from("<Ii", whole, place)
    if continued != _CONTINUED:
        raise MalformedError("no message begins where one should")
    place += 8
    if size == 0:
        return None, place
    if size < 0 or place + size > len(whole):
        raise MalformedError("a message is cut short")
    message = root(bytes(whole[place : place + size]))
    place += size
    length = message.number(3, "<q", default=0)
    if length < 0 or place + length > len(whole):
        raise MalformedError("a message is cut short")
    header = message.table(2)
    if header is None:
        raise MalformedError("a message says nothing")
    kind = message.number(1, "<B", default=0)
    return _Message(kind, header, whole[place : place + length]), place + length


def _read_schema(header: Table) -> list[_Field]:
    if header.number(0, "<h", default=_LITTLE) != _LITTLE:
        raise _unsupported("its numbers are big-endian", "write it on another machine")
    fields = [_read_field(one) for one in header.tables(1, most=_MOST_FIELDS)]
    names = {field.name for field in fields}
    if len(names) < len(fields):
        raise _unsupported("two columns have one name", "give each a name of its own")
    return fields


def _read_field(field: Table) -> _Field:
    name = field.text(0)
    kind = kind_of(field.number(2, "<B", default=0), field.table(3))
    if kind is None:
        raise _unsupported(
            f"column {name[:80]!r} is of a type that is not read",
            "numbers, text, yes/no, dates, moments, times and spans are read",
        )
    encoding = field.table(4)
    if encoding is None:
        return _Field(name, kind)
    own = encoding.table(1)
    index = kind_of(_INT, own) if own is not None else Kind(family="whole", form="i", size=4)
    if index is None:
        raise MalformedError("a dictionary is looked up by what is no whole number")
    return _Field(name, kind, encoding.number(0, "<q", default=0), index)


def _bounded(count: int, most: int) -> int:
    if not 0 <= count <= most:
        raise MalformedError("a column has more buffers than its batch")
    return count


def _unsupported(cause: str, attempt: str) -> ProblemError:
    return ProblemError(
        422, "Cannot read the Arrow stream", cause=cause, attempt=attempt, code="bucle-351"
    )


def _too_much(what: str) -> ProblemError:
    return ProblemError(
        413,
        "The Arrow stream holds too much",
        cause=f"a request may hold {what}",
        attempt="several requests, or bucle predict FILE for whole files",
        code="bucle-351",
    )
