"""The harm layer: whether the champion errs more than it was validated to, at any number of looks.

An e-detector on blocks of days whose labels are in. It alone may start a retrain by itself. Pure
numpy and scipy.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.models.metrics import Floats

__all__ = ["Harm", "LossDay", "Standard", "detect_harm", "loss_days", "standard_of"]

_CAP = 0.995
_TOLERANCE = 0.05
_SURE = 1.96
_BLOCK = 50
_BETS = (0.25, 0.5, 1.0, 2.0, 4.0)
_LEAST_DAYS = 10
_LEAST_ROWS = 20


class Standard(Struct, frozen=True, kw_only=True):
    """What the champion was validated at, and how that scatters.

    Losses beyond `floor` and `cap` count as these. `mean` is the mean loss, `error` its standard
    error, `limit` what still counts as no harm: the mean and the larger of 5 % of it and 1.96
    errors. `between` and `within` are the variances of a day's mean and of rows around it.
    """

    floor: float
    cap: float
    mean: float
    error: float
    limit: float
    between: float
    within: float
    rows: int


class LossDay(Struct, frozen=True, kw_only=True):
    """One day's capped losses: when, of how many rows, how much in all."""

    date: int
    rows: int
    total: float


class Harm(Struct, frozen=True, kw_only=True):
    """What the detector says after the last day.

    `evidence` is that of harm at each day, 1 and more counts; `since` the day that the rise most
    probably began with, `alarm` the first day at which evidence was enough; None where there is
    none. `mean` is the loss since then.
    """

    evidence: tuple[float, ...]
    alarm: int | None
    since: int | None
    mean: float | None

    @property
    def level(self) -> float:
        """The evidence after the last day, as a share of what is enough."""
        return self.evidence[-1] if self.evidence else 0.0


def standard_of(losses: Floats, dates: NDArray[np.int64]) -> Standard | None:
    """Return a champion's standard from its validation rows; None with fewer than twenty.

    Args:
        losses: One a row, lower is better, on rows the champion had not seen.
        dates: The day of each row, in days since 1970.
    """
    if losses.size < _LEAST_ROWS:
        return None
    floor, cap = (float(end) for end in np.quantile(losses, (1 - _CAP, _CAP)))
    capped = np.clip(losses, floor, cap)
    between, within, day_error = _components(capped, dates)
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
    )


def loss_days(losses: Floats, dates: NDArray[np.int64], standard: Standard) -> tuple[LossDay, ...]:
    """Return the capped losses day by day."""
    capped = np.clip(losses, standard.floor, standard.cap)
    days, place = np.unique(dates, return_inverse=True)
    rows, totals = np.bincount(place), np.bincount(place, weights=capped)
    return tuple(
        LossDay(date=int(date), rows=int(count), total=float(total))
        for date, count, total in zip(days, rows, totals, strict=True)
    )


def detect_harm(days: Sequence[LossDay], standard: Standard, *, days_between: float) -> Harm:
    """Look at days in their order, as if at each of them, and say when harm was evident.

    Days are joined until they have fifty rows, so that their mean is nearly normal. A block's
    e-value for a bet λ is exp(λ z - λ²/2) with z = (mean - limit) / its standard deviation; the
    Shiryaev-Roberts sum R ← (R + 1) e restarts at every block, and the mean of the sums over a grid
    of bets is compared with `days_between` (Shin, Ramdas & Rinaldo 2024, e-detectors). As long as
    no block is expected above the limit, alarms are that many blocks apart or more on average, and
    a block is a day or more.

    Args:
        days: In rising order; days without a label are left out.
        standard: What the champion was validated at.
        days_between: How many days lie between two false alarms on average, at least.
    """
    sums = np.zeros(len(_BETS))
    paths = np.zeros(len(_BETS))
    bets = np.asarray(_BETS)
    evidence: list[float] = []
    block: list[LossDay] = []
    blocks: list[tuple[int, float, int, float]] = []
    alarm: int | None = None
    for day in days:
        block.append(day)
        rows = sum(one.rows for one in block)
        if rows >= _BLOCK:
            total = sum(one.total for one in block)
            z = (total / rows - standard.limit) / _deviation(block, rows, standard)
            growth = np.exp(np.clip(bets * z - bets**2 / 2, -50.0, 50.0))
            sums = np.minimum(sums + 1.0, 1e250) * growth
            paths += np.log(growth)
            blocks.append((block[0].date, z, rows, total))
            block = []
        evidence.append(float(sums.mean() / days_between))
        if alarm is None and evidence[-1] >= 1.0:
            alarm = day.date
    since, mean = _began(blocks) if alarm is not None else (None, None)
    return Harm(evidence=tuple(evidence), alarm=alarm, since=since, mean=mean)


def _deviation(block: Sequence[LossDay], rows: int, standard: Standard) -> float:
    """Return the standard deviation of a block's mean."""
    days = sum((one.rows / rows) ** 2 for one in block)
    variance = standard.between * days + standard.within / rows
    return math.sqrt(variance) or math.inf


def _began(blocks: Sequence[tuple[int, float, int, float]]) -> tuple[int | None, float | None]:
    """Return where the sum of z from there on is largest (Page 1954), and the mean loss since."""
    best, at = -math.inf, None
    running = 0.0
    for place in range(len(blocks) - 1, -1, -1):
        running += blocks[place][1]
        scaled = running / math.sqrt(len(blocks) - place)
        if scaled > best:
            best, at = scaled, place
    if at is None:
        return None, None
    rows = sum(block[2] for block in blocks[at:])
    return blocks[at][0], sum(block[3] for block in blocks[at:]) / rows


def _components(values: Floats, dates: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return the variances between and within days, and the standard error of the mean."""
    days, place, counts = np.unique(dates, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=values) / counts
    whole = float(values.size)
    if days.size < _LEAST_DAYS:
        within = float(values.var(ddof=1))
        return 0.0, within, math.sqrt(within / whole)
    effects = means - values.mean()
    freedom = whole - days.size
    within = float(((values - means[place]) ** 2).sum() / freedom) if freedom > 0 else 0.0
    square = float((counts * effects**2).sum() / (days.size - 1))
    size = (whole - float((counts**2).sum()) / whole) / (days.size - 1)
    between = max((square - within) / size, 0.0)
    error = math.sqrt(float((counts**2 * effects**2).sum())) / whole
    return between, within if freedom > 0 else square, error
