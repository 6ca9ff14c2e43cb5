"""Predictions without a server: rows of a file through the very path that requests take.

The same reading by the signature, the same rules, the same engine, hence the same numbers.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.data.casting import cast_column
from bucle.data.rows import SourceRows
from bucle.data.sources import read_source
from bucle.errors import RequestError, SourceError
from bucle.grammar import say_count
from bucle.loop.registry import find_model
from bucle.loop.serving.following import Wanted
from bucle.loop.serving.loading import load_model
from bucle.loop.workspace import Workspace
from bucle.models.registry import champion
from bucle.models.signature import dtypes_of
from bucle.serve.engines import Scored
from bucle.serve.problems import BadRow, RowsRefusedError
from bucle.serve.slots import Served

__all__ = ["Predicted", "predict_file", "predict_json"]

_TOGETHER = 1000


class Predicted(Struct, frozen=True, kw_only=True):
    """What a model says of rows, in their order; `rows` are theirs as they were given."""

    model: str
    rows: pl.DataFrame
    scored: list[Scored]
    notes: tuple[str, ...] = ()


def predict_json(workspace: Workspace, body: bytes, *, model: str | None = None) -> Predicted:
    """Predict one row, or a list of rows, as `POST /predict` takes them.

    Args:
        workspace: The project.
        body: JSON.
        model: A model version, or the start of its id; the champion by default.

    Raises:
        RequestError: There is no champion, or a row is not what the model takes.
    """
    served = _load(workspace, model)
    try:
        found, _ = served.reader.read(body)
        rows = [served.reader.values(row) for row in found]
        scored = asyncio.run(served.engine.score(rows))
    finally:
        served.engine.close()
    frame = pl.DataFrame(rows, schema=dtypes_of(served.package.signature), orient="row")
    return Predicted(model=served.model, rows=frame, scored=scored)


def predict_file(workspace: Workspace, path: Path, *, model: str | None = None) -> Predicted:
    """Predict the rows of a table; columns that the model does not take are left alone.

    Text is read as the types of the signature the way data of the project is.

    Raises:
        SourceError: The file cannot be read, lacks a column, or holds a value of another type.
        RequestError: There is no champion, or a row is not what the model takes.
    """
    served = _load(workspace, model)
    settings = _settings(workspace)
    try:
        source = read_source(path, settings)
        if source.broken.height:
            first = source.broken.row(0, named=True)
            raise SourceError(
                f"Cannot predict line {first['line']} of {path.name}",
                cause=str(first["reason"]),
                code="bucle-375",
            )
        typed, notes = _typed(source, served, settings, name=path.name)
        scored: list[Scored] = []
        for first_row in range(0, typed.height, _TOGETHER):
            scored += _score(served, typed.slice(first_row, _TOGETHER), first_row)
    finally:
        served.engine.close()
    return Predicted(model=served.model, rows=source.frame, scored=scored, notes=notes)


def _load(workspace: Workspace, name: str | None) -> Served:
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


def _settings(workspace: Workspace) -> DatasetSettings:
    """Return how text of this project is read, where all its datasets agree."""
    found = list(workspace.charter.data.values())
    return found[0] if len(found) == 1 else DatasetSettings()


def _typed(
    source: SourceRows, served: Served, settings: DatasetSettings, *, name: str
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the columns a model takes, in its types, and what was made null on the way.

    A value of another type becomes null where null is allowed, as it does when data is added.
    """
    wanted, rules = dtypes_of(served.package.signature), served.reader.rules
    missing = [column for column in wanted if column not in source.frame.columns]
    if missing:
        raise SourceError(
            f"Cannot predict {name}: it has no column {missing[0]!r}",
            cause=f"the model takes {', '.join(wanted)}",
            code="bucle-375",
        )
    columns, notes = [], list(source.notes)
    for column, dtype in wanted.items():
        cast = cast_column(source.frame[column], dtype, settings=settings)
        columns.append(cast.values.alias(column))
        if not cast.failed.any():
            continue
        at = cast.failed.arg_true()[0]
        found = f"is {str(source.frame[column][at])[:60]!r}"
        line = source.origin["line"][at]
        if column in rules and not rules[column].nullable:
            raise SourceError(
                f"Cannot predict line {line} of {name}: {column!r} {found}",
                cause=f"the model takes {dtype} there",
                code="bucle-375",
            )
        count = say_count(int(cast.failed.sum()), "value")
        notes.append(f"{count} of {column!r} read as null: in line {line} it {found}")
    return pl.DataFrame(columns), tuple(notes)


def _score(served: Served, part: pl.DataFrame, first: int) -> list[Scored]:
    reader = served.reader
    try:
        found = reader.read_values(part.to_dicts())
    except RowsRefusedError as error:
        raise RowsRefusedError(_counted_from(error, first)) from None
    return asyncio.run(served.engine.score([reader.values(row) for row in found]))


def _counted_from(error: RowsRefusedError, first: int) -> Sequence[BadRow]:
    from msgspec.structs import replace  # noqa: PLC0415  (only where something is refused)

    return [replace(bad, row=first + (bad.row or 0)) for bad in error.errors]
