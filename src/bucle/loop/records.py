"""Runs and model versions as they stand on record. Changes nothing."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from bucle.errors import UnknownNameError, nearest
from bucle.loop.registry import find_model
from bucle.loop.state import RunRecord, State
from bucle.loop.workspace import Workspace
from bucle.models.package import open_package
from bucle.models.registry import champion
from bucle.types import Verdict

__all__ = ["ListedRun", "ShownModel", "list_runs", "show_model", "show_run"]

_SHORTEST = 3


class ListedRun(Struct, frozen=True, kw_only=True):
    """A run as people list it; `state` is `unfinished` while it goes on or when it was killed."""

    run: str
    at: str
    by: str
    state: str
    model: str | None
    verdict: str | None
    metrics: dict[str, float]
    ran: int
    cached: int


class ShownModel(Struct, frozen=True, kw_only=True):
    """Everything on record about a model version."""

    model: str
    digest: str
    champion: bool
    runs: tuple[str, ...]
    metrics: dict[str, float]
    signature: dict[str, Any]
    lineage: dict[str, Any]
    verdicts: tuple[Verdict, ...]
    card: str


def list_runs(state: State) -> tuple[ListedRun, ...]:
    """List runs, oldest first; a run in which nothing changed has the verdict given before."""
    verdicts = {
        (model.model, known.fact.evidence): known.fact.verdict.outcome
        for model in state.models.values()
        for known in model.verdicts
    }
    return tuple(_listed(record, verdicts) for record in state.runs.values())


def show_run(state: State, name: str) -> RunRecord:
    """Return a run by its id or the start of it.

    Raises:
        UnknownNameError: None or several begin like that.
    """
    fitting = [run for run in state.runs if run == name]
    if not fitting and len(name) >= _SHORTEST:
        fitting = [run for run in state.runs if run.startswith(name)]
    if len(fitting) == 1:
        return state.runs[fitting[0]]
    raise UnknownNameError(
        f"{len(fitting)} runs begin with {name!r}" if fitting else f"There is no run {name!r}",
        did_you_mean=fitting or nearest(name, list(state.runs)),
        attempt="bucle runs",
        code="bucle-237",
    )


def show_model(workspace: Workspace, name: str) -> ShownModel:
    """Return all that is on record about a model version; its package is verified first.

    Raises:
        UnknownNameError: There is no such model version.
        PackageError: Its package is damaged.
    """
    state = workspace.state()
    record = find_model(state, name)
    package = open_package(
        workspace.packages, record.model, project=workspace.root, digest=record.digest
    )
    tenure = champion(state.tenures)
    return ShownModel(
        model=record.model,
        digest=package.digest,
        champion=tenure is not None and tenure.model == record.model,
        runs=record.runs,
        metrics=record.metrics,
        signature=msgspec.to_builtins(package.signature),
        lineage=package.lineage,
        verdicts=tuple(known.fact.verdict for known in record.verdicts),
        card=package.card,
    )


def _listed(record: RunRecord, verdicts: Mapping[tuple[str, str], str]) -> ListedRun:
    finished = record.finished
    steps = finished.steps if finished else ()
    return ListedRun(
        run=record.started.run,
        at=record.at,
        by=record.by,
        state=finished.state if finished else "unfinished",
        model=finished.model if finished else None,
        verdict=verdicts.get((finished.tested or "", finished.evidence)) if finished else None,
        metrics=finished.metrics if finished else {},
        ran=sum(step.state == "ran" for step in steps),
        cached=sum(step.state == "cached" for step in steps),
    )
