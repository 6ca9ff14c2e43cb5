"""The graph of a pipeline: public functions are steps, their parameter names say what they need.

Read from source, without importing the project. Must not import anything heavy.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import Struct

from bucle.errors import CycleError, PipelineError, UnknownNameError, nearest
from bucle.pipeline.facts import FunctionFacts, ParameterFacts
from bucle.pipeline.modules import Module

__all__ = ["AS_OF", "Graph", "Parameter", "Step", "read_graph"]

AS_OF = "as_of"
"""The input that is the moment of the view: an aware datetime in UTC, None for everything."""


class Parameter(Struct, frozen=True, kw_only=True):
    """A parameter of a step; `default` is meaningful where `literal` says it is known."""

    name: str
    default: Any = None
    literal: bool = True


class Step(Struct, frozen=True, kw_only=True):
    """One step: its inputs are names of steps or datasets; `as_of` is kept apart."""

    name: str
    call: str
    line: int
    inputs: tuple[str, ...] = ()
    as_of: bool = False
    parameters: tuple[Parameter, ...] = ()
    summary: str = ""

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters whose default is known, with it."""
        return {known.name: known.default for known in self.parameters if known.literal}


class Graph(Struct, frozen=True, kw_only=True):
    """The steps of a pipeline, each after those it needs; equal sources give equal order."""

    file: str
    steps: tuple[Step, ...]
    datasets: tuple[str, ...]

    def step(self, name: str) -> Step:
        """Return a step by name.

        Raises:
            UnknownNameError: There is no such step (bucle-148).
        """
        for step in self.steps:
            if step.name == name:
                return step
        names = [step.name for step in self.steps]
        raise UnknownNameError(
            f"The pipeline has no step {name!r}",
            cause=f"it has: {', '.join(names)}" if names else "it has no steps",
            where=self.file,
            did_you_mean=nearest(name, names),
            code="bucle-148",
        )

    def upstream(self, names: Iterable[str]) -> tuple[Step, ...]:
        """Return these steps and all that they need, in order."""
        wanted = {self.step(name).name for name in names}
        for step in reversed(self.steps):
            if step.name in wanted:
                wanted.update(step.inputs)
        return tuple(step for step in self.steps if step.name in wanted)

    def check_parameters(self, given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the parameters that differ from their defaults, by step.

        Raises:
            UnknownNameError: A step or a parameter does not exist (bucle-148, bucle-145).
            PipelineError: A value is not of the kind of its default (bucle-146).
        """
        changed: dict[str, dict[str, Any]] = {}
        for name, values in given.items():
            step = self.step(name)
            for key, value in values.items():
                known = self._parameter(step, key)
                fitted = _fitted(step, known, value)
                if not known.literal or _differ(fitted, known.default):
                    changed.setdefault(name, {})[key] = fitted
        return changed

    def _parameter(self, step: Step, name: str) -> Parameter:
        names = [known.name for known in step.parameters]
        if name in names:
            return step.parameters[names.index(name)]
        what = f"Step {step.name!r} has no parameter {name!r}"
        cause = f"it has: {', '.join(names)}" if names else "it has none"
        if name in step.inputs:
            cause = f"`{name}` is an input; a parameter is one with a default"
        raise UnknownNameError(
            what,
            cause=cause,
            where=f"{self.file}:{step.line}",
            did_you_mean=[f"{step.name}.{near}" for near in nearest(name, names)],
            code="bucle-145",
        )


def read_graph(module: Module, *, datasets: Collection[str] = ()) -> Graph:
    """Read the graph of a pipeline module.

    Args:
        module: The module, from `Modules.of_file`.
        datasets: Names of the charter's datasets.

    Raises:
        PipelineError: A function cannot be a step (bucle-144), or needs a name that is neither
            a step nor a dataset (bucle-147).
        CycleError: Steps need each other; `error.path` lists them.
    """
    steps = _steps(module, datasets)
    known = [*steps, *datasets]
    for step in steps.values():
        for name in step.inputs:
            if name not in steps and name not in datasets:
                raise _unknown_input(module, step, name, known)
    used = {name for step in steps.values() for name in step.inputs if name in datasets}
    return Graph(
        file=module.file, steps=tuple(_ordered(module, steps)), datasets=tuple(sorted(used))
    )


def _steps(module: Module, datasets: Collection[str]) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    for function in module.facts.functions:
        where = f"{module.file}:{function.line}"
        fault = function.fault
        if function.name in steps:
            fault = f"it is defined on line {steps[function.name].line} already"
        elif function.name in datasets:
            fault = "a dataset of bucle.toml has the same name"
        elif function.name == AS_OF:
            fault = f"`{AS_OF}` is the moment that steps may ask for"
        if fault:
            raise PipelineError(
                f"Function {function.name!r} cannot be a step",
                cause=fault,
                where=where,
                attempt=f"_{function.name}, if it is not meant as a step",
                code="bucle-144",
            )
        steps[function.name] = _step(module, function)
    if not steps:
        raise PipelineError(
            f"There is no step in {module.file!r}",
            cause="a step is a top-level function whose name does not begin with _",
            where=module.file,
            code="bucle-144",
        )
    return steps


def _step(module: Module, function: FunctionFacts) -> Step:
    needed = [given.name for given in function.parameters if not given.optional]
    asks = AS_OF in (given.name for given in function.parameters)
    return Step(
        name=function.name,
        call=f"{module.file}:{function.name}",
        line=function.line,
        inputs=tuple(name for name in needed if name != AS_OF),
        as_of=asks,
        parameters=tuple(
            _parameter(given)
            for given in function.parameters
            if given.optional and given.name != AS_OF
        ),
        summary=function.summary,
    )


def _parameter(given: ParameterFacts) -> Parameter:
    return Parameter(name=given.name, default=given.default, literal=given.literal)


def _ordered(module: Module, steps: Mapping[str, Step]) -> list[Step]:
    """Return the steps in an order in which they can run, keeping to that of the file."""
    ordered: dict[str, Step] = {}
    open_steps: dict[str, None] = {}
    # An own stack: a chain of thousands of steps must not end at the limit of recursion.
    for first in steps:
        stack = [first]
        while stack:
            name = stack[-1]
            missing = [need for need in steps[name].inputs if need in steps and need not in ordered]
            if name in ordered:
                stack.pop()
                open_steps.pop(name, None)
            elif not missing:
                ordered[name] = steps[name]
            else:
                open_steps[name] = None
                if missing[0] in open_steps:
                    raise _cycle(module, steps, [*open_steps], missing[0])
                stack.append(missing[0])
    return list(ordered.values())


def _cycle(module: Module, steps: Mapping[str, Step], opened: list[str], first: str) -> CycleError:
    path = [*opened[opened.index(first) :], first]
    return CycleError(
        "The pipeline goes in a circle: " + " → ".join(reversed(path)),
        path=tuple(reversed(path)),
        cause="each of these steps needs the one before it",
        where=f"{module.file}:{steps[first].line}",
    )


def _unknown_input(module: Module, step: Step, name: str, known: list[str]) -> PipelineError:
    return PipelineError(
        f"Step {step.name!r} needs {name!r}, which is neither a step nor a dataset",
        cause=f"there is: {', '.join(known)}" if known else "there are none",
        where=f"{module.file}:{step.line}",
        did_you_mean=nearest(name, known),
        attempt=f"a default, `{name}=…`, if it is meant as a parameter",
        code="bucle-147",
    )


def _differ(value: Any, default: Any) -> bool:
    return type(value) is not type(default) or value != default


def _fitted(step: Step, known: Parameter, value: Any) -> Any:
    """Return a value in the kind of its default; a whole number may stand for a decimal one."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    default = known.default
    wanted = type(default) if known.literal else type(None)
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise _unfit(step, known.name, value, "a finite number")
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise _unfit(step, known.name, value, "a number of at most 64 bits")
    if wanted is float and type(value) is int:
        return float(value)
    if wanted in kinds and type(value) is not wanted:
        raise _unfit(step, known.name, value, kinds[wanted])
    if (wanted is list) != isinstance(value, list) and wanted is not type(None):
        raise _unfit(step, known.name, value, "a list" if wanted is list else "no list")
    return value


def _unfit(step: Step, name: str, value: Any, wanted: str) -> PipelineError:
    return PipelineError(
        f"Parameter {step.name}.{name} cannot be {value!r}",
        cause=f"it must be {wanted}",
        attempt=f"--set {step.name}.{name}=VALUE",
        code="bucle-146",
    )
