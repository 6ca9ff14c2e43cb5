"""Replay in a living world: each policy lives through its own copy, and regret is exact.

Every policy meets the same items and the same luck, and learns from what became of its own
proposals. What an item could have earned at best is known, so nothing is estimated.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct

from bucle.charter.settings import Charter
from bucle.loop.judging import read_artifact
from bucle.loop.replay.advice import recommend
from bucle.loop.replay.findings import Findings, OracleResult, PolicyResult, Tick, Trainings
from bucle.loop.replay.life import Day, Life, Lifetime, Ways
from bucle.loop.replay.outlook import Scale
from bucle.loop.replay.scores import changes_of, compare_policies
from bucle.loop.replay.survey import Moment, Survey
from bucle.loop.replay.tasks import Kitchen, begin_task, live_task, survey_task
from bucle.models.metrics import Floats
from bucle.pipeline.engine import Engine
from bucle.pipeline.tasks import TaskResult

__all__ = ["LivesRequest", "replay_lives"]


class LivesRequest(Struct, frozen=True, kw_only=True):
    """What is to be lived through, in which world."""

    lives: tuple[Life, ...]
    world: str
    start: str | None
    end: str | None
    period: str | None
    level: float
    seed: int


class _Lived(Struct, frozen=True, kw_only=True):
    life: Life
    found: Lifetime
    forgone: Floats
    upkeep: Floats


def replay_lives(
    engine: Engine, kitchen: Kitchen, request: LivesRequest, *, charter: Charter, scale: Scale
) -> Findings:
    """Live through the periods under every policy, two at once, and sum up what was found.

    Raises:
        RequestError: History is too short, or the request does not fit it.
        BucleError: A policy's first model cannot be trained, or the world does not fit.
    """
    survey = _survey(engine, kitchen, request)
    plain = _without_digests(survey)
    begun = _begin(engine, kitchen, request, survey)
    tasks = [
        live_task(
            kitchen,
            name=life.name,
            world=request.world,
            ways=msgspec.to_builtins(_ways(life, kitchen, charter)),
            survey=msgspec.to_builtins(plain),
            first=engine.read(read_artifact(begun[life.policy.window])),
        )
        for life in request.lives
    ]
    results = engine.execute(tasks)
    lived = [
        _score(life, msgspec.convert(engine.read(read_artifact(result)), Lifetime))
        for life, result in zip(request.lives, results.values(), strict=True)
    ]
    ran = [
        (one, result.seconds)
        for one, result in zip(lived, results.values(), strict=True)
        if result.state == "ran"
    ]
    trainings = Trainings(
        distinct=len({view for one in lived for view in one.found.views}),
        trained=sum(len(one.found.views) - 1 for one, _ in ran)
        + sum(result.state == "ran" for result in begun.values()),
        seconds=sum(seconds for _, seconds in ran)
        + sum(result.seconds for result in begun.values()),
    )
    return _conclude(lived, survey, request, charter, scale, trainings)


def _begin(
    engine: Engine, kitchen: Kitchen, request: LivesRequest, survey: Survey
) -> dict[str, TaskResult]:
    """Train the first model of each window once, for all policies that begin with it."""
    first = survey.moments[survey.first]
    tasks = {}
    for window in sorted({life.policy.window for life in request.lives}):
        training = first.whole[window]
        tasks[window] = begin_task(
            kitchen, moment=training.moment, since=training.since, view=training.view
        )
    results = engine.execute(list(tasks.values()))
    return {window: results[task.name] for window, task in tasks.items()}


def _survey(engine: Engine, kitchen: Kitchen, request: LivesRequest) -> Survey:
    task = survey_task(
        kitchen,
        start=request.start,
        end=request.end,
        period=request.period,
        windows=sorted({life.policy.window for life in request.lives}),
    )
    found = engine.read(read_artifact(engine.execute([task])[task.name]))
    return msgspec.convert(found, Survey)


def _without_digests(survey: Survey) -> Survey:
    """Return the moments alone: what was recorded after the first one has no say in a life."""
    moments = tuple(Moment(at=one.at, end=one.end, asked="", known="") for one in survey.moments)
    return msgspec.structs.replace(survey, moments=moments, final="", warnings=())


def _ways(life: Life, kitchen: Kitchen, charter: Charter) -> Ways:
    return Ways(
        policy=life.policy.text,
        gate=life.policy.gate,
        window=life.policy.window,
        price=life.policy.price,
        zone=life.policy.zone,
        exploration=life.exploration,
        holdout=kitchen.holdout,
        kind=charter.pipeline.kind,
        charter=charter.charter,
        gates=charter.gates,
    )


def _score(life: Life, found: Lifetime) -> _Lived:
    return _Lived(
        life=life,
        found=found,
        forgone=np.array([max(0.0, day.best - day.expected) for day in found.days]),
        upkeep=np.array([day.upkeep for day in found.days]),
    )


def _conclude(
    lived: Sequence[_Lived],
    survey: Survey,
    request: LivesRequest,
    charter: Charter,
    scale: Scale,
    trainings: Trainings,
) -> Findings:
    results = tuple(_result(one, survey) for one in lived)
    comparisons = compare_policies(
        [one.life.name for one in lived],
        champions=[[day.champion for day in one.found.days] for one in lived],
        losses=[one.forgone for one in lived],
        money=[one.forgone + one.upkeep for one in lived],
        level=request.level,
        seed=request.seed,
    )
    currency = charter.charter.money.currency
    days = lived[0].found.days
    return Findings(
        project=charter.project.name,
        metric=scale.metric,
        start=survey.moments[survey.first].at[:10],
        end=survey.moments[-1].end[:10],
        period=survey.period,
        periods=len(days),
        rows=sum(day.rows for day in days),
        level=request.level,
        currency=currency,
        policies=results,
        comparisons=comparisons,
        # At the best price of every item nothing is forgone, and nobody has to train for it.
        oracle=OracleResult(
            money=0.0, error=None, retrains=0, champions=(), spent=(0.0,) * len(days)
        ),
        recommendation=recommend(
            results, comparisons, currency=currency, level=request.level, drills=False
        ),
        labels_by=survey.delay,
        recorded_share=_share([day.recorded for day in days], days),
        trainings=trainings,
        warnings=survey.warnings,
    )


def _result(one: _Lived, survey: Survey) -> PolicyResult:
    days = one.found.days
    money = math.fsum(one.forgone) + math.fsum(one.upkeep)
    retrains = sum("retrain" in day.did for day in days)
    return PolicyResult(
        name=one.life.name,
        policy=one.life.policy.text,
        window=one.life.policy.window,
        gate=one.life.policy.gate,
        error=one.found.error,
        money=money,
        retrains=retrains,
        promotions=len(changes_of([day.champion for day in days])),
        bad_promotions=one.found.bad_promotions,
        alarms=retrains,
        false_alarms=one.found.false_alarms,
        regret=money,
        exploration=one.life.exploration,
        share=_share([day.expected for day in days], days),
        plain_share=_share([day.plain for day in days], days),
        timeline=tuple(
            Tick(
                at=moment.at[:10],
                rows=day.rows,
                error=day.error,
                money=float(lost),
                upkeep=float(paid),
                champion=day.champion,
                did=day.did,
                why=day.why,
            )
            for moment, day, lost, paid in zip(
                survey.moments[survey.first :], days, one.forgone, one.upkeep, strict=True
            )
        ),
    )


def _share(earned: Sequence[float], days: Sequence[Day]) -> float | None:
    best = math.fsum(day.best for day in days)
    return math.fsum(earned) / best if best > 0 else None
