"""Say what each column adds to an answer of a compiled model.

Imports numpy; onnx only once there are trees to explain.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bucle.errors import PackageError
from bucle.models.compiled.contributions import Contributions, Reference, space_of
from bucle.models.compiled.encoder import Encoder
from bucle.models.compiled.forest import read_forest
from bucle.models.compiled.form import Form
from bucle.models.compiled.layout import width_of
from bucle.models.compiled.shapley import ForestGame

__all__ = ["Explainer"]

_Floats = NDArray[np.float64]


class Explainer:
    """Explains rows given as Python values in the signature's order.

    Safe for one thread at a time; shares nothing with the scorer.

    Args:
        form: The compiled form of the model.
        trees: ONNX file of the model; None where it is linear.
        reference: What its answers are compared with.

    Raises:
        PackageError: The parts do not fit together, or the trees are too deep.
    """

    def __init__(self, form: Form, *, trees: bytes | None, reference: Reference) -> None:
        self._encoder = Encoder(form)
        self._form = form
        self._owner = np.zeros(form.width, dtype=np.int64)
        for cell in form.cells:
            self._owner[cell.at : cell.at + width_of(cell)] = cell.source
        self._names = tuple(feature.name for feature in form.columns)
        self._game: _Game = _make_game(form, trees, reference)

    @property
    def work(self) -> int:
        """How many numbers are computed for a row."""
        return self._game.work

    def explain(self, rows: Sequence[Sequence[Any]]) -> list[Contributions]:
        """Return the contributions of each row's columns.

        Raises:
            PackageError: A row holds something the model cannot answer.
        """
        matrix = self._encoder.many(list(zip(*rows, strict=True)))
        return [self._explain(row) for row in matrix]

    def _explain(self, row: _Floats) -> Contributions:
        form, game = self._form, self._game
        with np.errstate(all="ignore"):  # what overflows is refused below
            added = game.values(row) / form.share
            columns = np.bincount(self._owner, added, minlength=len(self._names))
        if not np.isfinite(columns).all():
            raise PackageError(
                "Cannot explain this answer",
                cause="what a column adds is not a finite number",
                code="bucle-355",
            )
        return Contributions(
            base=(game.base + form.offset) / form.share,
            space=space_of(form.output),
            columns=dict(zip(self._names, columns.tolist(), strict=True)),
        )


class _WeightedGame:
    """Weights: a column adds what its value adds beyond its mean."""

    def __init__(self, weights: _Floats, means: _Floats) -> None:
        self._weights, self._means = weights, means
        self.base = float(weights @ means)
        self.work = weights.size

    def values(self, row: _Floats) -> _Floats:
        """Return what each column of the matrix adds, shape (width,)."""
        return self._weights * (row - self._means)


_Game = ForestGame | _WeightedGame


def _make_game(form: Form, trees: bytes | None, reference: Reference) -> _Game:
    if form.weights is None:
        if trees is None or reference.covers is None:
            raise _unfit("its trees, or how many rows came to their nodes, are missing")
        covers = np.asarray(reference.covers, dtype=np.float64)
        return ForestGame(read_forest(trees), covers, width=form.width)
    means = np.asarray(reference.means or (), dtype=np.float64)
    if means.shape != (form.width,) or not np.isfinite(means).all():
        raise _unfit("the means of its matrix are missing")
    return _WeightedGame(np.asarray(form.weights, dtype=np.float64), means)


def _unfit(cause: str) -> PackageError:
    return PackageError("Cannot explain the answers of a model", cause=cause, code="bucle-355")
