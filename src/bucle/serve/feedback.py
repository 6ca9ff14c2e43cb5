"""The truth about predictions: taken at the door, and joined to them whenever it came.

Every label is kept; the one that arrived last counts. Imports polars in the functions that join,
so that taking feedback stays light.
"""

import json
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bucle.clock import from_iso
from bucle.errors import RequestError
from bucle.ids import canonical_json
from bucle.serve.records import Feedback, is_prediction

if TYPE_CHECKING:
    import polars as pl

__all__ = ["join_labels", "latest_labels", "to_feedback", "unknown_labels"]

_LONGEST_LABEL = 10_000
_FIRST_YEAR = 2000
_AHEAD = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_CODE = "bucle-323"


def _refuse_constant(name: str) -> object:
    """Refuse what Python reads and JSON has not."""
    raise ValueError(f"JSON has no {name}")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def to_feedback(
    prediction: str,
    *,
    label: bytes,
    at: datetime,
    label_time: str | None = None,
    source: str = "",
) -> Feedback:
    """Check what somebody tells of a prediction, and return it as it is kept.

    Whether the prediction exists is not asked: it may not be in the table yet.

    Args:
        prediction: Its id.
        label: The truth as JSON, as it was sent.
        at: Now; carries a time zone.
        label_time: When the truth became known, in ISO 8601; a missing zone means UTC.
        source: Who tells it.

    Raises:
        RequestError: The id, the label or its time is none.

    Example:
        >>> from bucle.clock import from_iso
        >>> name = "p-0192d3a4b5c600000123456789abcdef"
        >>> to_feedback(name, label=b" 12.50", at=from_iso("2026-01-02")).label
        '12.5'
    """
    if not is_prediction(prediction):
        raise RequestError(
            f"Cannot take a label for {prediction[:80]!r}",
            cause="an id of a prediction is 'p-' and 32 hexadecimal digits",
            attempt="the field 'id' of an answer, as it is",
            code=_CODE,
        )
    return Feedback(
        id=prediction,
        at=_microseconds(at),
        label=_label_text(prediction, label),
        label_time=None if label_time is None else _label_time(prediction, label_time, at=at),
        source=source,
    )


def latest_labels(feedback: "pl.DataFrame") -> "pl.DataFrame":
    """Return one row for each id: the label that arrived last, and what was told before.

    Of two that arrived in the same microsecond the later row counts. Columns: `id`; `label` as
    JSON; `value`, the label as a number, true and false as 1 and 0, else null; `label_time`;
    `source`; `received`, when this label arrived first without another one after it;
    `first_received`; `labels`, how many were told; `corrections`, how many differed from the one
    before.
    """
    import polars as pl  # noqa: PLC0415  (heavy; taking feedback must stay light)

    text = pl.col("label")
    value = text.cast(pl.Float64, strict=False)
    told = feedback.with_columns(
        value=pl.when(text == "true").then(1.0).when(text == "false").then(0.0).otherwise(value)
    ).sort("id", "at", maintain_order=True)
    is_same = (text == text.shift(1)) | (pl.col("value") == pl.col("value").shift(1)).fill_null(
        value=False
    )
    is_first = (pl.col("id") != pl.col("id").shift(1)).fill_null(value=True)
    return (
        told.with_columns(first=is_first, changed=~is_first & ~is_same)
        .with_columns(
            began=pl.when(pl.col("first") | pl.col("changed")).then(pl.col("at")).forward_fill()
        )
        .group_by("id", maintain_order=True)
        .agg(
            pl.col("label", "value", "label_time", "source").last(),
            received=pl.col("began").last(),
            first_received=pl.col("at").first(),
            labels=pl.len().cast(pl.Int64),
            corrections=pl.col("changed").sum().cast(pl.Int64),
        )
    )


def join_labels(
    predictions: "pl.DataFrame", feedback: "pl.DataFrame", *, seen: datetime | None = None
) -> "pl.DataFrame":
    """Return predictions, each with the label that counts; nulls where none has come.

    A shadow's prediction gets the label of the answer it stands beside. Rows and their order stay.
    Beside the columns of `latest_labels` there is `restated`: the label that counts arrived after
    a figure of its day was last made, or is not the one that was told first.

    Args:
        predictions: As `predictions` holds them.
        feedback: As `feedback` holds them.
        seen: When figures were last made of them; None means never.
    """
    import polars as pl  # noqa: PLC0415  (as above)

    labels = latest_labels(feedback).rename({"source": "label_source"})
    is_corrected = pl.col("corrections") > 0
    is_late = pl.lit(value=False) if seen is None else pl.col("received") > pl.lit(seen)
    answered = pl.when(pl.col("of") == "").then(pl.col("id")).otherwise(pl.col("of"))
    return (
        predictions.with_columns(answered=answered)
        .join(labels.rename({"id": "answered"}), on="answered", how="left", maintain_order="left")
        .drop("answered")
        .with_columns(
            pl.col("labels", "corrections").fill_null(0),
            restated=(is_corrected | is_late).fill_null(value=False),
        )
    )


def unknown_labels(predictions: "pl.DataFrame", feedback: "pl.DataFrame") -> "pl.DataFrame":
    """Return the feedback whose id no prediction has, in its order.

    It may have come before its prediction was in the table; it joins as soon as that is.
    """
    return feedback.join(predictions.select("id"), on="id", how="anti", maintain_order="left")


def _microseconds(moment: datetime) -> int:
    """Return microseconds since 1970."""
    return (moment - from_iso("1970-01-01")) // _MICROSECOND


def _label_text(prediction: str, label: bytes) -> str:
    """Return a label in the one form of its JSON value."""
    try:
        return canonical_json(_label_value(label)).decode()
    except (ValueError, OverflowError, RecursionError) as error:
        raise RequestError(
            f"Cannot take the label of {prediction}",
            cause=str(error),
            attempt="a number, a text, true or false",
            code=_CODE,
        ) from error


def _label_value(label: bytes) -> object:
    """Read a label."""
    if len(label) > _LONGEST_LABEL:
        raise ValueError(f"it is longer than {_LONGEST_LABEL:,} bytes")
    value = _DECODER.decode(label.decode())
    if not isinstance(value, bool | int | float | str):
        raise ValueError("null, a list or an object is no truth")  # noqa: TRY004  (a user's value)
    if isinstance(value, int | float) and not math.isfinite(value):
        raise ValueError("it is too large a number")
    return value


def _label_time(prediction: str, text: str, *, at: datetime) -> int:
    """Return when the truth became known, in microseconds since 1970."""
    try:
        return _microseconds(_likely_moment(text, at=at))
    except (ValueError, OverflowError) as error:
        raise RequestError(
            f"Cannot take the label time {text[:80]!r} of {prediction}",
            cause=str(error),
            attempt="a moment such as 2026-01-02T03:04:05Z, or leave it out",
            code=_CODE,
        ) from error


def _likely_moment(text: str, *, at: datetime) -> datetime:
    """Read a moment that a label may have become known at."""
    moment = from_iso(text)
    if moment.year < _FIRST_YEAR:
        raise ValueError(f"it lies before {_FIRST_YEAR}")
    if moment > at + _AHEAD:
        raise ValueError("it lies more than a day ahead")
    return moment
