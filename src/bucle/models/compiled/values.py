"""Read one value of a column as a number, by the type its signature states, or refuse it.

What a signature calls `Int64` or `Datetime[us]` arrives as the Python value a decoder makes of it.
The number is the one that polars would give. Imports nothing heavy.
"""

import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from bucle.errors import PackageError
from bucle.models.signature import Feature

__all__ = ["NUMBERS", "TIMES", "Reader", "number_reader", "read_date", "refusal", "time_reader"]

Reader = Callable[[Any], float]

_WHOLE = re.compile(r"(U?)Int(8|16|32|64)")
NUMBERS = frozenset(
    {
        *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
        *("Float32", "Float64", "Boolean"),
    }
)
"""Types read as numbers."""

TIMES = re.compile(r"Date|Time|Datetime\[(ms|us|ns)(, .+)?\]|Duration\[(ms|us|ns)\]")
"""Types read as dates, moments or spans."""

_NAN = float("nan")
_DAY_0 = date(1970, 1, 1).toordinal()
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (a moment without a zone stays without)
_US_PER_DAY = 86_400_000_000
_US_PER_S = 1_000_000
_NS_PER_S = 1e9
_SINGLE = struct.Struct("f")


def refusal(name: str, value: Any, wanted: str) -> PackageError:
    """Return the error for a value that a compiled model cannot answer."""
    shown = repr(value)
    if len(shown) > 60:  # noqa: PLR2004  (as much as fits on a line)
        shown = f"{shown[:57]}..."
    return PackageError(
        f"Cannot predict this row: column {name!r} holds {shown}",
        cause=f"the model takes {wanted} there",
        code="bucle-310",
    )


def number_reader(feature: Feature) -> Reader:
    """Return what reads a number column's values; a null is NaN.

    Raises:
        PackageError: The column's type is no number.
    """
    name, dtype = feature.name, feature.dtype
    if dtype == "Boolean":
        return _flag_reader(name)
    if dtype == "Float64":
        return _float_reader(name)
    if dtype == "Float32":
        return _single_reader(name)
    found = _WHOLE.fullmatch(dtype)
    if found is None:
        raise PackageError(
            "Cannot use the compiled form of a model",
            cause=f"column {name!r} of type {dtype} is read as a number",
            attempt="bucle run",
            code="bucle-311",
        )
    bits = int(found[2])
    low, high = (0, 2**bits - 1) if found[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return _whole_reader(name, dtype, low, high)


def _flag_reader(name: str) -> Reader:
    def read(value: Any) -> float:
        if value is True:
            return 1.0
        if value is False:
            return 0.0
        if value is None:
            return _NAN
        raise refusal(name, value, "yes/no")

    return read


def _float_reader(name: str) -> Reader:
    def read(value: Any) -> float:
        kind = type(value)
        if kind is float:
            return value  # type: ignore[no-any-return]
        if value is None:
            return _NAN
        if kind is int or kind is bool:
            try:
                return float(value)
            except OverflowError:
                raise refusal(name, value, "a number that a double can hold") from None
        raise refusal(name, value, "a number")

    return read


def _single_reader(name: str) -> Reader:
    double = _float_reader(name)

    def read(value: Any) -> float:
        try:
            return float(_SINGLE.unpack(_SINGLE.pack(double(value)))[0])
        except OverflowError:
            raise refusal(name, value, "a number of single precision") from None

    return read


def _whole_reader(name: str, dtype: str, low: int, high: int) -> Reader:
    def read(value: Any) -> float:
        if value is None:
            return _NAN
        kind = type(value)
        if kind is int or kind is bool or (kind is float and value.is_integer()):
            if low <= value <= high:
                return float(value)
            raise refusal(name, value, f"a whole number from {low} to {high}")
        raise refusal(name, value, f"a whole number ({dtype})")

    return read


def time_reader(feature: Feature, part: str) -> Reader:
    """Return what reads one part of a date, a moment or a span; a null is NaN.

    Args:
        feature: The column.
        part: `day`, `month`, `weekday`, `hour`, or `seconds` for spans and times of day.
    """
    name, dtype = feature.name, feature.dtype
    if part == "seconds":
        return _time_of_day_reader(name) if dtype == "Time" else _span_reader(name, dtype)
    if dtype == "Date":
        return _date_part_reader(name, part)
    take = _MOMENT_PARTS[part]
    milliseconds = dtype.startswith("Datetime[ms")

    def read(value: Any) -> float:
        if value is None:
            return _NAN
        if type(value) is not datetime:
            raise refusal(name, value, "a date and time")
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        if milliseconds:
            value = value.replace(microsecond=value.microsecond // 1000 * 1000)
        return take(value)

    return read


def read_date(name: str, value: Any) -> date:
    """Return a date; anything else, a moment as well, is refused."""
    if type(value) is not date:
        raise refusal(name, value, "a date")
    return value


def _date_part_reader(name: str, part: str) -> Reader:
    take: Callable[[date], float] = {
        "day": lambda day: float(day.toordinal() - _DAY_0),
        "month": lambda day: float(day.month),
        "weekday": lambda day: float(day.isoweekday()),
        "hour": lambda _: 0.0,
    }[part]

    def read(value: Any) -> float:
        return _NAN if value is None else take(read_date(name, value))

    return read


def _microseconds(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * _US_PER_S + span.microseconds


_MOMENT_PARTS: dict[str, Callable[[datetime], float]] = {
    "day": lambda moment: float(_microseconds(moment - _NAIVE_EPOCH)) / _US_PER_DAY,
    "month": lambda moment: float(moment.month),
    "weekday": lambda moment: float(moment.isoweekday()),
    "hour": lambda moment: float(moment.hour),
}


def _span_reader(name: str, dtype: str) -> Reader:
    milliseconds = dtype == "Duration[ms]"

    def read(value: Any) -> float:
        if value is None:
            return _NAN
        if type(value) is not timedelta:
            raise refusal(name, value, "a span of time")
        total = _microseconds(value)
        if milliseconds:  # towards zero, as polars does
            total = (abs(total) // 1000 * 1000) * (1 if total >= 0 else -1)
        return float(total) / _US_PER_S

    return read


def _time_of_day_reader(name: str) -> Reader:
    def read(value: Any) -> float:
        if value is None:
            return _NAN
        if type(value) is not time or value.tzinfo is not None:
            raise refusal(name, value, "a time of day")
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        return float((seconds * _US_PER_S + value.microsecond) * 1000) / _NS_PER_S

    return read
