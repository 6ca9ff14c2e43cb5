"""The project's steps as a replay runs them: examples, rows asked, labels known, models.

Works on frames that were cut to a moment before; whose they are, history's or a policy's own,
makes no difference. Runs in workers.
"""

import copy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from bucle.charter.project_code import load_name
from bucle.clock import from_iso
from bucle.data.leaks import find_leaks
from bucle.errors import BucleError, PipelineError
from bucle.grammar import with_article
from bucle.loop.columns import require_columns
from bucle.loop.question import Question
from bucle.loop.replay.history import moments_of
from bucle.loop.replay.recipe import Recipe
from bucle.models.metrics import Floats
from bucle.models.prediction import class_names, predict
from bucle.models.signature import Signature, conform, signature_of
from bucle.pipeline.calling import set_seed

__all__ = [
    "BLOCK",
    "Frames",
    "Naming",
    "Trained",
    "asked_rows",
    "event_time",
    "examples_of",
    "known_rows",
    "predict_blocks",
    "question_of",
    "suspects_in",
    "train",
]

BLOCK = 1024
"""Rows predicted at once: always this many, filled up, so that no rounding depends on how many
rows come after; a model whose predictions depend on them in another way is refused (`train`)."""

Frames = dict[str, pl.DataFrame]
_MOST_REFUSED = 64
_TOGETHER = 32
_TOLERANCE = 1e-6


class Naming(Struct, frozen=True, kw_only=True):
    """How rows are recognised: the columns that name one, and those only gates look at."""

    key: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


class Trained(Struct, frozen=True, kw_only=True):
    """A fitted model, the examples it was made with, and how many of them had a label."""

    model: Any
    signature: Signature
    examples: pl.DataFrame
    labels: int

    @property
    def inputs(self) -> pl.DataFrame:
        """The columns a prediction is made from."""
        return self.examples.select(column.name for column in self.signature.features)


def question_of(recipe: Recipe) -> Question:
    """Return what is predicted, from which columns."""
    return msgspec.convert(recipe.question, Question)


def asked_rows(
    recipe: Recipe, root: Path, frames: Frames, *, start: str, naming: Naming
) -> pl.DataFrame:
    """Return the examples that came from a moment on, as they were when they came.

    Returns:
        `_row` (what names the row), `_at` (event time, microseconds), the features, and under
        `_beside NAME` the columns that only gates look at.
    """
    examples = examples_of(recipe, root, frames, start)
    question = question_of(recipe)
    rows = examples.filter(moments_of(examples, event_time(question, examples)) >= from_iso(start))
    features = question.feature_names(examples)
    require_columns(examples, {"pipeline.features": features, "gates": naming.beside})
    return rows.select(
        _row_names(rows, _key(naming.key, recipe, question, examples)),
        moments_of(rows, str(question.event_time)).dt.epoch("us").alias("_at"),
        *features,
        *(pl.col(name).alias(f"_beside {name}") for name in naming.beside),
    ).sort("_at", maintain_order=True)


def known_rows(
    recipe: Recipe, root: Path, frames: Frames, *, moment: str | None, naming: Naming
) -> pl.DataFrame:
    """Return the examples whose label was known at a moment.

    Returns:
        `_row`, `_at`, `_known` (when the label became known), `_label`, and under `_beside NAME`
        the columns that only gates look at.
    """
    examples = examples_of(recipe, root, frames, moment)
    question = question_of(recipe)
    names = _row_names(examples, _key(naming.key, recipe, question, examples))
    at = moments_of(examples, event_time(question, examples))
    late = question.label_time
    known = moments_of(examples, late) if late in examples.columns else at
    found = examples.select(
        names,
        at.alias("_at"),
        known.alias("_known"),
        pl.col(question.target).alias("_label"),
        *(pl.col(name).alias(f"_beside {name}") for name in naming.beside),
    )
    labelled = pl.col("_label").is_not_null()
    if found.schema["_label"].is_float():
        labelled &= pl.col("_label").is_finite()
    return found.filter(labelled)


def train(recipe: Recipe, root: Path, frames: Frames, *, moment: str) -> Trained:
    """Run the model step on what was known at a moment.

    Raises:
        PipelineError: What it returns cannot predict.
    """
    values = _run(recipe, root, frames, moment, (recipe.model, recipe.examples))
    examples, model = values[recipe.examples], values[recipe.model]
    question = question_of(recipe)
    if not callable(getattr(model, "predict", None)):
        raise PipelineError(
            f"Cannot replay: the model step returned {type(model).__name__}, which cannot predict",
            attempt="return learner.fit(rows, labels)",
            code="bucle-241",
        )
    known = question.labelled(examples)
    classes = class_names(known[question.target]) if question.kind == "classification" else ()
    signature = signature_of(
        examples.select(question.feature_names(examples)),
        kind=question.kind,
        target=question.target,
        classes=classes,
    )
    found = Trained(model=model, signature=signature, examples=examples, labels=known.height)
    _require_rows_apart(model, signature, found.inputs)
    return found


def _require_rows_apart(model: Any, signature: Signature, rows: pl.DataFrame) -> None:
    """Raise when a prediction depends on the rows it is asked together with.

    In history these would be rows that had not come yet. Rows that the model refuses say nothing.
    """
    few = rows[-_TOGETHER:]
    alone = few[: max(1, few.height // 4)]
    if few.height < 2:  # noqa: PLR2004  (one row has no company)
        return
    try:
        together = predict(model, conform(signature, few), kind=signature.kind)[: alone.height]
        apart = predict(model, conform(signature, alone), kind=signature.kind)
    except BucleError:
        return
    if not np.allclose(together, apart, rtol=_TOLERANCE, atol=_TOLERANCE):
        raise PipelineError(
            "Cannot replay: what the model predicts for a row depends on the rows beside it",
            cause="rows of another day would change what was predicted today",
            attempt="learn means, scales and the like in fit, and only use them in predict",
            code="bucle-280",
        )


def suspects_in(recipe: Recipe, root: Path, frames: Frames, *, moment: str) -> list[dict[str, Any]]:
    """Return the columns that may give the label away, seen from one moment."""
    examples = examples_of(recipe, root, frames, moment)
    question = question_of(recipe)
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


def examples_of(recipe: Recipe, root: Path, frames: Frames, moment: str | None) -> pl.DataFrame:
    """Run the steps up to the examples.

    Raises:
        PipelineError: They are no frame.
    """
    value = _run(recipe, root, frames, moment, (recipe.examples,))[recipe.examples]
    if not isinstance(value, pl.DataFrame):
        raise PipelineError(
            f"Cannot replay: {recipe.examples!r} gave a {type(value).__name__}, no frame of rows",
            attempt='examples = "STEP" in [pipeline]',
            code="bucle-256",
        )
    return value


def _run(
    recipe: Recipe, root: Path, frames: Frames, moment: str | None, wanted: tuple[str, ...]
) -> dict[str, Any]:
    """Run the steps that values need, in order; no step sees another's change in place."""
    values: dict[str, Any] = dict(frames)
    calls = {call.name: call for call in recipe.calls}
    needed = _upstream(wanted, calls)
    for call in recipe.calls:
        if call.name not in needed:
            continue
        function = load_name(root, call.call)
        if not callable(function):
            raise PipelineError(
                f"Cannot call {call.call!r}: it is {with_article(type(function).__name__)}",
                attempt="a function of that name in the pipeline's file",
                code="bucle-278",
            )
        given = {name: _fresh(values[name]) for name in call.inputs}
        moments = {"as_of": from_iso(moment) if moment else None} if call.as_of else {}
        set_seed(call.seed)
        values[call.name] = function(**given, **call.parameters, **moments)
    return values


def _upstream(wanted: tuple[str, ...], calls: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name in calls and name not in found:
            found.add(name)
            waiting.extend(calls[name].inputs)
    return found


def _fresh(value: Any) -> Any:
    return value.clone() if isinstance(value, pl.DataFrame) else copy.deepcopy(value)


def predict_blocks(model: Any, signature: Signature, rows: pl.DataFrame, *, start: str) -> Floats:
    """Predict rows from the block in which a moment lies on; NaN for the rows before it.

    A row that the model refuses is NaN and fails no other: what comes later must not undo what a
    model answered before. After 64 of them the rest is NaN.

    Raises:
        BucleError: The model refuses every row.
    """
    answers: Floats = np.full(rows.height, np.nan)
    if not rows.height:
        return answers
    at = rows["_at"].to_numpy()
    refused: list[BucleError] = []
    begin = int(np.searchsorted(at, round(from_iso(start).timestamp() * 1e6)))
    features = [column.name for column in signature.features]
    for first in range(begin // BLOCK * BLOCK, rows.height, BLOCK):
        block = rows.slice(first, BLOCK).select(features)
        refused += _answer(model, signature, block, answers[first : first + BLOCK], refused)
        if len(refused) >= _MOST_REFUSED:
            break
    if refused and not np.isfinite(answers).any():
        raise refused[0]
    return answers


def _answer(
    model: Any, signature: Signature, rows: pl.DataFrame, answers: Floats, before: list[BucleError]
) -> list[BucleError]:
    """Fill in the answers to rows, each half on its own where they fail; return the refusals."""
    missing = BLOCK - rows.height
    # Any known row will do: what is predicted for it is thrown away.
    block = pl.concat([rows, rows[[0] * missing]]) if missing else rows
    try:
        answers[:] = predict(model, conform(signature, block), kind=signature.kind)[: rows.height]
    except BucleError as error:
        if rows.height == 1:
            return [error]
        half = rows.height // 2
        found = _answer(model, signature, rows[:half], answers[:half], before)
        if len(before) + len(found) < _MOST_REFUSED:
            later = [*before, *found]
            found += _answer(model, signature, rows[half:], answers[half:], later)
        return found
    return []


def event_time(question: Question, frame: pl.DataFrame) -> str:
    """Return the column that says when a row came.

    Raises:
        PipelineError: The examples have none.
    """
    name = question.event_time
    if name is None or name not in frame.columns:
        raise PipelineError(
            f"Cannot replay: the examples have no column {name!r}",
            cause="without the event time nobody can say which rows came when",
            attempt="keep the event time in the step that makes the examples",
            code="bucle-257",
        )
    return name


def _key(
    key: tuple[str, ...], recipe: Recipe, question: Question, examples: pl.DataFrame
) -> list[str]:
    """Return the columns that name a row: asked for, the dataset's key, or all that is known."""
    if key:
        require_columns(examples, {"pipeline.key": key})
        return list(key)
    of_data = recipe.settings[recipe.primary].key
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
