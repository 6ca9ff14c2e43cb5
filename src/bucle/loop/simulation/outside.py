"""What goes on outside of a simulated project: items come, something becomes of them, books say so.

Knows nothing of the loop: it sees what was proposed for its items, and nothing else. Imports
polars.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import polars as pl
from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.clock import to_iso
from bucle.data.views import as_of
from bucle.errors import RequestError
from bucle.loop.replay.living import LivingWorld
from bucle.loop.simulation.mishaps import Mishap

__all__ = ["Known", "Outside", "misprints_of", "open_outside", "shocks_of"]

_EVER = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
_FACTOR = 100
_DAY = timedelta(days=1)


class Known(Struct, frozen=True, kw_only=True):
    """What became known of an answered item: the label of a prediction, and when it was known."""

    prediction: str
    label: object
    at: str


class Outside:
    """The items of a world, day by day.

    Args:
        world: Where they come from.
        settings: The dataset that the books are.
        target: The column that is told as the label of a prediction.
        items: All items that ever come, with what people proposed for them.
    """

    def __init__(
        self,
        world: LivingWorld,
        settings: DatasetSettings,
        *,
        target: str,
        items: pl.DataFrame,
    ) -> None:
        self._world = world
        self._settings = settings
        self._target = target
        self._items = items
        self._mishaps: tuple[Mishap, ...] = ()
        self._began = _EVER[0]
        self._came: list[tuple[pl.DataFrame, Sequence[str]]] = []
        self._books: list[pl.DataFrame] = []
        self._waiting: list[tuple[datetime, Known]] = []
        self._told: set[str] = set()

    @property
    def world(self) -> LivingWorld:
        """Where the items come from."""
        return self._world

    @property
    def settings(self) -> DatasetSettings:
        """The dataset that the books are."""
        return self._settings

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The first day with items, and the day after the last one."""
        times = _times(self._items, str(self._settings.event_time))
        return _day(times.min()), _day(times.max()) + _DAY

    def begin(self, start: datetime, mishaps: Sequence[Mishap]) -> None:
        """Live through everything before a moment, at what people proposed.

        Args:
            start: The moment.
            mishaps: What will go wrong, as far as that is certain.
        """
        self._began = start
        self.befall(mishaps)

    def befall(self, mishaps: Sequence[Mishap]) -> None:
        """Let something go wrong from its own moments on; what is on the shelves feels it too."""
        self._mishaps = (*self._mishaps, *mishaps)
        for one in mishaps:
            if one.kind in shocks_of(self._world):
                cast("Any", self._world).strike(one.kind, one.start, one.end)
        self._books = [self._world.outcomes(self._world.arrivals(_EVER[0], self._began))]
        self._waiting = []
        for proposed, predictions in self._came:
            self._settle(proposed, predictions)

    def mend(self, mishaps: Sequence[Mishap]) -> None:
        """Let what goes wrong be as told: a mishap that only shows in the books ends sooner."""
        self._mishaps = tuple(mishaps)

    def goes_on(self, kind: str, now: datetime) -> bool:
        """Tell whether something goes wrong at a moment."""
        return any(one.kind == kind and one.covers(now) for one in self._mishaps)

    def arrivals(self, day: datetime) -> pl.DataFrame:
        """Return the items that come on a day."""
        return self._world.arrivals(day, day + _DAY)

    def live(self, proposed: pl.DataFrame, predictions: Sequence[str]) -> None:
        """Let the world answer to what was proposed for the items of a day.

        Args:
            proposed: The items.
            predictions: The id of the prediction of each.
        """
        self._came.append((proposed, predictions))
        self._settle(proposed, predictions)

    def _settle(self, proposed: pl.DataFrame, predictions: Sequence[str]) -> None:
        lived = self._world.outcomes(proposed)
        self._books.append(lived)
        times = _times(lived, str(self._settings.label_time))
        for name, label, moment in zip(predictions, lived[self._target], times, strict=True):
            if moment is not None and label is not None and name not in self._told:
                told = Known(prediction=name, label=label, at=to_iso(moment))
                self._waiting.append((moment, told))

    def told(self, now: datetime) -> list[Known]:
        """Return what has become known of answered items and was not told yet."""
        if self.goes_on("no-labels", now):
            return []
        due = [told for moment, told in self._waiting if moment <= now]
        self._told.update(one.prediction for one in due)
        self._waiting = [one for one in self._waiting if one[0] > now]
        return due

    def books(self, now: datetime) -> pl.DataFrame:
        """Return what the books say at a moment of every item that has come."""
        known = as_of(pl.concat(self._books), to_iso(now), self._settings)
        for mishap in self._mishaps:
            if mishap.covers(now) and mishap.kind == "no-labels":
                known = _without_news(known, self._settings, mishap.start)
            elif mishap.covers(now) and mishap.kind == "labels-x100":
                known = _inflated(known, self._settings, mishap.start)
            elif mishap.covers(now) and mishap.kind in misprints_of(self._world):
                known = cast("Any", self._world).misprint(mishap.kind, known)
        return known


def shocks_of(world: LivingWorld) -> Mapping[str, str]:
    """Return what can befall a world, in words by name."""
    found: Mapping[str, str] = getattr(world, "shocks", {})
    return found


def misprints_of(world: LivingWorld) -> Mapping[str, str]:
    """Return what can go wrong with a world's books, in words by name."""
    found: Mapping[str, str] = getattr(world, "misprints", {})
    return found


def open_outside(world: LivingWorld, settings: DatasetSettings, *, target: str) -> Outside:
    """Look at all that a world has, and make it ready to be lived in.

    Raises:
        RequestError: Its items have no event time, or none of what becomes known is the target
            (bucle-433).
    """
    items = world.arrivals(*_EVER)
    sample = world.outcomes(items.head(1))
    needed = [settings.event_time, settings.label_time, target]
    missing = [name for name in needed if name is None or name not in sample.columns]
    if missing or not items.height:
        raise RequestError(
            "Cannot simulate this project in its world",
            cause=f"what becomes of an item has no column {missing[0]!r}"
            if missing
            else "no item ever comes",
            attempt="event_time, label_time and pipeline.target must be columns that it answers",
            code="bucle-433",
        )
    return Outside(world, settings, target=target, items=items)


def _without_news(known: pl.DataFrame, settings: DatasetSettings, since: datetime) -> pl.DataFrame:
    """Return the books without what became known since a moment."""
    late = _times(known, str(settings.label_time)) >= since
    hidden = [*_labels(settings), str(settings.label_time)]
    return known.with_columns(
        pl.when(late.fill_null(value=False)).then(None).otherwise(pl.col(name)).alias(name)
        for name in dict.fromkeys(hidden)
    )


def _inflated(known: pl.DataFrame, settings: DatasetSettings, since: datetime) -> pl.DataFrame:
    """Return the books with every amount a hundred times too large that came in since a moment."""
    amounts = [name for name in _labels(settings) if known[name].dtype.is_float()]
    late = _times(known, str(settings.label_time)) >= since
    return known.with_columns(
        pl.when(late).then(pl.col(name) * _FACTOR).otherwise(pl.col(name)).alias(name)
        for name in amounts
    )


def _labels(settings: DatasetSettings) -> tuple[str, ...]:
    return (settings.label,) if isinstance(settings.label, str) else settings.label


def _times(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a column of dates or times as moments in UTC."""
    column = frame[name]
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        return column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _day(moment: object) -> datetime:
    assert isinstance(moment, datetime)  # noqa: S101  (the column holds moments)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
