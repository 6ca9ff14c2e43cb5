"""From the files of the prediction log to the tables `predictions` and `feedback`, exactly once.

Each version of a table says, in the same commit as its rows, up to which file of each worker it
goes. A file is removed only after that, so the compactor may be killed anywhere and begin again.
Must not import the loop. Imports polars.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from msgspec import Struct

from bucle.serve.frames import scan, seed_of
from bucle.serve.records import Feedback, Prediction, decode
from bucle.serve.segments import (
    Segment,
    finished_segments,
    segment_path,
    segments_in,
    sweep_temporary,
)
from bucle.store.files import translated_errors
from bucle.store.locks import LockHeldError, exclusive
from bucle.types import Tables

__all__ = [
    "FEEDBACK",
    "MERGE_AFTER",
    "PREDICTIONS",
    "Compacted",
    "compact",
    "feedback_frame",
    "pause_s",
    "prediction_frame",
    "read_log",
    "read_log_after",
    "read_log_counted",
]

PREDICTIONS = "predictions"
FEEDBACK = "feedback"
MERGE_AFTER = 60
"""After so many versions a table's small files are merged."""


_TIME = pl.Datetime("us", "UTC")
_PREDICTION_COLUMNS = pl.Schema(
    {
        "id": pl.String(),
        "at": _TIME,
        "model": pl.String(),
        "role": pl.String(),
        "of": pl.String(),
        "prediction": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "key": pl.String(),
        "request": pl.String(),
        "latency_us": pl.Int64(),
        "features": pl.String(),
    }
)
_FEEDBACK_COLUMNS = pl.Schema(
    {
        "id": pl.String(),
        "at": _TIME,
        "label": pl.String(),
        "label_time": _TIME,
        "source": pl.String(),
    }
)
_LOCK = ".compactor.lock"
_SHORTEST_PAUSE_S = 2.0
_PAUSES_OF_A_PASS = 20.0


class Compacted(Struct, frozen=True, kw_only=True):
    """What one pass has done.

    `torn` counts bytes of records whose writing was cut off, which were never answered; `damaged`
    names files of which a part cannot be read, kept with the ending `.damaged`; `busy` says that
    another compactor was at work, so that this one did nothing.
    """

    segments: int = 0
    predictions: int = 0
    feedback: int = 0
    torn: int = 0
    damaged: tuple[str, ...] = ()
    busy: bool = False


class _Content(Struct, frozen=True, kw_only=True):
    """What stands in a segment."""

    segment: Segment
    predictions: list[Prediction]
    feedback: list[Feedback]
    torn: int
    is_damaged: bool


def compact(
    folder: Path,
    tables: Tables,
    *,
    batch_bytes: int = 64 << 20,
    merge_after: int = MERGE_AFTER,
    keep_s: float = 3600.0,
    at_step: Callable[[str], None] = lambda _: None,
) -> Compacted:
    """Bring every finished file of a folder into the tables, and remove it.

    Files of living workers are left until they are finished, those of dead ones are finished here.
    One compactor works at a time; another one leaves at once.

    Args:
        folder: The prediction log's folder.
        tables: Where `predictions` and `feedback` are.
        batch_bytes: Files up to this size together make one version of a table.
        merge_after: After so many versions a table's small files are merged.
        keep_s: Seconds for which a version that was merged away stays readable.
        at_step: Told each step before it is taken; for progress, and for tests that end here.

    Raises:
        OutsideError: A disk failed; the files are still there and the next pass takes them.
    """
    if not folder.is_dir():
        return Compacted()
    done = Compacted()
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(exclusive(folder / _LOCK, wait_s=0))
        except LockHeldError:
            return Compacted(busy=True)
        held.enter_context(translated_errors("compact", folder))
        at_step("finish")
        sweep_temporary(folder)
        finished = finished_segments(folder, segments_in(folder))
        for batch in _batches(folder, finished, batch_bytes):
            done = _sum(done, _deliver(folder, tables, batch, at_step))
        for name in (PREDICTIONS, FEEDBACK):
            at_step(f"merge {name}")
            tables.merge_files(name, after=merge_after, keep_s=keep_s)
    return done


def pause_s(spent_s: float) -> float:
    """Return how long to wait before the next pass, given how long the last one took.

    So the compactor takes a twentieth of a core at most, however dear a pass has become. What is
    not in a table yet, `read_log` finds in the files.

    Example:
        >>> pause_s(0.03), pause_s(1.5)
        (2.0, 30.0)
    """
    return max(_SHORTEST_PAUSE_S, _PAUSES_OF_A_PASS * spent_s)


def read_log(
    folder: Path,
    tables: Tables,
    *,
    name: str,
    columns: Sequence[str] | None = None,
    since: datetime | None = None,
) -> pl.DataFrame:
    """Return predictions or feedback: what a table holds and what is still in files.

    Safe beside workers and compactor: a row is there once, whatever moves meanwhile.

    Args:
        folder: The prediction log's folder.
        tables: Where the tables are.
        name: `predictions` or `feedback`.
        columns: Only these; all by default.
        since: Only what came at this moment or later.
    """
    return pl.concat(_parts(folder, tables, name=name, columns=columns, since=since)[:2])


def read_log_after(
    folder: Path, tables: Tables, *, name: str, columns: Sequence[str], rows: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what a table holds beside its first rows, and what is still in files.

    Together they are the end of what `read_log` gives; what is in files stands in the table later.

    Args:
        folder: The prediction log's folder.
        tables: Where the tables are.
        name: `predictions` or `feedback`.
        columns: Only these.
        rows: How many of the table's first rows are left out.
    """
    frame, rest, _ = _parts(folder, tables, name=name, columns=columns, rows=rows)
    return frame, rest


def read_log_counted(
    folder: Path,
    tables: Tables,
    *,
    name: str,
    columns: Sequence[str],
    since: datetime | None = None,
    last: int | None = None,
) -> tuple[pl.DataFrame, int]:
    """Return what `read_log` does, and how many rows the table had: where to go on from.

    Args:
        folder: The prediction log's folder.
        tables: Where the tables are.
        name: `predictions` or `feedback`.
        columns: Only these.
        since: Only what came at this moment or later.
        last: Only so many of the table's last rows.
    """
    frame, rest, count = _parts(
        folder, tables, name=name, columns=columns, since=since, last=last, is_counted=True
    )
    return pl.concat([frame, rest]), count


def _parts(
    folder: Path,
    tables: Tables,
    *,
    name: str,
    columns: Sequence[str] | None,
    since: datetime | None = None,
    rows: int = 0,
    last: int | None = None,
    is_counted: bool = False,
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Return rows of a table, those still in files, and how many the table has if asked."""
    schema = _PREDICTION_COLUMNS if name == PREDICTIONS else _FEEDBACK_COLUMNS
    names = list(columns or schema)
    first = datetime(1, 1, 1, tzinfo=UTC) if since is None else since
    # Files first: one that is delivered and removed now is seen in the table afterwards.
    contents = [_read(folder, segment) for segment in segments_in(folder)]
    version = tables.version(name)
    frame = pl.DataFrame(schema={column: schema[column] for column in names})
    marks: dict[str, int] = {}
    count = 0
    if version is not None:
        later = None if since is None else ("at", first)
        count = tables.rows(name, version=version) if is_counted else 0
        after = rows if last is None else max(rows, count - last)
        frame = tables.read(name, version=version, columns=names, since=later, after=after)
        marks = tables.marks(name, version=version)
    waiting = [
        content
        for content in contents
        if content is not None
        and content.segment.state != "damaged"
        and content.segment.number > marks.get(content.segment.journal, 0)
    ]
    rest = _frame_of(name, waiting).filter(pl.col("at") >= first)
    return frame, rest.select(names), count


def prediction_frame(predictions: Sequence[Prediction]) -> pl.DataFrame:
    """Return predictions as the table holds them; `features` is JSON text."""
    columns = {name: [getattr(one, name) for one in predictions] for name in _PREDICTION_COLUMNS}
    columns["features"] = [
        features.decode("utf-8", "backslashreplace") for features in columns["features"]
    ]
    return _typed(columns, _PREDICTION_COLUMNS)


def feedback_frame(feedback: Sequence[Feedback]) -> pl.DataFrame:
    """Return feedback as the table holds it; `label` is JSON text."""
    columns = {name: [getattr(one, name) for one in feedback] for name in _FEEDBACK_COLUMNS}
    return _typed(columns, _FEEDBACK_COLUMNS)


def _typed(columns: dict[str, list[object]], types: pl.Schema) -> pl.DataFrame:
    """Make a frame of columns in which times are microseconds."""
    return pl.DataFrame(
        [
            pl.Series(name, values, dtype=pl.Int64).cast(_TIME)
            if types[name] == _TIME
            else pl.Series(name, values, dtype=types[name])
            for name, values in columns.items()
        ]
    )


def _batches(
    folder: Path, segments: Sequence[Segment], batch_bytes: int
) -> Iterator[list[Segment]]:
    """Split segments, in their order, into batches of a size."""
    batch: list[Segment] = []
    size = 0
    for segment in segments:
        size += segment_path(folder, segment).stat().st_size
        if batch and size > batch_bytes:
            yield batch
            batch, size = [], segment_path(folder, segment).stat().st_size
        batch.append(segment)
    if batch:
        yield batch


def _deliver(
    folder: Path, tables: Tables, batch: Sequence[Segment], at_step: Callable[[str], None]
) -> Compacted:
    """Bring some segments into both tables, then remove them."""
    at_step("read")
    contents = [content for one in batch if (content := _read(folder, one)) is not None]
    added = dict.fromkeys((PREDICTIONS, FEEDBACK), 0)
    for name in added:
        recorded = tables.marks(name)
        fresh = [
            content
            for content in contents
            if content.segment.number > recorded.get(content.segment.journal, 0)
        ]
        frame = _frame_of(name, fresh)
        if frame.height:
            at_step(f"append {name}")
            # In order of their numbers, so the last one of a worker is its highest.
            marks = {content.segment.journal: content.segment.number for content in fresh}
            if tables.append_once(name, frame, marks=marks) is not None:
                added[name] = frame.height
    for content in contents:
        at_step("remove")
        _remove(folder, content)
    return Compacted(
        segments=len(contents),
        predictions=added[PREDICTIONS],
        feedback=added[FEEDBACK],
        torn=sum(content.torn for content in contents),
        damaged=tuple(content.segment.stem for content in contents if content.is_damaged),
    )


def _read(folder: Path, segment: Segment) -> _Content | None:
    """Read a segment; None when it is gone."""
    content = None
    # A worker may finish it between the listing and now.
    for state in dict.fromkeys((segment.state, "done")):
        place = Segment(journal=segment.journal, number=segment.number, state=state)
        with contextlib.suppress(FileNotFoundError):
            content = segment_path(folder, place).read_bytes()
            break
    if content is None:
        return None
    found = scan(content, seed=seed_of(segment.stem))
    decoded = [decode(payload) for payload in found.payloads]
    records = [record for several in decoded for record in several]
    return _Content(
        segment=segment,
        predictions=[one for one in records if isinstance(one, Prediction)],
        feedback=[one for one in records if isinstance(one, Feedback)],
        torn=found.torn,
        # A record of a kind that a later version wrote is kept in its file as well.
        is_damaged=bool(found.damaged) or not all(decoded),
    )


def _remove(folder: Path, content: _Content) -> None:
    """Remove a delivered segment, or keep it for people when a part of it was not read."""
    path = segment_path(folder, content.segment)
    if content.is_damaged:
        path.rename(path.with_suffix(".damaged"))
    else:
        path.unlink()


def _frame_of(name: str, contents: Sequence[_Content]) -> pl.DataFrame:
    """Return what segments hold for one table."""
    if name == PREDICTIONS:
        return prediction_frame([one for content in contents for one in content.predictions])
    return feedback_frame([one for content in contents for one in content.feedback])


def _sum(first: Compacted, second: Compacted) -> Compacted:
    """Add up two batches."""
    return Compacted(
        segments=first.segments + second.segments,
        predictions=first.predictions + second.predictions,
        feedback=first.feedback + second.feedback,
        torn=first.torn + second.torn,
        damaged=first.damaged + second.damaged,
    )
