"""Windows of predictions and the labels that come for them: late, twice, changed or never.

Must not be imported by anything but tests. Imports nothing heavy.
"""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from bucle.clock import to_iso
from bucle.loop.events import DriftMeasured, GainEstimated, WindowJudged
from bucle.testing.chance import Chance, chance
from bucle.testing.options import Options
from bucle.testing.truth import HiddenModel, Truth

__all__ = ["EPOCH", "Arrival", "Window", "moment_of", "open_window"]

EPOCH = datetime(2026, 1, 31, tzinfo=UTC)
_GROUPS = 5
_NOISE = 0.02
_CHANGED = 0.3


class Arrival(Struct, frozen=True, kw_only=True):
    """Labels of one group of rows that become known on a day, and the error they show."""

    day: float
    group: int
    error: float


class Window(Struct, frozen=True, kw_only=True):
    """What one model predicted until a day, how its inputs lay, and when its labels come.

    `best` is the error that a new model would have had.
    """

    number: int
    end: float
    validated: float
    best: float
    drift: DriftMeasured
    arrivals: tuple[Arrival, ...]

    def judged(self, day: float, *, patience: float) -> WindowJudged | None:
        """Return what the labels show that are known; None while it waits for them.

        A label that came twice counts once, and the latest of several counts.
        """
        if not self.arrivals or day < self.arrivals[0].day:
            return None
        known = {one.group: one.error for one in self.arrivals if one.day <= day}
        if len(known) < _GROUPS and day < self.end + patience:
            return None
        seen = self.drift
        return WindowJudged(
            model=seen.model,
            start=seen.start,
            end=seen.end,
            rows=seen.rows,
            labelled=seen.rows * len(known) // _GROUPS,
            metric="wape",
            error=round(sum(known.values()) / len(known), 6),
            reference=self.validated,
        )

    def gain(self, judged: WindowJudged) -> GainEstimated:
        """Return what a new model would have saved on the labels that are known."""
        gain = (judged.error - self.best) / judged.error if judged.error > 0 else 0.0
        return GainEstimated(
            champion=judged.model,
            challenger=f"m-would-{self.number}",
            rows=judged.labelled,
            gain=round(gain, 6),
            saved=round(gain * judged.labelled, 6),
        )


def moment_of(day: float) -> datetime:
    """Return the true time of a simulated day."""
    return EPOCH + timedelta(days=day)


def open_window(
    options: Options, truth: Truth, number: int, model: HiddenModel, *, start: float
) -> Window:
    """Return the window that begins on a day, with all that will become of its labels."""
    draw = chance(options.seed, "window", number, model.model)
    end = start + options.tick
    moved = truth.moved(since=model.born, until=start)
    drift = DriftMeasured(
        model=model.model,
        start=to_iso(moment_of(start)),
        end=to_iso(moment_of(end)),
        rows=options.rows,
        distance=round(2 * moved + abs(draw.normal(0.05)), 6),
        column="price",
    )
    return Window(
        number=number,
        end=end,
        validated=model.error,
        best=draw.between(0.15, 0.25),
        drift=drift,
        arrivals=_arrivals(options, draw, end, truth.error(model, start)),
    )


def _arrivals(options: Options, draw: Chance, end: float, error: float) -> tuple[Arrival, ...]:
    found: list[Arrival] = []
    for group in range(_GROUPS):
        if draw.happens(options.labels.missing):
            continue
        seen = max(error + draw.normal(_NOISE), 0.0)
        first = Arrival(day=end + draw.wait(options.labels.delay), group=group, error=seen)
        found.append(first)
        if draw.happens(options.labels.twice):
            later = first.day + draw.wait(options.labels.delay)
            found.append(Arrival(day=later, group=group, error=seen))
        if draw.happens(options.labels.contradicted):
            later = first.day + draw.wait(options.labels.delay)
            found.append(Arrival(day=later, group=group, error=seen + _CHANGED))
    return tuple(sorted(found, key=lambda one: (one.day, one.group)))
