"""Naive predictions that stand beside every model: the middle of the labels, and the last label.

A baseline knows what was known when each prediction was due, and nothing later.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from msgspec import Struct

from bucle.errors import EvidenceError, UnknownNameError, nearest
from bucle.models.metrics import Floats, Kind

__all__ = ["BASELINES", "BaselineColumns", "last_labels", "predict_baselines"]

BASELINES = ("last", "median")


class BaselineColumns(Struct, frozen=True, kw_only=True):
    """Where a baseline finds what it needs in a frame of examples.

    `label_time` is when the label became known; None means at the event itself, and null means
    never. Without `key` or `event_time` there is no last label, and the baseline is not offered.
    """

    target: str
    key: str | None = None
    event_time: str | None = None
    label_time: str | None = None


def predict_baselines(
    names: Sequence[str],
    train: pl.DataFrame,
    newer: pl.DataFrame,
    *,
    columns: BaselineColumns,
    kind: Kind,
    history: pl.DataFrame | None = None,
) -> dict[str, Floats]:
    """Predict the newer rows without a model.

    `median` gives the median of the training labels, for a classification the share of yes. `last`
    gives the last label of the same key that was known when the prediction was due, and the
    median where there is none; for a classification it gives the rate of yes among training rows
    with the same last label, so that it is a probability as a model's is (one pseudo-row at the
    base rate keeps it off 0 and 1).

    Args:
        names: Baselines asked for, of `last` and `median`.
        train: Labelled rows that the model learned from; they fix every constant.
        newer: Rows to predict.
        columns: Where target, key and times are.
        kind: What is predicted.
        history: All labelled rows that `last` may look back on; train and newer by default.

    Returns:
        One array a baseline, shape (rows of newer,); `last` is left out where it has no key or no
        event time.

    Raises:
        UnknownNameError: There is no such baseline.
        EvidenceError: No training row has a label, or a column is missing.
    """
    for name in names:
        if name not in BASELINES:
            raise UnknownNameError(
                f"There is no baseline {name!r}",
                did_you_mean=nearest(name, BASELINES),
                attempt='[gates] baselines = ["median", "last"]',
                code="bucle-174",
            )
    labels = _labels(train, columns.target)
    middle = np.mean if kind == "classification" else np.median
    found: dict[str, Floats] = {}
    for name in names:
        if name == "last":
            if columns.key is None or columns.event_time is None:
                continue
            past = history if history is not None else _stack(train, newer, columns)
            last = last_labels(newer, past, columns=columns)
            if kind == "classification":
                last = _to_rates(last, last_labels(train, past, columns=columns), train, columns)
            found[name] = np.where(np.isnan(last), float(middle(labels)), last)
        else:
            found[name] = np.full(newer.height, float(middle(labels)))
    return found


def last_labels(rows: pl.DataFrame, history: pl.DataFrame, *, columns: BaselineColumns) -> Floats:
    """Return for each row the last label of its key that was known when it was due.

    Known means what an as-of view means: the labelled row's event is before the row's event, and
    its label became known at or before it. The last one is the one that became known last, of
    several at one moment that with the later event, of several such their median.

    Args:
        rows: Rows to look from.
        history: Labelled rows to look back on; may hold the rows themselves.
        columns: Where target, key and times are; key and event time must be set.

    Returns:
        Labels, shape (rows,); NaN where none was known, or key or event time is missing.

    Raises:
        EvidenceError: A column is missing, or a time column holds no times.
    """
    target, key, event, known = columns.target, columns.key, columns.event_time, columns.label_time
    if key is None or event is None:
        raise EvidenceError(
            "Cannot look back on the last label without a key and an event time",
            attempt='[gates] baseline_key = "..."',
            code="bucle-175",
        )
    due = _times(rows, event)
    asked = pl.DataFrame(
        {
            "row": np.arange(rows.height),
            "key": _column(rows, key).cast(pl.String, strict=False),
            "due": due,
        },
    ).drop_nulls()
    happened = _times(history, event)
    learned = happened if known is None else _times(history, known)
    past = (
        pl.DataFrame(
            {
                "key": _column(history, key).cast(pl.String, strict=False),
                "happened": happened,
                # One microsecond later than the event: "before" is strict, "known by" is not.
                "due": pl.select(pl.max_horizontal(learned, happened + 1)).to_series(),
                "label": _numbers(history, target),
            },
        )
        .filter(learned.is_not_null())
        .drop_nulls()
        .filter(pl.col("label").is_finite())
        .group_by("key", "due", "happened")
        .agg(pl.col("label").median())
        .sort("due", "happened", "key")
        .unique(["key", "due"], keep="last", maintain_order=True)
    )
    joined = asked.sort("due").join_asof(
        past.select("key", "due", "label"), on="due", by="key", check_sortedness=False
    )
    found = np.full(rows.height, np.nan)
    found[joined["row"].to_numpy()] = joined["label"].fill_null(np.nan).to_numpy()
    return found


def _to_rates(
    newer: Floats, older: Floats, train: pl.DataFrame, columns: BaselineColumns
) -> Floats:
    """Turn last labels into the rate of yes among training rows with the same last label."""
    labels = _numbers(train, columns.target).fill_null(np.nan).to_numpy()
    usable = np.isfinite(labels)
    base = float(labels[usable].mean())
    found = np.full(newer.shape, np.nan)
    for label in np.unique(newer[~np.isnan(newer)]):
        same = labels[usable & (older == label)]
        found[newer == label] = (same.sum() + base) / (same.size + 1.0)
    return found


def _stack(train: pl.DataFrame, newer: pl.DataFrame, columns: BaselineColumns) -> pl.DataFrame:
    names = (columns.target, columns.key, columns.event_time, columns.label_time)
    wanted = [name for name in dict.fromkeys(names) if name is not None]
    for frame in (train, newer):
        for name in wanted:
            _column(frame, name)
    return pl.concat([train.select(wanted), newer.select(wanted)], how="vertical_relaxed")


def _labels(frame: pl.DataFrame, target: str) -> Floats:
    values = _numbers(frame, target).drop_nulls().to_numpy()
    labels = np.asarray(values[np.isfinite(values)], dtype=np.float64)
    if labels.size == 0:
        raise EvidenceError(
            "Cannot make a baseline: no training row has a label",
            where=f"column {target}",
            code="bucle-176",
        )
    return labels


def _numbers(frame: pl.DataFrame, name: str) -> pl.Series:
    column = _column(frame, name)
    if not (column.dtype.is_numeric() or column.dtype in {pl.Boolean, pl.Null}):
        raise EvidenceError(
            f"Cannot make a baseline: the target is of type {column.dtype}",
            cause="a target is a number, or yes and no as Boolean",
            where=f"column {name}",
            code="bucle-177",
        )
    return column.cast(pl.Float64)


def _times(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a time column as microseconds since 1970."""
    column = _column(frame, name)
    if column.dtype == pl.Null:
        return column.cast(pl.Int64)
    if column.dtype != pl.Date and not isinstance(column.dtype, pl.Datetime):
        raise EvidenceError(
            f"Cannot make a baseline: the times are of type {column.dtype}",
            cause="a time column holds dates or dates with times",
            where=f"column {name}",
            code="bucle-179",
        )
    return column.dt.epoch("us")


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        raise EvidenceError(
            f"Cannot make a baseline: there is no column {name!r}",
            did_you_mean=nearest(name, frame.columns),
            code="bucle-178",
        )
    return frame[name]
