"""One run, from data to verdict to champion: what `bucle run` does.

Nothing heavy is imported here: steps, packaging and judging run in workers, and a run in which
nothing changed starts none. What a run decides stands in the log in one commit with its end.
"""

import math
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from bucle.clock import to_iso
from bucle.ids import new_run_id
from bucle.loop.code import code_digest, effective_parameters, read_project_graph
from bucle.loop.datasets import Addition, sync_sources
from bucle.loop.decision import Decision, decide_champion, policy_by_hand
from bucle.loop.events import DataAdded, RunFinished, RunStarted, StepRecord
from bucle.loop.judging import Fitted, Packaged, fit_id, package_task, read_artifact, read_packaged
from bucle.loop.plan import (
    NEWER,
    TRAIN,
    Cut,
    RunPlan,
    check_plan,
    cut_task,
    plan_run,
    plan_tasks,
    task_name,
)
from bucle.loop.policy import Policy, window_span
from bucle.loop.workspace import Workspace
from bucle.models.package_files import is_whole
from bucle.pipeline.engine import Engine
from bucle.pipeline.environment import record_environment, snapshot_sources
from bucle.pipeline.progress import Progress
from bucle.pipeline.tasks import TaskResult, failure_of
from bucle.types import Verdict

__all__ = ["Run", "RunData", "RunOutcome", "run_project"]

_RANK = ("cached", "ran", "skipped", "failed")


class RunData(Struct, frozen=True, kw_only=True):
    """A dataset as a run found it; `addition` is what its source had that was new."""

    dataset: str
    version: int
    rows: int
    fingerprint: str
    addition: DataAdded | None = None
    warnings: tuple[str, ...] = ()


class RunOutcome(Struct, frozen=True, kw_only=True):
    """Everything a run did; `state` is `done` or `failed`.

    `traceback` is that of the step that failed, with the project's own lines; `exit_code` tells
    whose fault it was, as that of an error does.
    """

    run: str
    state: str
    data: tuple[RunData, ...]
    steps: tuple[StepRecord, ...]
    metrics: dict[str, float] = {}
    model: str | None = None
    cut: str | None = None
    verdict: Verdict | None = None
    champion: str | None = None
    previous: str | None = None
    promoted: bool = False
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    traceback: str = ""
    exit_code: int = 0


class Run:
    """One run under way: its id, its plan, and what has come of it so far.

    Args:
        workspace: The project.
        engine: Executes its tasks.
        plan: What it is about.
        asked: The id of the action that asked for it; empty when a person did.
        policy: What decides on its model.
    """

    def __init__(
        self, workspace: Workspace, engine: Engine, plan: RunPlan, *, asked: str, policy: Policy
    ) -> None:
        self.workspace = workspace
        self.engine = engine
        self.plan = plan
        self.asked = asked
        self.policy = policy
        self.id = new_run_id(to_iso(workspace.clock.now()))
        self.results: dict[str, TaskResult] = {}
        self.cut = Cut()

    def execute(self) -> None:
        """Run views and steps; raise the error of the first that Bucle itself needs."""
        charter, tables = self.workspace.charter, self.workspace.home / "tables"
        first = cut_task(self.plan, charter, tables=tables, reader=self.engine.reader)
        if first is not None:
            found = self.engine.execute([first])[first.name]
            self.cut = msgspec.convert(self.engine.read(read_artifact(found)), Cut)
        tasks = plan_tasks(self.plan, charter, self.cut, tables=tables, reader=self.engine.reader)
        self.results = self.engine.execute(tasks)

    @property
    def fitted(self) -> Fitted:
        """The run as it stands when its steps are done."""
        return Fitted(plan=self.plan, cut=self.cut, results=self.results)

    @property
    def failed(self) -> TaskResult | None:
        """The first task that failed."""
        return next((one for one in self.results.values() if one.state == "failed"), None)

    def package(self) -> Packaged | None:
        """Make the model package of a pipeline that has a model."""
        if self.plan.model is None:
            return None
        found = self._package()
        if not is_whole(self.workspace.packages, found.model):
            found = self._package(again=self.id)
        return found

    def _package(self, *, again: str = "") -> Packaged:
        task = package_task(self.workspace, self.fitted, again=again)
        return read_packaged(self.engine, self.engine.execute([task])[task.name])

    def steps(self) -> tuple[StepRecord, ...]:
        """Return one record a step: what it did on each part of the data, taken together."""
        return tuple(
            self._record(step.name) for step in self.plan.graph.steps if self._of(step.name)
        )

    def _of(self, step: str) -> list[TaskResult]:
        names = [task_name(step, part, model=self.plan.model) for part in (TRAIN, NEWER)]
        return [self.results[name] for name in dict.fromkeys(names) if name in self.results]

    def _record(self, step: str) -> StepRecord:
        found = self._of(step)
        leading = max(found, key=lambda result: _RANK.index(result.state))
        artifact = found[0].artifact
        return StepRecord(
            name=step,
            state=leading.state,
            seconds=round(sum(result.seconds for result in found), 6),
            why=leading.why,
            artifact=artifact.digest if artifact else "",
            rows=artifact.rows if artifact else None,
        )

    def step_metrics(self) -> dict[str, float]:
        """Return the numbers that steps gave as a plain mapping, named `step.number`."""
        found: dict[str, float] = {}
        for step in self.plan.graph.steps:
            for result in self._of(step.name)[:1]:
                if result.artifact is not None and result.artifact.format == "json":
                    value = self.engine.read(result.artifact)
                    found |= _numbers(step.name, value)
        return found


def run_project(
    workspace: Workspace,
    *,
    moment: str | None = None,
    progress: Progress | None = None,
    asked: str = "",
    policy: Policy | None = None,
) -> RunOutcome:
    """Bring data up to date, run the pipeline, judge the model and decide who is champion.

    A step of the project that fails ends in an outcome, not in an exception; what had finished
    stays in the cache. Two runs at once are both right: each decides on the champion that is
    there when its decision enters the log.

    Args:
        workspace: The project.
        moment: The present of this run, as `clock.to_iso` writes it; None for all that is known.
        progress: Who is told what happens.
        asked: The id of the action that asked for it; empty when a person did.
        policy: What decides on the model; by default the gate of the charter, and no more.

    Raises:
        BucleError: The charter, the data or the pipeline cannot be used.
    """
    charter = workspace.charter
    graph = read_project_graph(workspace)
    check_plan(graph, charter)
    additions = sync_sources(workspace)
    versions = {
        name: record.current
        for name, record in workspace.state().datasets.items()
        if record.current.version
    }
    span = window_span(policy.window) if policy is not None else None
    since = to_iso(span.after(workspace.clock.now(), times=-1)) if span is not None else None
    plan = plan_run(graph, charter, versions, moment=moment, since=since)
    with workspace.engine(progress) as engine:
        chosen = policy or policy_by_hand(charter)
        run = Run(workspace, engine, plan, asked=asked, policy=chosen)
        workspace.record(_started(run))
        try:
            return _carry_out(run, additions)
        except BaseException as error:
            stopped = not isinstance(error, Exception)
            ended = _finished(run, "stopped" if stopped else "failed", error=str(error))
            workspace.record(ended, cause=run.id)
            raise


def _carry_out(run: Run, additions: tuple[Addition, ...]) -> RunOutcome:
    run.execute()
    data = tuple(_run_data(run.plan, additions))
    failed = run.failed
    if failed is not None:
        error = failure_of(failed)
        finished = _finished(run, "failed", error=error.render())
        run.workspace.record(finished, cause=run.id)
        return RunOutcome(
            run=run.id,
            state="failed",
            data=data,
            steps=finished.steps,
            error=finished.error,
            traceback=failed.traceback,
            exit_code=error.exit_code,
        )
    packaged = run.package()
    metrics = (packaged.metrics if packaged else {}) | run.step_metrics()
    finished = _finished(run, "done", packaged=packaged, metrics=metrics)
    if packaged is None:
        run.workspace.record(finished, cause=run.id)
        return RunOutcome(run=run.id, state="done", data=data, steps=run.steps(), metrics=metrics)
    decision = decide_champion(
        run.workspace, run.engine, run.fitted, packaged, finished=finished, policy=run.policy
    )
    return _outcome(run, data, finished, decision)


def _started(run: Run) -> RunStarted:
    workspace, plan = run.workspace, run.plan
    return RunStarted(
        run=run.id,
        source=snapshot_sources(workspace.code_reader.modules, blobs=workspace.blobs),
        environment=record_environment(workspace.code_reader.libraries, blobs=workspace.blobs),
        seed=workspace.charter.pipeline.seed,
        parameters=effective_parameters(plan.graph, plan.parameters),
        datasets={name: version.fingerprint for name, version in plan.datasets.items()},
        as_of=plan.moment,
        asked=run.asked,
        since=plan.since,
        code=code_digest(workspace),
    )


def _finished(
    run: Run,
    state: str,
    *,
    packaged: Packaged | None = None,
    metrics: Mapping[str, float] | None = None,
    error: str = "",
) -> RunFinished:
    return RunFinished(
        # One that was stopped is still to be done.
        action="" if state == "stopped" else run.asked,
        run=run.id,
        state=state,
        steps=run.steps(),
        metrics=dict(metrics or {}),
        model=packaged.model if packaged else None,
        tested=packaged.model if packaged else None,
        digests={packaged.model: packaged.digest} if packaged else {},
        cut=run.cut.cut,
        end=run.cut.end,
        warnings=(*run.cut.warnings, *(packaged.warnings if packaged else ())),
        error=error,
        fit=fit_id(run.workspace, run.fitted) if packaged else "",
    )


def _outcome(
    run: Run, data: tuple[RunData, ...], finished: RunFinished, decision: Decision
) -> RunOutcome:
    return RunOutcome(
        run=run.id,
        state="done",
        data=data,
        steps=finished.steps,
        metrics=finished.metrics,
        model=decision.model,
        cut=run.cut.cut,
        verdict=decision.verdict,
        champion=decision.champion,
        previous=decision.previous,
        promoted=decision.promoted,
        warnings=finished.warnings,
        notes=decision.notes,
    )


def _run_data(plan: RunPlan, additions: tuple[Addition, ...]) -> list[RunData]:
    added = {addition.fact.dataset: addition for addition in additions}
    return [
        RunData(
            dataset=name,
            version=version.version,
            rows=version.rows,
            fingerprint=version.fingerprint,
            addition=added[name].fact if name in added else None,
            warnings=added[name].warnings if name in added else (),
        )
        for name, version in plan.datasets.items()
    ]


def _numbers(step: str, value: object) -> dict[str, float]:
    """Return the finite numbers of a step's result when it is a plain mapping of them."""
    if not isinstance(value, dict):
        return {}
    return {
        f"{step}.{name}": float(number)
        for name, number in value.items()
        if isinstance(number, int | float)
        and not isinstance(number, bool)
        and math.isfinite(number)
    }
