"""The reference profile: what each column looked like in the rows a model was fitted on.

Plain JSON values, so that a later window can be compared without the rows. Imports numpy and
polars; sums are taken in numpy, on one thread, so that the same rows give the same bytes.
"""

from typing import Any

import numpy as np
import polars as pl

from bucle.clock import to_iso
from bucle.models.columns import column_kind
from bucle.models.metrics import Floats

__all__ = ["profile_of", "sample_rows"]

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TRIM = (0.05, 0.95)
_TOP = 20
_MOST_BYTES = 100_000
_SAMPLE = 2
_LARGEST = 1e300


def profile_of(frame: pl.DataFrame) -> dict[str, Any]:
    """Return what each column of a frame looks like, as JSON values.

    Numbers: nulls, values that are not finite, least and greatest, quantiles, mean and standard
    deviation of the values cut at the 5 % and 95 % quantiles (winsorised, so that a few wild
    values do not move them). Words: the 20 most frequent with their counts, the rest, how many
    different, and the other words where 100 kB hold them. Yes/no: how many yes. Dates and moments:
    first and last.

    Example:
        >>> profile_of(pl.DataFrame({"size": [1, 2, None]}))["columns"]["size"]["nulls"]
        1
    """
    return {
        "rows": frame.height,
        "columns": {column.name: _describe(column) for column in frame.iter_columns()},
    }


def sample_rows(profile: dict[str, Any], dtypes: dict[str, pl.DataType]) -> pl.DataFrame:
    """Return two typical rows made from a profile.

    They serve to try a model without any data at hand.

    Args:
        profile: As `profile_of` returns it.
        dtypes: The columns wanted and their types.
    """
    columns = []
    for name, dtype in dtypes.items():
        known = profile.get("columns", {}).get(name, {})
        values = [*_typical(known), None, None][:_SAMPLE]
        columns.append(_of_type(pl.Series(name, values), known.get("kind"), dtype))
    return pl.DataFrame(columns)


def _of_type(values: pl.Series, kind: str | None, dtype: pl.DataType) -> pl.Series:
    """Turn what JSON could say back into a column's type."""
    if kind in ("date", "moment") and values.dtype == pl.String:
        values = values.str.to_datetime(time_unit="us", time_zone="UTC")
    if kind == "span":
        per_second = 1e9 if dtype == pl.Time else 1e6
        whole = (values.cast(pl.Float64) * per_second).round().cast(pl.Int64)
        values = whole.cast(pl.Time if dtype == pl.Time else pl.Duration("us"))
    return values.cast(dtype, strict=False)


def _typical(known: dict[str, Any]) -> list[Any]:
    kind = known.get("kind")
    if kind in ("number", "span"):
        quantiles = known.get("quantiles") or {}
        return [quantiles[key] for key in ("0.25", "0.75") if key in quantiles]
    if kind == "word":
        return [word for word, _ in known.get("top", [])]
    if kind == "flag":
        return [True, False]
    return [known[key] for key in ("first", "last") if known.get(key)]


def _describe(column: pl.Series) -> dict[str, Any]:
    kind = column_kind(column.dtype)
    found: dict[str, Any] = {"kind": kind or "other", "nulls": column.null_count()}
    if column.null_count() == len(column):
        return found
    if kind == "number":
        found |= _describe_numbers(column.cast(pl.Float64).drop_nulls().to_numpy())
    elif kind == "span":
        seconds = (
            column.cast(pl.Int64).cast(pl.Float64) / 1e9
            if column.dtype == pl.Time
            else column.dt.total_microseconds().cast(pl.Float64) / 1e6
        )
        found |= _describe_numbers(seconds.drop_nulls().to_numpy())
    elif kind == "word":
        found |= _describe_words(column.cast(pl.String))
    elif kind == "flag":
        found["yes"] = int(column.sum())
    elif kind in ("date", "moment"):
        moments = column.cast(pl.Datetime("us")).drop_nulls()
        found["first"], found["last"] = (_iso(moments.min()), _iso(moments.max()))
    return found


def _describe_numbers(values: Floats) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    found: dict[str, Any] = {"not_finite": int(values.size - finite.size)}
    if not finite.size:
        return found
    finite = np.clip(finite, -_LARGEST, _LARGEST)
    low, high = np.quantile(finite, _TRIM)
    # Scaled to 1 first: squares of huge values would overflow.
    unit = max(abs(float(low)), abs(float(high))) or 1.0
    trimmed = np.clip(finite, low, high) / unit
    found["low"], found["high"] = float(finite.min()), float(finite.max())
    found["quantiles"] = {
        f"{share:g}": float(value)
        for share, value in zip(_QUANTILES, np.quantile(finite, _QUANTILES), strict=True)
    }
    found["mean"], found["deviation"] = float(trimmed.mean()) * unit, float(trimmed.std()) * unit
    return found


def _describe_words(column: pl.Series) -> dict[str, Any]:
    counts = (
        column.drop_nulls()
        .alias("word")
        .value_counts(name="count")
        .sort("count", "word", descending=[True, False])
    )
    top = counts.head(_TOP)
    others = counts.get_column("word")[_TOP:].sort()
    listed = others.str.len_bytes().sum() <= _MOST_BYTES
    return {
        "top": [list(row) for row in top.iter_rows()],
        "rest": sum(counts.get_column("count").to_list()[_TOP:]),
        "different": counts.height,
        "others": others.to_list() if listed else [],
    }


def _iso(moment: Any) -> str:
    return to_iso(moment)
