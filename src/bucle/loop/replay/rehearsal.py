"""The built-in tasks of a replay: what was asked, what was known, and models made at any moment.

They run in workers. Each names in its key the digest of the view it sees, so that what comes
later in history changes no result that was kept.
"""

import copy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from bucle.charter.project_code import load_name
from bucle.clock import from_iso
from bucle.data.leaks import find_leaks
from bucle.errors import PipelineError
from bucle.loop.columns import require_columns
from bucle.loop.question import Question
from bucle.loop.replay.history import moments_of, view_frames
from bucle.loop.replay.recipe import Place, Recipe
from bucle.models.metrics import Floats
from bucle.models.prediction import class_names, predict
from bucle.models.signature import Signature, conform, signature_of
from bucle.pipeline.artifacts import keep_value, read_value
from bucle.pipeline.calling import set_seed
from bucle.pipeline.tasks import Artifact
from bucle.store.file_blobs import FileBlobs
from bucle.watch.distance import reference_of

__all__ = ["BLOCK", "answer", "ask", "learn", "look", "suspect"]

BLOCK = 1024
"""Rows predicted at once: always this many, filled up, so that a prediction never depends on how
many rows come after its own."""


def ask(
    *, recipe: dict[str, Any], start: str, end: str, key: list[str], beside: list[str], place: Any
) -> pl.DataFrame:
    """Return the examples that came between two moments, as they were when they came.

    Returns:
        `_row` (what names the row), `_at` (event time, microseconds), the features, and under
        `_beside NAME` the columns that only gates look at.
    """
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    frames = view_frames(cook, where, start, end)
    examples = _examples(cook, where, frames, start)
    question = msgspec.convert(cook.question, Question)
    rows = examples.filter(moments_of(examples, _event_time(question, examples)) >= from_iso(start))
    features = question.feature_names(examples)
    require_columns(examples, {"pipeline.features": features, "gates": beside})
    return rows.select(
        _row_names(rows, _key(key, cook, question, examples)),
        moments_of(rows, str(question.event_time)).dt.epoch("us").alias("_at"),
        *features,
        *(pl.col(name).alias(f"_beside {name}") for name in beside),
    ).sort("_at", maintain_order=True)


def look(
    *, recipe: dict[str, Any], moment: str | None, key: list[str], beside: list[str], place: Any
) -> pl.DataFrame:
    """Return the examples whose label was known at a moment.

    Returns:
        `_row`, `_at`, `_known` (when the label became known), `_label`, and under `_beside NAME`
        the columns that only gates look at.
    """
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    examples = _examples(cook, where, view_frames(cook, where, moment, moment), moment)
    question = msgspec.convert(cook.question, Question)
    names = _row_names(examples, _key(key, cook, question, examples))
    at = moments_of(examples, _event_time(question, examples))
    late = question.label_time
    known = moments_of(examples, late) if late in examples.columns else at
    found = examples.select(
        names,
        at.alias("_at"),
        known.alias("_known"),
        pl.col(question.target).alias("_label"),
        *(pl.col(name).alias(f"_beside {name}") for name in beside),
    )
    labelled = pl.col("_label").is_not_null()
    if found.schema["_label"].is_float():
        labelled &= pl.col("_label").is_finite()
    return found.filter(labelled)


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
    values = _run(cook, where, frames, moment, cook.model)
    examples, model = values[cook.examples], values[cook.model]
    question = msgspec.convert(cook.question, Question)
    if not callable(getattr(model, "predict", None)):
        raise PipelineError(
            f"Cannot replay: the model step returned {type(model).__name__}, which cannot predict",
            attempt="return learner.fit(rows, labels)",
            code="bucle-241",
        )
    features = question.feature_names(examples)
    known = question.labelled(examples)
    classes = class_names(known[question.target]) if question.kind == "classification" else ()
    signature = signature_of(
        examples.select(features), kind=question.kind, target=question.target, classes=classes
    )
    blobs, root = FileBlobs(Path(where.blobs)), Path(where.root)
    rows = msgspec.convert(asked, Artifact)
    predicted = _predict_blocks(
        model, signature, read_value(rows, blobs=blobs, root=root), start=asked_from
    )
    return {
        "model": msgspec.to_builtins(keep_value(model, blobs=blobs, root=root)),
        "predictions": msgspec.to_builtins(keep_value(predicted, blobs=blobs, root=root)),
        "asked": [rows.digest, asked_from],
        "rows": examples.height,
        "labels": known.height,
        "signature": msgspec.to_builtins(signature),
        "reference": reference_of(examples.select(features)),
    }


def answer(*, model: Any, rows: pl.DataFrame, signature: dict[str, Any], start: str) -> Floats:
    """Predict rows with a model that was kept, exactly as `learn` does."""
    return _predict_blocks(model, msgspec.convert(signature, Signature), rows, start=start)


def suspect(*, recipe: dict[str, Any], moment: str, place: Any) -> list[dict[str, Any]]:
    """Return the columns that may give the label away, seen from one moment."""
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    examples = _examples(cook, where, view_frames(cook, where, moment, moment), moment)
    question = msgspec.convert(cook.question, Question)
    features = question.feature_names(examples)
    times = [name for name in (question.event_time, question.label_time) if name]
    wanted = dict.fromkeys([*features, question.target, *times])
    found = find_leaks(
        examples.select([name for name in wanted if name in examples.columns]),
        target=question.target,
        event_time=question.event_time if question.event_time in examples.columns else None,
        label_time=question.label_time if question.label_time in examples.columns else None,
    )
    return [
        {"columns": list(one.columns), "kind": one.kind, "evidence": one.evidence}
        for one in found
        if set(one.columns) <= set(features)
    ]


def _examples(
    cook: Recipe, where: Place, frames: dict[str, pl.DataFrame], moment: str | None
) -> pl.DataFrame:
    value = _run(cook, where, frames, moment, cook.examples)[cook.examples]
    if not isinstance(value, pl.DataFrame):
        raise PipelineError(
            f"Cannot replay: the examples {cook.examples!r} are a {type(value).__name__}, no frame",
            attempt='examples = "STEP" in [pipeline]',
            code="bucle-256",
        )
    return value


def _run(
    cook: Recipe, where: Place, frames: dict[str, pl.DataFrame], moment: str | None, wanted: str
) -> dict[str, Any]:
    """Run the steps that a value needs, in order; no step sees another's change in place."""
    values: dict[str, Any] = dict(frames)
    calls = {call.name: call for call in cook.calls}
    needed = _upstream(wanted, calls)
    for call in cook.calls:
        if call.name not in needed:
            continue
        function = load_name(Path(where.root), call.call)
        if not callable(function):
            raise PipelineError(f"Cannot call {call.call!r}: it is no function", code="bucle-150")
        given = {name: _fresh(values[name]) for name in call.inputs}
        moments = {"as_of": from_iso(moment) if moment else None} if call.as_of else {}
        set_seed(call.seed)
        values[call.name] = function(**given, **call.parameters, **moments)
    return values


def _upstream(wanted: str, calls: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = [wanted]
    while waiting:
        name = waiting.pop()
        if name in calls and name not in found:
            found.add(name)
            waiting.extend(calls[name].inputs)
    return found


def _fresh(value: Any) -> Any:
    return value.clone() if isinstance(value, pl.DataFrame) else copy.deepcopy(value)


def _newest(
    cook: Recipe, where: Place, frames: dict[str, pl.DataFrame], moment: str, labels: int
) -> dict[str, pl.DataFrame]:
    """Keep the newest rows that hold so many labelled examples."""
    question = msgspec.convert(cook.question, Question)
    known = question.labelled(_examples(cook, where, frames, moment))
    if known.height <= labels:
        return frames
    event = _event_time(question, known)
    since = known.select(moments_of(known, event).sort(descending=True))[labels - 1, 0]
    primary = frames[cook.primary]
    settings = cook.settings[cook.primary]
    kept = primary.filter(moments_of(primary, str(settings.event_time)) >= since)
    return {**frames, cook.primary: kept}


def _predict_blocks(model: Any, signature: Signature, rows: pl.DataFrame, *, start: str) -> Floats:
    """Predict rows from the block in which a moment lies on; NaN for the rows before it."""
    answers: Floats = np.full(rows.height, np.nan)
    if not rows.height:
        return answers
    at = rows["_at"].to_numpy()
    begin = int(np.searchsorted(at, round(from_iso(start).timestamp() * 1e6)))
    features = [column.name for column in signature.features]
    for first in range(begin // BLOCK * BLOCK, rows.height, BLOCK):
        block = rows.slice(first, BLOCK).select(features)
        missing = BLOCK - block.height
        if missing:
            # Any known row will do: what is predicted for it is thrown away.
            block = pl.concat([block, block[[0] * missing]])
        found = predict(model, conform(signature, block), kind=signature.kind)
        answers[first : first + BLOCK] = found[: BLOCK - missing]
    return answers


def _event_time(question: Question, frame: pl.DataFrame) -> str:
    name = question.event_time
    if name is None or name not in frame.columns:
        raise PipelineError(
            f"Cannot replay: the examples have no column {name!r}",
            cause="without the event time nobody can say which rows came when",
            attempt="keep the event time in the step that makes the examples",
            code="bucle-257",
        )
    return name


def _key(key: list[str], cook: Recipe, question: Question, examples: pl.DataFrame) -> list[str]:
    """Return the columns that name a row: asked for, the dataset's key, or all that is known."""
    if key:
        require_columns(examples, {"pipeline.key": key})
        return key
    of_data = cook.settings[cook.primary].key
    names = [of_data] if isinstance(of_data, str) else list(of_data)
    if names and all(name in examples.columns for name in names):
        return names
    # The event time may be a feature too.
    return list(dict.fromkeys([str(question.event_time), *question.feature_names(examples)]))


def _row_names(rows: pl.DataFrame, key: list[str]) -> pl.Series:
    """Return a text that names each row; equal ones are numbered in their order."""
    plain = rows.select(pl.col(name).cast(pl.String) for name in key)
    texts = plain.select(pl.struct(pl.all()).struct.json_encode().alias("text"))
    number = texts.select(pl.int_range(pl.len()).over("text")).to_series()
    twice = pl.when(number > 0).then(pl.format(" {}", number)).otherwise(pl.lit(""))
    return texts.select((pl.col("text") + twice).alias("_row")).to_series()
