"""What can be told of a table by looking at it: the part that each column can play.

Decides; writes nothing. Reads frames, so only the `blank` template imports it.
"""

from collections.abc import Sequence
from typing import Literal

import polars as pl
from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.data.casting import cast_column
from bucle.errors import SourceError, UnknownNameError, UsageError, nearest
from bucle.grammar import say_count
from bucle.templates.hindsight import find_late_columns
from bucle.templates.target import has_decimal_commas, kind_of_target, read_target
from bucle.types import Coercion

__all__ = ["Column", "Roles", "Table", "refuse_width", "survey_table"]

_Part = Literal["key", "event_time", "label_time", "target", "late", "feature", "left out"]

_NAMING = 0.5  # a text that differs in more than half of the rows is a name, not a property
_FEW_ROWS = 20  # below this nothing is said about names and sets
_CODES = 255
_CODE_WORDS = ("id", "code", "type", "zone")
_SPOILT = 0.05
_EPOCH = 10**8
_MOST_COLUMNS = 2_000


class Roles(Struct, frozen=True, kw_only=True):
    """The columns that somebody named."""

    target: str
    event_time: str | None = None
    label_time: str | None = None
    key: tuple[str, ...] = ()
    late: tuple[str, ...] = ()


class Column(Struct, frozen=True, kw_only=True):
    """One column: its type in the contract, the part it plays, and why if that was a decision."""

    name: str
    dtype: pl.DataType
    part: _Part
    nulls: int
    levels: int
    low: float | None = None
    values: tuple[str, ...] = ()
    has_nan: bool = False
    is_code: bool = False
    because: str = ""


class Table(Struct, frozen=True, kw_only=True):
    """A table whose columns have their parts; `yes` is the value of a text target that is a yes."""

    rows: int
    roles: Roles
    kind: Literal["regression", "classification"]
    columns: tuple[Column, ...]
    yes: str | None = None
    notes: tuple[str, ...] = ()

    def named(self, *parts: _Part) -> tuple[Column, ...]:
        """Return the columns that play one of some parts."""
        return tuple(column for column in self.columns if column.part in parts)


def refuse_width(frame: pl.DataFrame) -> None:
    """Refuse a table that would take minutes to survey and give a contract nobody reads.

    Raises:
        SourceError: It has more than 2,000 columns.
    """
    if frame.width > _MOST_COLUMNS:
        raise SourceError(
            f"Cannot draft a project from a table of {frame.width:,} columns",
            cause=f"each becomes a line of the contract; at most {_MOST_COLUMNS:,} can be drafted",
            attempt="a file with the columns that matter",
            code="bucle-188",
        )


def survey_table(
    frame: pl.DataFrame,
    roles: Roles,
    *,
    reading: DatasetSettings,
    coercions: Sequence[Coercion] = (),
) -> tuple[pl.DataFrame, Table]:
    """Give each column of a typed frame its part, and return the frame in the types decided on.

    Args:
        frame: Rows in the types that `bucle.data.inference.infer_types` found.
        roles: The columns that were named.
        reading: How text was read.
        coercions: What inference reported.

    Raises:
        UnknownNameError: A named column is not in the table (bucle-190).
        UsageError: The columns named contradict each other (bucle-191), or the target has nothing
            to learn (bucle-192).
        SourceError: A time column holds no times (bucle-193).
    """
    _check_roles(frame, roles)
    kept, dropped = _keep_plain(frame, roles)
    typed = kept.with_columns(read_target(kept[roles.target], reading=reading))
    for name in (roles.event_time, roles.label_time):
        if name is not None:
            typed = typed.with_columns(_as_times(typed[name], reading, coercions))
    kind, yes = kind_of_target(typed[roles.target])
    late = _late_columns(typed, roles)
    columns = tuple(_column(typed[name], roles, late) for name in typed.columns)
    notes = [*dropped, *_notes(typed, roles, columns)]
    notes += [
        f"{values.name}: text; if its commas are decimal signs, --decimal ,"
        for values in typed.iter_columns()
        if reading.decimal != "," and has_decimal_commas(values)
    ]
    table = Table(
        rows=frame.height, roles=roles, kind=kind, columns=columns, yes=yes, notes=tuple(notes)
    )
    if not table.named("feature") and roles.event_time is None:
        raise UsageError(
            f"Cannot predict {roles.target!r}: no other column can be learned from",
            cause="; ".join(
                f"{column.name}: {column.because}" for column in columns if column.because
            )
            or "the table has no other column",
            code="bucle-192",
        )
    return typed, table


# ---- what was asked for -----------------------------------------------------


def _check_roles(frame: pl.DataFrame, roles: Roles) -> None:
    named = {"--target": roles.target, "--event-time": roles.event_time}
    named |= {"--label-time": roles.label_time}
    asked = [(option, name) for option, name in named.items() if name is not None]
    asked += [("--key", name) for name in roles.key]
    asked += [("--late", name) for name in roles.late]
    for option, name in asked:
        if name not in frame.columns:
            shown = ", ".join(column[:40] for column in frame.columns[:12])
            raise UnknownNameError(
                f"The table has no column {name!r}, given with {option}",
                cause=f"its {frame.width:,} columns are {shown}"
                + (", …" if frame.width > 12 else ""),  # noqa: PLR2004  (a line on a terminal)
                did_you_mean=nearest(name, frame.columns),
                code="bucle-190",
            )
    seen: dict[str, str] = {}
    for option, name in asked:
        if name in seen:
            raise UsageError(
                f"Column {name!r} cannot be both {seen[name]} and {option}",
                cause="a time, a key and the target are different things",
                code="bucle-191",
            )
        seen[name] = option
    if roles.label_time is not None and roles.event_time is None:
        raise UsageError(
            "A label time needs an event time beside it",
            cause="when the truth became known says nothing without when the prediction was made",
            attempt=f"--event-time COLUMN --label-time {roles.label_time}",
            code="bucle-191",
        )


def _keep_plain(frame: pl.DataFrame, roles: Roles) -> tuple[pl.DataFrame, list[str]]:
    """Leave out columns of values that are no numbers, words, yes/no or times."""
    wanted = {roles.target, roles.event_time, roles.label_time, *roles.key}
    odd = [
        name
        for name, dtype in frame.schema.items()
        if dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Time)
    ]
    for name in odd:
        if name in wanted:
            raise UsageError(
                f"Column {name!r} holds {frame.schema[name]}, which is no number, word or date",
                attempt="turn it into plain values in the file",
                code="bucle-191",
            )
    plain = frame.drop(odd).with_columns(
        pl.col(name).cast(pl.String)
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Categorical | pl.Enum)
    )
    return plain, [
        f"column {name!r} holds {frame.schema[name]} and is not in the contract" for name in odd
    ]


# ---- times ------------------------------------------------------------------


def _as_times(
    values: pl.Series, reading: DatasetSettings, coercions: Sequence[Coercion]
) -> pl.Series:
    if isinstance(values.dtype, pl.Date | pl.Datetime):
        return values
    told = next((found for found in coercions if found.column == values.name), None)
    examples = told.examples if told else tuple(map(str, values.drop_nulls().head(3)))
    whole_day = values.dtype.is_integer() and bool((values.drop_nulls() >= _EPOCH).all())
    if values.dtype == pl.String or (whole_day and values.null_count() < len(values)):
        if told and "day or month" in told.became:
            raise SourceError(
                f"Cannot tell the day from the month in column {values.name!r}",
                cause="such as " + ", ".join(examples[:3]),
                attempt="--dates day-first (or month-first)",
                code="bucle-193",
            )
        cast = cast_column(values, pl.Datetime("us"), settings=reading)
        lost = int(cast.failed.sum())
        if lost < len(values) - values.null_count() and lost <= _SPOILT * len(values):
            return cast.values
    raise SourceError(
        f"Cannot use column {values.name!r} as a time",
        cause=f"it holds {values.dtype}, such as " + ", ".join(examples[:3])
        if examples
        else "it is empty",
        attempt="a column of dates, or of dates and times",
        code="bucle-193",
    )


# ---- columns ----------------------------------------------------------------


def _late_columns(frame: pl.DataFrame, roles: Roles) -> dict[str, str]:
    """Return the columns said or suspected to be known only with the label, with the reason."""
    said = dict.fromkeys(roles.late, "as was said")
    without = [name for name in roles.key if name in frame.columns]
    found = find_late_columns(
        frame,
        target=roles.target,
        event_time=roles.event_time,
        label_time=roles.label_time,
        without=without,
        late=roles.late,
    )
    return found | said


def _column(values: pl.Series, roles: Roles, late: dict[str, str]) -> Column:
    name, dtype = values.name, _contract_type(values.dtype)
    known = values.drop_nulls()
    if known.dtype.is_float():
        known = known.drop_nans()
    levels = known.n_unique()
    part, because = _part(values, roles, late, levels)
    low = known.min() if dtype.is_numeric() and len(known) else None
    is_few = dtype == pl.String and levels <= 12 and levels * _FEW_ROWS <= len(known)  # noqa: PLR2004
    return Column(
        name=name,
        dtype=dtype,
        part=part,
        nulls=values.null_count(),
        levels=levels,
        low=float(low) if isinstance(low, int | float) else None,
        values=tuple(known.unique().sort()) if is_few else (),
        has_nan=bool(values.dtype.is_float() and values.is_nan().any()),
        is_code=_is_code(name, dtype, levels),
        because=because,
    )


def _part(values: pl.Series, roles: Roles, late: dict[str, str], levels: int) -> tuple[_Part, str]:
    name, rows = values.name, len(values)
    named: tuple[tuple[bool, _Part], ...] = (
        (name == roles.target, "target"),
        (name == roles.event_time, "event_time"),
        (name == roles.label_time, "label_time"),
        (name in roles.key, "key"),
    )
    for is_it, part in named:
        if is_it:
            return part, ""
    if name in late:
        return "late", late[name]
    if values.null_count() == rows:
        return "left out", "empty in every row"
    if levels <= 1 and not values.null_count():
        return "left out", "the same in every row"
    if rows >= _FEW_ROWS and values.dtype == pl.String and levels > _NAMING * rows:
        return "left out", f"{levels:,} different values in {rows:,} rows: a name or a free text"
    if rows >= _FEW_ROWS and values.dtype.is_integer() and levels == rows and _counts(values):
        return "left out", "it only counts the rows"
    return "feature", ""


def _counts(values: pl.Series) -> bool:
    low, high = values.min(), values.max()
    return isinstance(low, int) and isinstance(high, int) and high - low < 2 * len(values)


def _is_code(name: str, dtype: pl.DataType, levels: int) -> bool:
    """Tell whether whole numbers are names of things rather than quantities."""
    return dtype == pl.Int64 and levels <= _CODES and name.casefold().endswith(_CODE_WORDS)


def _contract_type(dtype: pl.DataType) -> pl.DataType:
    if dtype.is_integer():
        return pl.UInt64() if dtype == pl.UInt64 else pl.Int64()
    if dtype.is_float() or isinstance(dtype, pl.Decimal):
        return pl.Float64()
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime("us", dtype.time_zone)
    return pl.String() if dtype == pl.Null else dtype


# ---- words for the owner ----------------------------------------------------


def _notes(frame: pl.DataFrame, roles: Roles, columns: Sequence[Column]) -> list[str]:
    notes = [
        f"{column.name}: taken as known only with the label ({column.because})"
        for column in columns
        if column.part == "late" and column.name not in roles.late
    ]
    notes += [
        f"{column.name}: not a feature, {column.because}"
        for column in columns
        if column.part == "left out"
    ]
    notes += [
        f"{column.name}: empty in {say_count(column.nulls, 'row')}; to quarantine"
        for column in columns
        if column.nulls and column.part in {"key", "event_time"}
    ]
    missing = frame[roles.target].null_count()
    if missing:
        notes.append(f"{missing:,} of {say_count(frame.height, 'row')} without a label yet")
    if frame.height - missing < 100:  # noqa: PLR2004  (a holdout of 20 rows decides nothing)
        notes.append(
            say_count(frame.height - missing, "labelled row") + ": too few to expect a decision"
        )
    if roles.key:
        named = frame.unique().drop_nulls(roles.key)
        double = int(named.select(roles.key).is_duplicated().sum())
        if double:
            notes.append(
                f"the key is not unique: {double:,} of {frame.height:,} rows share theirs with "
                "other content and will go to quarantine"
            )
    if roles.event_time is None:
        notes.append(
            "no event time: rows are split by chance, so nothing is promised about later rows"
        )
    elif roles.label_time is None:
        notes.append("no label time: each label is taken as known at once")
    else:
        early = (
            frame[roles.label_time].cast(pl.Datetime("us"), strict=False)
            < frame[roles.event_time].cast(pl.Datetime("us"), strict=False)
        ).sum()
        if early > frame.height / 2:
            raise UsageError(
                f"Cannot use these times: in {early:,} of {frame.height:,} rows the label is known "
                "before the event",
                cause="the event time is when a prediction is made, the label time comes later",
                did_you_mean=[f"--event-time {roles.label_time} --label-time {roles.event_time}"],
                code="bucle-194",
            )
        if early:
            notes.append(say_count(int(early), "row") + " with a label before the event time")
    return notes
