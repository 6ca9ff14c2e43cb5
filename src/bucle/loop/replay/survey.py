"""The first task of a replay: which moments there are, and what each of them could have known.

Runs in a worker; reads the predicted dataset once and gives the digest of every view, so that a
later task can be found in the cache without opening any data.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.clock import from_iso, to_iso
from bucle.data.views import cut_time
from bucle.errors import RequestError
from bucle.loop.policy import window_span
from bucle.loop.replay.history import Digests, label_names, moments_of, open_history
from bucle.loop.replay.recipe import Place, Recipe
from bucle.loop.spans import Span, parse_span

__all__ = ["Moment", "Survey", "Training", "survey"]

_LEAST_PERIODS = 2
_LEAST_LABELS = 30
_MOST_PERIODS = 2000
_START_SHARE = 0.25
_USUAL_DELAY = 0.9
_YEAR = 365.25
_DAY = 86_400_000_000


class Training(Struct, frozen=True, kw_only=True):
    """A training set: when it is looked at, from when on, and the digest of what is seen.

    `asked_from` is the first moment from which its model's answers are wanted: earlier than
    `moment` for a refit, which is compared with its tested twin on rows that it has seen.
    """

    moment: str
    since: str | None
    view: str
    asked_from: str


class Moment(Struct, frozen=True, kw_only=True):
    """One beginning of a period: `asked` and `known` are digests of views.

    `whole` and `cut` are the training sets by window: all that was known, and what was known where
    the newest labels that judge begin; None where nothing can be kept for judging.
    """

    at: str
    end: str
    asked: str
    known: str
    whole: dict[str, Training] = {}
    cut: dict[str, Training | None] = {}


class Survey(Struct, frozen=True, kw_only=True):
    """The moments of a replay in their order; those before `first` only serve as evidence.

    `delay` is how many days after its event 90 % of the labels had arrived, seen from the first
    moment. `final` is the digest of all that is known in the end.
    """

    period: str
    first: int
    moments: tuple[Moment, ...]
    delay: float
    final: str
    warnings: tuple[str, ...] = ()


def survey(
    *,
    recipe: dict[str, Any],
    start: str | None,
    end: str | None,
    period: str | None,
    windows: list[str],
    holdout: float,
    place: Any,
) -> dict[str, Any]:
    """Lay the grid of periods over history and say what each moment could have known.

    Returns:
        A `Survey` as JSON values.

    Raises:
        RequestError: History is too short, or a moment asked for lies outside of it.
    """
    cook, where = msgspec.convert(recipe, Recipe), msgspec.convert(place, Place)
    settings = cook.settings[cook.primary]
    frame = open_history(where, cook.primary, settings, fault=where.fault)
    begin, stop = _range(frame, settings)
    digests = Digests(frame, settings)
    span = parse_span(period) if period else _usual_period(begin, stop)
    first = _first(frame, settings, digests, start=start, span=span, range_=(begin, stop))
    last = _last(end, first, stop)
    edges = _edges(first, last, span, whole=end is None or from_iso(end) > stop)
    cuts = {window: _cut(frame, settings, edges[0], window, holdout) for window in windows}
    for window in windows:
        _require_labels(digests, frame, settings, edges[0], window)
    known = [cut for cut in cuts.values() if cut is not None]
    before = _warm_up(edges[0], min(known, default=edges[0]), span)
    moments = [
        Moment(
            at=to_iso(at),
            end=to_iso(after),
            asked=digests.of_view(at, after),
            known=digests.of_view(at, at),
        )
        for at, after in pairwise([*before, *edges])
    ]
    trained = list(moments)
    for number in range(len(before), len(moments)):
        at = moments[number].at
        cut = {name: _tested(digests, frame, settings, at, name, holdout) for name in windows}
        whole = {name: _whole(digests, at, name, cut[name]) for name in windows}
        trained[number] = msgspec.structs.replace(moments[number], whole=whole, cut=cut)
    found = Survey(
        period=span.text,
        first=len(before),
        moments=tuple(trained),
        delay=_delay(digests, edges[0]),
        final=digests.of_all(),
        warnings=(*_beyond(end, stop), *_warnings(trained[len(before) :])),
    )
    answer: dict[str, Any] = msgspec.to_builtins(found)
    return answer


def _range(frame: pl.DataFrame, settings: DatasetSettings) -> tuple[datetime, datetime]:
    if settings.event_time is None:
        raise RequestError(
            "Cannot replay: the dataset has no event_time",
            cause="without it nobody can say in which order things happened",
            attempt='event_time = "COLUMN" in the [data] section of bucle.toml',
            code="bucle-258",
        )
    times = frame.select(moments_of(frame, settings.event_time)).to_series().drop_nulls()
    if not len(times):
        raise RequestError("Cannot replay: no row has an event time", code="bucle-258")
    low, high = times.min(), times.max()
    if not isinstance(low, datetime) or not isinstance(high, datetime):
        raise RequestError("Cannot replay: event times are no moments", code="bucle-258")
    return low, high


def _usual_period(begin: datetime, stop: datetime) -> Span:
    days = (stop - begin).days
    if days > 2 * _YEAR:
        return Span(count=1, unit="mo")
    return Span(count=1, unit="w" if days > _YEAR / 4 else "d")


def _first(
    frame: pl.DataFrame,
    settings: DatasetSettings,
    digests: Digests,
    *,
    start: str | None,
    span: Span,
    range_: tuple[datetime, datetime],
) -> datetime:
    """Return the first moment: the one asked for, or when a quarter of the labels was known."""
    begin, stop = range_
    known = np.sort(digests.known[_labelled(frame, settings, digests)])
    known = known[known < 2**62]
    if known.size < _LEAST_LABELS:
        raise RequestError(
            f"Cannot replay: only {known.size} labels are known in all",
            cause=f"fewer than {_LEAST_LABELS} labels decide nothing",
            attempt="a longer history; bucle data list shows what there is",
            code="bucle-259",
        )
    if start is None:
        usual = int(known[max(int(known.size * _START_SHARE), _LEAST_LABELS - 1)])
        return span.after(span.floor(_moment(usual)))
    first = from_iso(start)
    if not begin < first < stop:
        early = span.after(begin, times=2)
        raise RequestError(
            f"Cannot replay from {start[:10]}: history runs from {begin.date()} to {stop.date()}",
            attempt=f"--from {early.date()}" if early < stop else "",
            code="bucle-260",
        )
    seen = int(np.searchsorted(known, round(first.timestamp() * 1e6), side="right"))
    if seen < _LEAST_LABELS:
        enough = _moment(int(known[_LEAST_LABELS - 1]))
        raise RequestError(
            f"Cannot replay from {start[:10]}: only {seen} labels were known then",
            cause=f"fewer than {_LEAST_LABELS} labels make no first model",
            attempt=f"--from {span.after(span.floor(enough)).date()}",
            code="bucle-259",
        )
    return first


def _last(end: str | None, first: datetime, stop: datetime) -> datetime:
    if end is None:
        return stop
    last = from_iso(end)
    if last <= first:
        raise RequestError(
            f"Cannot replay to {end[:10]}: it begins on {first.date()}",
            attempt=f"--to {stop.date()}",
            code="bucle-260",
        )
    return min(last, stop)


def _edges(first: datetime, last: datetime, span: Span, *, whole: bool) -> list[datetime]:
    """Return where periods begin, and the end of the last; `whole` where the last row counts."""
    edges = [first]
    while edges[-1] <= last and len(edges) <= _MOST_PERIODS + 1:
        edges.append(span.after(first, times=len(edges)))
    if not whole:
        # The end that was asked for is not replayed itself, nor a period that lies beyond it.
        edges = [edge for edge in edges if edge <= last]
    if len(edges) - 1 < _LEAST_PERIODS:
        raise RequestError(
            f"Cannot replay: from {first.date()} to {last.date()} there are fewer than "
            f"{_LEAST_PERIODS} periods of {span.text}"
            if first <= last
            else f"Cannot replay in periods of {span.text}: the first would begin on "
            f"{first.date()}, after the last row of {last.date()}",
            attempt="a shorter --period, or an earlier --from",
            code="bucle-261",
        )
    if len(edges) - 1 > _MOST_PERIODS:
        raise RequestError(
            f"Cannot replay more than {_MOST_PERIODS:,} periods of {span.text}",
            attempt="a longer --period or a later --from",
            code="bucle-261",
        )
    return edges


def _require_labels(
    digests: Digests, frame: pl.DataFrame, settings: DatasetSettings, at: datetime, window: str
) -> None:
    """Raise when a window holds no label at the first moment: its policies could not begin."""
    span = window_span(window)
    if span is None:
        return
    limit, since = (round(one.timestamp() * 1e6) for one in (at, span.after(at, times=-1)))
    seen = (digests.event < limit) & (digests.event >= since) & (digests.known <= limit)
    if not (seen & _labelled(frame, settings, digests)).any():
        raise RequestError(
            f"Cannot replay with the window {window}: it holds no label on {at.date()}",
            cause=f"90 % of the labels known then had taken {_delay(digests, at):,.3g} days",
            attempt="a longer --window",
            code="bucle-261",
        )


def _cut(
    frame: pl.DataFrame, settings: DatasetSettings, at: datetime, window: str, holdout: float
) -> datetime | None:
    """Return where the newest labelled rows that judge begin, within a window of the past."""
    span = window_span(window)
    if span is not None:
        since = span.after(at, times=-1)
        frame = frame.filter(moments_of(frame, str(settings.event_time)) >= since)
    return cut_time(frame, settings, holdout=holdout, moment=at)


def _warm_up(first: datetime, earliest: datetime, span: Span) -> list[datetime]:
    """Return beginnings of periods before the first one, down to the earliest evidence."""
    found = [first]
    while found[-1] > earliest and len(found) <= _MOST_PERIODS:
        found.append(span.after(first, times=-len(found)))
    return list(reversed(found[1:]))


def _whole(digests: Digests, at: str, window: str, tested: Training | None) -> Training:
    moment, span = from_iso(at), window_span(window)
    since = span.after(moment, times=-1) if span else None
    view = digests.of_view(moment, moment, since=since)
    return Training(
        moment=at,
        since=to_iso(since) if since else None,
        view=view,
        asked_from=tested.moment if tested else at,
    )


def _tested(
    digests: Digests,
    frame: pl.DataFrame,
    settings: DatasetSettings,
    at: str,
    window: str,
    holdout: float,
) -> Training | None:
    cut = _cut(frame, settings, from_iso(at), window, holdout)
    if cut is None:
        return None
    span = window_span(window)
    # The window is that of the moment: what judges comes off its newer end.
    since = span.after(from_iso(at), times=-1) if span else None
    view = digests.of_view(cut, cut, since=since)
    return Training(
        moment=to_iso(cut),
        since=to_iso(since) if since else None,
        view=view,
        asked_from=to_iso(cut),
    )


def _labelled(frame: pl.DataFrame, settings: DatasetSettings, digests: Digests) -> Any:
    """Return which rows, in the order of the digests, ever get a label."""
    names = label_names(settings)
    if not names:
        return np.ones(digests.known.size, dtype=bool)
    some = frame.select(pl.any_horizontal(pl.col(name).is_not_null() for name in names))
    return some.to_series().to_numpy()[digests.order]


def _delay(digests: Digests, at: datetime) -> float:
    """Return after how many days 90 % of the labels known at a moment had arrived."""
    limit = round(at.timestamp() * 1e6)
    seen = (digests.event < limit) & (digests.known <= limit)
    waited = (digests.known - digests.event)[seen]
    return float(np.quantile(waited, _USUAL_DELAY)) / _DAY if waited.size else 0.0


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, tz=UTC)


def _beyond(end: str | None, stop: datetime) -> tuple[str, ...]:
    if end is None or from_iso(end).date() <= stop.date() + timedelta(days=1):
        return ()
    return (f"history ends on {stop.date()}, before the {end[:10]} that was asked for",)


def _warnings(moments: list[Moment]) -> tuple[str, ...]:
    unjudged = sum(any(cut is None for cut in moment.cut.values()) for moment in moments)
    if not unjudged:
        return ()
    return (f"at {unjudged} moments no labelled rows could be kept for judging",)
