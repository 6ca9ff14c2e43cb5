"""Predictions that somebody wanted, and their labels: the log without what `bucle load` asked for.

Imports polars.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from bucle.ids import canonical_json
from bucle.loop.workspace import Workspace
from bucle.models.signature import Signature
from bucle.serve.compactor import FEEDBACK, PREDICTIONS, read_log
from bucle.serve.feedback import join_labels
from bucle.serve.records import LOAD_REQUEST

__all__ = ["label_predictions", "read_predictions", "truth_of"]

_NEEDED = ("id", "of", "request")
_MANY_MORE = 2


def read_predictions(
    workspace: Workspace, *, columns: Sequence[str], since: datetime
) -> pl.DataFrame:
    """Return columns of the predictions since a moment that somebody wanted.

    What a shadow has said of a row that `bucle load` sent is left out as well.
    """
    rows = read_log(
        workspace.home / "serve" / "log",
        workspace.tables,
        name=PREDICTIONS,
        columns=tuple(dict.fromkeys((*columns, *_NEEDED))),
        since=since,
    )
    is_load = pl.col("request") == LOAD_REQUEST
    loads = rows.filter(is_load)
    if not loads.height:
        return rows.select(columns)
    # What stands beside an answer names no request, only the answer.
    kept = rows.filter(is_load.ne_missing(other=True))
    return kept.join(loads.select(of="id"), on="of", how="anti").select(columns)


def label_predictions(
    workspace: Workspace,
    predictions: pl.DataFrame,
    signature: Signature,
    *,
    until: datetime | None = None,
    since: datetime | None = None,
) -> pl.DataFrame:
    """Return predictions with the columns of `join_labels`, and their label as a number in `truth`.

    It is null where no label has come, where it is no number, or not one of the classes. Labels
    that arrived after `until`, or before `since`, are left out.
    """
    log, tables = workspace.home / "serve" / "log", workspace.tables
    told = read_log(log, tables, name=FEEDBACK, since=since)
    if until is not None:
        told = told.filter(pl.col("at") <= until)
    if told.height > _MANY_MORE * predictions.height:
        # To sort labels costs more than to leave out those of other predictions.
        told = told.join(predictions.select(id=_answered()), on="id", how="semi")
    joined = join_labels(predictions, told)
    return joined.with_columns(truth_of(signature))


def truth_of(signature: Signature) -> pl.Expr:
    """Return the `truth` that the columns `label` and `value` of labels tell, as a number.

    It is null where the label is no number, or not one of the classes.
    """
    value = pl.col("value")
    if signature.classes:
        no, yes = (canonical_json(name).decode() for name in signature.classes)
        word = pl.when(pl.col("label") == yes).then(1.0).when(pl.col("label") == no).then(0.0)
        value = word.otherwise(value)
    return pl.when(value.is_finite()).then(value).alias("truth")


def _answered() -> pl.Expr:
    """Return the id of the answer that a prediction is, or stands beside."""
    return pl.when(pl.col("of") == "").then("id").otherwise("of")
