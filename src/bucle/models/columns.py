"""From the columns of a frame to the numbers a learner takes, the same at training and serving.

Works on mixed columns as they are in the world: numbers, words, yes/no, dates, nulls. Imports
polars and numpy; nothing of scikit-learn, and nothing above its floor.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bucle.errors import PackageError, nearest

__all__ = ["ColumnKind", "Columns", "column_kind"]

ColumnKind = Literal["number", "word", "flag", "date", "moment", "span", "empty"]

_MAX_LEVELS = 200
_SPARE_LEVELS = 254
_LARGEST = 1e300  # the middle of two such numbers is still finite
_US_PER_DAY = 86_400_000_000.0
_US_PER_SECOND = 1_000_000.0


class Columns:
    """Turn a frame into a matrix of numbers, words first.

    A word becomes the number of its level: the most frequent 200 words of the rows it was fitted
    on, the rest together as one level; a word never seen counts as one of the rest, or as missing
    where there was no rest. Nulls are NaN. A date becomes its day number, month and weekday; a
    moment its hour as well; a span its seconds; an infinity the largest number there is. A
    column that held nothing gives 0, whatever it holds later. Column order and extra columns do
    not matter.

    Args:
        categories: Columns to treat as words although they hold numbers, such as codes.
    """

    def __init__(self, categories: Sequence[str] = ()) -> None:
        self.categories = tuple(categories)

    def fit(self, frame: pl.DataFrame) -> Self:
        """Learn the columns and their levels.

        Raises:
            PackageError: A column is of a type that cannot be turned into numbers.
        """
        if not frame.width:
            raise _unfit("there are no columns to learn from", attempt="select the features")
        missing = [name for name in self.categories if name not in frame.columns]
        if missing:
            raise _unfit(
                f"there is no column {missing[0]!r}, named in `categories`",
                near=nearest(missing[0], frame.columns),
            )
        plan = []
        for name, dtype in frame.schema.items():
            kind = "word" if name in self.categories else column_kind(dtype)
            if kind is None:
                raise _unfit(
                    f"column {name!r} is of type {dtype}",
                    attempt=f"drop {name!r} from the features or turn it into numbers or words",
                )
            if _is_empty(frame.get_column(name)):
                kind = "empty"
            levels = _levels(frame.get_column(name)) if kind == "word" else None
            declared = name in self.categories
            plan.append({"name": name, "kind": kind, "levels": levels, "declared": declared})
        plan.sort(key=lambda column: column["kind"] != "word")  # stable: words come first
        self.plan_ = json.dumps(plan, ensure_ascii=False)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The columns it was fitted on, words first."""
        return tuple(column["name"] for column in self._columns())

    @property
    def words(self) -> int:
        """How many of the first columns of the matrix are levels of words."""
        return sum(column["kind"] == "word" for column in self._columns())

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the matrix's columns: `day.month` is the month of column `day`."""
        return tuple(
            f"{column['name']}{suffix}"
            for column in self._columns()
            for suffix in _SUFFIXES[column["kind"]]
        )

    def transform(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Return the matrix, shape (rows, outputs).

        Raises:
            PackageError: A column is missing or is of another kind than it was fitted on.
        """
        if not isinstance(frame, pl.DataFrame):
            raise _mismatch(f"got {type(frame).__name__}", attempt="give a polars DataFrame")
        matrix = np.empty((frame.height, len(self.outputs)), dtype=np.float64)
        at = 0
        for column in self._columns():
            name = column["name"]
            if name not in frame.columns:
                raise _mismatch(f"column {name!r} is missing", near=nearest(name, frame.columns))
            for values in _numbers(frame.get_column(name), column):
                matrix[:, at] = values
                at += 1
        return matrix

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_parsed"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def _columns(self) -> list[dict[str, Any]]:
        """Return the plan, parsed once a process."""
        if not hasattr(self, "plan_"):
            raise _mismatch("it has not been fitted", attempt=".fit(frame) first")
        if not hasattr(self, "_parsed"):
            self._parsed: list[dict[str, Any]] = json.loads(self.plan_)
            for column in self._parsed:
                if column["kind"] == "word":
                    column["codes"] = {word: at for at, word in enumerate(column["levels"]["top"])}
        return self._parsed


def column_kind(dtype: pl.DataType) -> ColumnKind | None:
    """Return how a column of this type is read; None when it cannot be."""
    if dtype == pl.Null:
        return "empty"
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Boolean:
        return "flag"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "word"
    if dtype == pl.Date:
        return "date"
    if dtype == pl.Datetime:
        return "moment"
    return "span" if dtype in (pl.Duration, pl.Time) else None


_SUFFIXES: dict[str, tuple[str, ...]] = {
    "empty": ("",),
    "number": ("",),
    "word": ("",),
    "flag": ("",),
    "span": ("",),
    "date": ("", ".month", ".weekday"),
    "moment": ("", ".month", ".weekday", ".hour"),
}

_STANDS_FOR: dict[str, set[str]] = {
    "number": {"number", "flag"},
    "word": {"word"},
    "flag": {"number", "flag"},
    "span": {"span"},
    "date": {"date", "moment"},
    "moment": {"date", "moment"},
}


def _levels(column: pl.Series) -> dict[str, Any]:
    """Return the most frequent words, ties in alphabetical order, and whether there is a rest."""
    counts = (
        _words(column)
        .drop_nulls()
        .alias("word")
        .value_counts(name="count")
        .sort("count", "word", descending=[True, False])
    )
    words: list[str] = counts.get_column("word").to_list()
    # A rest of a few words is not worth a level of its own.
    top = words if len(words) <= _SPARE_LEVELS else words[:_MAX_LEVELS]
    return {"top": top, "rest": len(words) > len(top)}


def _is_empty(column: pl.Series) -> bool:
    if column.dtype.is_float():
        return bool((column.is_null() | column.is_nan()).all())
    return column.null_count() == len(column)


def _numbers(column: pl.Series, plan: dict[str, Any]) -> list[Any]:
    kind = plan["kind"]
    if kind == "empty":
        return [0.0]
    if column.dtype == pl.Null:
        return [np.nan] * len(_SUFFIXES[kind])
    found = column_kind(column.dtype)
    # Codes that were declared as categories stay numbers in the frame.
    allowed = _STANDS_FOR[kind] | ({"number", "flag"} if plan.get("declared") else set())
    if found not in allowed:
        raise _mismatch(f"column {plan['name']!r} holds {column.dtype} instead of a {kind}")
    if kind == "word":
        return [_codes(column, plan)]
    if kind in ("number", "flag"):
        return [np.clip(_floats(column.cast(pl.Float64)), -_LARGEST, _LARGEST)]
    if kind == "span":
        if column.dtype == pl.Time:
            return [_floats(column.cast(pl.Int64).cast(pl.Float64)) / 1e9]
        return [_floats(column.dt.total_microseconds().cast(pl.Float64)) / _US_PER_SECOND]
    moment = column.cast(pl.Datetime("us"))
    parts = [
        _floats(moment.cast(pl.Int64).cast(pl.Float64)) / _US_PER_DAY,
        _floats(moment.dt.month().cast(pl.Float64)),
        _floats(moment.dt.weekday().cast(pl.Float64)),
    ]
    if kind == "moment":
        parts.append(_floats(moment.dt.hour().cast(pl.Float64)))
    return parts


def _codes(column: pl.Series, plan: dict[str, Any]) -> NDArray[np.float64]:
    codes: dict[str, int] = plan["codes"]
    unknown = float(len(codes)) if plan["levels"]["rest"] else np.nan
    found = [
        np.nan if word is None else codes.get(word, unknown) for word in _words(column).to_list()
    ]
    return np.asarray(found, dtype=np.float64)


def _words(column: pl.Series) -> pl.Series:
    """Return words; whole numbers read the same whether they come as 1 or 1.0."""
    if not column.dtype.is_float():
        return column.cast(pl.String)
    whole = column.is_finite() & (column == column.floor())
    plain = column.cast(pl.Int64, strict=False).cast(pl.String)
    return plain.zip_with(whole.fill_null(value=False), column.cast(pl.String))


def _floats(column: pl.Series) -> NDArray[np.float64]:
    return column.to_numpy()


def _unfit(cause: str, *, attempt: str = "", near: Sequence[str] = ()) -> PackageError:
    return PackageError(
        "Cannot fit on these rows",
        cause=cause,
        attempt=attempt,
        did_you_mean=near,
        code="bucle-167",
    )


def _mismatch(cause: str, *, attempt: str = "", near: Sequence[str] = ()) -> PackageError:
    return PackageError(
        "Cannot predict these rows",
        cause=cause,
        attempt=attempt,
        did_you_mean=near,
        code="bucle-166",
    )
