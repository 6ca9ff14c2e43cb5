"""Contradictions in a charter: values that are each of their type and cannot all be meant.

Reads the typed charter and nothing else; what needs the disk is checked where it is read. Must
not import anything heavy.
"""

import codecs
import math
import re
from collections.abc import Iterator, Sequence
from datetime import date
from keyword import iskeyword
from typing import Any

from bucle.charter.loop_checks import find_loop_problems
from bucle.charter.metrics import METRICS, metrics_for
from bucle.charter.problems import Problem
from bucle.charter.settings import (
    Charter,
    DatasetSettings,
    GateSettings,
    PipelineSettings,
    ReplaySettings,
)
from bucle.errors import nearest

__all__ = ["MONEY_ERRORS", "find_problems", "is_encoding", "listed"]

MONEY_ERRORS = ("absolute", "squared", "asymmetric", "zero-one")
_BASELINES = ("median", "last")
_LONGEST_NAME = 64
# Python reads these; no table is written in one, and some give halves of characters.
_NOT_OF_FILES = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"}
_LARGEST_SEED = 2**32 - 1
_MOST_WORKERS = 256
_LOOP_GATES = ("none", "referee", "referee+refit")
_WINDOW = re.compile(r"last:[1-9]\d{0,3}(d|w|mo|y)")
_SPAN = re.compile(r"[1-9]\d{0,3}(d|w|mo|y)")


def find_problems(charter: Charter, *, given: frozenset[str]) -> Iterator[Problem]:
    """Yield every contradiction, in the order of the charter.

    Args:
        charter: What was read.
        given: The keys that somebody set, as against defaults.
    """
    yield from _numbers(charter)
    yield from _project(charter)
    yield from _kpis(charter)
    yield from _money(charter)
    for name, dataset in charter.data.items():
        yield from _dataset(name, dataset)
    yield from _pipeline(charter.pipeline, charter)
    yield from _gates(charter.gates, given)
    yield from find_loop_problems(charter)
    yield from _replay(charter.replay)


def listed(names: Sequence[str] | str) -> tuple[str, ...]:
    """Return names given as one text or as a list of texts as a tuple.

    Example:
        >>> listed("item"), listed(("item", "week"))
        (('item',), ('item', 'week'))
    """
    return (names,) if isinstance(names, str) else tuple(names)


# ---- numbers ----------------------------------------------------------------

# low, high, and whether the bounds themselves are allowed
_RANGES: dict[str, tuple[float, float, bool]] = {
    "charter.money.under": (0, math.inf, True),
    "charter.money.over": (0, math.inf, True),
    "charter.money.retrain": (0, math.inf, True),
    "charter.money.alarm": (0, math.inf, True),
    "pipeline.seed": (0, _LARGEST_SEED, True),
    "pipeline.workers": (1, _MOST_WORKERS, True),
    "gates.holdout": (0, 1, False),
    "gates.confidence": (0.5, 1, False),
    "gates.margin": (0, 1, True),
    "gates.slice_margin": (0, math.inf, True),
    "gates.max_megabytes": (0, math.inf, False),
    "gates.max_latency_ms": (0, math.inf, False),
    "gates.threshold": (0, 1, False),
    "retrain.most_per_month": (1, 10_000, True),
    "deploy.pairs": (2, 10_000_000, True),
    "deploy.bake_minutes": (0, 525_600, True),
    "deploy.requests": (0, 1_000_000_000, True),
    "deploy.shadow_hours": (0, 87_600, True),
    "deploy.labels": (0, 1_000_000_000, True),
    "deploy.deadline_hours": (0, 87_600, False),
    "deploy.probation_hours": (0, 87_600, True),
}


def _numbers(charter: Charter) -> Iterator[Problem]:
    for key, (low, high, closed) in _RANGES.items():
        value: Any = charter
        for part in key.split("."):
            value = getattr(value, part)
        if value is None:
            continue
        inside = low <= value <= high if closed else low < value < high
        if not inside or not math.isfinite(value):
            between = f"between {low:g} and {high:g}" if high < math.inf else f"above {low:g}"
            yield Problem(key=key, value=value, cause=f"it must be a number {between}")


# ---- sections ---------------------------------------------------------------


def _project(charter: Charter) -> Iterator[Problem]:
    name = charter.project.name
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        cause = f"it must be 1 to {_LONGEST_NAME} printable characters"
        yield Problem(key="project.name", value=name, cause=cause)


def _kpis(charter: Charter) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, kpi in enumerate(charter.charter.kpis):
        key = f"charter.kpis.{number}"
        kind = charter.pipeline.kind
        metric = METRICS.get(kpi.metric)
        if metric is None or not metric.judges(kind):
            fitting = metrics_for(kind)
            yield Problem(
                key=f"{key}.metric",
                value=kpi.metric,
                cause=f"metrics for {kind} are {', '.join(fitting)}",
                did_you_mean=nearest(kpi.metric, fitting),
                code="bucle-117",
            )
            continue
        if kpi.metric in seen:
            yield Problem(key=f"{key}.metric", value=kpi.metric, cause="it is listed twice")
        seen.add(kpi.metric)
        for field, value in (("goal", kpi.goal), ("must", kpi.must)):
            if value is not None and not (math.isfinite(value) and metric.is_possible(value)):
                cause = f"{kpi.metric} can never be that"
                yield Problem(key=f"{key}.{field}", value=value, cause=cause)
        goal, must = kpi.goal, kpi.must
        if goal is not None and must is not None and metric.is_stricter(must, than=goal):
            better = "lower" if metric.lower_is_better else "higher"
            yield Problem(
                key=f"{key}.must",
                value=must,
                cause=f"it is stricter than the goal {goal:g} of {kpi.metric}, "
                f"where {better} is better",
                attempt=f"goal = {must:g} and must = {goal:g}",
            )


def _money(charter: Charter) -> Iterator[Problem]:
    error = charter.charter.money.error
    if ":" not in error and error not in MONEY_ERRORS:
        yield Problem(
            key="charter.money.error",
            value=error,
            cause=f"it must be {', '.join(MONEY_ERRORS)} or a function, file.py:name",
            did_you_mean=nearest(error, MONEY_ERRORS),
        )
    if error == "zero-one" and charter.pipeline.kind == "regression":
        cause = "zero-one counts wrong classes, and pipeline.kind is regression"
        yield Problem(key="charter.money.error", value=error, cause=cause, attempt="absolute")


def _dataset(name: str, dataset: DatasetSettings) -> Iterator[Problem]:
    prefix = f"data.{name}"
    reserved = name in {"as_of", "model"} or iskeyword(name)
    plain = name.isascii() and name.isidentifier() and not name.startswith("_")
    if reserved or not plain or len(name) > _LONGEST_NAME:
        cause = "a dataset's name is a plain Python name of at most 64 letters, no reserved word"
        yield Problem(key=prefix, value=name, cause=cause, attempt="[data.sales]")
    yield from _dataset_roles(prefix, dataset)
    yield from _dataset_reading(prefix, dataset)


def _dataset_roles(prefix: str, dataset: DatasetSettings) -> Iterator[Problem]:
    label, key = listed(dataset.label), listed(dataset.key)
    if dataset.label_time is not None and not label:
        cause = "no label is named whose time this would be"
        attempt = f'label = "price" in [{prefix}]'
        value = dataset.label_time
        yield Problem(key=f"{prefix}.label_time", value=value, cause=cause, attempt=attempt)
    if dataset.event_time is not None and dataset.event_time in label:
        cause = "it is listed as a label, which is known only later"
        yield Problem(key=f"{prefix}.event_time", value=dataset.event_time, cause=cause)
    for column in key:
        if column in label or column == dataset.label_time:
            cause = f"{column!r} is a label, which a key cannot wait for"
            yield Problem(key=f"{prefix}.key", value=column, cause=cause)
    for field, columns in (("label", label), ("key", key)):
        doubles = sorted({column for column in columns if columns.count(column) > 1})
        if doubles:
            yield Problem(key=f"{prefix}.{field}", value=doubles[0], cause="it is listed twice")


def _dataset_reading(prefix: str, dataset: DatasetSettings) -> Iterator[Problem]:
    sources = listed(dataset.source)
    urls = [source for source in sources if "://" in source]
    if dataset.query is not None and (len(urls) != 1 or len(sources) != 1):
        cause = "a query needs one database URL as its source"
        attempt = f'source = "sqlite:///shop.db" in [{prefix}]'
        value = dataset.query
        yield Problem(key=f"{prefix}.query", value=value, cause=cause, attempt=attempt)
    if (urls or dataset.format == "sql") and dataset.query is None:
        cause = "a database needs a query, and anything else must be a file"
        yield Problem(key=f"{prefix}.source", value=dataset.source, cause=cause)
    if dataset.format not in {None, "sql"} and urls:
        cause = f"its source is a database, and {dataset.format} is a file"
        yield Problem(key=f"{prefix}.format", value=dataset.format, cause=cause)
    if dataset.separator is not None:
        if len(dataset.separator) != 1 or dataset.separator in '"\r\n':
            cause = "it must be one character that is no quote and no line end"
            yield Problem(key=f"{prefix}.separator", value=dataset.separator, cause=cause)
        if dataset.separator == dataset.decimal:
            cause = "the decimal mark is the same character"
            yield Problem(key=f"{prefix}.separator", value=dataset.separator, cause=cause)
    if dataset.encoding is not None and not is_encoding(dataset.encoding):
        near = nearest(dataset.encoding, ("utf-8", "utf-16", "latin-1", "cp1252"))
        cause = "no text encoding has this name"
        key = f"{prefix}.encoding"
        yield Problem(key=key, value=dataset.encoding, cause=cause, did_you_mean=near)


def is_encoding(name: str) -> bool:
    """Tell whether text files can be in an encoding of this name.

    Example:
        >>> is_encoding("latin-1"), is_encoding("latin-111"), is_encoding("rot13")
        (True, False, False)
    """
    try:
        # Codecs such as rot13 or zlib exist too, and turn no bytes into text.
        return isinstance("".encode(name), bytes) and codecs.lookup(name).name not in _NOT_OF_FILES
    except (LookupError, ValueError):
        return False


def _pipeline(pipeline: PipelineSettings, charter: Charter) -> Iterator[Problem]:
    target, features = pipeline.target, pipeline.features
    if target is not None and target in features:
        rest = ", ".join(column for column in features if column != target)
        yield Problem(
            key="pipeline.features",
            value=target,
            cause="the target is also listed as a feature",
            attempt=f"features without it: {rest or 'leave the key out'}",
        )
    for name, dataset in charter.data.items():
        late = [*listed(dataset.label), *([dataset.label_time] if dataset.label_time else [])]
        known_late = [column for column in features if column in late and column != target]
        if known_late:
            cause = f"[data.{name}] says it is known only with the label"
            yield Problem(key="pipeline.features", value=known_late[0], cause=cause)
        if target is not None and target == dataset.event_time:
            cause = f"it is the event time of [data.{name}], known before the prediction"
            yield Problem(key="pipeline.target", value=target, cause=cause)
    if pipeline.model is not None and not pipeline.model.isidentifier():
        cause = "it must be the name of a step, a function of the pipeline's file"
        yield Problem(key="pipeline.model", value=pipeline.model, cause=cause)
    for step, parameters in pipeline.parameters.items():
        for parameter, value in parameters.items():
            key = f"pipeline.parameters.{step}.{parameter}"
            if not (step.isidentifier() and parameter.isidentifier()):
                yield Problem(key=key, value=value, cause="STEP and PARAM are names of the code")
            elif not _is_json(value):
                cause = "it must be a number, text, true, false, or a list or table of these"
                yield Problem(key=key, value=value, cause=cause, attempt="dates go in quotes")


def _is_json(value: object, depth: int = 0) -> bool:
    if isinstance(value, dict):
        return depth < _LONGEST_NAME and all(_is_json(one, depth + 1) for one in value.values())
    if isinstance(value, list):
        return depth < _LONGEST_NAME and all(_is_json(one, depth + 1) for one in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)


def _gates(gates: GateSettings, given: frozenset[str]) -> Iterator[Problem]:
    for name in gates.baselines:
        if name not in _BASELINES:
            cause = f"baselines are {', '.join(_BASELINES)}"
            near = nearest(name, _BASELINES)
            yield Problem(key="gates.baselines", value=name, cause=cause, did_you_mean=near)
    # The default offers `last` wherever it can be had; asking for it by name needs the column.
    if "last" in gates.baselines and not gates.baseline_key and "gates.baselines" in given:
        yield Problem(
            key="gates.baselines",
            value="last",
            cause="the last value of what? gates.baseline_key is not set",
            attempt='baseline_key = "item" in [gates]',
        )


def _replay(replay: ReplaySettings) -> Iterator[Problem]:
    for key, day in (("from", replay.start), ("to", replay.end)):
        if day is not None and not _is_day(day):
            cause = "a day is written 2011-01-31"
            yield Problem(key=f"replay.{key}", value=day, cause=cause)
    if replay.period is not None and not _SPAN.fullmatch(replay.period):
        cause = "a span is a whole number and d, w, mo or y"
        yield Problem(key="replay.period", value=replay.period, cause=cause, attempt="1w")
    for window in replay.windows:
        if window != "expanding" and not _WINDOW.fullmatch(window):
            cause = "a window is expanding, or last:<n>d|w|mo|y"
            yield Problem(key="replay.windows", value=window, cause=cause, attempt="last:2y")
    for gate in sorted(set(replay.gates) - set(_LOOP_GATES)):
        cause = f"a replay knows {', '.join(_LOOP_GATES)}"
        near = nearest(gate, _LOOP_GATES)
        yield Problem(key="replay.gates", value=gate, cause=cause, did_you_mean=near)
    yield from _exploration(replay)


def _exploration(replay: ReplaySettings) -> Iterator[Problem]:
    for share in replay.explore:
        if not 0 <= share <= 1:
            cause = "a share of chance is a number between 0 and 1"
            yield Problem(key="replay.explore", value=share, cause=cause, attempt="0.15")
    # An empty name turns a world off for once: --set replay.world=""
    if replay.explore and replay.world is None:
        yield Problem(
            key="replay.explore",
            value=list(replay.explore),
            cause="recorded history does not answer to what is proposed",
            attempt='world = "file.py:Name" in [replay]',
        )


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
