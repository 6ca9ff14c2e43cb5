"""How far the inputs of a window lie from a reference: the population stability index, by column.

A picture of change, not a test: without any change its mean is (bins - 1) (1/n + 1/m) for windows
of n and m rows (Yurdakul 2018), so that small windows alone lift it above the usual 0.2. Imports
numpy and polars.
"""

from typing import Any

import numpy as np
import polars as pl

from bucle.models.columns import column_kind
from bucle.models.metrics import Floats

__all__ = ["measure_distances", "reference_of"]

_DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_TOP = 20
_LEAST_SHARE = 1e-4


def reference_of(frame: pl.DataFrame) -> dict[str, Any]:
    """Return the bins of each column and the share of the rows in each, as JSON values.

    Numbers and times are cut at their distinct deciles, words into the 20 most frequent and the
    rest; missing values are a bin of their own. Columns of other kinds are left out.
    """
    found: dict[str, Any] = {}
    for column in frame.iter_columns():
        if column_kind(column.dtype) in {"number", "span", "date", "moment"}:
            values = _numbers(column)
            known = values[~np.isnan(values)]
            edges = sorted(set(np.quantile(known, _DECILES).tolist())) if known.size else []
            found[column.name] = {"edges": edges, "shares": _number_shares(values, edges)}
        elif column_kind(column.dtype) in {"word", "flag"}:
            counts = (
                column.drop_nulls()
                .cast(pl.String)
                .alias("word")
                .value_counts(name="count")
                .sort("count", "word", descending=[True, False])
            )
            words = counts["word"].head(_TOP).to_list()
            found[column.name] = {"words": words, "shares": _word_shares(column, words)}
    return found


def measure_distances(reference: dict[str, Any], frame: pl.DataFrame) -> dict[str, float]:
    """Return the population stability index of each column of the reference that a frame has.

    Σ (p - q) ln(p / q) over the bins, where p and q are the shares; empty bins count as 0.01 %.

    Example:
        >>> rows = pl.DataFrame({"size": list(range(100))})
        >>> measure_distances(reference_of(rows), rows)["size"]
        0.0
    """
    found: dict[str, float] = {}
    for name, known in reference.items():
        if name not in frame.columns or not frame.height:
            continue
        column = frame[name]
        now = (
            _number_shares(_numbers(column), known["edges"])
            if "edges" in known
            else _word_shares(column, known["words"])
        )
        before = np.maximum(np.asarray(known["shares"]), _LEAST_SHARE)
        after = np.maximum(np.asarray(now), _LEAST_SHARE)
        found[name] = float(np.sum((after - before) * np.log(after / before)))
    return found


def _numbers(column: pl.Series) -> Floats:
    """Return a column as floats, NaN where it is missing or not finite."""
    plain = column if column.dtype.is_numeric() else column.to_physical()
    values = plain.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64, copy=True)
    values[~np.isfinite(values)] = np.nan
    return values


def _number_shares(values: Floats, edges: list[float]) -> list[float]:
    missing = np.isnan(values)
    bins = np.searchsorted(np.asarray(edges), values[~missing], side="left")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    return [float(share) for share in np.append(counts, missing.sum()) / max(values.size, 1)]


def _word_shares(column: pl.Series, words: list[str]) -> list[float]:
    texts = column.cast(pl.String)
    counts = dict(texts.alias("word").value_counts(name="count").iter_rows())
    named = [counts.get(word, 0) for word in words]
    missing = counts.get(None, 0)
    rest = len(column) - sum(named) - missing
    return [count / max(len(column), 1) for count in (*named, rest, missing)]
