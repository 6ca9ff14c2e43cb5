"""Naive predictions over a replay: what the same rows would have cost without any model."""

import numpy as np
import polars as pl

from bucle.clock import from_iso
from bucle.gates.baselines import BaselineColumns, last_labels
from bucle.loop.replay.archive import Archive
from bucle.loop.replay.material import Known
from bucle.loop.replay.outlook import Scale
from bucle.models.metrics import Floats

__all__ = ["naive_errors"]


def naive_errors(archive: Archive, final: Known, scale: Scale) -> dict[str, float]:
    """Return the error of naive predictions on the rows that got a label.

    `median` predicts the median of the labels known when a period began, for a yes/no target the
    share of yes; `last` the last label of the same key that was known when a row was due, and the
    median where there was none. `last` needs a key and a regression.

    Args:
        archive: The material.
        final: The labels that came in the end.
        scale: How errors are measured.
    """
    known = np.isfinite(final.labels) & (archive.period >= 0)
    middle = _medians(archive, final)
    guesses = {"median": middle}
    key = scale.gates.baseline_key
    if key and archive.kind == "regression":
        last = _last(archive, final, f"_beside {key}")
        guesses["last"] = np.where(np.isnan(last), middle, last)
    errors = {
        name: scale.error(archive.kind, final.labels[known], guess[known])
        for name, guess in guesses.items()
        if name in scale.gates.baselines and np.isfinite(guess[known]).all()
    }
    return {name: error for name, error in errors.items() if error is not None}


def _medians(archive: Archive, final: Known) -> Floats:
    found = np.full(final.labels.size, np.nan)
    middle = np.mean if archive.kind == "classification" else np.median
    moments = archive.survey.moments[archive.survey.first :]
    labels = final.rows["_label"].to_numpy()
    came, heard = (
        final.rows[name].dt.epoch("us").fill_null(2**62).to_numpy() for name in ("_at", "_known")
    )
    for number, moment in enumerate(moments):
        limit = round(from_iso(moment.at).timestamp() * 1e6)
        seen = labels[(came < limit) & (heard <= limit)]
        if seen.size:
            found[archive.period == number] = middle(seen)
    return found


def _last(archive: Archive, final: Known, key: str) -> Floats:
    rows = archive.rows.with_columns(pl.from_epoch("_at", "us").dt.replace_time_zone("UTC"))
    columns = BaselineColumns(target="_label", key=key, event_time="_at", label_time="_known")
    return last_labels(rows, final.rows, columns=columns)
