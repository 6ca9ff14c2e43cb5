"""One column brought to a declared type; what could not be said in it is marked, not guessed.

Text is read as the type asks; typed columns are converted where no value changes by more than a
float rounds. Must not
import readers or tables.
"""

import polars as pl
from msgspec import Struct

from bucle.charter.settings import DatasetSettings
from bucle.data.dates import Moments, read_moments
from bucle.data.numbers import read_booleans, read_decimals, read_floats, read_integers
from bucle.data.rows import coercion_of
from bucle.errors import ContractError, SourceError
from bucle.types import Coercion

__all__ = ["Cast", "cast_column"]

_UTC = "UTC"


class Cast(Struct, frozen=True, kw_only=True):
    """A column in its declared type.

    `failed` marks values that were there and are null now. `coercions` report values that were
    read as something other than they say at first sight; `notes` say what was assumed.
    """

    values: pl.Series
    failed: pl.Series
    coercions: tuple[Coercion, ...] = ()
    notes: tuple[str, ...] = ()


def cast_column(values: pl.Series, dtype: pl.DataType, *, settings: DatasetSettings) -> Cast:
    """Return a column in another type, with every value that it cannot hold marked.

    Raises:
        SourceError: Dates can be read day-first or month-first and nothing settles which.
        ContractError: No value of the one type can be one of the other, such as text and lists.

    Example:
        >>> cast = cast_column(pl.Series("n", ["1", "x"]), pl.Int64(), settings=DatasetSettings())
        >>> cast.values.to_list(), cast.failed.to_list()
        ([1, None], [False, True])
    """
    try:
        return _cast(values, dtype, settings)
    except pl.exceptions.InvalidOperationError as error:
        raise ContractError(
            f"Cannot make column '{values.name}' {dtype}: its values are {values.dtype}",
            cause=str(error).split("\n", 1)[0],
            attempt="another type in the contract, or make the column in `prepare`",
            code="bucle-130",
        ) from error


def _cast(values: pl.Series, dtype: pl.DataType, settings: DatasetSettings) -> Cast:
    if dtype in (values.dtype, pl.Null):
        return _finish(values, values)
    if values.dtype == pl.Null:
        return _finish(values, values.cast(dtype))
    if values.dtype == pl.String:
        return _cast_text(values, dtype, settings)
    if dtype.is_temporal() and values.dtype.is_integer():
        return _cast_text(values.cast(pl.String), dtype, settings)
    if isinstance(dtype, pl.Datetime | pl.Date) and isinstance(values.dtype, pl.Datetime | pl.Date):
        return _cast_moments(values, _as_moments(values), dtype)
    if dtype == pl.Boolean and values.dtype.is_numeric():
        truths = values.cast(pl.Float64).replace_strict(
            [0.0, 1.0], [False, True], default=None, return_dtype=pl.Boolean
        )
        return _finish(values, truths)
    result = values.cast(dtype, strict=False)
    if values.dtype.is_numeric() and dtype.is_numeric() and not dtype.is_float():
        same = (result.cast(values.dtype, strict=False) == values).fill_null(value=False)
        result = _keep(result, same)
    return _finish(values, result)


def _cast_text(text: pl.Series, dtype: pl.DataType, settings: DatasetSettings) -> Cast:
    if isinstance(dtype, pl.Decimal):
        read = read_decimals(text, dtype, decimal=settings.decimal)
    elif dtype.is_float():
        read = read_floats(text, decimal=settings.decimal)
    elif dtype.is_integer():
        read = read_integers(text, decimal=settings.decimal)
    elif dtype == pl.Boolean:
        read = read_booleans(text)
    elif isinstance(dtype, pl.Datetime | pl.Date):
        moments = read_moments(text, order=settings.dates)
        _refuse_ambiguous(text.name, moments)
        return _cast_moments(text, moments, dtype)
    elif dtype == pl.Time:
        return _finish(text, text.str.to_time(strict=False))
    else:
        return _finish(text, text.cast(dtype, strict=False))
    changed = text.filter(read.rewritten).to_list()
    return _finish(
        text,
        read.values.cast(dtype, strict=False),
        (coercion_of(text.name, changed, became="number without grouping"),) if changed else (),
    )


def _cast_moments(original: pl.Series, read: Moments, dtype: pl.DataType) -> Cast:
    coercions = []
    notes = list(read.notes)
    if read.epochs.any():
        ticks = original.filter(read.epochs).to_list()
        coercions.append(coercion_of(original.name, ticks, became="moment counted from 1970"))
    if read.zoned.any() and not (read.zoned | read.values.is_null()).all():
        zone = getattr(dtype, "time_zone", None) or _UTC
        notes.append(f"column '{original.name}': times without a zone are taken as {zone}")
    if isinstance(dtype, pl.Date):
        values = read.values.cast(pl.Date)
        cut = read.values.is_not_null() & (read.values != values.cast(pl.Datetime("us")))
        if cut.any():
            shown = original.filter(cut).cast(pl.String).to_list()
            coercions.append(coercion_of(original.name, shown, became="date without its time"))
    else:
        values = _in_zone(read, getattr(dtype, "time_zone", None)).cast(dtype)
    odd = values.dt.year().is_in([1, 9999]).sum()
    if odd:
        notes.append(f"column '{original.name}' has {odd:,} dates in the year 1 or 9999")
    return _finish(original, values, tuple(coercions), tuple(notes))


def _in_zone(read: Moments, zone: str | None) -> pl.Series:
    """Return moments in a zone; naive text is local time there, or UTC without a zone.

    A local time that the clocks skip or show twice is no moment and becomes null.
    """
    if zone is None:
        return read.values
    in_utc = read.values.dt.replace_time_zone(_UTC)
    if zone == _UTC:
        return in_utc
    local = read.values.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    converted = in_utc.dt.convert_time_zone(zone)
    return pl.select(pl.when(read.zoned).then(converted).otherwise(local)).to_series()


def _as_moments(values: pl.Series) -> Moments:
    zoned = isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None
    naive = values.dt.convert_time_zone(_UTC).dt.replace_time_zone(None) if zoned else values
    flags = pl.Series([zoned], dtype=pl.Boolean).new_from_index(0, len(values))
    return Moments(
        values=naive.cast(pl.Datetime("us")),
        zoned=flags & values.is_not_null(),
        epochs=pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(values)),
    )


def _refuse_ambiguous(column: str, moments: Moments) -> None:
    if moments.ambiguous:
        shown = ", ".join(moments.ambiguous)
        raise SourceError(
            f"Cannot tell the day from the month in column '{column}' ({shown})",
            cause="each can be read day-first or month-first, and no other value settles it",
            attempt='dates = "day-first" (or "month-first") in the dataset\'s section; for bucle '
            "new: --dates day-first",
            code="bucle-131",
        )


def _keep(values: pl.Series, condition: pl.Series) -> pl.Series:
    return pl.select(pl.when(condition).then(values).otherwise(None)).to_series()


def _finish(
    original: pl.Series,
    values: pl.Series,
    coercions: tuple[Coercion, ...] = (),
    notes: tuple[str, ...] = (),
) -> Cast:
    return Cast(
        values=values.alias(original.name),
        failed=original.is_not_null() & values.is_null(),
        coercions=coercions,
        notes=notes,
    )
