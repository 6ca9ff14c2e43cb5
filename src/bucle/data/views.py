"""As-of views: the one door to training data, and the cut between what is learned and judged.

A row is seen when its event time lies before the moment; its labels, and the time at which they
became known, are seen when that time has come. Times without a zone are UTC and a date is its
midnight. Must not import sources, contracts, tables or anything above `data`.
"""

import math
from datetime import UTC, datetime

import polars as pl
from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.clock import from_iso, to_iso
from bucle.data.fingerprint import row_digests
from bucle.errors import ContractError, nearest
from bucle.grammar import say_count

__all__ = ["Views", "as_asked", "as_of", "cut_time", "future_times", "view_pair"]

_DIGEST_SPAN = 16**15


class Views(Struct, frozen=True, kw_only=True):
    """What a challenger may learn from, and what it is judged on.

    `train` is the view as of `cut`. `newer` is the view as of `end` (None: all that is known);
    its rows from `cut` on are those nobody has learned from. Without an event time `cut` is None
    and `newer` holds other rows than `train`. `warnings` say what cannot be promised.
    """

    train: pl.DataFrame
    newer: pl.DataFrame
    cut: datetime | None
    end: datetime | None
    warnings: tuple[str, ...] = ()


def as_of(
    frame: pl.DataFrame, moment: datetime | str | None, settings: DatasetSettings
) -> pl.DataFrame:
    """Return what was known at a moment: later rows are absent, later labels are null.

    Rows with `event_time < moment` stay, in their order. Where `label_time <= moment` does not
    hold, or the label time is missing, every label column and the label time itself are null, so
    nothing that arrives later can change the view. None stands for the end of all time.

    Raises:
        ContractError: A moment is given and the dataset has no event time, a time column is
            missing or is no date.

    Example:
        >>> rows = pl.DataFrame({"day": ["2026-01-01", "2026-01-09"]}).select(
        ...     pl.col("day").str.to_date()
        ... )
        >>> as_of(rows, "2026-01-05", DatasetSettings(event_time="day")).height
        1
    """
    at = _moment(moment)
    seen = frame
    if settings.event_time is not None:
        event = _time(frame, settings.event_time)
        seen = frame.filter(event.is_not_null() if at is None else event < at)
    elif at is not None:
        raise ContractError(
            f"Cannot look at the data as of {to_iso(at)}: the dataset has no event_time",
            cause="without it nobody can say which rows existed then",
            attempt='event_time = "COLUMN" in the [data] section of bucle.toml',
            code="bucle-137",
        )
    if settings.label_time is None:
        return seen
    known = _time(seen, settings.label_time)
    known = known.is_not_null() if at is None else (known <= at).fill_null(value=False)
    hidden = [*_label_columns(seen, settings), settings.label_time]
    return seen.with_columns(
        pl.when(known).then(pl.col(name)).otherwise(None).alias(name)
        for name in dict.fromkeys(hidden)
    )


def as_asked(
    frame: pl.DataFrame,
    start: datetime | str,
    end: datetime | str,
    settings: DatasetSettings,
) -> pl.DataFrame:
    """Return the rows that come before `end`, with the labels that were known at `start`.

    It is what a model that was made at `start` is asked in the time until `end`: the labels and
    label times of the rows from `start` on are null, whatever the data says of them.

    Raises:
        ContractError: As for `as_of`.
    """
    seen = as_of(frame, end, settings)
    begin = _moment(start)
    if begin is None or settings.event_time is None:
        return seen
    hidden = _time(seen, settings.event_time) >= begin
    names = list(_label_columns(seen, settings))
    if settings.label_time is not None:
        hidden |= (_time(seen, settings.label_time) > begin).fill_null(value=False)
        names.append(settings.label_time)
    return seen.with_columns(
        pl.when(hidden).then(None).otherwise(pl.col(name)).alias(name)
        for name in dict.fromkeys(names)
    )


def cut_time(
    frame: pl.DataFrame,
    settings: DatasetSettings,
    *,
    holdout: float,
    moment: datetime | str | None = None,
) -> datetime | None:
    """Return the event time from which the newest labelled rows are kept for judging.

    At least the `holdout` share of the rows labelled by `moment` lies at or after it; rows of one
    event time stay together. None when there is no event time or nothing older would remain.
    """
    if settings.event_time is None:
        return None
    known = as_of(frame, moment, settings)
    times = known.filter(_labelled(known, settings)).select(_time(known, settings.event_time))
    ordered = times.to_series().sort(descending=True)
    if ordered.is_empty():
        return None
    newest = min(len(ordered), max(1, math.ceil(holdout * len(ordered) - 1e-9)))
    cut = ordered[newest - 1]
    oldest = ordered[-1]
    if cut == oldest:
        later = ordered.filter(ordered > oldest)
        if later.is_empty():
            return None
        cut = later[-1]
    return _as_utc(cut)


def view_pair(
    frame: pl.DataFrame,
    settings: DatasetSettings,
    *,
    holdout: float,
    moment: datetime | str | None = None,
    seed: int = 0,
) -> Views:
    """Return what may be learned and what judges it, split by time.

    Without an event time rows are split by a digest of their key (or of their content without
    labels), the same way on every machine, and a warning says what that cannot show.
    """
    end = _moment(moment)
    if settings.event_time is None:
        return _split_by_content(frame, settings, holdout=holdout, end=end, seed=seed)
    newer = as_of(frame, end, settings)
    cut = cut_time(frame, settings, holdout=holdout, moment=end)
    warnings = _unknown_times(frame, settings)
    if cut is None:
        lack = "no labelled rows of two different event times: nothing can be kept for judging"
        return Views(
            train=newer, newer=newer.clear(), cut=None, end=end, warnings=(*warnings, lack)
        )
    train = as_of(frame, cut, settings)
    if not train.filter(_labelled(train, settings)).height:
        lack = f"nothing to learn from: no label was known by {to_iso(cut)}, where the newest begin"
        warnings = (*warnings, lack)
    return Views(train=train, newer=newer, cut=cut, end=end, warnings=warnings)


def future_times(
    frame: pl.DataFrame, settings: DatasetSettings, *, now: datetime
) -> tuple[str, ...]:
    """Say how many rows have an event, or a label, of a time that has not come yet.

    Example:
        >>> rows = pl.DataFrame({"day": [datetime(2026, 1, 1), datetime(2062, 1, 1)]})
        >>> future_times(rows, DatasetSettings(event_time="day"), now=datetime(2026, 1, 5))
        ("1 row with 'day' in the future, such as 2062-01-01 00:00:00",)
    """
    found = []
    asked = [(settings.event_time, pl.lit(value=True))]
    if settings.label_time is not None and set(_names(settings.label)) <= set(frame.columns):
        asked.append((settings.label_time, _labelled(frame, settings)))
    for name, counts in asked:
        if name not in frame.columns or not isinstance(frame.schema[name], pl.Date | pl.Datetime):
            continue
        late = frame.filter(counts & (_time(frame, name) > _as_utc(now)))[name]
        if len(late):
            example = str(late.max())
            found.append(
                say_count(len(late), "row") + f" with {name!r} in the future, such as {example}"
            )
    return tuple(found)


def _split_by_content(
    frame: pl.DataFrame,
    settings: DatasetSettings,
    *,
    holdout: float,
    end: datetime | None,
    seed: int,
) -> Views:
    known = as_of(frame, end, settings)
    keys = _names(settings.key)
    hidden = {*_names(settings.label), settings.label_time}
    basis = keys or [name for name in frame.columns if name not in hidden] or frame.columns
    digests = row_digests(frame.select(basis), salt=f"split {seed}")
    limit = math.floor(holdout * _DIGEST_SPAN)
    kept = pl.Series([int(digest[:15], 16) < limit for digest in digests], dtype=pl.Boolean)
    warning = (
        "no event_time: rows were split by a digest of their content, not by time, so the figures"
        " cannot show how the model does on later rows"
    )
    return Views(
        train=known.filter(~kept), newer=known.filter(kept), cut=None, end=end, warnings=(warning,)
    )


def _unknown_times(frame: pl.DataFrame, settings: DatasetSettings) -> tuple[str, ...]:
    """Count the rows and labels that no view can place in time."""
    found = []
    event = settings.event_time
    if event is not None and (missing := frame[event].null_count()):
        found.append(say_count(missing, "row") + f" without {event!r}: in no view")
    late = settings.label_time
    if late is not None:
        lost = frame.filter(pl.col(late).is_null() & _labelled(frame, settings)).height
        if lost and _names(settings.label):
            found.append(
                say_count(lost, "row")
                + f" with a label but without {late!r}, when it became known: no view shows the "
                "label, so nothing is learned from it or judged by it"
            )
    return tuple(found)


def _labelled(frame: pl.DataFrame, settings: DatasetSettings) -> pl.Expr:
    labels = _label_columns(frame, settings)
    if not labels and settings.label_time is not None:
        labels = [settings.label_time]
    if not labels:
        return pl.lit(value=True)
    return pl.any_horizontal(pl.col(name).is_not_null() for name in labels)


def _label_columns(frame: pl.DataFrame, settings: DatasetSettings) -> list[str]:
    labels = _names(settings.label)
    for name in labels:
        _require(frame, name, "label")
    return labels


def _time(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return a time column as moments in UTC."""
    _require(frame, name, "time")
    dtype = frame.schema[name]
    column = pl.col(name)
    if dtype == pl.Date or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None):
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.Datetime):
        return column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    if dtype == pl.Null:
        return column.cast(pl.Datetime("us", "UTC"))
    raise ContractError(
        f"Cannot use column '{name}' as a time: it holds {dtype}",
        cause="event_time and label_time must be dates or dates with time",
        attempt=f"{name} = dy.Datetime() in contract.py",
        code="bucle-138",
    )


def _require(frame: pl.DataFrame, name: str, role: str) -> None:
    if name not in frame.columns:
        raise ContractError(
            f"Cannot find the {role} column '{name}' in the data",
            cause="bucle.toml names it in this dataset's section",
            did_you_mean=nearest(name, frame.columns),
            code="bucle-132",
        )


def _moment(moment: datetime | str | None) -> datetime | None:
    if moment is None:
        return None
    if isinstance(moment, datetime):
        return _as_utc(moment)
    try:
        return from_iso(moment)
    except ValueError as error:
        raise ContractError(
            f"Cannot read '{moment}' as a moment",
            cause=str(error),
            attempt="2026-01-31 or 2026-01-31T12:00:00+00:00",
            code="bucle-136",
        ) from error


def _as_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _names(value: tuple[str, ...] | str) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
