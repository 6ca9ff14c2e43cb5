"""Requests with many rows: each is read and answered by itself, and all are scored in one go.

Rows stay columns all the way, without an object for each. A call of the trees leaves nothing else
in the processor's caches, so there is one for all the requests that came together. Imports nothing
heavy.
"""

from collections.abc import Sequence
from itertools import chain, repeat

import msgspec
from msgspec import Struct

from bucle.serve.answers import Answer
from bucle.serve.app import Reply
from bucle.serve.engines import Engine, Scores
from bucle.serve.recording import Said, record_columns
from bucle.serve.records import PredictionColumns
from bucle.serve.rows import Row, RowReader

__all__ = ["ManyRows", "score_together"]

_encode = msgspec.json.Encoder().encode


class ManyRows(Struct):
    """The rows of a request by column, under their ids; later their scores, or why there are none.

    `features` are the columns that the model takes, `packed` all of them as they go on record.
    """

    columns: Sequence[Row]
    features: Sequence[Row]
    packed: bytes
    ids: Sequence[str]
    said: Said
    shadow: str | None
    scores: Scores | None = None
    problem: Exception | None = None

    def take(self) -> Reply:
        """Return the answer; `score_together` has seen the rows.

        Raises:
            ProblemError: The model refuses a row.
        """
        scores = self.scores
        if scores is None:
            raise self.problem or AssertionError("what is taken was scored")
        low, high = scores.low, scores.high
        ends = repeat(None) if low is None or high is None else zip(low, high, strict=True)
        shared = (repeat(self.said.model), ends, repeat("champion"), repeat(self.shadow))
        return Reply(_encode(list(map(Answer, scores.prediction, self.ids, *shared))))

    def record(self, reader: RowReader, scores: Scores) -> PredictionColumns:
        """Return what goes on record of the rows and their scores."""
        first, packed = self.ids[0], self.packed
        return record_columns(
            reader, self.columns, scores, first=first, packed=packed, said=self.said
        )


def score_together(engine: Engine, asked: Sequence[ManyRows]) -> None:
    """Give each request its scores, or the reason why it has none.

    A request that the model refuses spoils no other: then each is scored by itself.
    """
    scores = _scores_of_all(engine, asked) if len(asked) > 1 else None
    if scores is not None:
        _share(scores, asked)
        return
    for one in asked:
        try:
            one.scores = engine.score_columns(one.features)
        except Exception as error:  # noqa: BLE001  (it is the answer to this request alone)
            one.problem = error


def _scores_of_all(engine: Engine, asked: Sequence[ManyRows]) -> Scores | None:
    parts = zip(*(one.features for one in asked), strict=True)
    try:
        return engine.score_columns([tuple(chain.from_iterable(part)) for part in parts])
    except Exception:  # noqa: BLE001  (each by itself says which it was)
        return None


def _share(scores: Scores, asked: Sequence[ManyRows]) -> None:
    """Give each request its part of the scores of all."""
    start, low, high = 0, scores.low, scores.high
    for one in asked:
        part = slice(start, start + len(one.ids))
        one.scores = Scores(
            scores.prediction[part],
            None if low is None else low[part],
            None if high is None else high[part],
            scores.known,
        )
        start = part.stop
