"""The leak finder: columns that would tell a model what it is asked to predict.

Looks at one frame and its declared times; reads and writes nothing. Must not import stores,
contracts or models.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import polars as pl
from msgspec import Struct

from bucle.data.proportions import find_products, find_ratios, numeric_columns
from bucle.errors import UnknownNameError, nearest

__all__ = ["Suspect", "find_leaks"]

_TIMES = (pl.Date, pl.Datetime)
_MIN_ROWS = 30
_MIN_SIDE = 20
_SAME_NULLS = 0.98
_MOST_ROWS = 0.5
_NEVER_AFTER = 0.98
_MAX_LEVELS = 50


class Suspect(Struct, frozen=True, kw_only=True):
    """Columns that look like a leak, of which kind, and what shows it, in words and figures.

    `product`: two columns multiply to the target. `ratio`: two columns divide to it, or one has a
    fixed ratio to it, the same values under other names, or tells its two values apart. `late`:
    not known at the event time.
    """

    columns: tuple[str, ...]
    kind: Literal["product", "ratio", "late"]
    evidence: str


def find_leaks(
    frame: pl.DataFrame,
    *,
    target: str,
    event_time: str | None = None,
    label_time: str | None = None,
    known_late: Sequence[str] = (),
    groups: Sequence[str] = (),
    features: Sequence[str] | None = None,
) -> tuple[Suspect, ...]:
    """Return the columns that give the target away or are not known at the event time.

    Sought are: two columns whose product or quotient is the target within rounding; one column
    whose ratio to the target is near-constant, over all rows or within a year or a group; one
    column that renames the target's values or splits its two without an error; declared late
    columns that are features; columns that are filled only where the target is; dates after the
    event time. Physical likeness, such as weight and freight, scatters far more than the limits
    and is not reported.

    Args:
        frame: Rows as they are today, with the target.
        target: The column predicted.
        event_time: When the prediction is made.
        label_time: When the truth became known.
        known_late: Columns declared as known only at the label time.
        groups: Columns within whose values a ratio may be constant; years are always tried.
        features: Columns a prediction uses; a declared late column among them is reported.

    Raises:
        UnknownNameError: The target is not a column of the frame.

    Example:
        >>> frame = pl.DataFrame({"packs": range(1, 41), "price": [0.5 + i / 8 for i in range(40)]})
        >>> frame = frame.with_columns(value=pl.col("packs") * pl.col("price"))
        >>> [(s.columns, s.kind) for s in find_leaks(frame, target="value")]
        [(('packs', 'price'), 'product')]
    """
    if target not in frame.columns:
        raise UnknownNameError(
            f"Cannot look for leaks: there is no column {target!r}",
            did_you_mean=nearest(target, frame.columns),
            attempt="name the target in bucle.toml under [pipeline] target",
            code="bucle-182",
        )
    times = [name for name in (event_time, label_time) if name in frame.columns]
    suspects = [*_arithmetic(frame, target=target, times=times, groups=groups)]
    suspects += _declared(known_late, target=target, features=features)
    told = {name for suspect in suspects if suspect.kind == "late" for name in suspect.columns}
    others = [name for name in frame.columns if name not in {target, *times, *known_late, *told}]
    suspects += _filled_late(frame, target=target, columns=others)
    suspects += _dated_late(frame, columns=others, event_time=event_time, label_time=label_time)
    return tuple(_with_first_reason(suspects))


def _arithmetic(
    frame: pl.DataFrame, *, target: str, times: Sequence[str], groups: Sequence[str]
) -> Iterator[Suspect]:
    renamed = [*_renamed(frame, target=target, without=times)]
    yield from renamed
    told = {name for suspect in renamed for name in suspect.columns}
    yield from _separating(frame, target=target, without=(*times, *told))
    columns = numeric_columns(frame, without=(target, *times))
    if target not in numeric_columns(frame):
        return
    labels = {
        f"year of {name}": frame[name].dt.year()
        for name in times
        if frame.schema[name] in (pl.Date, pl.Datetime)
    }
    labels |= {name: frame[name] for name in groups if name in frame.columns}
    ratios = find_ratios(frame, target=target, columns=columns, groups=labels)
    alone = {name for relation in ratios for name in relation.columns}
    free = [name for name in columns if name not in alone]
    for relation in (*find_products(frame, target=target, columns=free), *ratios):
        yield Suspect(columns=relation.columns, kind=relation.kind, evidence=relation.evidence)


def _renamed(frame: pl.DataFrame, *, target: str, without: Sequence[str]) -> Iterator[Suspect]:
    """Yield columns whose few values stand one to one for those of the target."""
    known = frame.filter(pl.col(target).is_not_null())
    levels = known[target].n_unique()
    if known.height < _MIN_ROWS or not 1 < levels <= min(_MAX_LEVELS, known.height // 3):
        return
    for name in known.columns:
        if name == target or name in without or known[name].n_unique() != levels:
            continue
        if known.select(name, target).n_unique() == levels:
            words = f"each of its {levels} values goes with one value of {target}, and back"
            yield Suspect(columns=(name,), kind="ratio", evidence=f"{name}: {words}")


def _separating(frame: pl.DataFrame, *, target: str, without: Sequence[str]) -> Iterator[Suspect]:
    """Yield columns that tell the two values of a target apart without a single error."""
    known = frame.filter(pl.col(target).is_not_null())
    counts = known[target].value_counts().sort(target)
    if counts.height != 2 or min(counts["count"].to_list()) < _MIN_SIDE:  # noqa: PLR2004
        return
    no, yes = counts[target].to_list()
    for name in known.columns:
        if name == target or name in without:
            continue
        words = _say_split(known[name], known[target] == yes)
        if words:
            evidence = f"{name} {words}, so it tells {target} {yes} from {no} in every row"
            yield Suspect(columns=(name,), kind="ratio", evidence=evidence)


def _say_split(values: pl.Series, yes: pl.Series) -> str:
    """Say how a column splits rows into yes and no without error; empty when it does not."""
    if values.dtype.is_numeric():
        numbers = values.cast(pl.Float64)
        inside = numbers.filter(yes).drop_nans().drop_nulls().to_numpy()
        outside = numbers.filter(~yes).drop_nans().drop_nulls().to_numpy()
        if min(inside.size, outside.size) < _MIN_SIDE:
            return ""
        high, low = (inside, outside) if inside.min() > outside.min() else (outside, inside)
        if high.min() > low.max():
            return f"is at least {high.min():g} in one part and at most {low.max():g} in the other"
        return ""
    if values.dtype not in {pl.String, pl.Boolean, pl.Categorical} and values.dtype != pl.Enum:
        return ""
    levels = values.n_unique()
    pairs = pl.DataFrame({"value": values, "yes": yes}).n_unique()
    # With few rows a value, words go with one answer by chance.
    few = len(values) < _MIN_SIDE * levels
    return "" if few or levels < 2 or pairs != levels else "has no value that stands in both parts"  # noqa: PLR2004


def _declared(
    known_late: Sequence[str], *, target: str, features: Sequence[str] | None
) -> Iterator[Suspect]:
    for name in known_late:
        if features is not None and name in features and name != target:
            words = "is declared as known only at the label time, yet a prediction uses it"
            yield Suspect(columns=(name,), kind="late", evidence=f"{name} {words}")


def _filled_late(frame: pl.DataFrame, *, target: str, columns: Sequence[str]) -> Iterator[Suspect]:
    """Yield columns that are empty where the target is, and filled where it is."""
    open_rows = frame[target].is_null()
    waiting, known = int(open_rows.sum()), int((~open_rows).sum())
    if waiting < _MIN_SIDE or known < _MIN_SIDE:
        return
    for name in columns:
        empty = frame[name].is_null()
        both, neither = int((empty & open_rows).sum()), int((~empty & ~open_rows).sum())
        if both >= _SAME_NULLS * waiting and neither >= _SAME_NULLS * known:
            yield Suspect(
                columns=(name,),
                kind="late",
                evidence=f"{name} is empty in {both:,} of {waiting:,} rows without {target} and "
                f"filled in {neither:,} of {known:,} rows with it: it becomes known with the label",
            )


def _dated_late(
    frame: pl.DataFrame,
    *,
    columns: Sequence[str],
    event_time: str | None,
    label_time: str | None,
) -> Iterator[Suspect]:
    """Yield dates that mostly lie after the event time and, as facts must, not after the label's.

    A plan, such as a scheduled delivery, may lie after the event time and still be known then; it
    is told from a fact by the rows in which it lies after the label time.
    """
    if not _is_time(frame, event_time):
        return
    start = _moment(frame, str(event_time))
    end = _moment(frame, str(label_time)) if _is_time(frame, label_time) else None
    # A frame works its schema out anew each time it is asked.
    schema = frame.schema
    for name in columns:
        if schema.get(name) not in _TIMES:
            continue
        moment = _moment(frame, name)
        late = (moment > start).drop_nulls()
        if late.len() < _MIN_ROWS or int(late.sum()) <= _MOST_ROWS * late.len():
            continue
        evidence = f"{name} lies after {event_time} in {int(late.sum()):,} of {late.len():,} rows"
        if end is not None:
            before = (moment <= end).drop_nulls()
            if int(before.sum()) < _NEVER_AFTER * before.len():
                continue
            words = f"at or before {label_time} in {int(before.sum()):,} of {before.len():,}"
            evidence = f"{evidence} and {words}, as a fact does and a plan does not"
        yield Suspect(columns=(name,), kind="late", evidence=evidence)


def _is_time(frame: pl.DataFrame, name: str | None) -> bool:
    return name is not None and frame.schema.get(name) in _TIMES


def _moment(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a time column as naive UTC microseconds, so that any two can be compared."""
    column = frame[name]
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column.cast(pl.Datetime("us"))


def _with_first_reason(suspects: Sequence[Suspect]) -> list[Suspect]:
    """Keep one suspect for each set of columns: the first, strongest reason."""
    seen: dict[tuple[str, ...], Suspect] = {}
    for suspect in suspects:
        seen.setdefault(suspect.columns, suspect)
    return list(seen.values())
