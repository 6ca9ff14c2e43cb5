"""Predictions that somebody wanted: those of the log without the ones that `bucle load` asked for.

Imports polars.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from bucle.loop.workspace import Workspace
from bucle.serve.compactor import PREDICTIONS, read_log
from bucle.serve.records import LOAD_REQUEST

__all__ = ["read_predictions"]

_NEEDED = ("id", "of", "request")


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
