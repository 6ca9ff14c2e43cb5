"""From a row's values to the numbers a compiled model takes, one row at a time or many.

The way for one row is made once, of small closures that write into a buffer that is used again
and again, so an encoder belongs to one thread. Imports numpy; nothing of polars or scikit-learn.
"""

import struct
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.errors import PackageError
from bucle.models.compiled.form import Form, NumberCell, Step, TableCells, TimeCells, check_form
from bucle.models.compiled.values import NUMBERS, Reader, number_reader, refusal, time_reader
from bucle.models.signature import Feature

__all__ = ["Encoder", "Part", "apply_steps", "table_of"]

_NAN = float("nan")
_LARGEST_WHOLE = 2**63
_INFINITY = float("inf")
_SINGLE = struct.Struct("f")
_Find = Callable[[Any], int]
_Floats = NDArray[np.float64]
_Fill = Callable[[Sequence[Any], _Floats], bool]
"""Writes a column of many rows; tells whether all its values are plain: learned words, numbers."""


class Part(Struct, frozen=True):
    """Where a column's value is written, and what reads it.

    `words` are those with an answer of their own, None for a column that holds no words.
    """

    source: int
    place: int | slice
    read: Callable[[Any], Any]
    words: frozenset[str] | None = None


class Encoder:
    """Turn rows into the matrix of a form.

    Args:
        form: What to make of which column; its cells of one number come first.

    `known` are the columns, by their number, that held nothing but words met in training, or
    nothing but numbers, when `many` was asked last.

    Raises:
        PackageError: The form's parts do not fit together.
    """

    def __init__(self, form: Form) -> None:
        check_form(form)
        self.form = form
        self.buffer: _Floats = np.zeros((1, form.width))
        self.view: Any = self.buffer.reshape(-1).data
        self.parts: list[Part] = []
        self.known: frozenset[int] = frozenset()
        self._columns = len(form.columns)
        self._singles: list[tuple[int, Reader]] = []
        self._blocks: list[tuple[int, slice, Callable[[Any], memoryview]]] = []
        self._many: list[tuple[int, _Fill]] = []
        for cell in sorted(form.cells, key=lambda cell: cell.at):
            self._take(cell, form.columns[cell.source])
        self._pack = struct.Struct(f"{len(self._singles)}d").pack_into

    def one(self, row: Sequence[Any]) -> _Floats:
        """Fill the buffer with a row and return it, shape (1, width); it is used again.

        Raises:
            PackageError: The row has another length, or holds a value the model cannot answer.
        """
        if len(row) != self._columns:
            raise _odd_length(len(row), self._columns)
        self._pack(self.view, 0, *[read(row[source]) for source, read in self._singles])
        for source, place, copy in self._blocks:
            self.view[place] = copy(row[source])
        return self.buffer

    def many(self, columns: Sequence[Sequence[Any]]) -> _Floats:
        """Return the matrix of rows given by column, shape (rows, width).

        Raises:
            PackageError: There are other columns, or a value the model cannot answer.
        """
        if len(columns) != self._columns:
            raise _odd_length(len(columns), self._columns)
        matrix = np.zeros((len(columns[0]) if columns else 0, self.form.width))
        known: set[int] = set()
        odd: set[int] = set()
        for source, fill in self._many:
            (known if fill(columns[source], matrix) else odd).add(source)
        self.known = frozenset(known - odd)
        return matrix

    def _take(self, cell: NumberCell | TimeCells | TableCells, feature: Feature) -> None:
        if isinstance(cell, NumberCell):
            read = _stepped(number_reader(feature), cell.steps, feature.name)
            self._add(Part(cell.source, cell.at, read))
            self._many.append((cell.source, _fill_numbers(cell, feature, read)))
        elif isinstance(cell, TimeCells):
            readers = [time_reader(feature, part) for part in cell.parts]
            for place, reader in enumerate(readers):
                self._add(Part(cell.source, cell.at + place, reader))
            self._many.append((cell.source, _fill_times(cell.at, readers)))
        else:
            self._take_table(cell, feature)

    def _take_table(self, cell: TableCells, feature: Feature) -> None:
        table = table_of(cell)
        find = _finder(cell, feature)
        self._many.append((cell.source, _fill_table(cell, table, find)))
        words = frozenset(cell.keys) if feature.dtype == "String" else None
        if cell.width == 1:
            read = _looked_up(cell, feature, table[:, 0].tolist(), find)
            self._add(Part(cell.source, cell.at, read, words))
            return
        rows, block = [row.data for row in table], slice(cell.at, cell.at + cell.width)
        self._add(Part(cell.source, block, lambda value: rows[find(value)], words))

    def _add(self, part: Part) -> None:
        self.parts.append(part)
        if isinstance(part.place, int):
            self._singles.append((part.source, part.read))
        else:
            self._blocks.append((part.source, part.place, part.read))


def table_of(cell: TableCells) -> _Floats:
    """Return a table's rows, shape (rows, width)."""
    base = [_NAN if number is None else number for number in cell.base]
    table = np.tile(np.asarray(base, dtype=np.float64), (len(cell.rows), 1))
    for row, differences in zip(table, cell.rows, strict=True):
        for place, number in differences:
            row[place] = _NAN if number is None else number
    return table


# ---- numbers -------------------------------------------------------------------


def apply_steps(values: _Floats, steps: Sequence[Step]) -> _Floats:
    """Return numbers after their steps; refusals are left to who reads the result."""
    with np.errstate(all="ignore"):
        for name, number in steps:
            values = _WHOLE_STEPS[name](values, number) if name in _WHOLE_STEPS else values
    return values


def _single(values: _Floats, _: float) -> _Floats:
    return values.astype(np.float32).astype(np.float64)


_REFUSING: dict[str, Callable[[_Floats], NDArray[np.bool_]]] = {
    "finite": np.isinf,
    "known": np.isnan,
    "single": np.isinf,
}

_WHOLE_STEPS: dict[str, Callable[[_Floats, float], _Floats]] = {
    "clip": lambda values, most: np.clip(values, -most, most),
    "fill": lambda values, number: np.where(np.isnan(values), number, values),
    "subtract": lambda values, number: values - number,
    "divide": lambda values, number: values / number,
    "multiply": lambda values, number: values * number,
    "add": lambda values, number: values + number,
    "least": lambda values, number: np.where(values < number, number, values),
    "most": lambda values, number: np.where(values > number, number, values),
    "single": _single,
}


def _stepped(read: Reader, steps: Sequence[Step], name: str) -> Reader:
    for step, number in steps:
        read = _ONE_STEPS[step](read, number, name)
    return read


def _clip(read: Reader, most: float, _: str) -> Reader:
    def clip(value: Any) -> float:
        found = read(value)
        if -most <= found <= most or found != found:  # noqa: PLR0124  (NaN stays)
            return found
        return most if found > 0 else -most

    return clip


def _fill(read: Reader, number: float, _: str) -> Reader:
    def fill(value: Any) -> float:
        found = read(value)
        return number if found != found else found  # noqa: PLR0124  (NaN)

    return fill


def _least(read: Reader, number: float, _: str) -> Reader:
    def least(value: Any) -> float:
        found = read(value)
        return max(found, number)

    return least


def _most(read: Reader, number: float, _: str) -> Reader:
    def most(value: Any) -> float:
        found = read(value)
        return min(found, number)

    return most


def _rounded(read: Reader, _: float, name: str) -> Reader:
    def rounded(value: Any) -> float:
        try:
            return float(_SINGLE.unpack(_SINGLE.pack(read(value)))[0])
        except OverflowError:
            raise refusal(name, value, "a number that single precision can hold") from None

    return rounded


def _finite(read: Reader, _: float, name: str) -> Reader:
    def finite(value: Any) -> float:
        found = read(value)
        if found in (_INFINITY, -_INFINITY):
            raise refusal(name, value, "a finite number")
        return found

    return finite


def _known(read: Reader, _: float, name: str) -> Reader:
    def known(value: Any) -> float:
        found = read(value)
        if found != found:  # noqa: PLR0124  (NaN)
            raise refusal(name, value, "a value, never null,")
        return found

    return known


_ONE_STEPS: dict[str, Callable[[Reader, float, str], Reader]] = {
    "clip": _clip,
    "fill": _fill,
    "subtract": lambda read, number, _: lambda value: read(value) - number,
    "divide": lambda read, number, _: lambda value: read(value) / number,
    "multiply": lambda read, number, _: lambda value: read(value) * number,
    "add": lambda read, number, _: lambda value: read(value) + number,
    "least": _least,
    "most": _most,
    "single": _rounded,
    "finite": _finite,
    "known": _known,
}


def _fill_numbers(cell: NumberCell, feature: Feature, read: Reader) -> _Fill:
    """Return what writes a number column of many rows at once.

    Numbers of the plain types go through numpy together; a refusal, or any other type, is left
    to the reader of one value, which names what is wrong.
    """
    kinds = {"Float64": {float, type(None)}, "Int64": {int, type(None)}}.get(feature.dtype, set())

    def together(values: Sequence[Any], found_kinds: set[type]) -> _Floats | None:
        if not kinds.issuperset(found_kinds):
            return None
        found = np.asarray(values, dtype=np.float64)
        if feature.dtype == "Int64" and (np.abs(found) >= _LARGEST_WHOLE).any():
            return None
        for step in cell.steps:
            found = apply_steps(found, (step,))
            refused = _REFUSING.get(step[0])
            if refused is not None and refused(found).any():
                return None
        return found

    def fill(values: Sequence[Any], matrix: _Floats) -> bool:
        found_kinds = set(map(type, values))
        found = together(values, found_kinds)
        matrix[:, cell.at] = [read(value) for value in values] if found is None else found
        return found is not None and type(None) not in found_kinds

    return fill


def _fill_times(at: int, readers: Sequence[Reader]) -> _Fill:
    def fill(values: Sequence[Any], matrix: _Floats) -> bool:
        for place, read in enumerate(readers):
            matrix[:, at + place] = [read(value) for value in values]
        return False

    return fill


# ---- tables --------------------------------------------------------------------


def _finder(cell: TableCells, feature: Feature) -> _Find:
    """Return what finds the row of a table that a value has."""
    if feature.dtype == "String":
        return _word_finder(cell, feature.name)
    if feature.dtype == "Null":
        return lambda _: cell.null
    if feature.dtype in NUMBERS:
        return _number_finder(cell, feature)
    return _time_finder(cell, feature)


def _time_finder(cell: TableCells, feature: Feature) -> _Find:
    is_span = feature.dtype == "Time" or feature.dtype.startswith("Duration")
    read = time_reader(feature, "seconds" if is_span else "day")

    def find(value: Any) -> int:
        read(value)
        return cell.null if value is None else cell.unknown

    return find


def _word_finder(cell: TableCells, name: str) -> _Find:
    get, unknown, null = cell.keys.get, cell.unknown, cell.null

    def find(value: Any) -> int:
        if type(value) is str:
            row = get(value, unknown)
        elif value is None:
            row = null
        else:
            raise refusal(name, value, "words")
        if row < 0:
            raise refusal(name, value, "a word it has learned" if value is not None else "a word")
        return row

    return find


def _number_finder(cell: TableCells, feature: Feature) -> _Find:
    rows = dict(cell.numbers)
    read, whole = number_reader(feature), "Int" in feature.dtype
    unknown, null, name = cell.unknown, cell.null, feature.name
    nan = unknown if cell.nan is None else cell.nan
    huge = unknown if cell.huge is None else cell.huge

    def find(value: Any) -> int:
        number = read(value)
        if value is None:
            row = null
        elif number != number:  # noqa: PLR0124  (NaN)
            row = nan
        elif abs(number) >= _LARGEST_WHOLE and not whole and abs(number) != _INFINITY:
            row = huge
        else:
            # A double cannot tell whole numbers beyond 2**53 apart.
            row = rows.get(int(value) if whole else number, unknown)
        if row < 0:
            raise refusal(name, value, "a value it has learned")
        return row

    return find


def _looked_up(cell: TableCells, feature: Feature, numbers: list[float], find: _Find) -> Reader:
    if feature.dtype != "String":
        return lambda value: numbers[find(value)]
    get = {word: numbers[row] for word, row in cell.keys.items()}.get

    def look_up(value: Any) -> float:
        if type(value) is str:
            number = get(value)
            if number is not None:
                return number
        return numbers[find(value)]

    return look_up


def _fill_table(cell: TableCells, table: _Floats, find: _Find) -> _Fill:
    start, stop = cell.at, cell.at + cell.width
    get = cell.keys.get

    def fill(values: Sequence[Any], matrix: _Floats) -> bool:
        try:
            rows = list(map(get, values, repeat(-1)))
        except TypeError:  # what has no hash is no word
            rows = [-1]
        is_known = min(rows, default=-1) >= 0
        # Whatever else it is, what finds the row of one value names it or refuses it.
        matrix[:, start:stop] = table[rows if is_known else [find(value) for value in values]]
        return is_known

    return fill


def _odd_length(got: int, wanted: int) -> PackageError:
    return PackageError(
        f"Cannot predict this row: it has {got} values",
        cause=f"the model takes {wanted}",
        code="bucle-310",
    )
