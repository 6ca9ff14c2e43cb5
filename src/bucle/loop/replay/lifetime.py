"""The task of one policy in a living world: from the first day to the last, in one worker.

The controller, the outlook and the world of a replay are those of recorded history; only the
material is another. What comes later changes nothing that came before: a day is lived once.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bucle.charter.settings import Charter, PipelineSettings, ProjectSettings
from bucle.loop.policy import make_policy
from bucle.loop.replay.branch import Branch, Fitted, fit
from bucle.loop.replay.course import Driver, Leg
from bucle.loop.replay.history import view_frames
from bucle.loop.replay.life import Day, Lifetime, Ways
from bucle.loop.replay.living import open_world
from bucle.loop.replay.material import Learned
from bucle.loop.replay.outlook import Outlook, Scale, make_scale
from bucle.loop.replay.recipe import Place, Recipe
from bucle.loop.replay.scores import changes_of, price_of_retrains
from bucle.loop.replay.steps import Naming
from bucle.loop.replay.survey import Survey

__all__ = ["begin", "live"]


def begin(*, recipe: dict[str, Any], moment: str, since: str | None, place: Any) -> dict[str, Any]:
    """Train the model that every policy begins with; keep it, and return what is known of it."""
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    frames = view_frames(cook, where, moment, moment, since=since)
    found: dict[str, Any] = msgspec.to_builtins(fit(cook, where, frames, moment=moment)[0])
    return found


def live(
    *,
    recipe: dict[str, Any],
    ways: dict[str, Any],
    survey: dict[str, Any],
    naming: dict[str, Any],
    world: str,
    place: Any,
    model: Any,
    first: dict[str, Any],
) -> dict[str, Any]:
    """Live through all periods under one policy, from the model that `begin` has made.

    Returns:
        A `Lifetime` as JSON values.

    Raises:
        BucleError: The first model cannot be trained, or the world's rows do not fit.
    """
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    asked = msgspec.convert(ways, Ways)
    branch = Branch(
        cook,
        where,
        survey=msgspec.convert(survey, Survey),
        naming=msgspec.convert(naming, Naming),
        holdout=asked.holdout,
        world=open_world(Path(where.root), world),
        exploration=asked.exploration,
    )
    branch.adopt(asked.window, model, msgspec.convert(first, Fitted))
    scale = make_scale(_charter(asked), Path(where.root))
    legs = _walk(branch, scale, asked)
    return _sum_up(branch, scale, legs)


def _charter(asked: Ways) -> Charter:
    return Charter(
        project=ProjectSettings(name="replay"),
        charter=asked.charter,
        gates=asked.gates,
        pipeline=PipelineSettings(kind=asked.kind),
    )


def _walk(branch: Branch, scale: Scale, asked: Ways) -> list[Leg]:
    policy = make_policy(
        asked.policy, gate=asked.gate, window=asked.window, price=asked.price, zone=asked.zone
    )
    outlook = Outlook(branch, scale, branch.suspects())
    driver = Driver(outlook, policy)
    branch.serve(0, driver.legs[-1].champion)
    for number in range(1, len(branch.survey.moments) - branch.survey.first):
        outlook.move(number)
        driver.look(outlook.now)
        branch.serve(number, driver.legs[-1].champion)
    return driver.legs


def _sum_up(branch: Branch, scale: Scale, legs: Sequence[Leg]) -> dict[str, Any]:
    truth = branch.known(None).labels
    period = branch.period
    answered = np.full(truth.size, np.nan)
    days = []
    for number, leg in enumerate(legs):
        mine = np.flatnonzero((period == number) & np.isfinite(truth))
        answered[mine] = branch.predictions(leg.champion)[mine]
        served = branch.served[number]
        days.append(
            Day(
                rows=served.arrived.height,
                error=scale.error(branch.kind, truth[mine], answered[mine]) if mine.size else None,
                expected=served.expected,
                best=served.best,
                plain=served.plain,
                recorded=served.recorded,
                champion=leg.champion.model,
                did=tuple(action.name for action in leg.look.did),
                why=leg.look.why,
                upkeep=price_of_retrains(leg.look.did, scale.charter.charter.money),
            )
        )
    known = np.isfinite(answered)
    error = scale.error(branch.kind, truth[known], answered[known]) if known.any() else None
    found = Lifetime(
        days=tuple(days),
        error=error,
        bad_promotions=_bad_promotions(branch, legs),
        false_alarms=_false_alarms(branch, legs),
        views=branch.views,
    )
    answer: dict[str, Any] = msgspec.to_builtins(found)
    return answer


def _bad_promotions(branch: Branch, legs: Sequence[Leg]) -> int:
    """Count champions that earned less, while they reigned, than the one before would have."""
    changes = [*changes_of([leg.champion.model for leg in legs]), len(legs)]
    bad = 0
    for start, end in pairwise(changes):
        new, old = legs[start].champion, legs[start - 1].champion
        bad += _forgone(branch, new, start, end) > _forgone(branch, old, start, end)
    return bad


def _false_alarms(branch: Branch, legs: Sequence[Leg]) -> int:
    """Count retrains after which the new model would have earned no more, until the next one."""
    alarms = [
        number
        for number, leg in enumerate(legs)
        if any(action.name == "retrain" for action in leg.look.did)
    ]
    false = 0
    for start, end in pairwise([*alarms, len(legs)]):
        candidate, before = legs[start].candidate, legs[start - 1].champion
        false += candidate is None or _forgone(branch, candidate, start, end) >= _forgone(
            branch, before, start, end
        )
    return false


def _forgone(branch: Branch, model: Learned, start: int, end: int) -> float:
    return sum(branch.forgone(number, model) for number in range(start, end))
