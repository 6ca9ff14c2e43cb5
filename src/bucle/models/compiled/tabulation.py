"""What encoders of words make of each value, found by asking the fitted encoder itself.

Every known value is given to it, one that it cannot know, and a null; what it answers is the
table, and what it refuses stays refused. Imports numpy and polars.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bucle.models.compiled.learners import NoForm
from bucle.models.compiled.values import NUMBERS
from bucle.models.signature import Feature, Signature, dtypes_of

__all__ = ["Table", "tabulate"]

_MOST_VALUES = 5000
_MOST_CELLS = 4_000_000
_NEVER = "\x00never seen\x00"


@dataclass(frozen=True, eq=False)
class Table:
    """What becomes of a column's values: row by row the numbers of some columns of the matrix.

    Rows are the known values in order, then an unknown one, a null, and NaN for `Float64`.
    `outputs` says which columns of the transformed matrix the numbers are.
    """

    source: int
    values: tuple[Any, ...]
    numbers: NDArray[np.float64]
    refused: frozenset[int]
    outputs: tuple[int, ...]

    @property
    def unknown(self) -> int:
        """The row of a value never seen."""
        return len(self.values)

    @property
    def null(self) -> int:
        """The row of a null; the one of NaN follows it."""
        return len(self.values) + 1


def tabulate(
    transformer: Any, names: Sequence[str], vocabularies: Sequence[Any], signature: Signature
) -> list[Table]:
    """Return a table for each column that a transformer works on, column by column.

    Args:
        transformer: Fitted; takes a frame of these columns and treats each by itself.
        names: The columns, in its order.
        vocabularies: For each column the values it may treat in their own way.
        signature: The types of the columns.

    Raises:
        NoForm: A column's type has no table, or there are too many values.
    """
    asker = _Asker(transformer, names, signature)
    sources = {feature.name: at for at, feature in enumerate(signature.features)}
    known = [
        _known(signature.features[sources[name]], vocabulary)
        for name, vocabulary in zip(names, vocabularies, strict=True)
    ]
    base = [values[0] if values else None for values in known]
    tables: list[Table] = []
    taken: set[int] = set()
    for at, name in enumerate(names):
        feature = signature.features[sources[name]]
        rows, refused = asker.ask(base, at, known[at], feature)
        own = tuple(
            place
            for place in range(rows.shape[1])
            if place not in taken and _varies(np.delete(rows[:, place], sorted(refused)))
        )
        taken |= set(own)
        tables.append(
            Table(
                source=sources[name],
                values=known[at],
                numbers=rows,
                refused=frozenset(refused),
                outputs=own,
            )
        )
    return _with_constants(tables, taken)


class _Asker:
    """Asks a transformer what it makes of rows."""

    def __init__(self, transformer: Any, names: Sequence[str], signature: Signature) -> None:
        self._transformer = transformer
        self._names = names
        self._dtypes = dtypes_of(signature)

    def ask(
        self, base: Sequence[Any], at: int, values: Sequence[Any], feature: Feature
    ) -> tuple[NDArray[np.float64], set[int]]:
        """Return what the values of one column become, and which of them are refused."""
        odd = [_unknown(feature, values), None]
        if feature.dtype == "Float64":
            odd.append(float("nan"))

        def row(value: Any) -> list[Any]:
            return [*base[:at], value, *base[at + 1 :]]

        found: list[NDArray[np.float64] | None] = []
        together = self._transformed([row(value) for value in values]) if values else None
        if together is not None:
            found += list(together)
        else:
            found += [self._single(row(value)) for value in values]
        # Alone, as a null among others may change what the others become.
        found += [self._single(row(value)) for value in odd]
        shape = next((numbers.shape for numbers in found if numbers is not None), None)
        if shape is None:
            raise NoForm(f"column {feature.name!r} is refused whatever it holds")
        rows = [np.zeros(shape) if numbers is None else numbers for numbers in found]
        return np.asarray(rows), {at for at, numbers in enumerate(found) if numbers is None}

    def _single(self, row: list[Any]) -> NDArray[np.float64] | None:
        found = self._transformed([row])
        return None if found is None else found[0]

    def _transformed(self, rows: Sequence[Sequence[Any]]) -> NDArray[np.float64] | None:
        columns = zip(*rows, strict=True)
        frame = pl.DataFrame(
            [
                pl.Series(name, list(values), dtype=self._dtypes[name])
                for name, values in zip(self._names, columns, strict=True)
            ]
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of unknown words, which are given on purpose
                found = self._transformer.transform(frame)
                dense = found.toarray() if hasattr(found, "toarray") else found
                return np.asarray(dense, dtype=np.float64)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  (whatever it raises, it refuses)
            return None


def _known(feature: Feature, vocabulary: Any) -> tuple[Any, ...]:
    """Return the values of a vocabulary that the column's type can hold, each once."""
    if feature.dtype != "String" and (feature.dtype not in NUMBERS or feature.dtype == "Float32"):
        raise NoForm(f"column {feature.name!r} of type {feature.dtype} is encoded as words")
    found: dict[Any, None] = {}
    for value in vocabulary:
        if feature.dtype == "String":
            if isinstance(value, str):
                found[str(value)] = None
        elif value is not None and not isinstance(value, str) and value == value:  # noqa: PLR0124
            found[_typed(value, feature.dtype)] = None
    if len(found) > _MOST_VALUES:
        raise NoForm(f"column {feature.name!r} has {len(found):,} known values")
    return tuple(found)


def _typed(value: Any, dtype: str) -> bool | int | float:
    if dtype == "Boolean":
        return bool(value)
    return float(value) if dtype == "Float64" else int(value)


def _unknown(feature: Feature, values: Sequence[Any]) -> Any:
    """Return a value that is none of the known ones."""
    if feature.dtype == "String":
        return _NEVER
    if feature.dtype == "Boolean":
        return next((value for value in (True, False) if value not in values), None)
    if feature.dtype == "Float64":
        return next(at + 0.12345 for at in range(len(values) + 1) if at + 0.12345 not in values)
    return next((at for at in range(len(values) + 1) if at not in values), None)


def _varies(numbers: NDArray[np.float64]) -> bool:
    if not numbers.size:
        return False
    first = numbers[0]
    return bool(((numbers != first) & ~(np.isnan(numbers) & np.isnan(first))).any())


def _with_constants(tables: list[Table], taken: set[int]) -> list[Table]:
    """Give columns that never vary to the first table."""
    width = tables[0].numbers.shape[1]
    if any(table.numbers.shape[1] != width for table in tables):
        raise NoForm("an encoder makes more columns of some values than of others")
    constant = tuple(place for place in range(width) if place not in taken)
    first, *others = tables
    shares = [(*first.outputs, *constant), *(table.outputs for table in others)]
    done = []
    for table, outputs in zip(tables, shares, strict=True):
        if table.numbers.shape[0] * max(len(outputs), 1) > _MOST_CELLS:
            raise NoForm(f"a table of {table.numbers.shape[0]:,} values is too large")
        done.append(
            Table(
                source=table.source,
                values=table.values,
                numbers=table.numbers[:, list(outputs)],
                refused=table.refused,
                outputs=outputs,
            )
        )
    return done
