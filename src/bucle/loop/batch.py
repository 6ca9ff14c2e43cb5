"""Predictions of a file of any size: the way requests go, a piece at a time.

The same reading by the signature, the same rules, the same engine, hence the same numbers; a row
that is refused costs no other. Imports polars.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from bucle.charter.settings import DatasetSettings
from bucle.data.casting import cast_column
from bucle.data.pieces import read_pieces
from bucle.data.rows import SourceRows
from bucle.errors import BucleError, SourceError
from bucle.loop.workspace import Workspace
from bucle.models.signature import dtypes_of
from bucle.serve.engines import Scored
from bucle.serve.journal import Journal
from bucle.serve.problems import ProblemError, RowsRefusedError
from bucle.serve.records import Prediction, PredictionIds
from bucle.serve.slots import Served

__all__ = ["Batch", "predict_pieces"]

_TOGETHER = 1000
_JOURNAL = "batch"


class Batch(Struct, frozen=True, kw_only=True):
    """Some rows of a file and what is said of them.

    `rows` are the answered ones as they were given, `scored` and `ids` theirs; ids are empty where
    nothing was recorded. `failed` are the others, with `_line` and `_reason`. `done` is what part
    of the file is read, `notes` what was assumed.
    """

    rows: pl.DataFrame
    scored: list[Scored]
    ids: tuple[str, ...]
    failed: pl.DataFrame
    done: float
    notes: tuple[str, ...] = ()


def predict_pieces(
    workspace: Workspace,
    served: Served,
    path: Path,
    *,
    role: Literal["champion", "shadow"] | None,
) -> Iterator[Batch]:
    """Yield a file's rows with their predictions, in their order.

    Args:
        workspace: The project.
        served: The model.
        path: CSV, JSON lines, Parquet or Arrow; other columns than the model's are left alone.
        role: In which role predictions are recorded in the prediction log, each before it is
            yielded; None records nothing.

    Raises:
        SourceError: The file cannot be read, or lacks a column.
        BacklogFullError: The disk takes no record.
    """
    found = list(workspace.charter.data.values())
    settings = found[0] if len(found) == 1 else DatasetSettings()
    scoring = _Scoring(served, settings, name=path.name)
    journal = None
    if role is not None:
        journal = Journal(workspace.home / "serve" / "log", name=_JOURNAL)
    ids = PredictionIds()
    try:
        with asyncio.Runner() as runner:
            for piece in read_pieces(path, settings):
                for rows in _slices(piece.rows):
                    yield runner.run(
                        scoring.batch(rows, piece.done, journal, ids, role or "champion")
                    )
    finally:
        if journal is not None:
            journal.close()


class _Scoring:
    """Reads, checks and scores the rows of one file."""

    def __init__(self, served: Served, settings: DatasetSettings, *, name: str) -> None:
        self._served = served
        self._settings = settings
        self._name = name
        self._types = dtypes_of(served.package.signature)
        self._noted: set[str] = set()

    async def batch(
        self,
        source: SourceRows,
        done: float,
        journal: Journal | None,
        ids: PredictionIds,
        role: Literal["champion", "shadow"],
    ) -> Batch:
        """Score some rows and record the answers."""
        began = time.perf_counter()
        typed, reasons, notes = self._typed(source)
        scored, features, keys = await self._score(typed, reasons)
        good = [at for at, reason in enumerate(reasons) if not reason]
        names: tuple[str, ...] = ()
        if journal is not None and good:
            names = ids.take(len(good))
            spent = int((time.perf_counter() - began) * 1e6 / len(good))
            at = time.time_ns() // 1000
            journal.append_many(
                [
                    Prediction(
                        id=name,
                        at=at,
                        model=self._served.model,
                        role=role,
                        features=text,
                        prediction=one.prediction,
                        low=one.low,
                        high=one.high,
                        key=key,
                        request=_JOURNAL,
                        latency_us=spent,
                    )
                    for name, text, one, key in zip(names, features, scored, keys, strict=True)
                ]
            )
        return Batch(
            rows=source.frame[good],
            scored=scored,
            ids=names,
            failed=self._failed(source, reasons),
            done=done,
            notes=notes,
        )

    def _typed(self, source: SourceRows) -> tuple[pl.DataFrame, list[str], tuple[str, ...]]:
        """Return the columns a model takes in its types, why rows cannot be, and what was assumed.

        A value of another type becomes null where null is allowed, as it does when data is added.
        """
        frame, rules = source.frame, self._served.reader.rules
        missing = [column for column in self._types if column not in frame.columns]
        if missing:
            raise SourceError(
                f"Cannot predict {self._name}: it has no column {missing[0]!r}",
                cause=f"the model takes {', '.join(self._types)}",
                code="bucle-375",
            )
        reasons = [""] * frame.height
        columns, notes = [], [note for note in source.notes if note not in self._noted]
        for column, dtype in self._types.items():
            cast = cast_column(frame[column], dtype, settings=self._settings)
            columns.append(cast.values.alias(column))
            places = cast.failed.arg_true().to_list()
            if column in rules and not rules[column].nullable:
                for at in places:
                    value = str(frame[column][at])[:60]
                    reasons[at] = reasons[at] or f"{column!r} is {value!r}, which is no {dtype}"
            elif places and column not in self._noted:
                self._noted.add(column)
                line = source.origin["line"][places[0]]
                value = str(frame[column][places[0]])[:60]
                notes.append(f"{column!r} is {value!r} in line {line}: read as null, and so on")
        self._noted.update(notes)
        keys = [name for name in self._served.reader.keys if name in frame.columns]
        beside = [frame[name].cast(pl.String).alias(name) for name in keys]
        return pl.DataFrame([*columns, *beside]), reasons, tuple(notes)

    async def _score(
        self, typed: pl.DataFrame, reasons: list[str]
    ) -> tuple[list[Scored], list[bytes], list[str | None]]:
        """Return what is said of the rows that have no reason against them; add reasons."""
        reader, engine = self._served.reader, self._served.engine
        places = [at for at, reason in enumerate(reasons) if not reason]
        given = typed[places].to_dicts() if places else []
        structs: list[Any] = []
        try:
            structs = reader.read_values(given) if given else []
        except ProblemError:
            for at, values in zip(places, given, strict=True):
                try:
                    structs += reader.read_values([values])
                except ProblemError as error:
                    reasons[at] = _why(error)
        places = [at for at in places if not reasons[at]]
        rows = [reader.values(one) for one in structs]
        scored: list[Scored] = []
        try:
            scored = await engine.score(rows) if rows else []
        except BucleError:
            kept = []
            for at, one, row in zip(places, structs, rows, strict=True):
                try:
                    scored += await engine.score([row])
                    kept.append(one)
                except BucleError as error:
                    reasons[at] = _why(error)
            structs = kept
        return (
            scored,
            [reader.encode(one) for one in structs],
            [reader.key(one) for one in structs],
        )

    def _failed(self, source: SourceRows, reasons: Sequence[str]) -> pl.DataFrame:
        """Return the rows that were refused, and those that never were rows."""
        places = [at for at, reason in enumerate(reasons) if reason]
        refused = source.frame[places].with_columns(
            source.origin["line"][places].alias("_line"),
            pl.Series("_reason", [reasons[at] for at in places], dtype=pl.String),
        )
        broken = source.broken.select(
            pl.col("line").alias("_line"), pl.col("reason").alias("_reason")
        )
        return pl.concat([refused, broken], how="diagonal_relaxed")


def _slices(rows: SourceRows) -> Iterator[SourceRows]:
    """Yield rows so many at a time; what is no row comes with the first."""
    for first in range(0, max(rows.frame.height, 1), _TOGETHER):
        yield replace(
            rows,
            frame=rows.frame.slice(first, _TOGETHER),
            origin=rows.origin.slice(first, _TOGETHER),
            broken=rows.broken if first == 0 else rows.broken.head(0),
            notes=rows.notes if first == 0 else (),
        )


def _why(error: BucleError) -> str:
    """Return a refusal in one line, without the number of a row that was asked about alone."""
    if isinstance(error, RowsRefusedError) and error.errors:
        return error.errors[0].fault
    return error.cause or error.what
