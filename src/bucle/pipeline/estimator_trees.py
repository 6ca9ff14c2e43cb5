"""The inside of stored decision trees, checked before anything walks along it.

scikit-learn follows the child and feature numbers of a tree without checking them, so a damaged
or crafted tree could read outside its memory or never end. Imports numpy, nothing of Bucle but
the errors; scikit-learn's objects are recognised by their shape.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bucle.errors import PackageError

__all__ = ["check_trees"]

_LEAF = -1


def check_trees(estimator: object) -> int:
    """Check every decision tree inside an estimator and return how many there are.

    Children must come after their parent and exist, features must exist, leaf values must be
    finite: then each walk ends and stays inside.

    Raises:
        PackageError: A tree breaks one of these rules.
    """
    count = 0
    for found in _walk(estimator):
        if type(found).__name__ == "Tree" and type(found).__module__ == "sklearn.tree._tree":
            _check_tree(found)
            count += 1
        elif hasattr(found, "_predictors") and hasattr(found, "n_features_in_"):
            for stage in found._predictors:  # noqa: SLF001  (no public way to the trees)
                for tree in stage:
                    _check_boosted(tree, int(found.n_features_in_))
                    count += 1
    return count


def _check_tree(tree: Any) -> None:
    left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)
    inner = left != _LEAF
    _check_children(left[inner], right[inner], np.flatnonzero(inner), left.size)
    _check_range(np.asarray(tree.feature)[inner], int(tree.n_features), "feature")
    _check_finite(np.asarray(tree.value))


def _check_boosted(tree: Any, features: int) -> None:
    nodes = tree.nodes
    inner = nodes["is_leaf"] == 0
    _check_children(
        nodes["left"][inner].astype(np.int64),
        nodes["right"][inner].astype(np.int64),
        np.flatnonzero(inner),
        nodes.size,
    )
    _check_range(nodes["feature_idx"][inner], features, "feature")
    categorical = inner & (nodes["is_categorical"] != 0)
    for bitsets in (tree.raw_left_cat_bitsets, tree.binned_left_cat_bitsets):
        _check_range(nodes["bitset_idx"][categorical].astype(np.int64), len(bitsets), "category")
    _check_finite(nodes["value"])


def _check_children(left: Any, right: Any, parents: Any, size: int) -> None:
    for children in (left, right):
        if ((children <= parents) | (children >= size)).any():
            _refuse("a node's child is not one of the nodes after it")


def _check_range(values: Any, size: int, what: str) -> None:
    if ((values < 0) | (values >= size)).any():
        _refuse(f"a node splits on a {what} that does not exist")


def _check_finite(values: Any) -> None:
    if values.size == 0 or not np.isfinite(values).all():
        _refuse("a leaf's value is not a finite number")


def _refuse(cause: str) -> None:
    raise PackageError(
        "Cannot load an estimator: one of its decision trees is damaged",
        cause=cause,
        attempt="bucle run",
        code="bucle-164",
    )


def _walk(root: object) -> Iterator[Any]:
    """Yield everything reachable through attributes and containers, each object once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, (str, bytes, int, float, type)):
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple, set)):
            waiting.extend(item)
        elif isinstance(item, np.ndarray):
            if item.dtype == object:
                waiting.extend(item.ravel().tolist())
        else:
            waiting.extend(getattr(item, "__dict__", {}).values())
