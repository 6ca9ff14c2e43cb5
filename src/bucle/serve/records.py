"""What the prediction log holds: predictions and feedback, and how each is written.

MessagePack, because it is smaller and faster than JSON here and keeps NaN. Fields are written in
their order, so a new field goes last and has a default. Imports nothing heavy.
"""

import os
import time
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct

__all__ = [
    "LOAD_REQUEST",
    "Feedback",
    "Prediction",
    "PredictionIds",
    "Record",
    "decode",
    "encode",
    "encode_together",
    "is_prediction",
]

LOAD_REQUEST = "bucle-load"
"""What `bucle load` calls its requests, so that nobody takes them for those of people."""

_TOGETHER = 64
_COUNTED = 1 << 16
_POOL_BYTES = 8192
_LENGTH = 34


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


Record = Prediction | Feedback


class _Several(Struct, frozen=True, array_like=True, tag="m"):
    """Records that were kept together, and cost less so."""

    records: list[Prediction | Feedback]


encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Prediction | Feedback | _Several] = msgspec.msgpack.Decoder(
    Prediction | Feedback | _Several
)


def encode_together(records: Sequence[Record]) -> list[bytes]:
    """Return the contents that hold some records, up to 64 of them in one."""
    if len(records) == 1:
        return [encode(records[0])]
    return [
        encode(_Several(list(records[first : first + _TOGETHER])))
        for first in range(0, len(records), _TOGETHER)
    ]


def decode(content: bytes) -> tuple[Record, ...]:
    """Read records; none when they are of a kind that this version does not know.

    Example:
        >>> decode(encode(Feedback(id="p-1", at=0, label="12.5")))[0].label
        '12.5'
    """
    try:
        found = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
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
        moment = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        first = max(moment * _COUNTED, self._last + 1)
        self._last = first + count - 1
        start = self._place
        if start + 16 > len(self._pool):
            self._pool = os.urandom(_POOL_BYTES).hex()
            start = 0
        self._place = start + 16
        chance = self._pool[start : start + 16]
        if count == 1:
            return (f"p-{first:016x}{chance}",)
        return tuple([f"p-{number:016x}{chance}" for number in range(first, first + count)])

    def _forget(self) -> None:
        """Draw anew: two processes must not share what was drawn before they parted."""
        self._pool = ""
        self._place = 0
