"""What the prediction log holds: predictions and feedback, and how each is written.

MessagePack, because it is smaller and faster than JSON here and keeps NaN. Fields are written in
their order, so a new field goes last and has a default. Many rows of one request are one record,
written by column. Imports nothing heavy.
"""

import os
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from bucle.serve.moments import micros

__all__ = [
    "LOAD_REQUEST",
    "Feedback",
    "Prediction",
    "PredictionColumns",
    "PredictionIds",
    "Record",
    "count_records",
    "decode",
    "encode",
    "encode_together",
    "is_prediction",
    "take_apart",
]

LOAD_REQUEST = "bucle-load"
"""What `bucle load` calls its requests, so that nobody takes them for those of people."""

_TOGETHER = 64
_COUNTED = 1 << 16
_POOL_BYTES = 8192
_LENGTH = 34
_CHANCE = 16
_ENDS = tuple(map("{:02x}".format, range(256)))


class Prediction(Struct, frozen=True, kw_only=True, array_like=True, tag="p", gc=False):
    """An answer, or what a shadow would have answered.

    `at` is when it was answered, in microseconds since 1970 in UTC; `features` the row as JSON;
    `of` the id of the answer that a shadow's prediction stands beside; `low` and `high` its
    interval; `key` what decided between champion and canary; `request` the client's own id.
    """

    id: str
    at: int
    model: str
    role: Literal["champion", "canary", "shadow"]
    prediction: float
    features: bytes = b"{}"
    of: str = ""
    low: float | None = None
    high: float | None = None
    key: str | None = None
    request: str = ""
    latency_us: int = 0


class Feedback(Struct, frozen=True, kw_only=True, array_like=True, tag="f"):
    """The truth about a prediction, as somebody told it.

    `id` is the prediction's, `at` when the label arrived and `label_time` when the truth became
    known, both in microseconds since 1970 in UTC; `label` is a JSON value in canonical form;
    `source` says who told it.
    """

    id: str
    at: int
    label: str
    label_time: int | None = None
    source: str = ""


class PredictionColumns(Struct, frozen=True, kw_only=True, array_like=True, tag="c", gc=False):
    """The answers to several rows of one request, by column; what they share is there once.

    `first` is the id of the first row, and those of the others are the ones that `PredictionIds`
    takes with it. `fields` names what a row holds and `columns` are their values, as a list of
    lists in MessagePack or, where that cannot say the same, in JSON. `low`, `high` and `key` are
    None where no row has one. The rest is as in `Prediction`.
    """

    first: str
    at: int
    model: str
    role: Literal["champion", "canary", "shadow"]
    prediction: Sequence[float]
    fields: tuple[str, ...]
    columns: bytes
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    key: Sequence[str | None] | None = None
    request: str = ""
    latency_us: int = 0

    def __len__(self) -> int:
        """Return how many rows it answers."""
        return len(self.prediction)


Record = Prediction | Feedback


class _Several(Struct, frozen=True, array_like=True, tag="m"):
    """Records that were kept together, and cost less so."""

    records: list[Prediction | Feedback]


encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Prediction | Feedback | _Several | PredictionColumns] = (
    msgspec.msgpack.Decoder(Prediction | Feedback | _Several | PredictionColumns)
)
_encode_row = msgspec.json.Encoder().encode


def encode_together(records: Sequence[Record | PredictionColumns]) -> list[bytes]:
    """Return the contents that hold some records, in their order: up to 64 of them in one."""
    if len(records) == 1:
        return [encode(records[0])]
    if PredictionColumns not in set(map(type, records)):
        single = cast("Sequence[Record]", records)
        return [
            encode(_Several(list(single[first : first + _TOGETHER])))
            for first in range(0, len(single), _TOGETHER)
        ]
    contents: list[bytes] = []
    for kind, some in groupby(records, key=type):
        found = list(some)
        contents += map(encode, found) if kind is PredictionColumns else encode_together(found)
    return contents


def count_records(records: Sequence[Record | PredictionColumns]) -> int:
    """Return how many records those are, each row of many counted."""
    if PredictionColumns not in set(map(type, records)):
        return len(records)
    return sum([len(one) if isinstance(one, PredictionColumns) else 1 for one in records])


def take_apart(record: PredictionColumns) -> tuple[Prediction, ...]:
    """Return each row's answer as a record of its own.

    Raises:
        ValueError: The columns are not of one length, or there is no such id.
    """
    content = record.columns
    columns: list[list[Any]] = (
        msgspec.json.decode(content, type=list[list[Any]])
        if content[:1] == b"["  # No list in MessagePack begins so.
        else msgspec.msgpack.decode(content, type=list[list[Any]])
    )
    count = len(record)
    nothing = [None] * count
    if not is_prediction(record.first) or len(columns) != len(record.fields):
        raise ValueError("not the columns of predictions")
    ids = _take(int(record.first[2:18], 16), count, record.first[18:])
    rows = zip(*columns, strict=True) if columns else [()] * count
    return tuple(
        Prediction(
            id=name,
            at=record.at,
            model=record.model,
            role=record.role,
            prediction=prediction,
            features=_encode_row(dict(zip(record.fields, row, strict=True))),
            low=low,
            high=high,
            key=key,
            request=record.request,
            latency_us=record.latency_us,
        )
        for name, row, prediction, low, high, key in zip(
            ids,
            rows,
            record.prediction,
            nothing if record.low is None else record.low,
            nothing if record.high is None else record.high,
            nothing if record.key is None else record.key,
            strict=True,
        )
    )


def decode(content: bytes) -> tuple[Record, ...]:
    """Read records; none when they are of a kind that this version does not know.

    Example:
        >>> decode(encode(Feedback(id="p-1", at=0, label="12.5")))[0].label
        '12.5'
    """
    try:
        found = _decoder.decode(content)
        if isinstance(found, PredictionColumns):
            return take_apart(found)
    except (msgspec.MsgspecError, ArithmeticError, RecursionError, TypeError, ValueError):
        return ()
    return tuple(found.records) if isinstance(found, _Several) else (found,)


def is_prediction(text: str) -> bool:
    """Tell whether a text has the form of a prediction's id.

    Example:
        >>> is_prediction("p-0192d3a4b5c600000123456789abcdef"), is_prediction("p-../x")
        (True, False)
    """
    return (
        len(text) == _LENGTH
        and text.startswith("p-")
        and all(letter in "0123456789abcdef" for letter in text[2:])
    )


class PredictionIds:
    """Makes ids that sort by the time they were made and cannot be guessed.

    An id is `p-` and 32 hexadecimal digits: 12 of milliseconds since 1970, 4 of a count within
    them, 16 of chance, which ids that are taken together share. Those of one maker only rise, also
    when the clock is set back. A process that was forked off draws other ones. For one thread.

    Example:
        >>> ids = PredictionIds()
        >>> first, second = ids.take(2)
        >>> is_prediction(first), first < second
        (True, True)
    """

    def __init__(self) -> None:
        self._last = 0
        self._pool = ""
        self._place = 0
        os.register_at_fork(after_in_child=self._forget)

    def take(self, count: int = 1, *, now_ms: int | None = None) -> tuple[str, ...]:
        """Return fresh ids in rising order.

        Args:
            count: How many.
            now_ms: Milliseconds since 1970; None asks the machine.
        """
        moment = micros() // 1000 if now_ms is None else now_ms
        first = max(moment * _COUNTED, self._last + 1)
        self._last = first + count - 1
        start = self._place
        if start + _CHANCE > len(self._pool):
            self._pool = os.urandom(_POOL_BYTES).hex()
            start = 0
        self._place = start + _CHANCE
        chance = self._pool[start : start + _CHANCE]
        if count == 1:
            return (f"p-{first:016x}{chance}",)
        return tuple(_take(first, count, chance))

    def _forget(self) -> None:
        """Draw anew: two processes must not share what was drawn before they parted."""
        self._pool = ""
        self._place = 0


def _take(first: int, count: int, chance: str) -> list[str]:
    """Return ids that count from a number, 256 of them with one head."""
    found: list[str] = []
    while count > 0:
        head, low = f"p-{first >> 8:014x}", first & 255
        # Joined and split again: a hundred in half the time of a hundred joins.
        found += f"{head}{f'{chance} {head}'.join(_ENDS[low : low + count])}{chance}".split()
        first, count = first + 256 - low, count - 256 + low
    return found
