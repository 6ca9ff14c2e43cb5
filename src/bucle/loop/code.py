"""What a run of the pipeline would learn by, as one digest: code, parameters and charter.

By the same reading as the cache, so that a comment is no change and a text file that a step names
is one. Imports nothing heavy, and nothing of the project.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from bucle.errors import BucleError
from bucle.ids import digest_json
from bucle.loop.observations import CodeSeen
from bucle.loop.state import State
from bucle.loop.workspace import Workspace
from bucle.pipeline.environment import snapshot_sources
from bucle.pipeline.graph import Graph, read_graph
from bucle.pipeline.tasks import Code

__all__ = ["code_digest", "effective_parameters", "read_project_graph", "see_code"]

# How it is run and how it is called by hand is not what is learned; steps stand for themselves.
_ASIDE = ("file", "parameters", "workers")
# Where rows come from is said by the rows that come.
_PLACES = ("source", "query")


def see_code(workspace: Workspace, state: State) -> CodeSeen | None:
    """Return that the project would learn by something else than its last run did, if so.

    Also where it was seen to before, and is by something else again. A run that is on record
    without its digest, by an earlier Bucle, is compared by its sources and parameters.

    Raises:
        BucleError: The charter or the code cannot be read as they are.
    """
    code = code_digest(workspace)
    if code == state.code:
        return None
    if not state.code and _is_of_last_run(workspace, state):
        return None
    source = snapshot_sources(workspace.code_reader.modules, blobs=workspace.blobs)
    return CodeSeen(source=source, code=code)


def code_digest(workspace: Workspace) -> str:
    """Return the digest of all that decides what is made of the same rows.

    It covers each step's code with everything it reaches, the files that the code names and the
    versions of the libraries it imports; parameters; what `[pipeline]` says of the model and its
    columns, `gates.holdout`, and how the rows of each dataset that is used are read, prepared and
    checked.

    Raises:
        BucleError: The charter or the code cannot be read as they are.
    """
    charter, reader = workspace.charter, workspace.code_reader
    graph = read_project_graph(workspace)
    given = graph.check_parameters(charter.pipeline.parameters)
    steps = [
        [step.name, *_parts(reader.of_project(step.call, parameters=given.get(step.name, {})))]
        for step in graph.steps
    ]
    return digest_json(
        [
            steps,
            given,
            _without(charter.pipeline, _ASIDE),
            charter.gates.holdout,
            [[name, *_door(workspace, name)] for name in graph.datasets],
        ]
    )


def read_project_graph(workspace: Workspace) -> Graph:
    """Read the graph of the project's pipeline.

    Raises:
        PipelineError: It cannot be read as one.
    """
    charter = workspace.charter
    module = workspace.code_reader.modules.of_file(charter.pipeline.file)
    return read_graph(module, datasets=tuple(charter.data))


def effective_parameters(
    graph: Graph, given: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return every parameter with the value it has in a run, defaults included.

    Args:
        graph: The pipeline.
        given: The parameters that differ from their defaults, by step.
    """
    values = {step.name: step.defaults | dict(given.get(step.name, {})) for step in graph.steps}
    return {name: known for name, known in values.items() if known}


def _door(workspace: Workspace, name: str) -> list[Any]:
    """Return what rows of a dataset go through before a step sees them."""
    settings = workspace.charter.data[name]
    calls = [call for call in (settings.contract, settings.prepare) if call is not None]
    codes = [_parts(workspace.code_reader.of_project(call)) for call in calls]
    return [_without(settings, _PLACES), codes]


def _parts(code: Code) -> list[dict[str, str]]:
    return [dict(code.parts), dict(code.libraries)]


def _without(settings: msgspec.Struct, names: tuple[str, ...]) -> dict[str, Any]:
    kept: dict[str, Any] = msgspec.to_builtins(settings)
    return {name: value for name, value in kept.items() if name not in names}


def _is_of_last_run(workspace: Workspace, state: State) -> bool:
    """Tell whether every file of Python and every parameter is that of the last run."""
    last = state.last_begun
    if last is None:
        return False
    graph = read_project_graph(workspace)
    given = graph.check_parameters(workspace.charter.pipeline.parameters)
    if last.started.parameters != effective_parameters(graph, given):
        return False
    present = snapshot_sources(workspace.code_reader.modules, blobs=workspace.blobs)
    then, now = (_modules(workspace, source) for source in (last.started.source, present))
    return then is not None and then == now


def _modules(workspace: Workspace, source: str) -> dict[str, str] | None:
    """Return the files of Python of a source tree; None where it is not kept any more."""
    try:
        listed = json.loads(workspace.blobs.get(source))
    except (BucleError, ValueError):
        return None
    return {name: digest for name, digest in listed.items() if name.endswith(".py")}
