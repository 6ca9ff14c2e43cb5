"""Columns that look as if they were known only in hindsight, together with the label.

A careful guess for a table nobody has described: what is nearly the target, renames it, is filled
in only with it, or adds up to it. Reads frames; must not import readers.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from bucle.data.leaks import find_leaks

__all__ = ["find_late_columns"]

_TWIN = 0.95  # rank correlation that nothing known beforehand is expected to have
_SUM = 0.98  # share of the variance that other columns may add up to
_FEWEST = 100
_MOST_ROWS = 20_000
_MOST_COLUMNS = 60
_SPAN = 10  # rows a column, so that a fit says something
_LARGEST = 1e100  # what is beyond cannot be squared, and no fit says anything of it


def find_late_columns(
    frame: pl.DataFrame,
    *,
    target: str,
    event_time: str | None,
    label_time: str | None,
    without: Sequence[str] = (),
    late: Sequence[str] = (),
) -> dict[str, str]:
    """Return suspicious columns, each with what shows it.

    Args:
        frame: Typed rows with the target.
        target: The column predicted.
        event_time: When the prediction is made.
        label_time: When the truth became known.
        without: Columns that have another part, such as the key.
        late: Columns known to come late; others are suspicious together with them too, as a
            total is beside its parts.
    """
    asked = [name for name in frame.columns if name not in {*without, target}]
    found: dict[str, str] = {}
    for suspect in find_leaks(
        frame.select(*asked, target), target=target, event_time=event_time, label_time=label_time
    ):
        for name in suspect.columns:
            if name not in {event_time, label_time}:
                found.setdefault(name, suspect.evidence)
    schema = frame.schema
    if not schema[target].is_numeric():
        return found
    numbers = [name for name in asked if schema[name].is_numeric() and name not in found]
    known = frame.select(pl.col(*numbers, target).cast(pl.Float64).fill_nan(None)).drop_nulls(
        target
    )
    for name in numbers:
        same = _rank_correlation(known, name, target)
        if abs(same) >= _TWIN:
            found[name] = f"its rank correlation with the target is {same:.2f}"
    rest = [name for name in numbers if name not in found]
    for name in _summands(known, rest, target, late=late):
        found[name] = "with other columns it adds up to the target"
    return found


def _rank_correlation(known: pl.DataFrame, name: str, target: str) -> float:
    pair = known.select(name, target).drop_nulls()
    if pair.height < _FEWEST:
        return 0.0
    same = pair.select(pl.corr(name, target, method="spearman")).item()
    return float(same) if same is not None and np.isfinite(same) else 0.0


def _summands(
    known: pl.DataFrame, names: Sequence[str], target: str, *, late: Sequence[str] = ()
) -> list[str]:
    """Return the columns to take away until the rest no longer adds up to the target.

    Late columns are taken away already, and count among the rest unless they add up by themselves.

    Least squares on at most 20,000 rows drawn with a fixed seed; a missing value counts as the
    mean of its column.
    """
    rows = known.sample(min(known.height, _MOST_ROWS), seed=0)
    usable = [name for name in names if rows[name].null_count() < rows.height]
    taken: list[str] = []
    matrix = rows.select(pl.col(*usable, target).fill_null(strategy="mean")).to_numpy()
    matrix = matrix[(np.abs(matrix) < _LARGEST).all(axis=1)]
    spread = matrix.std(axis=0)
    varied = np.flatnonzero(spread[:-1] > 0)
    if len(matrix) < _FEWEST or spread[-1] == 0 or not len(varied):
        return taken
    near = np.abs(np.corrcoef(matrix[:, [*varied, -1]], rowvar=False)[-1, :-1])
    order = varied[np.argsort(-near, kind="stable")]
    left = [int(column) for column in order[:_MOST_COLUMNS]]
    goal = matrix[:, -1]
    fixed = [column for column in left if usable[column] in late]
    if fixed and _explained(matrix[:, fixed], goal) >= _SUM:
        left, fixed = [column for column in left if column not in fixed], []
    while len(left) > len(fixed) and len(matrix) >= _SPAN * len(left):
        if _explained(matrix[:, left], goal) < _SUM:
            break
        free = [column for column in left if column not in fixed]
        without = [
            _explained(matrix[:, [other for other in left if other != column]], goal)
            for column in free
        ]
        worst = free[int(np.argmin(without))]
        left.remove(worst)
        taken.append(usable[worst])
    return taken


def _explained(columns: np.ndarray[tuple[int, int]], goal: np.ndarray[tuple[int]]) -> float:
    """Return the share of the variance that a linear fit explains."""
    if not columns.shape[1]:
        return 0.0
    scaled = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    centred = goal - goal.mean()
    weights, *_ = np.linalg.lstsq(scaled, centred, rcond=None)
    left = centred - scaled @ weights
    return float(1 - (left @ left) / (centred @ centred))
