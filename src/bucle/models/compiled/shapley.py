"""Shapley values of trees and of weights: what each column of a matrix adds to an answer.

Where a column is left out of a game, both ways of a split are followed, in the shares in which the
rows it was fitted on went: path-dependent TreeSHAP (Lundberg et al., arXiv 1802.03888). At a leaf
such a game is a product over the columns on its path, so that a column's share is the integral
from 0 to 1 of a polynomial in one unknown, which Gauss and Legendre's points give exactly, without
going over the subsets. Imports numpy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bucle.errors import PackageError
from bucle.models.compiled.forest import Forest

__all__ = ["ForestGame"]

_MOST_STEPS = 20_000_000
_DEEPEST = 4096
_Floats = NDArray[np.float64]
_Whole = NDArray[np.int64]


@dataclass(frozen=True)
class _Steps:
    """Every step of every path from a root to a leaf, those of one leaf and column together.

    `starts` says where each such group begins; `share` is the part of the rows that took a step.
    """

    leaf: _Whole
    place: _Whole
    split: _Whole
    left: NDArray[np.bool_]
    share: _Floats
    starts: _Whole


@dataclass(frozen=True)
class _Bundle:
    """Leaves whose paths know the same number of columns: arrays of shape (columns, leaves)."""

    groups: _Whole
    place: _Whole
    share: _Floats
    value: _Floats
    points: _Floats
    weights: _Floats


class ForestGame:
    """The game that the trees of a model play for one row.

    Args:
        forest: The trees.
        covers: How many rows it was fitted on came to each split, then to each leaf.
        width: How wide the matrix is.

    Raises:
        PackageError: These are not the covers of such trees, or the trees are too deep to explain.
    """

    def __init__(self, forest: Forest, covers: _Floats, *, width: int) -> None:
        if (forest.feature < 0).any() or (forest.feature >= width).any():
            raise _odd("a split asks for a column that is not there")
        self._forest = forest
        self._width = width
        self._steps = _walk(forest, covers)
        steps = self._steps
        share = np.multiply.reduceat(steps.share, steps.starts) if steps.leaf.size else steps.share
        leaf, place = steps.leaf[steps.starts], steps.place[steps.starts]
        count = np.bincount(leaf, minlength=forest.value.size)
        first = np.cumsum(count) - count
        self._bundles = []
        for columns in np.unique(count[count > 0]).tolist():
            leaves = np.flatnonzero(count == columns)
            groups = first[leaves] + np.arange(columns)[:, None]
            points, weights = np.polynomial.legendre.leggauss((columns + 1) // 2)
            self._bundles.append(
                _Bundle(
                    groups=groups,
                    place=place[groups],
                    share=share[groups],
                    value=forest.value[leaves],
                    points=((points + 1) / 2)[:, None],
                    weights=(weights / 2)[:, None],
                )
            )
        alone = float(forest.value[count == 0].sum())
        self.base = alone + sum(
            float((bundle.value * bundle.share.prod(axis=0)).sum()) for bundle in self._bundles
        )

    @property
    def work(self) -> int:
        """How many numbers are computed for a row, which is what its time goes with."""
        return self._steps.leaf.size + sum(
            bundle.groups.size * bundle.points.size for bundle in self._bundles
        )

    def values(self, row: _Floats) -> _Floats:
        """Return what each column of the matrix adds to a row's sum, shape (width,).

        With `base` they add up to the sum of the trees.
        """
        found = np.zeros(self._width)
        steps = self._steps
        if not steps.leaf.size:
            return found
        taken = self._forest.goes_left(row)[steps.split] == steps.left
        joins = np.logical_and.reduceat(taken, steps.starts).astype(np.float64)
        for bundle in self._bundles:
            present = joins[bundle.groups]
            added = bundle.value * (present - bundle.share) * _integrals(bundle, present)
            found += np.bincount(bundle.place.ravel(), added.ravel(), minlength=self._width)
        return found


def _integrals(bundle: _Bundle, present: _Floats) -> _Floats:
    """Return for each column the integral of the product of the others' factors."""
    factors = present[:, None] * bundle.points + bundle.share[:, None] * (1 - bundle.points)
    # Shares are positive and no point is 1, so that no factor is 0.
    whole = np.multiply.reduce(factors, axis=0) * bundle.weights
    return np.asarray((whole / factors).sum(axis=1))


def _walk(forest: Forest, covers: _Floats) -> _Steps:
    """Climb from all leaves to their roots at once."""
    splits, leaves = forest.feature.size, forest.value.size
    fits = covers.shape == (splits + leaves,) and leaves > 0
    if not fits or not (np.isfinite(covers) & (covers > 0)).all():
        raise _odd("it does not know how many rows came to each of its nodes")
    parent, is_left = _parents(forest)
    leaf, node = np.arange(leaves), np.arange(splits, splits + leaves)
    parts: list[tuple[_Whole, ...]] = []
    left: list[NDArray[np.bool_]] = []
    share: list[_Floats] = []
    total = 0
    while leaf.size:
        above = parent[node]
        leaf, node, above = leaf[above >= 0], node[above >= 0], above[above >= 0]
        total += leaf.size
        if len(parts) > _DEEPEST or total > _MOST_STEPS:
            raise _odd("its trees are too deep")
        parts.append((leaf, forest.feature[above], above))
        left.append(is_left[node])
        share.append(covers[node] / covers[above])
        node = above
    whole = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((whole[1], whole[0]))
    leaf, place, split = (column[order] for column in whole)
    new = np.ones(leaf.size, dtype=bool)
    new[1:] = (leaf[1:] != leaf[:-1]) | (place[1:] != place[:-1])
    return _Steps(
        leaf=leaf,
        place=place,
        split=split,
        left=np.concatenate(left)[order],
        share=np.concatenate(share)[order],
        starts=np.flatnonzero(new),
    )


def _parents(forest: Forest) -> tuple[_Whole, NDArray[np.bool_]]:
    """Return the split above each split, then above each leaf, -1 for none; and on which side."""
    splits = forest.feature.size
    parent = np.full(splits + forest.value.size, -1, dtype=np.int64)
    is_left = np.zeros(parent.size, dtype=bool)
    node = np.where(forest.ends, forest.child + splits, forest.child)
    # A tree without splits is written as a split with the same leaf on both sides.
    real = node[0] != node[1]
    above = np.flatnonzero(real)
    below = node[:, real]
    if np.unique(below).size != below.size:
        raise _odd("two splits lead to the same place")
    parent[below] = above
    is_left[below[0]] = True
    return parent, is_left


def _odd(cause: str) -> PackageError:
    return PackageError("Cannot explain the answers of a model", cause=cause, code="bucle-355")
