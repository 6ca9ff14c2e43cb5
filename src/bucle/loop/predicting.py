"""Predictions without a server: rows at hand through the very path that requests take."""

import asyncio
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import Struct

from bucle.errors import RequestError, SourceError
from bucle.loop.batch import predict_pieces
from bucle.loop.registry import find_model
from bucle.loop.serving.following import Wanted
from bucle.loop.serving.loading import load_model
from bucle.loop.workspace import Workspace
from bucle.models.registry import champion
from bucle.models.signature import dtypes_of
from bucle.serve.engines import Scored
from bucle.serve.problems import RowsRefusedError
from bucle.serve.slots import Served

__all__ = ["Predicted", "load_served", "predict_file", "predict_json"]

_MOST_ROWS = 10_000


class Predicted(Struct, frozen=True, kw_only=True):
    """What a model says of rows, in their order; `rows` are theirs as they were given."""

    model: str
    rows: pl.DataFrame
    scored: list[Scored]
    notes: tuple[str, ...] = ()


def load_served(workspace: Workspace, name: str | None) -> Served:
    """Return a model ready to answer.

    Args:
        workspace: The project.
        name: A model version, or the start of its id; the champion by default.

    Raises:
        RequestError: There is no champion.
        UnknownNameError: There is no such model version.
    """
    state = workspace.state()
    if name is None:
        reigning = champion(state.tenures)
        if reigning is None:
            raise RequestError(
                "Cannot predict: there is no champion yet",
                attempt="bucle run, or --model for one that is none",
                code="bucle-376",
            )
        name = reigning.model
    record = find_model(state, name)
    return load_model(workspace, Wanted(model=record.model, digest=record.digest))


def predict_json(workspace: Workspace, body: bytes, *, model: str | None = None) -> Predicted:
    """Predict one row, or a list of rows, as `POST /predict` takes them; nothing is recorded.

    Args:
        workspace: The project.
        body: JSON.
        model: A model version, or the start of its id; the champion by default.

    Raises:
        RequestError: There is no champion, or a row is not what the model takes.
    """
    served = load_served(workspace, model)
    try:
        rows = _read_rows(served, body)
        scored = asyncio.run(served.engine.score(rows))
    finally:
        served.engine.close()
    frame = pl.DataFrame(rows, schema=dtypes_of(served.package.signature), orient="row")
    return Predicted(model=served.model, rows=frame, scored=scored)


def _read_rows(served: Served, body: bytes) -> list[tuple[Any, ...]]:
    """Return the values of each row; a refusal says where to look without a server."""
    try:
        found, _ = served.reader.read(body)
    except RowsRefusedError as error:
        raise RequestError(
            error.what,
            cause=error.cause,
            attempt=f"bucle show {served.model}: the columns it takes",
            code=error.code,
        ) from error
    return [served.reader.values(row) for row in found]


def predict_file(workspace: Workspace, path: Path, *, model: str | None = None) -> Predicted:
    """Predict a file of at most 10,000 rows, to be looked at; nothing is recorded.

    Raises:
        SourceError: The file cannot be read, lacks a column, has more rows, or a row that cannot
            be predicted.
        RequestError: There is no champion.
    """
    served = load_served(workspace, model)
    rows: list[pl.DataFrame] = []
    scored: list[Scored] = []
    notes: list[str] = []
    try:
        for batch in predict_pieces(workspace, served, path, role=None):
            if batch.failed.height:
                first = batch.failed.row(0, named=True)
                raise SourceError(
                    f"Cannot predict line {first['_line']} of {path.name}",
                    cause=str(first["_reason"]),
                    attempt="--output FILE predicts the others and tells of these aside",
                    code="bucle-375",
                )
            rows.append(batch.rows)
            scored += batch.scored
            notes += batch.notes
            if len(scored) > _MOST_ROWS:
                raise SourceError(
                    f"Cannot show predictions of more than {_MOST_ROWS:,} rows",
                    attempt="--output priced.csv",
                    code="bucle-375",
                )
    finally:
        served.engine.close()
    return Predicted(
        model=served.model,
        rows=pl.concat(rows, how="diagonal_relaxed"),
        scored=scored,
        notes=tuple(notes),
    )
