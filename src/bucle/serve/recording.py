"""What was answered, as the prediction log keeps it: a record for a row, or one for many rows.

Imports nothing heavy.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from bucle.serve.engines import Scored, Scores
from bucle.serve.moments import micros, timer
from bucle.serve.records import Prediction, PredictionColumns
from bucle.serve.rows import Row, RowReader

__all__ = ["BY_COLUMN", "Said", "record_columns", "record_rows"]

BY_COLUMN = 8
"""From more rows than that on, to handle them by column takes less than one by one."""

_TOGETHER = 256


class Said(Struct, frozen=True, gc=False):
    """What all rows of a request share: who answered, and what the client calls its request.

    `began` is when the work on it did, as `moments.timer` tells it.
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
    if len(rows) == 1:
        return [_record_row(reader, rows[0], scored[0], ids[0], said)]
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
    return [
        _record_row(reader, row, one, name, said)
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
        at=micros(),
        model=said.model,
        role=said.role,
        prediction=scores.prediction,
        fields=reader.fields,
        columns=packed,
        low=scores.low,
        high=scores.high,
        key=reader.key_column(columns),
        request=said.request,
        latency_us=int((timer() - said.began) * 1e6),
    )


def _record_row(reader: RowReader, row: Struct, one: Scored, name: str, said: Said) -> Prediction:
    return Prediction(
        id=name,
        at=micros(),
        model=said.model,
        role=said.role,
        prediction=one.prediction,
        features=reader.encode(row),
        low=one.low,
        high=one.high,
        key=reader.key(row),
        request=said.request,
        latency_us=int((timer() - said.began) * 1e6),
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
