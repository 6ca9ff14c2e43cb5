"""The harm layer: whether the champion errs more than it was validated to, at any number of looks.

An e-detector on blocks of days whose labels are in, and a coarser one on parts of a day that has
many. The layer alone may start a retrain by itself. Pure numpy and scipy.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.models.metrics import Floats
from bucle.watch.memory import Surprises, inflation, memory_of

__all__ = [
    "SLOTS",
    "Harm",
    "LossDay",
    "LossPart",
    "Standard",
    "detect_harm",
    "loss_days",
    "standard_of",
]

SLOTS = 96
"""Into how many slots a day is cut: quarters of an hour."""

_CAP = 0.995
_TOLERANCE = 0.05
_SURE = 1.96
_BLOCK = 50
_HOURS = 24
_BETS = (0.25, 0.5, 1.0, 2.0, 4.0)
_LEAST_DAYS = 10
_LEAST_ROWS = 20
_GROSS = 0.1
_MOST_DAY = 4.0
_GREATEST = 1e250
_OVER = 0.1
_STANDS_DAYS = 7


class Standard(Struct, frozen=True, kw_only=True):
    """What the champion was validated at, and how that scatters.

    Losses beyond `floor` and `cap` count as these. `mean` is the mean loss, `error` its standard
    error, `limit` what still counts as no harm: the mean and the larger of 5 % of it and 1.96
    errors. `between` and `within` are the variances of a day's effect and of rows around their
    day, `memory` is the correlation of a day's effect with that of the day before. `peak` is the
    mean of the hour that loses most, None where the hours of rows were not known.
    """

    floor: float
    cap: float
    mean: float
    error: float
    limit: float
    between: float
    within: float
    rows: int
    memory: float = 0.0
    peak: float | None = None

    @property
    def gross(self) -> float:
        """What the mean of a part of a day must exceed to count as harm before the day is over.

        Rows of a day move together, and hours have habits that may not be known: a part must lie
        beyond the limit, and beyond the hour that loses most, by what single rows scatter by, and
        by four times what days do.
        """
        scatter = math.sqrt(self.between + self.within)
        most = self.limit if self.peak is None else max(self.limit, self.peak)
        return most + max(scatter, _MOST_DAY * math.sqrt(self.between))


class LossPart(Struct, frozen=True, kw_only=True):
    """Capped losses of neighbouring slots of a day that ended with `slot`: how many, how much."""

    slot: int
    rows: int
    total: float


class LossDay(Struct, frozen=True, kw_only=True):
    """One day's capped losses: when, of how many rows, how much in all, and by `parts` if many."""

    date: int
    rows: int
    total: float
    parts: tuple[LossPart, ...] = ()


class Harm(Struct, frozen=True, kw_only=True):
    """What the detector says after the last day.

    `evidence` is the most there was of harm on each day, 1 and more counts; `standing` whether
    there was an alarm when the day ended. Of the alarm that stands now `alarm` is the first day on
    which evidence was enough, `since` the day that the rise most probably began with, and `mean`
    the loss since then; None where none stands.
    """

    evidence: tuple[float, ...]
    standing: tuple[bool, ...]
    alarm: int | None
    since: int | None
    mean: float | None

    @property
    def level(self) -> float:
        """The evidence of the last day, as a share of what is enough."""
        return self.evidence[-1] if self.evidence else 0.0


def standard_of(
    losses: Floats, dates: NDArray[np.int64], *, slots: NDArray[np.int64] | None = None
) -> Standard | None:
    """Return a champion's standard from its validation rows; None with fewer than twenty.

    Args:
        losses: One a row, lower is better, on rows the champion had not seen.
        dates: The day of each row, in days since 1970.
        slots: The slot of each row in its day, from 0 to 95; None where that is not known.
    """
    if losses.size < _LEAST_ROWS:
        return None
    floor, cap = (float(end) for end in np.quantile(losses, (1 - _CAP, _CAP)))
    capped = np.clip(losses, floor, cap)
    between, within, memory, day_error = _components(capped, dates)
    mean = float(capped.mean())
    error = max(day_error, math.sqrt(within / losses.size))
    return Standard(
        floor=floor,
        cap=cap,
        mean=mean,
        error=error,
        limit=mean + max(_TOLERANCE * abs(mean), _SURE * error),
        between=between,
        within=within,
        rows=int(losses.size),
        memory=memory,
        peak=None if slots is None else _peak(capped, slots),
    )


def loss_days(
    losses: Floats,
    dates: NDArray[np.int64],
    standard: Standard,
    *,
    slots: NDArray[np.int64] | None = None,
) -> tuple[LossDay, ...]:
    """Return the capped losses day by day.

    Args:
        losses: One a row.
        dates: The day of each row, in days since 1970.
        standard: Where losses are capped.
        slots: The slot of each row in its day, from 0 to 95; None where that is not known. Then
            days have no parts.
    """
    capped = np.clip(losses, standard.floor, standard.cap)
    days, place = np.unique(dates, return_inverse=True)
    rows, totals = np.bincount(place), np.bincount(place, weights=capped)
    parts: tuple[tuple[LossPart, ...], ...] = ((),) * days.size
    if slots is not None:
        cell, whole = place * SLOTS + slots, days.size * SLOTS
        counts = np.bincount(cell, minlength=whole).reshape(-1, SLOTS)
        sums = np.bincount(cell, weights=capped, minlength=whole).reshape(-1, SLOTS)
        parts = tuple(_parts(*one) for one in zip(counts.tolist(), sums.tolist(), strict=True))
    return tuple(
        LossDay(date=int(date), rows=int(count), total=float(total), parts=parts[at])
        for at, (date, count, total) in enumerate(zip(days, rows, totals, strict=True))
    )


def detect_harm(
    days: Sequence[LossDay],
    standard: Standard,
    *,
    days_between: float,
    running: LossDay | None = None,
) -> Harm:
    """Look at days in their order, as if at each of them, and say when harm was evident.

    Days are joined until they have fifty rows, so that their mean is nearly normal. A block's
    e-value for a bet λ is exp(λ z - λ²/2), where z is how far it lies above what the limit and the
    days before foretell, in standard deviations; the Shiryaev-Roberts sum R ← (R + 1) e restarts at
    every block, and the mean of the sums over a grid of bets is compared with `days_between` (Shin,
    Ramdas & Rinaldo 2024, e-detectors). As long as no block is expected above the limit, alarms are
    that many blocks apart or more on average, and a block is a day or more.

    A tenth of the evidence is that of a second detector. It goes by parts of a day, quarters of an
    hour joined until they have fifty rows, asks whether their mean lies above `Standard.gross`, and
    restarts at each by the time that has gone by, so that its alarms are as many days apart. What
    it says of a part stays, however the day ends, so that looks at any time see the same.

    An alarm stands for a week at least, and until the evidence has fallen to a tenth of what is
    enough. No bet's sum counts for more than what is enough alone, else a long rise would
    take as long to be forgotten. Then both detectors begin anew, so that the time to the next false
    alarm is again what was asked for.

    Args:
        days: In rising order; days without a label are left out.
        standard: What the champion was validated at.
        days_between: How many days lie between two false alarms on average, at least.
        running: The day after these, as far as it has gone; only its parts are judged.
    """
    blocks, gross = _Blocks(standard), _Gross(standard)
    evidence: list[float] = []
    standing: list[bool] = []
    alarm: int | None = None
    for day in (*days, running) if running is not None else days:
        found = [(1.0 - _GROSS) * blocks.level + _GROSS * level for level in gross.take(day)]
        if day is not running:
            blocks.take(day)
            found.append((1.0 - _GROSS) * blocks.level + _GROSS * gross.level)
        evidence.append(max(found, default=0.0) / days_between)
        if alarm is None and evidence[-1] >= 1.0:
            alarm = day.date
        elif alarm is not None and day is not running:
            is_old = day.date - alarm >= _STANDS_DAYS
            if is_old and found[-1] <= _OVER * days_between:
                alarm = None
                blocks.restart()
                gross.restart()
        if alarm is not None:
            blocks.keep_below(days_between / (1.0 - _GROSS))
            gross.keep_below(days_between / _GROSS)
        standing.append(alarm is not None)
    since, mean = (
        (None, None) if alarm is None else _began(blocks.all, running, standard, until=alarm)
    )
    return Harm(
        evidence=tuple(evidence), standing=tuple(standing), alarm=alarm, since=since, mean=mean
    )


class _Block(Struct, frozen=True, kw_only=True):
    """Some days: the first of them, how far off they lie, and their losses."""

    date: int
    steps: float
    rows: int
    total: float


class _Sums:
    """The Shiryaev-Roberts sums, one a bet."""

    def __init__(self) -> None:
        self._sums = np.zeros(len(_BETS))

    @property
    def level(self) -> float:
        """The mean of the sums."""
        return float(self._sums.mean())

    def grow(self, steps: float, *, passed: float) -> None:
        """Take in how far something lies above what was foretold, in standard deviations.

        Args:
            steps: How far.
            passed: How much time it is about, in blocks.
        """
        self._sums = np.minimum(self._sums + passed, _GREATEST) * _growth(steps)

    def keep_below(self, level: float) -> None:
        """Let no bet alone make more than a level."""
        self._sums = np.minimum(self._sums, level * len(_BETS))

    def restart(self) -> None:
        """Forget what was."""
        self._sums = np.zeros(len(_BETS))


class _Blocks(_Sums):
    """The detector by days; `all` are the blocks since it began anew."""

    def __init__(self, standard: Standard) -> None:
        super().__init__()
        self.all: list[_Block] = []
        self._surprises = Surprises(
            standard.limit,
            between=standard.between,
            within=standard.within,
            memory=standard.memory,
        )
        self._open: list[LossDay] = []
        self._score = self._information = 0.0

    def restart(self) -> None:
        """Forget what was, but for what days foretell of one another."""
        super().restart()
        self.all = []

    def take(self, day: LossDay) -> None:
        """Judge a day, or wait for the next one where there are too few rows."""
        found = self._surprises.take(day.date, rows=day.rows, mean=day.total / day.rows)
        self._score += found.weight * found.steps
        self._information += found.weight**2
        self._open.append(day)
        rows = sum(one.rows for one in self._open)
        if rows < _BLOCK:
            return
        steps = self._score / math.sqrt(self._information) if self._information > 0.0 else 0.0
        self.grow(steps, passed=1.0)
        total = sum(one.total for one in self._open)
        self.all.append(_Block(date=self._open[0].date, steps=steps, rows=rows, total=total))
        self._open, self._score, self._information = [], 0.0, 0.0


class _Gross(_Sums):
    """The detector by parts of days."""

    def __init__(self, standard: Standard) -> None:
        super().__init__()
        self._limit, self._deviation = standard.gross, math.sqrt(standard.within)
        self._until: int | None = None

    def take(self, day: LossDay) -> Iterator[float]:
        """Judge the parts of a day, and yield the level after each."""
        for part in day.parts if self._deviation > 0.0 else ():
            until = day.date * SLOTS + part.slot + 1
            passed = SLOTS if self._until is None else min(until - self._until, SLOTS)
            self._until = until
            off = part.total / part.rows - self._limit
            steps = off * math.sqrt(part.rows) / self._deviation
            self.grow(steps, passed=passed / SLOTS)
            yield self.level


def _growth(steps: float) -> Floats:
    """Return the e-value of each bet."""
    bets = np.asarray(_BETS)
    return np.asarray(np.exp(np.clip(bets * steps - bets**2 / 2, -50.0, 50.0)), dtype=np.float64)


def _parts(rows: Sequence[int], totals: Sequence[float]) -> tuple[LossPart, ...]:
    """Join the slots of a day until they have fifty rows; what is left at its end is left out."""
    found, count, total = [], 0, 0.0
    for slot, (more, added) in enumerate(zip(rows, totals, strict=True)):
        count, total = count + more, total + added
        if count >= _BLOCK:
            found.append(LossPart(slot=slot, rows=count, total=total))
            count, total = 0, 0.0
    return tuple(found)


def _began(
    blocks: Sequence[_Block], running: LossDay | None, standard: Standard, *, until: int
) -> tuple[int | None, float | None]:
    """Return from where on the sum of steps is largest (Page 1954), and the mean loss since.

    Blocks that begin after `until` are no beginning.
    """
    if running is not None and running.parts:
        rows, total = running.rows, running.total
        deviation = math.sqrt(standard.between + standard.within / rows) or math.inf
        steps = (total / rows - standard.limit) / deviation
        last = _Block(date=running.date, steps=steps, rows=rows, total=total)
        blocks = (*blocks, last)
    best, at = -math.inf, None
    summed = 0.0
    for place in range(len(blocks) - 1, -1, -1):
        summed += blocks[place].steps
        scaled = summed / math.sqrt(len(blocks) - place)
        if scaled > best and blocks[place].date <= until:
            best, at = scaled, place
    if at is None:
        return None, None
    whole = sum(block.rows for block in blocks[at:])
    return blocks[at].date, sum(block.total for block in blocks[at:]) / whole


def _peak(values: Floats, slots: NDArray[np.int64]) -> float | None:
    """Return the largest mean of an hour with fifty rows or more; None without one."""
    hours = slots * _HOURS // SLOTS
    rows, totals = np.bincount(hours), np.bincount(hours, weights=values)
    known = rows >= _BLOCK
    return float((totals[known] / rows[known]).max()) if known.any() else None


def _components(values: Floats, dates: NDArray[np.int64]) -> tuple[float, float, float, float]:
    """Return the variances between and within days, the memory, and the error of the mean."""
    days, place, counts = np.unique(dates, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=values) / counts
    whole = float(values.size)
    if days.size < _LEAST_DAYS:
        within = float(values.var(ddof=1))
        return 0.0, within, 0.0, math.sqrt(within / whole)
    effects = means - values.mean()
    freedom = whole - days.size
    within = float(((values - means[place]) ** 2).sum() / freedom) if freedom > 0 else 0.0
    square = float((counts * effects**2).sum() / (days.size - 1))
    size = (whole - float((counts**2).sum()) / whole) / (days.size - 1)
    between = max((square - within) / size, 0.0)
    within = within if freedom > 0 else square
    memory = memory_of(days, effects[:, None], np.asarray([between]))
    variance = float((counts**2 * effects**2).sum()) / whole**2
    # The part of it that is of days grows for what they have of each other.
    grown = float(inflation(memory, days.size)[0]) - 1.0
    variance += between * float((counts**2).sum()) / whole**2 * grown
    return between, within, float(memory[0]), math.sqrt(variance)
