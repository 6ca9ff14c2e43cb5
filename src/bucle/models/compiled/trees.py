"""Fitted trees as one ONNX operator in double precision.

Imports numpy; onnx only when trees are written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Members", "Tree", "forest_bytes", "forest_covers", "forest_node", "reach"]

Members = tuple[float, ...]
_LEQ, _MEMBER = 0, 6
_OPSET, _IR = 5, 10
_NOBODY = -1.0  # a set has at least one member; no code of a level is negative


@dataclass(frozen=True)
class Tree:
    """One tree: arrays by node, the root first; `left`/`right` hold node numbers.

    A row goes left where its number is at most the threshold, or is in `members` where a node has
    them, or is NaN and `nan_left` says so. `cover` is how many rows came to each node in fitting.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    nan_left: NDArray[np.bool_]
    leaf: NDArray[np.bool_]
    value: NDArray[np.float64]
    members: dict[int, Members]
    cover: NDArray[np.float64]


class _Writer:
    """The attributes of the operator, filled tree by tree."""

    def __init__(self) -> None:
        self.ints: dict[str, list[int]] = {
            name: []
            for name in (
                "tree_roots",
                "nodes_featureids",
                "nodes_missing_value_tracks_true",
                "nodes_truenodeids",
                "nodes_trueleafs",
                "nodes_falsenodeids",
                "nodes_falseleafs",
                "leaf_targetids",
            )
        }
        self.modes: list[int] = []
        self.splits: list[float] = []
        self.leaves: list[float] = []
        self.members: list[float] = []
        self.split_covers: list[float] = []
        self.leaf_covers: list[float] = []

    def _split(
        self, feature: int, *, threshold: float, nan_left: bool, mode: int, cover: float
    ) -> int:
        self.ints["nodes_featureids"].append(feature)
        self.ints["nodes_missing_value_tracks_true"].append(int(nan_left))
        for name in ("true", "false"):
            self.ints[f"nodes_{name}nodeids"].append(0)
            self.ints[f"nodes_{name}leafs"].append(0)
        self.modes.append(mode)
        self.splits.append(threshold)
        self.split_covers.append(cover)
        return len(self.modes) - 1

    def _leaf(self, value: float, cover: float) -> int:
        self.leaves.append(value)
        self.leaf_covers.append(cover)
        self.ints["leaf_targetids"].append(0)
        return len(self.leaves) - 1

    def _join(self, at: int, side: str, child: int, *, leaf: bool) -> None:
        self.ints[f"nodes_{side}nodeids"][at] = child
        self.ints[f"nodes_{side}leafs"][at] = int(leaf)

    def add(self, tree: Tree, places: NDArray[np.int64]) -> None:
        if tree.leaf[0]:  # the operator wants a split at the root
            cover = float(tree.cover[0])
            root = self._split(0, threshold=0.0, nan_left=True, mode=_LEQ, cover=cover)
            leaf = self._leaf(float(tree.value[0]), cover)
            self._join(root, "true", leaf, leaf=True)
            self._join(root, "false", leaf, leaf=True)
            self.ints["tree_roots"].append(root)
            return
        pending: list[tuple[int, int, str]] = [(0, -1, "")]
        while pending:
            node, parent, side = pending.pop()
            if tree.leaf[node]:
                leaf = self._leaf(float(tree.value[node]), float(tree.cover[node]))
                self._join(parent, side, leaf, leaf=True)
                continue
            members = tree.members.get(node)
            at = self._split(
                int(places[tree.feature[node]]),
                threshold=0.0 if members is not None else float(tree.threshold[node]),
                nan_left=bool(tree.nan_left[node]),
                mode=_LEQ if members is None else _MEMBER,
                cover=float(tree.cover[node]),
            )
            if members is not None:
                self.members += [*(members or (_NOBODY,)), float("nan")]
            if parent < 0:
                self.ints["tree_roots"].append(at)
            else:
                self._join(parent, side, at, leaf=False)
            # The left one comes off first, so that nodes stand in depth-first order.
            pending += [(int(tree.right[node]), at, "false"), (int(tree.left[node]), at, "true")]


def forest_node(trees: Sequence[Tree], places: NDArray[np.int64], *, names: tuple[str, str]) -> Any:
    """Return the operator that adds up the trees' leaves, in double precision.

    Args:
        trees: What to add up.
        places: Where in the matrix each of the trees' features stands.
        names: Of its input and its output.
    """
    from onnx import helper, numpy_helper  # noqa: PLC0415  (only where trees are written)

    writer = _Writer()
    for tree in trees:
        writer.add(tree, places)
    tensors: dict[str, NDArray[Any]] = {
        "nodes_modes": np.asarray(writer.modes, dtype=np.uint8),
        "nodes_splits": np.asarray(writer.splits, dtype=np.float64),
        "leaf_weights": np.asarray(writer.leaves, dtype=np.float64),
    }
    if writer.members:
        tensors["membership_values"] = np.asarray(writer.members, dtype=np.float64)
    attributes: dict[str, Any] = {
        **{name: numpy_helper.from_array(values, name) for name, values in tensors.items()},
        **writer.ints,
    }
    return helper.make_node(
        "TreeEnsemble",
        [names[0]],
        [names[1]],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,
        post_transform=0,
        **attributes,
    )


def forest_covers(trees: Sequence[Tree], places: NDArray[np.int64]) -> tuple[float, ...]:
    """Return the covers of all splits, then of all leaves, in the order of their file."""
    writer = _Writer()
    for tree in trees:
        writer.add(tree, places)
    return (*writer.split_covers, *writer.leaf_covers)


def forest_bytes(trees: Sequence[Tree], places: NDArray[np.int64], *, width: int) -> bytes:
    """Return the trees as an ONNX model from a matrix `X` to their sum `Y`, the same each time."""
    from onnx import TensorProto, helper  # noqa: PLC0415  (only where trees are written)

    graph = helper.make_graph(
        [forest_node(trees, places, names=("X", "Y"))],
        "trees",
        [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, width])],
        [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, [None, 1])],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", _OPSET)], ir_version=_IR
    )
    return bytes(model.SerializeToString(deterministic=True))


def reach(tree: Tree, matrix: NDArray[np.float64]) -> dict[int, int]:
    """Return for each split the first row of the matrix that comes to it, where one does."""
    found: dict[int, int] = {}
    pending = [(0, np.arange(len(matrix)))]
    while pending:
        node, rows = pending.pop()
        if tree.leaf[node] or not rows.size:
            continue
        found[node] = int(rows[0])
        values = matrix[rows, tree.feature[node]]
        members = tree.members.get(node)
        if members is None:
            left = values <= tree.threshold[node]
        else:
            left = np.isin(values, np.asarray(members))
        left |= np.isnan(values) & tree.nan_left[node]
        pending += [(int(tree.left[node]), rows[left]), (int(tree.right[node]), rows[~left])]
    return found
