"""What the world showed: answered rows as the model takes them, and what became of them.

Read from the prediction log, whose rows are JSON; what `bucle load` has asked is left out. Imports
polars.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from bucle.loop.genuine import label_predictions, read_predictions
from bucle.loop.workspace import Workspace
from bucle.models.columns import column_kind
from bucle.models.signature import Signature, dtypes_of
from bucle.watch.days import Days, profile_days
from bucle.watch.examples import ROW
from bucle.watch.reference import OUTPUT, Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["answers_since", "days_of", "features_of", "index_since", "labelled_since"]

_DAY = "_day"
_EARLIER = timedelta(days=1)
"""By how much the clocks of those who answer and those who take labels may differ."""


def index_since(workspace: Workspace, moment: date) -> pl.DataFrame:
    """Return which answers there were from a day on: `id`, `at` and `model`; reads no features."""
    rows = read_predictions(
        workspace, columns=("id", "at", "model", "role"), since=_midnight(moment)
    )
    return rows.filter(pl.col("role") != "shadow").drop("role")


def answers_since(workspace: Workspace, moment: date) -> pl.DataFrame:
    """Return the answers from a day on: `id`, `at`, `model`, `prediction`, `features` as JSON.

    What a shadow has said is left out: its row is that of an answer.
    """
    rows = read_predictions(
        workspace,
        columns=("id", "at", "model", "role", "prediction", "features"),
        since=_midnight(moment),
    )
    return rows.filter(pl.col("role") != "shadow").drop("role")


def days_of(
    answers: pl.DataFrame, reference: Reference, signature: Signature, *, model: str
) -> Days:
    """Return the sums of each day of answers, measured as a model's reference is.

    Rows that others than the model have answered count for the inputs, not for the output.
    """
    frame = features_of(answers, signature).with_columns(
        answers["at"].dt.date().alias(_DAY), (answers["model"] == model).alias("_own")
    )
    inputs = [stick for stick in reference.yardsticks if stick.column != OUTPUT]
    output = [stick for stick in reference.yardsticks if stick.column == OUTPUT]
    own = frame.filter(pl.col("_own"))
    return profile_days(frame, inputs, time=_DAY).beside(profile_days(own, output, time=_DAY))


def features_of(answers: pl.DataFrame, signature: Signature) -> pl.DataFrame:
    """Return answers as rows that a model takes, with `ROW`, their ids, and `OUTPUT`."""
    return _features(answers["features"], signature).with_columns(
        answers["id"].alias(ROW), answers["prediction"].alias(OUTPUT)
    )


def labelled_since(
    workspace: Workspace, moment: date, *, model: str, signature: Signature, until: datetime
) -> pl.DataFrame:
    """Return what a model has said of rows from a day on, with the truth where it was known.

    Columns: `id`, `day`, `prediction`, `high`, the upper end of its interval, `truth` as a number,
    `received`, when the label that counts arrived, and `corrections`. What it has said as a shadow
    counts too: of each row once.
    """
    said = read_predictions(
        workspace,
        columns=("id", "at", "model", "role", "of", "prediction", "high"),
        since=_midnight(moment),
    ).filter((pl.col("model") == model) & (pl.col("at") <= until))
    early = _midnight(moment) - _EARLIER
    return label_predictions(workspace, said, signature, until=until, since=early).select(
        pl.col("at").dt.date().alias("day"),
        "id",
        "at",
        "prediction",
        "high",
        "truth",
        "received",
        "corrections",
    )


def _features(texts: pl.Series, signature: Signature) -> pl.DataFrame:
    """Return rows from their JSON; moments stay text, of which only nulls are counted."""
    types = dtypes_of(signature)
    kinds = {name: column_kind(dtype) for name, dtype in types.items()}
    fields = {
        name: pl.Float64()
        if kinds[name] == "number"
        else pl.Boolean()
        if kinds[name] == "flag"
        else pl.String()
        for name in types
    }
    rows = texts.str.json_decode(pl.Struct(fields)).struct.unnest()
    spans = [name for name, kind in kinds.items() if kind == "span"]
    return rows.with_columns(_spans(rows[name], types[name]) for name in spans)


def _spans(texts: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return spans and times of day from ISO 8601."""
    kind = time if dtype == pl.Time else timedelta
    values: Sequence[object] = [
        None if text is None else msgspec.convert(text, kind) for text in texts
    ]
    return pl.Series(texts.name, values, dtype=dtype)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
