"""Back-test the whole loop: what `bucle replay` does.

History is walked through as if it were happening, by every policy side by side; hindsight then
says what each would have cost. Imports numpy and polars; models are trained in workers.
"""

import math
from collections.abc import Sequence
from itertools import product

import msgspec
import numpy as np
from msgspec import Struct

from bucle.charter.settings import Charter, ReplaySettings
from bucle.clock import from_iso, to_iso
from bucle.errors import RequestError
from bucle.loop.datasets import sync_sources
from bucle.loop.judging import read_artifact
from bucle.loop.plan import RunPlan, check_plan, plan_run
from bucle.loop.policy import Policy, make_policy
from bucle.loop.replay.advice import recommend
from bucle.loop.replay.answerable import require_answers, shortest_days
from bucle.loop.replay.archive import Archive
from bucle.loop.replay.course import Course, walk
from bucle.loop.replay.faults import Fault
from bucle.loop.replay.findings import Drill, DrillResult, Findings, Trainings
from bucle.loop.replay.life import Life
from bucle.loop.replay.lives import LivesRequest, replay_lives
from bucle.loop.replay.material import Known
from bucle.loop.replay.naive import naive_errors
from bucle.loop.replay.outlook import Outlook, Scale, make_scale
from bucle.loop.replay.recipe import Place, make_recipe
from bucle.loop.replay.retraining import compared_sets, measure_benefit
from bucle.loop.replay.scores import Hindsight
from bucle.loop.replay.survey import Survey
from bucle.loop.replay.tasks import Kitchen, expected_calls, survey_task
from bucle.loop.spans import parse_span
from bucle.loop.workspace import Workspace
from bucle.pipeline.engine import Engine
from bucle.pipeline.graph import read_graph
from bucle.pipeline.progress import Progress

__all__ = ["ReplayRequest", "combine", "replay_project"]

_USUAL = ("never", "every:1mo", "every:6mo", "performance:+15%", "drift", "gain")
_GATES = ("none", "referee", "referee+refit")
_WINDOWS = ("expanding",)


class ReplayRequest(Struct, frozen=True, kw_only=True):
    """What is to be replayed: the span, the grid, and every combination of the lists.

    `start` and `end` are ISO 8601. What is left out is taken from `[replay]` of the charter, and
    then from what history offers.
    """

    start: str | None = None
    end: str | None = None
    period: str | None = None
    policies: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    explore: tuple[float, ...] = ()
    fault: Fault | None = None
    level: float = 0.9
    seed: int = 0


def replay_project(
    workspace: Workspace, request: ReplayRequest, *, progress: Progress | None = None
) -> Findings:
    """Replay a project's history under several policies.

    Each distinct training set is trained once, whatever asks for it, and kept: a replay that was
    killed, or is asked again with one more policy, goes on from there. Nothing enters the
    project's log but new rows of its sources.

    Raises:
        RequestError: History is too short, or the request does not fit it.
        BucleError: The data or the pipeline cannot be used.
    """
    charter = workspace.charter
    request = _fill(request, charter.replay)
    if request.period:
        # Here, that nothing is read and no worker started for a typing error.
        parse_span(request.period)
    policies = combine(request, charter)
    if charter.replay.world:
        return _replay_world(workspace, request, policies, progress)
    if request.explore:
        raise _no_answer(request.explore[0])
    plan = _plan(workspace)
    with workspace.engine(progress) as engine:
        engine.expect(expected_calls(plan))
        replay = _Replay(workspace, engine, plan, request, policies)
        fault = request.fault
        if fault:
            replay.require_change(fault)
        clean = replay.walk()
        drill = _drill(clean, replay.walk(fault, clean=clean), fault) if fault else None
        return replay.conclude(clean, drill)


def combine(request: ReplayRequest, charter: Charter) -> tuple[Policy, ...]:
    """Return every policy with every gate and window, `never` once for each window.

    Raises:
        RequestError: A gate or window is unknown, or history does not answer a policy (bucle-198).
        CharterError: A policy cannot be read.
    """
    named = request.policies or _policies_of(charter)
    for text in named:
        require_answers(text, others=named)
    price, zone = charter.charter.money.retrain, charter.retrain.zone
    found: dict[str, Policy] = {}
    for text, window, gate in product(named, request.windows or _WINDOWS, request.gates or _GATES):
        policy = make_policy(text, gate=gate, window=window, price=price, zone=zone)
        if not policy.triggers:
            # What never retrains has nothing to judge.
            policy = make_policy(text, gate="none", window=window, price=price, zone=zone)
        found.setdefault(policy.name, policy)
    return tuple(found.values())


def _fill(request: ReplayRequest, usual: ReplaySettings) -> ReplayRequest:
    """Return a request with what the charter says where it says nothing itself."""
    return msgspec.structs.replace(
        request,
        start=request.start or _midnight(usual.start),
        end=request.end or _midnight(usual.end),
        period=request.period or usual.period,
        gates=request.gates or usual.gates,
        windows=request.windows or usual.windows,
        explore=request.explore or (usual.explore if usual.world else ()),
    )


def _midnight(day: str | None) -> str | None:
    return to_iso(from_iso(day)) if day else None


def _replay_world(
    workspace: Workspace,
    request: ReplayRequest,
    policies: Sequence[Policy],
    progress: Progress | None,
) -> Findings:
    """Let every policy live through the world that the project names."""
    charter = workspace.charter
    if request.fault is not None:
        raise RequestError(
            f"Cannot plant {request.fault.text!r} in a world that answers",
            cause=f"[replay] names the world {charter.replay.world!r}; a fault is planted in "
            "recorded history",
            attempt="--set replay.world=''",
            code="bucle-276",
        )
    lives = LivesRequest(
        lives=_lives(policies, request.explore or (0.0,)),
        world=str(charter.replay.world),
        start=request.start,
        end=request.end,
        period=request.period,
        level=request.level,
        seed=request.seed,
    )
    kitchen = _kitchen(workspace, _plan(workspace), None)
    scale = make_scale(charter, workspace.root)
    with workspace.engine(progress) as engine:
        return replay_lives(engine, kitchen, lives, charter=charter, scale=scale)


def _lives(policies: Sequence[Policy], explore: Sequence[float]) -> tuple[Life, ...]:
    """Return every policy with every share of chance; what never learns has no use for any."""
    lives = [
        Life(policy=policy, exploration=share if policy.triggers else 0.0)
        for policy, share in product(policies, explore)
    ]
    return tuple({life.name: life for life in lives}.values())


def _no_answer(share: float) -> RequestError:
    return RequestError(
        f"Cannot explore by {share:g}: recorded history does not answer to what is proposed",
        attempt='world = "file.py:Name" in [replay] of bucle.toml, or no --explore',
        code="bucle-275",
    )


class _Walk(Struct, frozen=True, kw_only=True):
    """One walk through history, with or without a fault."""

    archive: Archive
    courses: tuple[Course, ...]
    hindsight: Hindsight
    final: Known


class _Replay:
    """A replay under way."""

    def __init__(
        self,
        workspace: Workspace,
        engine: Engine,
        plan: RunPlan,
        request: ReplayRequest,
        policies: Sequence[Policy],
    ) -> None:
        self._workspace = workspace
        self._engine = engine
        self._plan = plan
        self._request = request
        self._policies = policies
        self._scale = make_scale(workspace.charter, workspace.root)

    @property
    def _window(self) -> str:
        """The window in which the benefit is split: all of history where any policy keeps it."""
        windows = [policy.window for policy in self._policies]
        return _WINDOWS[0] if _WINDOWS[0] in windows else windows[0]

    def walk(self, fault: Fault | None = None, *, clean: _Walk | None = None) -> _Walk:
        """Walk through history; scores rest on the labels of the walk without a fault."""
        archive = self._open(fault)
        outlook = Outlook(archive, self._scale, archive.suspects())
        beside = [] if fault else compared_sets(archive, self._window)
        courses = walk(archive, outlook, self._policies, beside=beside)
        final = clean.final if clean else archive.known(None)
        hindsight = Hindsight(
            archive, final.labels, self._scale, seed=self._request.seed, level=self._request.level
        )
        if not hindsight.rows:
            raise _nothing_known(final)
        return _Walk(archive=archive, courses=courses, hindsight=hindsight, final=final)

    def conclude(self, clean: _Walk, drill: Drill | None) -> Findings:
        """Sum up what was found."""
        hindsight, survey = clean.hindsight, clean.archive.survey
        oracle = hindsight.oracle(clean.courses)
        results = tuple(hindsight.result(course, oracle) for course in clean.courses)
        comparisons = hindsight.compare(clean.courses)
        currency = self._workspace.charter.charter.money.currency
        return Findings(
            project=self._workspace.charter.project.name,
            metric=self._scale.metric,
            start=survey.moments[survey.first].at[:10],
            end=survey.moments[-1].end[:10],
            period=survey.period,
            periods=hindsight.periods,
            rows=hindsight.rows,
            level=self._request.level,
            currency=currency,
            policies=results,
            comparisons=comparisons,
            oracle=oracle,
            recommendation=recommend(
                results, comparisons, currency=currency, level=hindsight.level
            ),
            labels_by=survey.delay,
            baselines=naive_errors(clean.archive, clean.final, self._scale),
            benefit=measure_benefit(
                clean.archive, hindsight, self._window, seed=self._request.seed
            ),
            drill=drill,
            trainings=Trainings(
                distinct=clean.archive.distinct,
                trained=clean.archive.trained,
                seconds=clean.archive.seconds,
            ),
            warnings=(*_warnings(clean, survey, self._scale), *self._rounded()),
        )

    def require_change(self, fault: Fault) -> None:
        """Raise when a fault changes nothing, before anything is trained.

        Raises:
            RequestError: No label of history is another one with it.
        """
        if self._survey(fault)[1].final == self._survey(None)[1].final:
            raise RequestError(
                f"Cannot plant the fault {fault.text!r}: it changes no label of history",
                attempt="a time in which labels became known",
                code="bucle-254",
            )

    def _rounded(self) -> list[str]:
        """Say which calendars are asked less often than they would fire."""
        span = parse_span(self._survey(None)[1].period)
        return [
            f"{policy.text} is looked at once a period, so every {span.text}: a shorter --period "
            "would follow it"
            for policy in self._policies
            for trigger in policy.triggers
            if 0 < shortest_days(trigger, zone=policy.zone) < span.days
        ]

    def _open(self, fault: Fault | None) -> Archive:
        kitchen, survey = self._survey(fault)
        return Archive(self._engine, kitchen, survey, kind=self._workspace.charter.pipeline.kind)

    def _survey(self, fault: Fault | None) -> tuple[Kitchen, Survey]:
        kitchen = _kitchen(self._workspace, self._plan, fault)
        policies = self._policies
        task = survey_task(
            kitchen,
            start=self._request.start,
            end=self._request.end,
            period=self._request.period,
            windows=sorted({policy.window for policy in policies}),
        )
        found = self._engine.read(read_artifact(self._engine.execute([task])[task.name]))
        return kitchen, msgspec.convert(found, Survey)


def _nothing_known(final: Known) -> RequestError:
    lost = f"{final.unmatched:,} labelled rows were not recognised" if final.unmatched else ""
    return RequestError(
        "Cannot replay: no row that was asked in this time ever got its label",
        cause=lost,
        attempt='key = "COLUMN" in [pipeline], or an earlier --from',
        code="bucle-264",
    )


def _kitchen(workspace: Workspace, plan: RunPlan, fault: Fault | None) -> Kitchen:
    charter = workspace.charter
    key, gates = charter.pipeline.key, charter.gates
    beside = (gates.cluster, gates.baseline_key, *gates.slices)
    return Kitchen(
        reader=workspace.code_reader,
        recipe=make_recipe(plan, charter),
        place=Place(
            tables=str(workspace.home / "tables"),
            versions=dict(plan.datasets),
            blobs=str(workspace.home / "blobs"),
            root=str(workspace.root),
            fault=fault,
        ),
        key=(key,) if isinstance(key, str) else tuple(key),
        beside=tuple(dict.fromkeys(name for name in beside if name)),
        holdout=gates.holdout,
    )


def _plan(workspace: Workspace) -> RunPlan:
    charter = workspace.charter
    module = workspace.code_reader.modules.of_file(charter.pipeline.file)
    graph = read_graph(module, datasets=tuple(charter.data))
    check_plan(graph, charter)
    sync_sources(workspace)
    versions = {
        name: record.current
        for name, record in workspace.state().datasets.items()
        if record.current.version
    }
    plan = plan_run(graph, charter, versions)
    if plan.model is None or plan.primary is None:
        raise RequestError(
            "Cannot replay: the pipeline has no model",
            attempt='model = "STEP" in [pipeline]',
            code="bucle-265",
        )
    return plan


def _policies_of(charter: Charter) -> tuple[str, ...]:
    """Return the charter's policies where it names any that retrain, else the usual ones."""
    named = charter.retrain.policies
    return named if any(text != "never" for text in named) else _USUAL


def _drill(clean: _Walk, faulted: _Walk, fault: Fault) -> Drill:
    """Set the walk with a fault beside the one without."""
    sound = {
        training.view
        for moment in clean.archive.survey.moments
        for training in (*moment.whole.values(), *moment.cut.values())
        if training is not None
    }
    results = []
    for before, after in zip(clean.courses, faulted.courses, strict=True):
        shipped = {leg.champion.model for leg in after.legs if leg.champion.view not in sound}
        results.append(
            DrillResult(
                name=after.policy.name,
                error=faulted.hindsight.error([leg.champion for leg in after.legs]),
                clean_error=clean.hindsight.error([leg.champion for leg in before.legs]),
                money=math.fsum(faulted.hindsight.money(after)),
                clean_money=math.fsum(clean.hindsight.money(before)),
                shipped=len(shipped),
            )
        )
    right, wrong = clean.final.labels, faulted.archive.known(None).labels
    damaged = np.isfinite(right) & np.isfinite(wrong) & (right != wrong)
    return Drill(fault=fault.text, labels=int(np.sum(damaged)), policies=tuple(results))


def _warnings(clean: _Walk, survey: Survey, scale: Scale) -> tuple[str, ...]:
    found = [*survey.warnings, *clean.archive.failures]
    if scale.summed != scale.metric:
        found.append(
            f"{scale.metric.upper()} is no sum over rows: differences between policies, and what "
            "retraining saves, are those of the log loss"
        )
    if clean.final.unmatched:
        found.append(
            f"{clean.final.unmatched:,} labelled rows were not recognised as rows that were asked:"
            ' key = "COLUMN" in [pipeline] names them'
        )
    return tuple(found)
