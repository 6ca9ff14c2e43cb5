"""What a simulated world hides from the loop: how good models really are, and how it drifts.

Every draw depends on the seed and on what it is about, never on how often or when one asks, so
that an effect which is done again is the same effect. Must not be imported by anything but tests.
"""

import bisect
import itertools
import math

from msgspec import Struct
from msgspec.structs import replace

from bucle.ids import digest_json, short_id
from bucle.testing.chance import chance
from bucle.testing.options import Options
from bucle.types import Check, Outcome, Verdict

__all__ = ["HiddenModel", "Truth"]

_GOOD_ERROR = 0.2
_POISONED = 0.5
_SPREAD = 0.55
_SURE = 1.645
_LAST_SHOCK = 0.6


class HiddenModel(Struct, frozen=True, kw_only=True):
    """A model as it really is: what was fitted, the day it was born, and its error then."""

    model: str
    digest: str
    fit: str
    born: float
    error: float

    def packaged_anew(self, cause: str) -> "HiddenModel":
        """Return the very same model as another version."""
        digest = digest_json([self.digest, cause])
        return replace(self, model=short_id("m", digest), digest=digest)


class Truth:
    """How the world changes, and how every model fares in it.

    Args:
        options: What the seed stands for.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        draw = chance(options.seed, "shocks")
        days = [float(day) for day in range(options.days) if draw.happens(options.shocks)]
        sizes = [draw.between(0.0, 0.3) for _ in days]
        self._days: list[float] = [*days]
        self._moved = [0.0, *itertools.accumulate(sizes)]

    def shock(self, day: float) -> None:
        """Change the world so much that every policy with a trigger has a reason to act."""
        self._days.append(day)
        self._moved.append(self._moved[-1] + _LAST_SHOCK)

    def moved(self, *, since: float, until: float) -> float:
        """Return how far the world moved between two days."""
        first, last = (bisect.bisect_right(self._days, day) for day in (since, until))
        return max(self._moved[last] - self._moved[first], 0.0)

    def error(self, model: HiddenModel, day: float) -> float:
        """Return what a model really loses on a day."""
        age = max(day - model.born, 0.0)
        return model.error + self._options.aging * age + self.moved(since=model.born, until=day)

    def train(self, cause: str, day: float) -> HiddenModel:
        """Return what training gives; some trainings learn from bad labels."""
        draw = chance(self._options.seed, "train", cause)
        error = _GOOD_ERROR * draw.between(0.8, 1.2)
        if draw.happens(self._options.trainings.poison):
            error += _POISONED
        digest = digest_json([self._options.seed, cause])
        return HiddenModel(
            model=short_id("m", digest), digest=digest, fit=digest, born=day, error=round(error, 6)
        )

    def judge(
        self, run: str, challenger: HiddenModel, champion: HiddenModel | None, day: float
    ) -> Verdict:
        """Return what a referee with so many rows says; it errs as often as one would."""
        draw = chance(
            self._options.seed, "judge", run, challenger.model, champion.model if champion else ""
        )
        reference = self.error(champion, day) if champion else 0.5
        gain = (reference - self.error(challenger, day)) / reference
        noise = _SPREAD / math.sqrt(self._options.rows)
        seen = gain + draw.normal(noise)
        outcome: Outcome = "undecided"
        if abs(seen) > _SURE * noise:
            outcome = "pass" if seen > 0 else "fail"
        check = Check(name="gain", outcome=outcome, estimate=round(seen, 6), labels_needed=100)
        return Verdict(
            outcome=outcome,
            checks=(check,),
            rows=self._options.rows,
            challenger=challenger.model,
            champion=champion.model if champion else None,
        )
