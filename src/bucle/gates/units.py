"""From rows to independent units: rows of one cluster count as one observation, not as many.

Pure numpy; imports nothing of Bucle but types.
"""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.models.metrics import Floats

__all__ = ["Units", "number_groups", "to_units"]


class Units(Struct, frozen=True, kw_only=True):
    """Values that may be treated as independent; their mean is the mean over the rows.

    `effective` is how many units of equal size they are worth (Kish 1965: rows² / Σ cluster
    size²), the number of rows when nothing is clustered. `rows` is how many rows they came from.
    """

    values: Floats
    effective: float
    rows: int
    clustered: bool = False

    @property
    def count(self) -> int:
        """How many units there are."""
        return int(self.values.size)

    @property
    def rows_per_unit(self) -> float:
        """How many rows one unit stands for, on average."""
        return self.rows / self.count if self.count else 1.0


def to_units(rows: Floats, *, clusters: NDArray[Any] | None = None) -> Units:
    """Turn a value a row into a value an independent unit.

    Clusters enter as their means, weighted by their size (the linearised ratio estimator,
    Cochran 1977, ch. 9A): the mean stays the mean over rows, and the variance is that between
    clusters. With clusters of one size the values are exactly the cluster means.

    Args:
        rows: One value a row.
        clusters: The cluster of each row; None (or a row whose cluster is None) means alone.

    Example:
        >>> to_units(np.array([1.0, 3.0, 5.0, 7.0]), clusters=np.array(["a", "a", "b", "b"])).values
        array([2., 6.])
    """
    if clusters is None or rows.size == 0:
        return Units(values=rows, effective=float(rows.size), rows=int(rows.size))
    codes, names = number_groups(clusters, alone=True)
    sizes = np.bincount(codes, minlength=len(names)).astype(np.float64)
    totals = np.bincount(codes, weights=rows, minlength=len(names))
    mean = float(rows.mean())
    values = mean + (totals - sizes * mean) * (len(names) / rows.size)
    return Units(
        values=values,
        effective=float(rows.size**2 / np.sum(sizes**2)),
        rows=int(rows.size),
        clustered=True,
    )


def number_groups(
    labels: NDArray[Any], *, alone: bool = False
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the distinct values of an array in the order of their text.

    A missing value (None or NaN) is the group `(missing)`, or a group of its own for each row
    when `alone` is set. The answer does not depend on the order of the rows.

    Example:
        >>> codes, names = number_groups(np.array(["b", "a", "b"]))
        >>> codes.tolist(), names
        ([1, 0, 1], ('a', 'b'))
    """
    if labels.dtype.kind in "iub":
        distinct, codes = np.unique(labels, return_inverse=True)
        return codes.astype(np.int64), tuple(str(value) for value in distinct.tolist())
    texts = [_name(value) for value in labels.tolist()]
    names = sorted({text for text in texts if text is not None})
    numbers = {name: number for number, name in enumerate(names)}
    codes = np.empty(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        if text is not None:
            codes[row] = numbers[text]
        elif alone:
            codes[row] = len(names)
            names.append(f"(missing) {row}")
        else:
            if numbers.setdefault("(missing)", len(names)) == len(names):
                names.append("(missing)")
            codes[row] = numbers["(missing)"]
    return codes, tuple(names)


def _name(value: object) -> str | None:
    # NaN is the one value that differs from itself.
    return None if value is None or value != value else str(value)  # noqa: PLR0124
