"""What a replay stands on, whoever provides it: rows asked, labels known, models and answers.

`archive.Archive` provides it from recorded history, `branch.Branch` from a world that answers.
The outlook and the world of a replay speak to this and nothing else.
"""

from datetime import datetime
from typing import Any, Protocol

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from bucle.errors import OutsideError, RequestError
from bucle.loop.replay.survey import Survey, Training
from bucle.models.metrics import Floats, Kind
from bucle.models.prediction import encode_labels
from bucle.pipeline.tasks import Artifact

__all__ = [
    "Known",
    "Learned",
    "Material",
    "Suspicion",
    "match_labels",
    "nothing_known",
    "stack_rows",
]


class Learned(Struct, frozen=True, kw_only=True):
    """A model made at some moment; `cut` is when its training ended.

    `view` is the digest of what it learned from; `predictions` is where its answers are kept,
    None where they are worked out when they are asked for.
    """

    model: str
    cut: str
    view: str
    labels: int
    rows: int
    reference: dict[str, Any]
    predictions: Artifact | None = None


class Known(Struct, frozen=True, kw_only=True):
    """The labels known at a moment.

    `labels` and `when` (microseconds; when it became known) have one entry a row asked, NaN and
    -1 where nothing was known. `rows` are all labelled rows of history, with `_at` and `_known` as
    moments, `_label` as a number, and the columns beside. `unmatched` counts labelled rows of the
    replay's time that were never asked.
    """

    labels: Floats
    when: NDArray[np.int64]
    rows: pl.DataFrame
    unmatched: int


class Suspicion(Struct, frozen=True, kw_only=True):
    """Columns that may know the answer."""

    columns: tuple[str, ...]
    kind: str
    evidence: str


class Material(Protocol):
    """Everything that may be looked up at the moments of one replay.

    `rows` are the examples asked so far, in the order of `at` (microseconds), `period` the number
    of the period in which each was asked, below 0 before the first moment.
    """

    @property
    def survey(self) -> Survey:
        """The moments."""
        ...

    @property
    def kind(self) -> Kind:
        """What is predicted."""
        ...

    @property
    def rows(self) -> pl.DataFrame:
        """The rows asked so far."""
        ...

    @property
    def at(self) -> NDArray[np.int64]:
        """When each row came."""
        ...

    @property
    def period(self) -> NDArray[np.int64]:
        """In which period each row came."""
        ...

    def known(self, number: int | None) -> Known:
        """Return the labels known at a moment, counted from the first; None for all."""
        ...

    def whole(self, number: int, window: str) -> Training:
        """Return the training set of everything known at a moment, within a window."""
        ...

    def cut(self, number: int, window: str) -> Training | None:
        """Return the one that leaves the newest labels for judging; None without any."""
        ...

    def learned(self, training: Training) -> Learned:
        """Return the model of a training set.

        Raises:
            BucleError: The steps failed on it, or it has nothing to learn from.
        """
        ...

    def predictions(self, learned: Learned) -> Floats:
        """Return what a model answers to each row asked; NaN before it was made."""
        ...


def match_labels(
    rows: pl.DataFrame,
    *,
    numbers: pl.DataFrame,
    at: NDArray[np.int64],
    kind: Kind,
    classes: tuple[str, ...],
    until: datetime | None = None,
) -> Known:
    """Bring labels to the rows asked, by the name of the row.

    Args:
        rows: As from `steps.known_rows`.
        numbers: `_row` and `_number` of each row asked.
        at: When each row asked came.
        kind: What is predicted.
        classes: The two answers of a yes/no target.
        until: Rows of this moment or later were never asked.
    """
    numbered = rows.with_columns(pl.Series("_label", _encode(rows["_label"], kind, classes)))
    first = int(at[0]) if at.size else 0
    later = numbered.filter(pl.col("_at").dt.epoch("us") >= first)
    if until is not None:
        later = later.filter(pl.col("_at") < until)
    matched = later.join(numbers, on="_row", how="left")
    unmatched = matched["_number"].null_count()
    matched = matched.drop_nulls("_number")
    labels = np.full(at.size, np.nan)
    when: NDArray[np.int64] = np.full(at.size, -1, dtype=np.int64)
    place = matched["_number"].to_numpy()
    labels[place] = matched["_label"].to_numpy()
    when[place] = matched["_known"].dt.epoch("us").fill_null(-1).to_numpy()
    return Known(labels=labels, when=when, rows=numbered, unmatched=unmatched)


def _encode(labels: pl.Series, kind: Kind, classes: tuple[str, ...]) -> Floats:
    if kind == "classification":
        return encode_labels(labels, classes)
    numbers = labels.cast(pl.Float64, strict=False)
    odd = labels.filter(numbers.is_null() & labels.is_not_null())
    if odd.len():
        raise RequestError(
            f"Cannot replay: {odd.len():,} labels are no numbers, such as {str(odd[0])[:40]!r}",
            attempt='numbers in the target of the examples, or kind = "classification"',
            code="bucle-256",
        )
    return np.asarray(numbers.to_numpy(), dtype=np.float64)


def nothing_known(moment: str) -> RequestError:
    """Return the error of a model that has no label to learn from."""
    return RequestError(
        f"Nothing to learn from: no label was known on {moment[:10]}", code="bucle-259"
    )


def stack_rows(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Put the rows of all periods under one another, under the types of the earliest.

    What comes later must not change the type of what came before.

    Raises:
        OutsideError: A column changed its type.
    """
    schema: dict[str, pl.DataType] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            if schema.get(name, pl.Null()) == pl.Null:
                schema[name] = dtype
    settled = []
    for frame in frames:
        try:
            settled.append(frame.select(pl.col(name).cast(to) for name, to in schema.items()))
        except pl.exceptions.PolarsError as error:
            raise OutsideError(
                "Cannot replay: a column of the examples changes its type over history",
                cause=str(error).splitlines()[0],
                attempt="one type in the step that makes the examples, whatever the rows hold",
                code="bucle-262",
            ) from error
    return pl.concat(settled)
