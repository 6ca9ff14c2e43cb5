"""The tasks of one run: which step sees which part of the data, and what Bucle adds around them.

Steps up to the model see what was known where training ends (`train`). The steps that make the
examples run once more on all that is known now (`newer`). Steps after the model get those newer
frames with the rows that training saw taken out, so that what they report is honest. Pure; it
imports nothing heavy.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bucle.charter.settings import Charter, DatasetSettings
from bucle.errors import PipelineError, nearest
from bucle.pipeline.code import CodeReader
from bucle.pipeline.graph import AS_OF, Graph
from bucle.pipeline.tasks import Task
from bucle.types import DataVersion

__all__ = [
    "EVERYTHING",
    "NEWER",
    "TRAIN",
    "UNSEEN",
    "Cut",
    "RunPlan",
    "check_plan",
    "cut_task",
    "plan_run",
    "plan_tasks",
    "steps_after",
    "task_name",
]

TRAIN = "@train"
NEWER = "@newer"
UNSEEN = "@unseen"
EVERYTHING = "@everything"
_COLUMNS = "check columns"
_VIEWS = "bucle.loop.views"
_LIBRARIES = ("polars", "deltalake")


class Cut(Struct, frozen=True, kw_only=True):
    """Where training ends, where knowledge ends, and what could not be promised."""

    cut: str | None = None
    end: str | None = None
    train_rows: int = 0
    newer_rows: int = 0
    warnings: tuple[str, ...] = ()


class RunPlan(Struct, frozen=True, kw_only=True):
    """What one run is about, read from the charter and the graph.

    `model` is None for a pipeline without one: its steps see everything and nothing is judged.
    """

    graph: Graph
    model: str | None
    examples: str | None
    primary: str | None
    target: str | None
    moment: str | None
    datasets: dict[str, DataVersion]
    settings: dict[str, DatasetSettings]
    parameters: dict[str, dict[str, Any]]
    since: str | None = None


def plan_run(
    graph: Graph,
    charter: Charter,
    versions: Mapping[str, DataVersion],
    *,
    moment: str | None = None,
    since: str | None = None,
) -> RunPlan:
    """Read from charter and graph what one run is about.

    With `since`, rows of the predicted dataset from before that moment are left out.

    Raises:
        PipelineError: A dataset has no version yet, or model, examples or target do not fit.
        UnknownNameError: A parameter is set for a step that does not exist.
        PipelineError: A parameter's value is not of the kind of its default.
    """
    used = graph.datasets
    for name in used:
        if name not in versions:
            raise PipelineError(
                f"Cannot run: dataset {name!r} has no rows yet",
                cause="no row was added, or all of them are in quarantine",
                attempt=f"bucle data quarantine {name}, or bucle data add {name} FILE",
                code="bucle-230",
            )
    names = [step.name for step in graph.steps]
    model = charter.pipeline.model if charter.pipeline.model in names else None
    _check_model(graph, charter, model)
    primary = _primary(charter, used)
    return RunPlan(
        graph=graph,
        model=model,
        examples=_examples(graph, charter, model),
        primary=primary,
        target=_target(charter, primary) if model else None,
        moment=moment,
        datasets={name: versions[name] for name in used},
        settings={name: charter.data[name] for name in used},
        parameters=graph.check_parameters(charter.pipeline.parameters),
        since=since,
    )


def check_plan(graph: Graph, charter: Charter) -> None:
    """See that the charter asks nothing of the pipeline that it does not have.

    Reads no data, so that a wrong request is refused before anything is added to a dataset.

    Raises:
        PipelineError: Model, examples or target do not fit, or a parameter's value.
        UnknownNameError: A parameter is set for a step that does not exist.
    """
    names = [step.name for step in graph.steps]
    model = charter.pipeline.model if charter.pipeline.model in names else None
    _check_model(graph, charter, model)
    _examples(graph, charter, model)
    if model:
        _target(charter, _primary(charter, graph.datasets))
    graph.check_parameters(charter.pipeline.parameters)


def cut_task(plan: RunPlan, charter: Charter, *, tables: Path, reader: CodeReader) -> Task | None:
    """Return the task that finds where training ends; None when nothing is judged."""
    if plan.model is None or plan.primary is None:
        return None
    call = f"{_VIEWS}:find_cut"
    version = plan.datasets[plan.primary]
    return Task(
        name="cut",
        call=call,
        code=reader.of_builtin(call, libraries=_LIBRARIES),
        parameters={
            "settings": msgspec.to_builtins(plan.settings[plan.primary]),
            "holdout": charter.gates.holdout,
            "moment": plan.moment,
            "seed": charter.pipeline.seed,
            **_since(plan, plan.primary),
        },
        stamps={f"data {plan.primary}": version.fingerprint},
        context={"tables": str(tables), "version": msgspec.to_builtins(version)},
    )


def plan_tasks(
    plan: RunPlan,
    charter: Charter,
    cut: Cut,
    *,
    tables: Path,
    reader: CodeReader,
    refit: bool = False,
) -> tuple[Task, ...]:
    """Return views and steps of a run, each with everything its result depends on.

    With `refit` the model is fitted once more, on everything that is known.
    """
    return _Tasks(plan, charter, cut, tables=tables, reader=reader).build(refit=refit)


class _Tasks:
    """Collects tasks by name; a name is a step or dataset and the part of the data it sees."""

    def __init__(
        self, plan: RunPlan, charter: Charter, cut: Cut, *, tables: Path, reader: CodeReader
    ) -> None:
        self._plan = plan
        self._charter = charter
        self._cut = cut
        self._tables = tables
        self._reader = reader
        self._tasks: dict[str, Task] = {}
        self._steps = {step.name: step for step in plan.graph.steps}
        self._after = steps_after(plan.graph, plan.model)
        needed = [name for name in (plan.model, plan.examples) if name in self._steps]
        before = plan.graph.upstream(name for name in needed if name) if plan.model else ()
        self._before = {step.name for step in before}

    def build(self, *, refit: bool) -> tuple[Task, ...]:
        plan = self._plan
        for name in self._steps:
            if plan.model is None:
                self._step(name, EVERYTHING)
            elif name in self._before:
                self._step(name, TRAIN)
            else:
                self._step(name, UNSEEN if name in self._after else NEWER)
        if plan.examples:
            self._value(plan.examples, TRAIN)
            self._value(plan.examples, NEWER)
        if plan.model and refit:
            self._step(plan.model, NEWER)
        return tuple(self._tasks.values())

    def _step(self, name: str, part: str) -> str:
        label = task_name(name, part, model=self._plan.model)
        if label in self._tasks:
            return label
        step = self._steps[name]
        given = self._plan.parameters.get(name, {})
        inputs = {wanted: self._input(wanted, part) for wanted in step.inputs}
        moments = {AS_OF: self._moment(part)} if step.as_of else {}
        self._tasks[label] = Task(
            name=label,
            call=step.call,
            code=self._reader.of_project(step.call, parameters=given),
            inputs=inputs,
            parameters=dict(given),
            defaults={key: value for key, value in step.defaults.items() if key not in given},
            moments=moments,
            after=(self._columns(),) if label == self._plan.model else (),
        )
        return label

    def _columns(self) -> str:
        """Add the task that looks at the columns of the examples before the model learns."""
        if _COLUMNS not in self._tasks:
            call = "bucle.loop.columns:check_columns"
            self._tasks[_COLUMNS] = Task(
                name=_COLUMNS,
                call=call,
                code=self._reader.of_builtin(call, libraries=("polars",)),
                inputs={"examples": self._value(str(self._plan.examples), TRAIN)},
                parameters={"named": _named_columns(self._plan, self._charter)},
            )
        return _COLUMNS

    def _input(self, name: str, part: str) -> str:
        if part != UNSEEN:
            return self._value(name, part)
        if name == self._plan.model:
            return task_name(name, TRAIN, model=name)
        if name in self._after:
            return self._step(name, UNSEEN)
        return self._unseen(name)

    def _value(self, name: str, part: str) -> str:
        return self._step(name, part) if name in self._steps else self._view(name, part)

    def _unseen(self, name: str) -> str:
        label = f"{name}{UNSEEN}"
        if label not in self._tasks:
            call = f"{_VIEWS}:keep_newer"
            source = self._value(name, NEWER)
            self._tasks[label] = Task(
                name=label,
                call=call,
                code=self._reader.of_builtin(call, libraries=_LIBRARIES),
                inputs={"value": source},
                parameters={"event_time": self._event_time(), "cut": self._cut.cut},
            )
        return label

    def _view(self, name: str, part: str) -> str:
        label = f"data {name}{part}"
        if label not in self._tasks:
            call = f"{_VIEWS}:take_view"
            version = self._plan.datasets[name]
            self._tasks[label] = Task(
                name=label,
                call=call,
                code=self._reader.of_builtin(call, libraries=_LIBRARIES),
                parameters={
                    "settings": msgspec.to_builtins(self._plan.settings[name]),
                    "part": {TRAIN: "train", NEWER: "newer", EVERYTHING: "all"}[part],
                    "cut": self._cut.cut,
                    "moment": self._plan.moment,
                    "holdout": self._charter.gates.holdout,
                    "seed": self._charter.pipeline.seed,
                    **_since(self._plan, name),
                },
                stamps={f"data {name}": version.fingerprint},
                context={"tables": str(self._tables), "version": msgspec.to_builtins(version)},
            )
        return label

    def _moment(self, part: str) -> str | None:
        return self._cut.cut if part == TRAIN else self._cut.end

    def _event_time(self) -> str | None:
        primary = self._plan.primary
        return self._plan.settings[primary].event_time if primary else None


def task_name(name: str, part: str, *, model: str | None) -> str:
    """Return the name of the task that runs a step on a part of the data.

    The part that training sees goes without a mark, as do steps after the model, which run once.
    """
    return f"{name}{part}" if part == NEWER and model is not None else name


def steps_after(graph: Graph, model: str | None) -> frozenset[str]:
    """Return the names of the steps that need the model, directly or not."""
    after: set[str] = set()
    for step in graph.steps:
        if model in step.inputs or after.intersection(step.inputs):
            after.add(step.name)
    return frozenset(after)


def _since(plan: RunPlan, dataset: str) -> dict[str, str]:
    """Return from when on rows of a dataset are taken; nothing where all are."""
    return {"since": plan.since} if plan.since and dataset == plan.primary else {}


def _named_columns(plan: RunPlan, charter: Charter) -> dict[str, list[str]]:
    """Return the columns of the examples that bucle.toml names, by their keys."""
    gates = charter.gates
    named = {
        "pipeline.target": [plan.target],
        "pipeline.features": charter.pipeline.features,
        "gates.cluster": [gates.cluster],
        "gates.baseline_key": [gates.baseline_key],
        "gates.slices": gates.slices,
    }
    return {key: [name for name in names if name] for key, names in named.items()}


def _check_model(graph: Graph, charter: Charter, model: str | None) -> None:
    wanted = charter.pipeline.model
    if model is None and wanted is not None and _asks_for_model(charter):
        raise PipelineError(
            f"Cannot run: the pipeline has no step {wanted!r}, which [pipeline] names as model",
            did_you_mean=nearest(wanted, [step.name for step in graph.steps]),
            attempt='model = "STEP" in [pipeline], or a function of that name',
            code="bucle-233",
        )


def _asks_for_model(charter: Charter) -> bool:
    return bool(charter.charter.kpis or charter.pipeline.target)


def _primary(charter: Charter, used: Iterable[str]) -> str | None:
    labelled = [name for name in used if charter.data[name].label]
    return labelled[0] if labelled else next(iter(used), None)


def _examples(graph: Graph, charter: Charter, model: str | None) -> str | None:
    if model is None:
        return None
    inputs = graph.step(model).inputs
    chosen = charter.pipeline.examples or (inputs[0] if inputs else None)
    known = [*(step.name for step in graph.steps), *graph.datasets]
    if chosen is None or chosen not in known:
        raise PipelineError(
            f"Cannot find the examples {chosen!r}: no step or dataset has that name"
            if chosen
            else f"Cannot judge: the step {model!r} takes no frame of examples",
            did_you_mean=nearest(chosen or "", known),
            attempt='examples = "STEP" in [pipeline]',
            code="bucle-234",
        )
    if chosen == model or chosen in steps_after(graph, model):
        raise PipelineError(
            f"Cannot take {chosen!r} as examples: it comes after the model",
            attempt='examples = "STEP" in [pipeline], a step that the model learns from',
            code="bucle-234",
        )
    return chosen


def _target(charter: Charter, primary: str | None) -> str:
    if charter.pipeline.target:
        return charter.pipeline.target
    labels = charter.data[primary].label if primary else ()
    names = (labels,) if isinstance(labels, str) else labels
    if not names:
        raise PipelineError(
            "Cannot judge: neither [pipeline] target nor a dataset's label says what is predicted",
            attempt='target = "COLUMN" in [pipeline]',
            code="bucle-235",
        )
    return names[0]
