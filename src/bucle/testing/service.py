"""A server in a simulated world: whom it answers with, and what is seen of the model beside.

It does what the log says and nothing else. Must not be imported by anything but tests.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec

from bucle.loop.events import ChallengerSeen
from bucle.testing.chance import chance
from bucle.testing.ledger import Beside, Ledger
from bucle.testing.options import Live, Options
from bucle.testing.spells import Spell, inside
from bucle.testing.truth import HiddenModel, Truth
from bucle.types import Event

__all__ = ["LEAST_SURE", "Service", "spread"]

_SURE = 2.5
_NOISE = 1.5
# A gain so many standard errors high is always shown.
LEAST_SURE = _SURE + _NOISE
_SPREAD = 0.6
_DAY_S = 86400.0
_COMPARABLE = 20
_DIGITS = 6


class Service:
    """Answers by day with the champion and the model beside it, while any worker lives.

    Args:
        options: What the seed stands for.
        ledger: What the log says.
        truth: How good models really are.
        models: All of them, by name.
        dead: When no worker answers.
    """

    def __init__(
        self,
        options: Options,
        ledger: Ledger,
        truth: Truth,
        models: Mapping[str, HiddenModel],
        *,
        dead: Sequence[Spell],
    ) -> None:
        self.answers_with: str | None = None
        self._options = options
        self._live = options.live or Live()
        self._ledger = ledger
        self._truth = truth
        self._models = models
        self._dead = dead
        self._days: dict[int, float] = {}

    def follow(self, event: Event, day: float) -> None:
        """Do what an event says: answer with a model, or put one beside it."""
        self.answers_with = self._ledger.champion
        if event.kind == "deployed":
            self._days[event.position] = day

    @property
    def beside(self) -> str:
        """The model beside the champion, empty when there is none."""
        return self._ledger.beside.model if self._ledger.beside is not None else ""

    def recover(self, day: float) -> None:
        """Let the workers live from a day on."""
        self._dead = [(begin, min(end, day)) for begin, end in self._dead if begin < day]

    def see(self, day: float) -> ChallengerSeen | None:
        """Return what was seen of the model beside the champion until a day.

        Nobody counts a day by a clock that can be set: a day here is a true one.
        """
        beside = self._ledger.beside
        if beside is None:
            return None
        since, began = self._days[beside.position], self._days[beside.began]
        pairs = self._rows(since, day)
        nature = chance(self._options.seed, "nature", beside.model)
        fails, drags = nature.happens(self._live.breaks), nature.happens(self._live.drags)
        speed = nature.choose((1.5, 4.0)) if drags else nature.between(0.9, 1.15)
        failed = pairs // 20 if fails else 0
        labelled = self._labelled(began, day)
        seen = ChallengerSeen(
            champion=beside.champion,
            model=beside.model,
            share=beside.share,
            baked_s=round((day - since) * _DAY_S, 3),
            pairs=pairs - failed,
            answers=int((pairs - failed) * beside.share),
            failures=failed,
            slower=round(speed, 3) if pairs >= _COMPARABLE else None,
            labelled=labelled,
        )
        return self._with_gain(seen, beside, day) if labelled else seen

    def gain(self, model: str, champion: str, day: float) -> float:
        """Return what part of the champion's loss a model really saves."""
        reference = self._truth.error(self._models[champion], day)
        return (reference - self._truth.error(self._models[model], day)) / reference

    def _with_gain(self, seen: ChallengerSeen, beside: Beside, day: float) -> ChallengerSeen:
        draw = chance(self._options.seed, "paired", beside.model, beside.champion)
        # Whoever looks as often as he likes sees bounds that hold the truth.
        noise = min(max(draw.normal(1.0), -_NOISE), _NOISE)
        unit = spread(seen.labelled)
        gain = self.gain(beside.model, beside.champion, day) + noise * unit
        return msgspec.structs.replace(
            seen,
            gain=round(gain, _DIGITS),
            low=round(gain - _SURE * unit, _DIGITS),
            high=round(gain + _SURE * unit, _DIGITS),
        )

    def _labelled(self, began: float, day: float) -> int:
        labels = self._options.labels
        return int(self._rows(began, day - labels.delay) * (1.0 - labels.missing))

    def _rows(self, since: float, until: float) -> int:
        alive = max(until - since, 0.0) - inside(self._dead, since, until)
        return int(max(alive, 0.0) * self._live.traffic)


def spread(labelled: int) -> float:
    """Return the standard error of a gain on so many labels."""
    return _SPREAD / math.sqrt(max(labelled, 1))
