"""Feedback over HTTP: the labels of answers, read and checked before they are kept.

Imports nothing heavy.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import gt
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from bucle.errors import RequestError
from bucle.serve.app import Reply, Request
from bucle.serve.columns import read_aside
from bucle.serve.counts import Counts
from bucle.serve.feedback import to_feedback
from bucle.serve.journal import Journal
from bucle.serve.moments import micros
from bucle.serve.predictions import require_json
from bucle.serve.problems import ProblemError, why_unreadable

__all__ = ["Labels"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LABELS_AT_ONCE = 256


class Labels:
    """Takes labels.

    Args:
        journal: Where they are recorded.
        counts: Where they are counted.
        kind: What is predicted now; of a number (`regression`), no text can be the truth.
    """

    def __init__(
        self, journal: Journal, counts: Counts, *, kind: Callable[[], str] = lambda: ""
    ) -> None:
        self._journal = journal
        self._counts = counts
        self._kind = kind

    async def take(self, request: Request) -> Reply:
        """Answer `POST /feedback`: the label of a prediction, or a list of them."""
        require_json(request)
        body = request.body
        told = await read_aside(lambda: _read_labels(body), size=len(body))
        now = _EPOCH + timedelta(microseconds=micros())
        is_number = self._kind() == "regression"
        records = []
        for number, one in enumerate(told):
            if number % _LABELS_AT_ONCE == _LABELS_AT_ONCE - 1:
                # A long list does not keep others waiting.
                await asyncio.sleep(0)
            try:
                if is_number and bytes(one.label).lstrip()[:1] == b'"':
                    _refuse_text(one.id)
                records.append(
                    to_feedback(
                        one.id,
                        label=bytes(one.label),
                        at=now,
                        label_time=one.label_time,
                        source=one.source,
                    )
                )
            except RequestError as error:
                where = f"label {number}: " if len(told) > 1 else ""
                raise ProblemError(
                    422,
                    where + error.what,
                    cause=error.cause,
                    attempt=error.attempt,
                    code=error.code,
                ) from error
        self._journal.append_many(records)
        self._counts.noted("label", len(records))
        return Reply(msgspec.json.encode({"kept": len(records)}), status=202)


def _refuse_text(prediction: str) -> None:
    """Raise: a text never joins numbers, and would take the place of a label that does."""
    raise RequestError(
        f"Cannot take the label of {prediction[:80]}",
        cause="it is a text, and the model predicts a number",
        attempt='"label": 12.5, without quotes',
        code="bucle-323",
    )


class _Label(Struct, forbid_unknown_fields=True):
    id: str
    label: msgspec.Raw
    label_time: str | None = None
    source: Annotated[str, Meta(max_length=200)] = ""


_LABELS = msgspec.json.Decoder(list[_Label])
_LABEL = msgspec.json.Decoder(_Label)
_NAMES = tuple(b'"%s"' % _name.encode() for _name in _Label.__struct_fields__)


def _read_labels(body: bytes) -> list[_Label]:
    try:
        several = body.lstrip()[:1] == b"["
        found = _LABELS.decode(body) if several else [_LABEL.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(
            422 if isinstance(error, msgspec.ValidationError) else 400,
            "Cannot read the feedback",
            cause=why_unreadable(error, body),
            attempt='{"id": "p-…", "label": 12.5, "label_time": "2024-01-31T12:00:00Z"}',
            code="bucle-332",
        ) from error
    if not found:
        raise ProblemError(422, "Cannot keep feedback: the request holds none", code="bucle-332")
    # Whoever has no backslash writes each name in one way.
    given = (
        len(found),
        len(found),
        sum(one.label_time is not None for one in found),
        sum(one.source != "" for one in found),
    )
    if b"\\" in body or any(map(gt, map(body.count, _NAMES), given)):
        _refuse_twins(body)
    return found


def _refuse_twins(body: bytes) -> None:
    """Raise when a label names a field twice: no reader agrees on which one counts."""
    twice = False

    def pairs(found: list[tuple[str, object]]) -> None:
        nonlocal twice
        twice = twice or len(dict(found)) < len(found)

    try:
        json.loads(body, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise ProblemError(
            422, "Cannot read the feedback", cause=why_unreadable(error, body), code="bucle-332"
        ) from error
    if twice:
        raise ProblemError(
            422,
            "Cannot keep feedback: a label has a field twice",
            attempt="each field once",
            code="bucle-332",
        )
