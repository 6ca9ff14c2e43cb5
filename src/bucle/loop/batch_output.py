"""Predictions written beside their rows, file by file or not at all, in bounded memory.

What cannot be predicted goes to a file of its own with the reason. Imports polars.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

import polars as pl
from msgspec import Struct

from bucle.data.quarantine import guard_cells
from bucle.errors import OutsideError, SourceError
from bucle.loop.batch import Batch, predict_pieces
from bucle.loop.workspace import Workspace
from bucle.models.registry import champion
from bucle.serve.compactor import compact
from bucle.serve.slots import Served
from bucle.store.files import translated_errors

__all__ = ["KINDS", "Written", "failed_path", "predict_to_file"]

KINDS = (".csv", ".jsonl", ".parquet")
"""How the name of a file of predictions may end."""


class Written(Struct, frozen=True, kw_only=True):
    """What was written: rows that were predicted, and those that could not be."""

    model: str
    rows: int
    failed: int
    recorded: bool
    first_reason: str = ""
    notes: tuple[str, ...] = ()


def failed_path(output: Path) -> Path:
    """Return where the rows go that cannot be predicted.

    Example:
        >>> failed_path(Path("out/priced.parquet")).name
        'priced.failed.csv'
    """
    return output.with_name(f"{output.stem}.failed.csv")


def predict_to_file(
    workspace: Workspace,
    served: Served,
    path: Path,
    output: Path,
    *,
    record: bool = True,
    progress: Callable[[int, float], None] = lambda *_: None,
) -> Written:
    """Predict a file of any size into another one.

    Both files appear whole at the end or not at all. Predictions are recorded as answers are,
    under the id in the column `prediction_id`; those of another model than the champion as what a
    shadow says.

    Args:
        workspace: The project.
        served: The model.
        path: Rows.
        output: Where they go with their predictions; its name ends in one of `KINDS`.
        record: Whether the prediction log gets them.
        progress: Told of the rows so far and of the part of the file that is done.

    Raises:
        SourceError: The file cannot be read, or lacks a column, or would be written over.
        OutsideError: Something cannot be written.
    """
    _require_another(path, output)
    reigning = champion(workspace.state().tenures)
    role: Literal["champion", "shadow"] = "shadow"
    if reigning is not None and reigning.model == served.model:
        role = "champion"
    count = refused = 0
    reason, notes = "", list[str]()
    with _Output(output) as good, _Output(failed_path(output)) as bad:
        for batch in predict_pieces(
            workspace,
            served,
            path,
            role=role if record else None,
        ):
            good.write(_joined(batch, served.model))
            count += batch.rows.height
            notes += batch.notes
            if batch.failed.height:
                if not refused:
                    line, why = batch.failed.select("_line", "_reason").row(0)
                    reason = f"line {line}: {why}"
                refused += batch.failed.height
                bad.write(batch.failed)
            progress(count + refused, batch.done)
        good.keep()
        if refused:
            bad.keep()
        else:
            failed_path(output).unlink(missing_ok=True)
    if record:
        # Beside a server its own compactor brings them home.
        compact(workspace.home / "serve" / "log", workspace.tables)
    return Written(
        model=served.model,
        rows=count,
        failed=refused,
        recorded=record and count > 0,
        first_reason=reason,
        notes=tuple(notes),
    )


def _require_another(path: Path, output: Path) -> None:
    """Raise where what is written would take the place of what is read."""
    for one in (output, failed_path(output)):
        with contextlib.suppress(OSError):
            if one.samefile(path):
                raise SourceError(
                    f"Cannot predict {path.name} into {output.name}",
                    cause=f"{one.name} would take the place of the rows",
                    attempt="another name after --output",
                    code="bucle-375",
                )


def _joined(batch: Batch, model: str) -> pl.DataFrame:
    """Return rows with what is said of them; names that rows have already get a mark."""
    said: list[pl.Series] = [
        pl.Series("prediction", [one.prediction for one in batch.scored], dtype=pl.Float64),
        pl.Series("low", [one.low for one in batch.scored], dtype=pl.Float64),
        pl.Series("high", [one.high for one in batch.scored], dtype=pl.Float64),
    ]
    if any(one.details for one in batch.scored):
        details = [one.details for one in batch.scored]
        said += pl.DataFrame(details, infer_schema_length=None).get_columns()
    if batch.ids:
        said.append(pl.Series("prediction_id", batch.ids, dtype=pl.String))
    said.append(pl.Series("model", [model] * len(batch.scored), dtype=pl.String))
    taken = set(batch.rows.columns)
    named = [one.alias(f"predicted_{one.name}") if one.name in taken else one for one in said]
    return batch.rows.with_columns(named)


class _Output:
    """A file that is written in parts beside its place and takes it at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kind = path.suffix
        self._folder: Path | None = None
        self._stream: BinaryIO | None = None
        self._parts = 0
        self._columns: list[str] = []

    def __enter__(self) -> Self:
        with translated_errors("write", self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(
                tempfile.mkdtemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            )
            if self._kind != ".parquet":
                self._stream = (self._folder / "whole").open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows."""
        if not frame.height and self._parts:
            return
        with translated_errors("write", self._path):
            if self._stream is None:
                frame.write_parquet(self._place(f"{self._parts:08}.parquet"))
            elif self._kind == ".jsonl":
                frame.write_ndjson(self._stream)
            else:
                self._write_csv(frame, self._stream)
        self._parts += 1

    def keep(self) -> None:
        """Let the file take its place."""
        with translated_errors("write", self._path):
            whole = self._place("whole")
            if self._stream is not None:
                self._stream.close()
            else:
                parts = [
                    pl.scan_parquet(self._place(f"{number:08}.parquet"))
                    for number in range(self._parts)
                ]
                # Types of JSON are those of their piece; here they find the ones that hold all.
                pl.concat(parts, how="diagonal_relaxed").sink_parquet(whole)
            whole.replace(self._path)

    def _write_csv(self, frame: pl.DataFrame, stream: BinaryIO) -> None:
        if not self._columns:
            self._columns = frame.columns
        elif set(frame.columns) - set(self._columns):
            raise OutsideError(
                f"Cannot write {self._path} as CSV: its rows have other columns later on",
                attempt="--output with a name that ends in .jsonl or .parquet",
                code="bucle-377",
            )
        missing = [pl.lit(None).alias(name) for name in self._columns if name not in frame.columns]
        rows = frame.with_columns(missing).select(self._columns)
        guard_cells(rows).write_csv(stream, include_header=self._parts == 0)

    def _place(self, name: str) -> Path:
        assert self._folder is not None  # noqa: S101  (it is used within its `with`)
        return self._folder / name
