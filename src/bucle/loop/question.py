"""What a model is asked: the rows it is asked about, what is true of them, and what errors cost.

Read by the built-in steps that package and judge a model; imported in workers alone.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from msgspec import Struct

from bucle.charter.settings import Money
from bucle.loop.views import keep_newer
from bucle.models.metrics import Cost, Floats
from bucle.models.money import cost_function
from bucle.models.prediction import encode_labels

__all__ = ["Question"]


class Question(Struct, frozen=True, kw_only=True):
    """What is predicted, from which columns, and how an error counts.

    `features` is empty for every column of the examples but the `hidden` ones (keys and labels),
    the target and the times. `cut` is where training ended; None when rows carry no event time.
    """

    kind: Literal["regression", "classification"]
    target: str
    features: tuple[str, ...]
    hidden: tuple[str, ...]
    event_time: str | None
    label_time: str | None
    cut: str | None
    threshold: float
    money: Money
    seed: int

    def feature_names(self, frame: pl.DataFrame) -> list[str]:
        """Return the columns a prediction may use."""
        if self.features:
            return list(self.features)
        hidden = {*self.hidden, self.target, self.event_time, self.label_time}
        return [name for name in frame.columns if name not in hidden]

    def labelled(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose label is known, in the order of their event time."""
        known = pl.col(self.target).is_not_null()
        if frame.schema[self.target].is_float():
            known &= pl.col(self.target).is_finite()
        rows = frame.filter(known)
        if self.event_time is not None and self.event_time in rows.columns:
            rows = rows.sort(self.event_time, maintain_order=True)
        return rows

    def unseen(self, newer: pl.DataFrame, *, after: str | None = None) -> pl.DataFrame:
        """Return the labelled rows that neither this training nor another one has seen."""
        rows = keep_newer(newer, event_time=self.event_time, cut=self.cut)
        return self.labelled(keep_newer(rows, event_time=self.event_time, cut=after))

    def truth(self, rows: pl.DataFrame, classes: tuple[str, ...]) -> Floats:
        """Return the labels as numbers; 1 for yes."""
        labels = rows[self.target]
        if self.kind == "classification":
            return encode_labels(labels, classes)
        return np.asarray(labels.cast(pl.Float64).to_numpy(), dtype=np.float64)

    def cost(self, root: Path) -> Cost:
        """Return what an error costs."""
        return cost_function(self.money, root=root, threshold=self.threshold)
