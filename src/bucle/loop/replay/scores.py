"""Hindsight: what each policy's way through history cost, by the labels that came in the end.

Pure but for what it looks up in the archive.
"""

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from bucle.charter.settings import Money
from bucle.clock import from_iso
from bucle.errors import RequestError
from bucle.grammar import say_count
from bucle.loop.decide import Retrain
from bucle.loop.replay.answerable import CALENDAR
from bucle.loop.replay.archive import Archive
from bucle.loop.replay.comparison import compare_losses, compare_money
from bucle.loop.replay.course import Course
from bucle.loop.replay.findings import Comparison, OracleResult, PolicyResult, Tick
from bucle.loop.replay.material import Learned
from bucle.loop.replay.oracle import best_sequence
from bucle.loop.replay.outlook import Scale
from bucle.models.metrics import Floats

__all__ = ["Hindsight", "changes_of", "compare_policies", "price_of_retrains"]


class Hindsight:
    """The scores of a replay.

    Args:
        archive: The material.
        truth: The labels that came in the end, one a row asked; NaN where none came.
        scale: How errors are measured.
        seed: Of the resampling behind intervals.
        level: How sure each interval is.
    """

    def __init__(
        self, archive: Archive, truth: Floats, scale: Scale, *, seed: int = 0, level: float = 0.9
    ) -> None:
        self.level = level
        self._archive = archive
        self._truth = truth
        self._scale = scale
        self._seed = seed
        self._known = np.isfinite(truth) & (archive.period >= 0)
        self.periods = len(archive.survey.moments) - archive.survey.first
        self._sums: dict[tuple[str, str], tuple[Floats, Floats]] = {}

    @property
    def rows(self) -> int:
        """How many rows asked got a label in the end."""
        return int(self._known.sum())

    def result(self, course: Course, oracle: OracleResult) -> PolicyResult:
        """Score one policy."""
        champions = [leg.champion for leg in course.legs]
        alarms = [number for number, leg in enumerate(course.legs) if _fired(leg.look.did)]
        money = self.money(course)
        return PolicyResult(
            name=course.policy.name,
            policy=course.policy.text,
            window=course.policy.window,
            gate=course.policy.gate,
            error=self.error(champions),
            money=math.fsum(money),
            retrains=len(alarms),
            promotions=len(changes_of([model.model for model in champions])),
            bad_promotions=self._bad_promotions(champions),
            alarms=len(alarms),
            false_alarms=self._false_alarms(course, alarms),
            regret=math.fsum(money) - oracle.money,
            timeline=tuple(self._tick(course, number) for number in range(self.periods)),
        )

    def error(self, champions: Sequence[Learned]) -> float | None:
        """Return the metric over all rows, each predicted by the champion of its period."""
        predicted = np.full(self._truth.size, np.nan)
        for number, model in enumerate(champions):
            mine = self._archive.period == number
            self._require_answers(model, mine & self._known, number)
            predicted[mine] = self._archive.predictions(model)[mine]
        return self._scale.error(
            self._archive.kind, self._truth[self._known], predicted[self._known]
        )

    def _require_answers(self, model: Learned, rows: NDArray[np.bool_], number: int) -> None:
        refused = int(np.sum(~np.isfinite(self._archive.predictions(model)[rows])))
        if refused:
            moments = self._archive.survey.moments
            period = moments[self._archive.survey.first + number]
            raise RequestError(
                f"Cannot score the model made on {model.cut[:10]}: it refuses "
                f"{say_count(refused, 'row')} of {period.at[:10]} to {period.end[:10]}, when it "
                "would have been champion",
                cause="its predict raised, or gave no finite number",
                attempt="a model that answers every row, or a contract that keeps such rows out",
                code="bucle-277",
            )

    def losses(self, champions: Sequence[Learned]) -> Floats:
        """Return the sum of losses of each period."""
        return np.array([self._of(model)[0][number] for number, model in enumerate(champions)])

    def money(self, course: Course) -> Floats:
        """Return what each period cost: errors, and the retrains and alarms at its beginning.

        A calendar that asks for a retrain is no alarm to anybody, so it costs none.
        """
        spent = [self._of(leg.champion)[1][number] for number, leg in enumerate(course.legs)]
        return np.add(spent, self._upkeep(course), dtype=np.float64)

    def oracle(self, courses: Sequence[Course]) -> OracleResult:
        """Return the best that any champions could have done, of the models that were made.

        The models are all that some policy trained; each change of champion costs a retrain.
        """
        starts = {course.legs[0].champion.model for course in courses}
        born: dict[str, tuple[int, Learned]] = {}
        for course in courses:
            for number, leg in enumerate(course.legs):
                for model in (leg.champion, leg.candidate):
                    if model is not None and number < born.get(model.model, (self.periods,))[0]:
                        born[model.model] = (number, model)
        pool = [born[name] for name in sorted(born)]
        costs = np.array([self._of(model)[1] for _, model in pool])
        best = best_sequence(
            costs,
            born=np.array([number for number, _ in pool]),
            start=[at for at, (_, model) in enumerate(pool) if model.model in starts],
            retrain=self._scale.charter.charter.money.retrain,
        )
        champions = [pool[at][1] for at in best.models]
        price = self._scale.charter.charter.money.retrain
        paid = [0.0, *(price if one != other else 0.0 for one, other in pairwise(best.models))]
        spent = [float(costs[at, number]) + paid[number] for number, at in enumerate(best.models)]
        return OracleResult(
            spent=tuple(spent),
            money=best.money,
            error=self.error(champions),
            retrains=best.changes,
            champions=tuple(model.model for model in champions),
        )

    def compare(self, courses: Sequence[Course]) -> tuple[Comparison, ...]:
        """Compare every two policies on the same rows."""
        return compare_policies(
            [course.policy.name for course in courses],
            champions=[[leg.champion.model for leg in course.legs] for course in courses],
            losses=[self.losses([leg.champion for leg in course.legs]) for course in courses],
            money=[self.money(course) for course in courses],
            level=self.level,
            seed=self._seed,
        )

    def _of(self, model: Learned) -> tuple[Floats, Floats]:
        """Return a model's losses and costs by period.

        Infinite in a period of which it refuses a row that came after its training: nobody can
        tell what it would have cost. 0 in the periods before it could answer.
        """
        kept = model.predictions
        name = (model.model, kept.digest if kept else model.view)
        if name not in self._sums:
            predicted = self._archive.predictions(model)
            rows = np.flatnonzero(self._known & np.isfinite(predicted))
            truth, answers = self._truth[rows], predicted[rows]
            period = self._archive.period[rows]
            later = self._archive.at >= round(from_iso(model.cut).timestamp() * 1e6)
            refused = self._known & later & ~np.isfinite(predicted)
            found = (
                self._by_period(self._scale.losses(truth, answers), period),
                self._by_period(self._scale.cost(truth, answers), period),
            )
            for sums in found:
                sums[np.unique(self._archive.period[refused])] = np.inf
            self._sums[name] = found
        return self._sums[name]

    def _by_period(self, values: Floats, period: NDArray[np.int64]) -> Floats:
        return np.bincount(period, weights=values, minlength=self.periods).astype(np.float64)

    def _tick(self, course: Course, number: int) -> Tick:
        leg = course.legs[number]
        mine = self._known & (self._archive.period == number)
        rows = np.flatnonzero(mine)
        predicted = self._archive.predictions(leg.champion)[rows]
        error = self._scale.error(self._archive.kind, self._truth[rows], predicted)
        moments = self._archive.survey.moments
        return Tick(
            at=moments[self._archive.survey.first + number].at[:10],
            rows=int(rows.size),
            error=error if rows.size else None,
            money=float(self._of(leg.champion)[1][number]),
            upkeep=self._upkeep(course)[number],
            champion=leg.champion.model,
            did=tuple(action.name for action in leg.look.did),
            why=leg.look.why,
        )

    def _upkeep(self, course: Course) -> list[float]:
        """Return what retrains and alarms cost in each period."""
        money = self._scale.charter.charter.money
        return [price_of_retrains(leg.look.did, money) for leg in course.legs]

    def _bad_promotions(self, champions: Sequence[Learned]) -> int:
        """Count champions that lost more, while they reigned, than the one they replaced."""
        changes = [*changes_of([model.model for model in champions]), len(champions)]
        bad = 0
        for start, end in pairwise(changes):
            new, old = self._of(champions[start])[0], self._of(champions[start - 1])[0]
            bad += math.fsum(new[start:end]) > math.fsum(old[start:end])
        return bad

    def _false_alarms(self, course: Course, alarms: Sequence[int]) -> int:
        """Count alarms after which the model that was trained would have done no better.

        Judged until the next alarm, or the end, against the champion that reigned before.
        """
        false = 0
        for start, end in pairwise([*alarms, self.periods]):
            candidate = course.legs[start].candidate
            before = self._of(course.legs[start - 1].champion)[0]
            if candidate is None:
                false += 1
                continue
            after = self._of(candidate)[0]
            false += math.fsum(after[start:end]) >= math.fsum(before[start:end])
        return false


def compare_policies(
    names: Sequence[str],
    *,
    champions: Sequence[Sequence[str]],
    losses: Sequence[Floats],
    money: Sequence[Floats],
    level: float,
    seed: int,
) -> tuple[Comparison, ...]:
    """Compare every two policies, by what they lost and what they cost in each period."""
    lasts = [_usual_tenure(models) for models in champions]
    found = []
    for a, b in combinations(range(len(names)), 2):
        stays = max(lasts[a], lasts[b])
        error = compare_losses(losses[a], losses[b], level=level, seed=seed, persists=stays)
        paid = compare_money(money[a], money[b], level=level, seed=seed, persists=stays)
        found.append(
            Comparison(
                a=names[a],
                b=names[b],
                difference=error.difference,
                low=error.low,
                high=error.high,
                verdict=error.verdict,
                money=paid.difference,
                money_low=paid.low,
                money_high=paid.high,
            )
        )
    return tuple(found)


def price_of_retrains(did: Sequence[object], money: Money) -> float:
    """Return what the retrains of a moment cost, the alarms that asked for them included.

    A calendar that asks for a retrain is no alarm to anybody.
    """
    return sum(
        money.retrain + (money.alarm if action.trigger not in CALENDAR else 0.0)
        for action in did
        if isinstance(action, Retrain)
    )


def _fired(did: Sequence[object]) -> bool:
    return any(isinstance(action, Retrain) for action in did)


def changes_of(champions: Sequence[str]) -> list[int]:
    """Return the periods that begin with another champion.

    Example:
        >>> changes_of(["m-1", "m-1", "m-2", "m-2", "m-3"])
        [2, 4]
    """
    return [number for number, (old, new) in enumerate(pairwise(champions), 1) if new != old]


def _usual_tenure(champions: Sequence[str]) -> int:
    """Return for how many periods a champion usually stays; 1 when none is ever replaced."""
    changes = [0, *changes_of(champions)]
    return max(1, round(median(np.diff(changes).tolist()))) if len(changes) > 1 else 1
