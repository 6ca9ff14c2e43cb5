"""The tasks that follow the steps: package the model, judge it, refit it; and their answers.

Builds values only; the work itself is in `packaging.py` and `evidence.py`, which run in a
worker. Imports nothing heavy.
"""

from typing import Any

import msgspec
from msgspec import Struct

from bucle.charter.settings import Charter, DatasetSettings
from bucle.ids import digest_json
from bucle.loop.plan import NEWER, TRAIN, Cut, RunPlan, task_name
from bucle.loop.state import ModelRecord
from bucle.loop.workspace import Workspace
from bucle.pipeline.engine import Engine
from bucle.pipeline.tasks import Artifact, Task, TaskResult, failure_of
from bucle.types import Verdict

__all__ = [
    "Fitted",
    "Packaged",
    "describe_question",
    "evidence_id",
    "fit_id",
    "gain_task",
    "judge_task",
    "package_task",
    "read_artifact",
    "read_packaged",
    "read_verdict",
    "refit_tasks",
]

_PACKAGE = "bucle.loop.packaging:make_package"
_REFIT = "bucle.loop.packaging:make_refit_package"
_JUDGE = "bucle.loop.evidence:judge_package"
_COMPARE = "bucle.loop.evidence:compare_packages"
_GAIN = "bucle.loop.evidence:estimate_gain"
_LIBRARIES = ("polars", "sklearn", "skops", "numpy", "scipy")
_LOOKS = ("looks", "others")
_AFTER_VERDICT = ("promote", "refit", "approval")


class Fitted(Struct, frozen=True, kw_only=True):
    """A run whose steps are done: its plan, where training ended, and how each task went."""

    plan: RunPlan
    cut: Cut
    results: dict[str, TaskResult]

    def artifact(self, name: str | None, part: str) -> Artifact:
        """Return what a step, or a dataset's view, gave on a part of the data.

        Raises:
            BucleError: The task failed.
        """
        label = task_name(str(name), part, model=self.plan.model)
        found = self.results.get(label) or self.results[f"data {name}{part}"]
        return read_artifact(found)


class Packaged(Struct, frozen=True, kw_only=True):
    """A model package that was written, and what was measured of it on newer rows."""

    model: str
    digest: str
    metrics: dict[str, float]
    artifact: Artifact
    warnings: tuple[str, ...] = ()


def package_task(workspace: Workspace, fitted: Fitted, *, again: str = "") -> Task:
    """Return the task that writes the model package.

    Args:
        workspace: The project.
        fitted: The run; none of its tasks has failed.
        again: Anything, when a package that was made before has gone from the disk.
    """
    return Task(
        name="package",
        call=_PACKAGE,
        code=workspace.code_reader.of_builtin(_PACKAGE, libraries=_LIBRARIES),
        artifacts={
            "model": fitted.artifact(fitted.plan.model, TRAIN),
            "train": fitted.artifact(fitted.plan.examples, TRAIN),
            "newer": fitted.artifact(fitted.plan.examples, NEWER),
        },
        parameters={
            "question": _question(workspace, fitted),
            "charter": msgspec.to_builtins(workspace.charter.charter),
            "gates": _baseline_settings(workspace),
            "lineage": _lineage(workspace, fitted),
            "contract": _contract(fitted),
        },
        stamps=_money_code(workspace)
        | _contract_code(workspace, fitted)
        | ({"again": again} if again else {}),
        context=_folders(workspace),
    )


def judge_task(
    workspace: Workspace,
    fitted: Fitted,
    packaged: Packaged,
    *,
    champion: ModelRecord | None,
    looks: int,
    others: int,
    accepted: str | None = None,
) -> Task:
    """Return the task that judges a packaged model against the champion and the baselines.

    Args:
        workspace: The project.
        fitted: The run; none of its tasks has failed.
        packaged: The challenger as it would ship.
        champion: Who reigns.
        looks: How often this challenger was judged before, beside this champion.
        others: How many other challengers were judged on these rows.
        accepted: Until when a person has taken rows as they are, later than the champion's cut.
    """
    return Task(
        name="judge",
        call=_JUDGE,
        code=workspace.code_reader.of_builtin(_JUDGE, libraries=_LIBRARIES),
        artifacts={
            "package": packaged.artifact,
            "train": fitted.artifact(fitted.plan.examples, TRAIN),
            "newer": fitted.artifact(fitted.plan.examples, NEWER),
        },
        parameters={
            **_rules(workspace, fitted),
            "champion": champion.model if champion else None,
            "champion_digest": champion.digest if champion else None,
            "champion_cut": champion.cut if champion else None,
            "looks": looks,
            "others": others,
            **({"accepted": accepted} if accepted else {}),
        },
        stamps=_money_code(workspace),
        context=_folders(workspace),
    )


def gain_task(
    workspace: Workspace, fitted: Fitted, packaged: Packaged, *, champion: ModelRecord, since: str
) -> Task:
    """Return the task that tells what a packaged model would have saved since a moment."""
    return Task(
        name="gain",
        call=_GAIN,
        code=workspace.code_reader.of_builtin(_GAIN, libraries=_LIBRARIES),
        artifacts={
            "package": packaged.artifact,
            "newer": fitted.artifact(fitted.plan.examples, NEWER),
        },
        parameters={
            "question": _question(workspace, fitted),
            "kpis": msgspec.to_builtins(workspace.charter.charter.kpis),
            "champion": champion.model,
            "champion_digest": champion.digest,
            "champion_cut": champion.cut,
            "since": since,
        },
        stamps=_money_code(workspace),
        context=_folders(workspace),
    )


def refit_tasks(workspace: Workspace, fitted: Fitted, packaged: Packaged) -> tuple[Task, Task]:
    """Return the tasks that package a refit and compare it with its tested twin.

    Args:
        workspace: The project.
        fitted: The run, with the refit's step.
        packaged: The tested twin.
    """
    newer = fitted.artifact(fitted.plan.examples, NEWER)
    reader = workspace.code_reader
    package = Task(
        name="package refit",
        call=_REFIT,
        code=reader.of_builtin(_REFIT, libraries=_LIBRARIES),
        artifacts={
            "model": fitted.artifact(fitted.plan.model, NEWER),
            "newer": newer,
            "package": packaged.artifact,
        },
        parameters={
            "question": _question(workspace, fitted),
            "charter": msgspec.to_builtins(workspace.charter.charter),
            "lineage": _lineage(workspace, fitted) | {"trained_until": fitted.cut.end},
        },
        context=_folders(workspace),
    )
    compare = Task(
        name="compare refit",
        call=_COMPARE,
        code=reader.of_builtin(_COMPARE, libraries=_LIBRARIES),
        inputs={"refit": package.name},
        artifacts={"newer": newer, "package": packaged.artifact},
        parameters=_rules(workspace, fitted),
        stamps=_money_code(workspace),
        context=_folders(workspace),
    )
    return package, compare


def describe_question(plan: RunPlan, charter: Charter, *, cut: str | None) -> dict[str, Any]:
    """Return what is predicted from what, as `Question` reads it."""
    settings = plan.settings[plan.primary] if plan.primary else DatasetSettings()
    others = [plan.settings[name] for name in plan.datasets]
    key = (settings.key,) if isinstance(settings.key, str) else settings.key
    labels = [
        label
        for known in others
        for label in ((known.label,) if isinstance(known.label, str) else known.label)
    ]
    pipeline = charter.pipeline
    return {
        "kind": pipeline.kind,
        "target": plan.target,
        "features": list(pipeline.features),
        "hidden": sorted({*key, *labels}),
        "event_time": settings.event_time,
        "label_time": settings.label_time,
        "cut": cut,
        "threshold": charter.gates.threshold,
        "money": msgspec.to_builtins(charter.charter.money),
        "seed": pipeline.seed,
    }


def evidence_id(task: Task) -> str:
    """Return one digest for all that a verdict rests on, except how often one has looked."""
    parameters = {name: value for name, value in task.parameters.items() if name not in _LOOKS}
    digests = {name: artifact.digest for name, artifact in task.artifacts.items()}
    return digest_json([digests, parameters, task.stamps])


def fit_id(workspace: Workspace, fitted: Fitted) -> str:
    """Return one digest for what was fitted and the code that answers with it.

    Packages of the same model differ in what was measured and noted since; they answer the same.
    """
    lineage = _lineage(workspace, fitted)
    model = fitted.artifact(fitted.plan.model, TRAIN).digest
    return digest_json([model, lineage["steps"], lineage["libraries"]])


def read_packaged(engine: Engine, result: TaskResult) -> Packaged:
    """Return what the packaging task answered; raise its error when it failed."""
    artifact = read_artifact(result)
    answer = engine.read(artifact)
    return Packaged(
        model=answer["model"],
        digest=answer["digest"],
        metrics=answer["metrics"],
        warnings=tuple(answer["warnings"]),
        artifact=artifact,
    )


def read_verdict(engine: Engine, result: TaskResult) -> Verdict:
    """Return what the judging task answered; raise its error when it failed."""
    return msgspec.convert(engine.read(read_artifact(result)), Verdict)


def read_artifact(result: TaskResult) -> Artifact:
    """Return what a task made; raise its error when it failed."""
    if result.artifact is None:
        raise failure_of(result)
    return result.artifact


def _rules(workspace: Workspace, fitted: Fitted) -> dict[str, Any]:
    """Return what is asked of a model and what the charter demands of the answer."""
    return {
        "question": _question(workspace, fitted),
        "gates": _judging_settings(workspace),
        "kpis": msgspec.to_builtins(workspace.charter.charter.kpis),
    }


def _question(workspace: Workspace, fitted: Fitted) -> dict[str, Any]:
    return describe_question(fitted.plan, workspace.charter, cut=fitted.cut.cut)


def _lineage(workspace: Workspace, fitted: Fitted) -> dict[str, Any]:
    """Return what a model came from; nothing in it differs between equal runs."""
    plan = fitted.plan
    reader, pipeline = workspace.code_reader, workspace.charter.pipeline
    code = {
        step.name: reader.of_project(step.call, parameters=plan.parameters.get(step.name, {}))
        for step in plan.graph.upstream([str(plan.model)])
    }
    libraries: dict[str, str] = {}
    for known in code.values():
        libraries |= known.libraries
    return {
        "datasets": {name: known.fingerprint for name, known in plan.datasets.items()},
        "steps": {name: known.digest for name, known in code.items()},
        "parameters": plan.parameters,
        "seed": pipeline.seed,
        "libraries": libraries,
        "trained_until": fitted.cut.cut,
    }


def _judging_settings(workspace: Workspace) -> dict[str, Any]:
    """Return the gates without what comes after a verdict: that makes no new evidence."""
    gates: dict[str, Any] = msgspec.to_builtins(workspace.charter.gates)
    return {name: value for name, value in gates.items() if name not in _AFTER_VERDICT}


def _baseline_settings(workspace: Workspace) -> dict[str, Any]:
    """Return what of the gates a package shows; other gates do not change a package."""
    gates = workspace.charter.gates
    return {"baselines": list(gates.baselines), "baseline_key": gates.baseline_key}


def _money_code(workspace: Workspace) -> dict[str, str]:
    """Return the digest of the project's own cost function, when it has one."""
    error = workspace.charter.charter.money.error
    if ":" not in error:
        return {}
    return {"cost of an error": workspace.code_reader.of_project(error).digest}


def _contract(fitted: Fitted) -> str | None:
    """Return the contract of the dataset whose rows are predicted."""
    plan = fitted.plan
    return plan.settings[plan.primary].contract if plan.primary else None


def _contract_code(workspace: Workspace, fitted: Fitted) -> dict[str, str]:
    contract = _contract(fitted)
    return (
        {} if contract is None else {"contract": workspace.code_reader.of_project(contract).digest}
    )


def _folders(workspace: Workspace) -> dict[str, Any]:
    return {"packages": str(workspace.packages), "root": str(workspace.root)}
