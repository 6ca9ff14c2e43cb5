"""What was answered, as the prediction log keeps it: a record for a row, or one for many rows.

Imports nothing heavy.
"""

import time
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from bucle.serve.engines import Scored, Scores
from bucle.serve.records import Prediction, PredictionColumns
from bucle.serve.rows import Row, RowReader

__all__ = ["BY_COLUMN", "Said", "record_columns", "record_rows"]

BY_COLUMN = 8
"""From more rows than that on, to handle them by column takes less than one by one."""

_TOGETHER = 256


class Said(Struct, frozen=True, kw_only=True):
    """What all rows of a request share: who answered, and what the client calls its request.

    `began` is when the work on it did, as `time.perf_counter` tells it.
    """

    model: str
    role: Literal["champion", "canary"]
    request: str
    began: float


def record_rows(
    reader: RowReader,
    rows: Sequence[Struct],
    scored: Sequence[Scored],
    *,
    ids: Sequence[str],
    said: Said,
) -> Sequence[Prediction | PredictionColumns]:
    """Return the records of rows: one for each, or one for each 256 of many.

    Args:
        reader: Has read the rows.
        rows: What was asked.
        scored: What the model says of each.
        ids: The predictions' ids, as they were taken together.
        said: What they share.
    """
    if len(rows) > BY_COLUMN:
        return [
            _record_part(
                reader,
                rows[at : at + _TOGETHER],
                scored[at : at + _TOGETHER],
                first=ids[at],
                said=said,
            )
            for at in range(0, len(rows), _TOGETHER)
        ]
    at = time.time_ns() // 1000
    spent = _spent_us(said)
    encode, key = reader.encode, reader.key
    model, role, request = said.model, said.role, said.request
    return [
        Prediction(
            id=name,
            at=at,
            model=model,
            role=role,
            features=encode(row),
            prediction=one.prediction,
            low=one.low,
            high=one.high,
            key=key(row),
            request=request,
            latency_us=spent,
        )
        for name, row, one in zip(ids, rows, scored, strict=True)
    ]


def record_columns(
    reader: RowReader,
    columns: Sequence[Row],
    scores: Scores,
    *,
    first: str,
    packed: bytes,
    said: Said,
) -> PredictionColumns:
    """Return the record of rows by column.

    Args:
        reader: Has read the rows.
        columns: What was asked: features, then keys.
        scores: What the model says.
        first: The first prediction's id.
        packed: The columns as the reader packs them.
        said: What the rows share.
    """
    return PredictionColumns(
        first=first,
        at=time.time_ns() // 1000,
        model=said.model,
        role=said.role,
        prediction=scores.prediction,
        fields=reader.fields,
        columns=packed,
        low=scores.low,
        high=scores.high,
        key=reader.key_column(columns),
        request=said.request,
        latency_us=_spent_us(said),
    )


def _record_part(
    reader: RowReader,
    rows: Sequence[Struct],
    scored: Sequence[Scored],
    *,
    first: str,
    said: Said,
) -> PredictionColumns:
    columns = reader.columns(rows)
    scores = Scores(
        [one.prediction for one in scored],
        [one.low for one in scored],
        [one.high for one in scored],
    )
    packed = reader.pack(columns)
    return record_columns(reader, columns, scores, first=first, packed=packed, said=said)


def _spent_us(said: Said) -> int:
    return int((time.perf_counter() - said.began) * 1e6)
