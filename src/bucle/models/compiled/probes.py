"""Rows that would tell a compiled model from its estimator: thresholds, nulls, odd words, extremes.

Each threshold of a split is tried at the value where the split turns and at its neighbours, in a
row that comes to that split where one of the given rows does. Imports numpy.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bucle.models.compiled.encoder import Encoder, apply_steps
from bucle.models.compiled.form import Cell, Form, Step, TableCells, TimeCells
from bucle.models.compiled.layout import Compiled, width_of
from bucle.models.compiled.learners import NoForm
from bucle.models.compiled.trees import reach
from bucle.models.compiled.values import NUMBERS
from bucle.models.signature import Feature

__all__ = ["Probe", "given_thresholds", "made_rows", "odd_probes", "split_probes"]

_Floats = NDArray[np.float64]
_MOST_PROBES = 100_000
_REACHED_BY = 2000
_MOST_ODD = 24
_BITS = re.compile(r"(U?)Int(\d+)")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (a moment without a zone stays without)
_US_PER_DAY = 86_400_000_000
_SPAN_DAYS = 100_000
_NAN, _INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Probe:
    """A row to try, and what is odd about it: the column and the value, for the reason."""

    row: tuple[Any, ...]
    column: str
    value: Any


# ---- thresholds ----------------------------------------------------------------


def split_probes(compiled: Compiled, rows: Sequence[tuple[Any, ...]]) -> list[Probe]:
    """Return probes at every threshold of every split, and at its neighbours on both sides.

    Raises:
        NoForm: There are more thresholds than can be tried.
    """
    form = compiled.form
    cells = {cell.at + k: (cell, k) for cell in form.cells for k in range(width_of(cell))}
    found: list[tuple[int, Any, int]] = []
    for place, pairs in sorted(_turns(compiled, rows).items()):
        if place not in cells:  # given from outside
            continue
        cell, part = cells[place]
        thresholds = np.asarray([threshold for threshold, _ in pairs])
        tried = _around(cell, part, form.columns[cell.source], thresholds)
        for (_, base), values in zip(pairs, tried, strict=True):
            found += [(cell.source, value, base) for value in values]
    if len(found) > _MOST_PROBES:
        return _packed(found, rows, form)
    return [_changed(rows[base], source, value, form) for source, value, base in found]


def given_thresholds(compiled: Compiled) -> _Floats:
    """Return the values, and their neighbours, at which splits on the given numbers turn."""
    form = compiled.form
    last = set(range(form.width - form.given, form.width))
    found = {
        float(tree.threshold[node])
        for tree in compiled.learned.trees
        for node in np.flatnonzero(~tree.leaf)
        if int(compiled.places[tree.feature[node]]) in last
    }
    values = np.asarray(sorted(found), dtype=np.float64)
    return np.concatenate([np.nextafter(values, -_INF), values, np.nextafter(values, _INF)])


def _turns(
    compiled: Compiled, rows: Sequence[tuple[Any, ...]]
) -> dict[int, list[tuple[float, int]]]:
    """Return by place of the matrix each threshold, with a row that comes to its split."""
    base = rows[:_REACHED_BY]
    matrix = Encoder(compiled.form).many(list(zip(*base, strict=True)))
    inner = matrix[:, compiled.places]
    found: dict[int, list[tuple[float, int]]] = {}
    for tree in compiled.learned.trees:
        reached = reach(tree, inner)
        for node in np.flatnonzero(~tree.leaf):
            if int(node) not in tree.members:
                place = int(compiled.places[tree.feature[node]])
                turn = (float(tree.threshold[node]), reached.get(int(node), 0))
                found.setdefault(place, []).append(turn)
    return found


def _packed(
    found: Iterable[tuple[int, Any, int]], rows: Sequence[tuple[Any, ...]], form: Form
) -> list[Probe]:
    """Put one value of each column into a row, so that fewer rows hold them all."""
    values: dict[int, dict[Any, None]] = {}
    for source, value, _ in found:
        values.setdefault(source, {})[value] = None
    longest = max(map(len, values.values()))
    if longest > _MOST_PROBES:
        raise NoForm(f"{longest:,} thresholds of one column are too many to try")
    lists = {source: list(tried) for source, tried in values.items()}
    probes = []
    for at in range(longest):
        row = list(rows[at % len(rows)])
        for source, tried in lists.items():
            row[source] = tried[at % len(tried)]
        first = min(lists, key=lambda source: (len(lists[source]) <= at, source))
        probes.append(Probe(row=tuple(row), column=form.columns[first].name, value=row[first]))
    return probes


def _changed(row: tuple[Any, ...], source: int, value: Any, form: Form) -> Probe:
    return Probe(
        row=(*row[:source], value, *row[source + 1 :]),
        column=form.columns[source].name,
        value=value,
    )


def _around(cell: Cell, part: int, feature: Feature, thresholds: _Floats) -> list[list[Any]]:
    """Return for each threshold the values of the column on both sides of it."""
    if isinstance(cell, TableCells):
        return [[] for _ in thresholds]  # each word is tried on its own
    if isinstance(cell, TimeCells):
        return [_times_around(cell.parts[part], feature.dtype, turn) for turn in thresholds]
    if feature.dtype == "Boolean":
        return [[True, False] for _ in thresholds]
    turns = _turning_points(cell.steps, thresholds)
    if (bits := _BITS.fullmatch(feature.dtype)) is not None:
        return [_whole_around(turn, bits) for turn in turns]
    if feature.dtype == "Float32":
        singles = turns.astype(np.float32)
        sides = [np.nextafter(singles, np.float32(-_INF)), singles]
        sides.append(np.nextafter(singles, np.float32(_INF)))
    else:
        sides = [np.nextafter(turns, -_INF), turns, np.nextafter(turns, _INF)]
    return np.column_stack(sides).astype(np.float64).tolist()  # type: ignore[no-any-return]


def _turning_points(steps: Sequence[Step], thresholds: _Floats) -> _Floats:
    """Return the largest numbers whose steps end at most at each threshold.

    All steps grow with the number, so the place is found by halving between doubles.
    """
    low = np.full(thresholds.shape, _ordinal(-1.7e308))
    high = np.full(thresholds.shape, _ordinal(1.7e308))
    with np.errstate(all="ignore"):
        for _ in range(65):
            middle = low // 2 + high // 2 + (low & high & 1)
            below = apply_steps(_double(middle), steps) <= thresholds
            low, high = np.where(below, middle, low), np.where(below, high, middle)
    return _double(low)


def _ordinal(number: float) -> np.int64:
    """Return the place of a double among all doubles, so that neighbours differ by one."""
    bits = np.float64(number).view(np.int64)
    return np.int64(bits if bits >= 0 else np.int64(-(2**63)) - bits)


def _double(ordinal: NDArray[np.int64]) -> _Floats:
    bits = np.where(ordinal >= 0, ordinal, np.int64(-(2**63)) - ordinal)
    return bits.astype(np.int64).view(np.float64)


def _whole_around(turn: float, bits: re.Match[str]) -> list[int]:
    size = int(bits[2])
    low, high = (0, 2**size - 1) if bits[1] else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)
    middle = math.floor(turn)
    return [at for at in (middle - 1, middle, middle + 1) if low <= at <= high]


def _times_around(part: str, dtype: str, turn: float) -> list[Any]:
    if part == "seconds":
        return _spans_around(dtype, turn)
    if part == "day":
        if dtype == "Date":
            days = math.floor(turn)
            return [_EPOCH.date() + timedelta(days=days + step) for step in (-1, 0, 1)]
        at = math.floor(turn * _US_PER_DAY)
        return [_EPOCH + timedelta(microseconds=at + step) for step in (-1, 0, 1)]
    below = math.floor(turn)
    start = date(2024, 1, 1)  # a Monday
    if part == "month":
        moments = [date(2024, max(1, min(12, below + step)), 15) for step in (0, 1)]
    elif part == "weekday":
        moments = [start + timedelta(days=below + step - 1) for step in (0, 1)]
    else:
        hours = [max(0, min(23, below + step)) for step in (0, 1)]
        return [datetime(2024, 1, 1, hour) for hour in hours] if dtype != "Date" else []  # noqa: DTZ001
    if dtype == "Date":
        return moments
    return [datetime.combine(moment, time(12)) for moment in moments]


def _spans_around(dtype: str, turn: float) -> list[Any]:
    at = math.floor(turn * 1e6)
    steps = [at - 1, at, at + 1]
    if dtype != "Time":
        return [timedelta(microseconds=step) for step in steps]
    return [
        (_EPOCH + timedelta(microseconds=step)).time() for step in steps if 0 <= step < _US_PER_DAY
    ]


def made_rows(compiled: Compiled, *, count: int = 500) -> list[tuple[Any, ...]]:
    """Return rows made of known words and of values around thresholds, the same each time.

    For where no real rows are at hand.
    """
    form = compiled.form
    pools: list[dict[Any, None]] = [{} for _ in form.columns]
    cells = {cell.at + k: (cell, k) for cell in form.cells for k in range(width_of(cell))}
    for cell in form.cells:
        if isinstance(cell, TableCells):
            pools[cell.source].update(dict.fromkeys([*cell.keys, *(at for at, _ in cell.numbers)]))
    for tree in compiled.learned.trees:
        for node in np.flatnonzero(~tree.leaf):
            place = int(compiled.places[tree.feature[node]])
            if place not in cells:  # given from outside
                continue
            cell, part = cells[place]
            if not isinstance(cell, TableCells):
                turn = tree.threshold[node : node + 1]
                around = _around(cell, part, form.columns[cell.source], turn)[0]
                pools[cell.source].update(dict.fromkeys(around))
    lists = [
        list(pool) or list(next(_plain_values(feature)))
        for pool, feature in zip(pools, form.columns, strict=True)
    ]
    rng = np.random.default_rng(0)
    return [tuple(pool[int(rng.integers(len(pool)))] for pool in lists) for _ in range(count)]


def _plain_values(feature: Feature) -> Iterator[list[Any]]:
    """Yield values that any column of this type takes."""
    if feature.dtype in NUMBERS:
        is_number = feature.dtype != "Boolean"
        yield [1, 0, 2] if is_number else [True, False]
    yield from (values for values in _odd_values(feature, []) if values and values != [None])
    yield [None]


# ---- odd values ----------------------------------------------------------------


def odd_probes(form: Form, rows: Sequence[tuple[Any, ...]]) -> Iterator[list[Probe]]:
    """Yield probes with nulls, words, extremes and rounded numbers, in groups to ask together.

    A group is of one column and one sort of value, so that an estimator that refuses some of them
    is asked again only for those.
    """
    for source, feature in enumerate(form.columns):
        tables = [
            cell for cell in form.cells if isinstance(cell, TableCells) and cell.source == source
        ]
        for values in _odd_values(feature, tables):
            bases = rows[: max(1, _MOST_ODD // max(1, len(values)))]
            yield [_changed(row, source, value, form) for value in values for row in bases]
    rounded = [_rounded(row, form) for row in rows[:1000]]
    yield [Probe(row=row, column="every number", value="rounded to cents") for row in rounded]
    nothing = (None,) * len(form.columns)
    yield [Probe(row=nothing, column="every column", value=None)]


def _odd_values(feature: Feature, tables: Sequence[TableCells]) -> Iterator[list[Any]]:
    """Yield groups of values that are odd in a column of this type."""
    dtype = feature.dtype
    yield [None]
    if dtype == "String":
        words = list(dict.fromkeys(word for table in tables for word in table.keys))
        yield words
        yield [f"{word} " for word in words[:20]]
        yield [f" {word.swapcase()}" for word in words[:20]]
        yield ["", " ", "1", "0", "nan", "None", "null", "<script>", "ñ\u0301", "\U0001f600"]
        yield ["x" * 5000]
    elif dtype == "Boolean":
        yield [True, False]
    elif (bits := _BITS.fullmatch(dtype)) is not None:
        size = int(bits[2])
        low, high = (0, 2**size - 1) if bits[1] else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)
        yield [at for at in (0, 1, -1, 7, low, low + 1, high, high - 1) if low <= at <= high]
        yield [at for table in tables for at, _ in table.numbers]
        yield [at for at in (2**53, 2**53 + 1, -(2**53) - 1) if low <= at <= high]
    elif dtype.startswith("Float"):
        yield from _odd_floats(dtype, tables)
    else:
        yield from _odd_times(dtype)


def _odd_floats(dtype: str, tables: Sequence[TableCells]) -> Iterator[list[Any]]:
    yield [0.0, -0.0, 0.01, 0.1, 1.0, -1.0, 1e-300, 16_777_217.0, 2.0**53 + 2, 99.99]
    known = [float(at) for table in tables for at, _ in table.numbers]
    yield [*known, *(math.nextafter(at, _INF) for at in known)]
    yield [1e38, -1e38] if dtype == "Float32" else [1e39, -1e39, 1e18, 1e19, -1e19]
    for value in (_NAN, _INF, -_INF):
        yield [value]
    if dtype == "Float64":
        yield [1e300]
        yield [-1e300]
        yield [1.7e308]
        yield [3, 2**60, -(2**63)]


def _odd_times(dtype: str) -> Iterator[list[Any]]:
    if dtype == "Date":
        yield [date(1970, 1, 1), date(1969, 12, 31), date(2000, 2, 29), date(2100, 3, 1)]
        yield [date.min, date.max]
    elif dtype == "Time":
        yield [time(), time(12), time(23, 59, 59, 999_999)]
    elif dtype.startswith("Duration"):
        yield [timedelta(), timedelta(microseconds=1), timedelta(microseconds=-1999)]
        yield [timedelta(days=_SPAN_DAYS), timedelta(days=-_SPAN_DAYS)]
    elif dtype.startswith("Datetime"):
        plain = [
            datetime(1970, 1, 1),  # noqa: DTZ001  (tried with and without a zone)
            datetime(1969, 12, 31, 23, 59, 59, 999_999),  # noqa: DTZ001  (as above)
            datetime(2024, 2, 29, 12, 30),  # noqa: DTZ001  (as above)
        ]
        yield plain
        yield [moment.replace(tzinfo=UTC) for moment in plain]


def _rounded(row: tuple[Any, ...], form: Form) -> tuple[Any, ...]:
    return tuple(
        round(value, 2) if type(value) is float and feature.dtype == "Float64" else value
        for value, feature in zip(row, form.columns, strict=True)
    )
