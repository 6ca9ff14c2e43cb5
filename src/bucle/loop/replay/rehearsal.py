"""The built-in tasks of a replay: what was asked, what was known, and models made at any moment.

They run in workers. Each names in its key the digest of the view it sees, so that what comes
later in history changes no result that was kept.
"""

from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from bucle.loop.replay.history import moments_of, view_frames
from bucle.loop.replay.recipe import Place, Recipe
from bucle.loop.replay.steps import (
    Frames,
    Naming,
    asked_rows,
    event_time,
    examples_of,
    known_rows,
    predict_blocks,
    question_of,
    suspects_in,
    train,
)
from bucle.models.metrics import Floats
from bucle.models.signature import Signature
from bucle.pipeline.artifacts import keep_value, read_value
from bucle.pipeline.tasks import Artifact
from bucle.store.file_blobs import FileBlobs
from bucle.watch.distance import reference_of

__all__ = ["answer", "ask", "learn", "look", "suspect"]


def ask(
    *, recipe: dict[str, Any], start: str, end: str, key: list[str], beside: list[str], place: Any
) -> pl.DataFrame:
    """Return the examples that came between two moments, as they were when they came.

    Returns:
        As for `steps.asked_rows`.
    """
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    naming = Naming(key=tuple(key), beside=tuple(beside))
    frames = view_frames(cook, where, start, end)
    return asked_rows(cook, Path(where.root), frames, start=start, naming=naming)


def look(
    *, recipe: dict[str, Any], moment: str | None, key: list[str], beside: list[str], place: Any
) -> pl.DataFrame:
    """Return the examples whose label was known at a moment.

    Returns:
        As for `steps.known_rows`.
    """
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    naming = Naming(key=tuple(key), beside=tuple(beside))
    frames = view_frames(cook, where, moment, moment)
    return known_rows(cook, Path(where.root), frames, moment=moment, naming=naming)


def learn(
    *,
    recipe: dict[str, Any],
    moment: str,
    since: str | None,
    newest: int | None,
    place: Any,
    asked: Any,
    asked_from: str,
) -> dict[str, Any]:
    """Train a model on what was known at a moment, and predict what was asked while it is at hand.

    Args:
        recipe: How examples and models are made.
        moment: When it is trained.
        since: Rows before this moment are left out.
        newest: Only as many of the newest rows as hold this many labels; None for all.
        place: Where history lies.
        asked: The artifact of all rows asked; the model is kept, so that more can be asked later.
        asked_from: Which of them are predicted: those from this moment on.

    Returns:
        `model` and `predictions` (artifacts), `asked` (digest of the rows and `asked_from`),
        `rows`, `labels`, `signature` and `reference` (the bins that distances are measured with).
    """
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    frames = view_frames(cook, where, moment, moment, since=since)
    if newest is not None:
        frames = _newest(cook, where, frames, moment, newest)
    trained = train(cook, Path(where.root), frames, moment=moment)
    blobs, root = FileBlobs(Path(where.blobs)), Path(where.root)
    rows = msgspec.convert(asked, Artifact)
    predicted = predict_blocks(
        trained.model,
        trained.signature,
        read_value(rows, blobs=blobs, root=root),
        start=asked_from,
    )
    return {
        "model": msgspec.to_builtins(keep_value(trained.model, blobs=blobs, root=root)),
        "predictions": msgspec.to_builtins(keep_value(predicted, blobs=blobs, root=root)),
        "asked": [rows.digest, asked_from],
        "rows": trained.examples.height,
        "labels": trained.labels,
        "signature": msgspec.to_builtins(trained.signature),
        "reference": reference_of(trained.inputs),
    }


def answer(*, model: Any, rows: pl.DataFrame, signature: dict[str, Any], start: str) -> Floats:
    """Predict rows with a model that was kept, exactly as `learn` does."""
    return predict_blocks(model, msgspec.convert(signature, Signature), rows, start=start)


def suspect(*, recipe: dict[str, Any], moment: str, place: Any) -> list[dict[str, Any]]:
    """Return the columns that may give the label away, seen from one moment."""
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    frames = view_frames(cook, where, moment, moment)
    return suspects_in(cook, Path(where.root), frames, moment=moment)


def _newest(cook: Recipe, where: Place, frames: Frames, moment: str, labels: int) -> Frames:
    """Keep the newest rows that hold so many labelled examples."""
    question = question_of(cook)
    known = question.labelled(examples_of(cook, Path(where.root), frames, moment))
    if known.height <= labels:
        return frames
    event = event_time(question, known)
    since = known.select(moments_of(known, event).sort(descending=True))[labels - 1, 0]
    primary = frames[cook.primary]
    settings = cook.settings[cook.primary]
    kept = primary.filter(moments_of(primary, str(settings.event_time)) >= since)
    return {**frames, cook.primary: kept}
