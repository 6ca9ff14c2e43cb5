"""Read a file of trees back into arrays, to say what each column adds to an answer.

Imports numpy; onnx only when a file is read.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bucle.errors import PackageError
from bucle.models.compiled.onnx_file import check_trees_file

__all__ = ["Forest", "read_forest"]

_MEMBER = 6
_Floats = NDArray[np.float64]
_Whole = NDArray[np.int64]
_Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Forest:
    """Every tree of a model: arrays by split, and the leaves' values.

    `child` has the shape (2, splits), where a row goes that takes the left way or the right one:
    the number of a split, or of a leaf where `ends` says so. `words` numbers the splits on sets;
    `holds` says for each of those, and each number in `known`, whether the set has it.
    """

    feature: _Whole
    threshold: _Floats
    nan_left: _Flags
    child: _Whole
    ends: _Flags
    value: _Floats
    words: _Whole
    known: _Floats
    holds: _Flags

    def goes_left(self, row: _Floats) -> _Flags:
        """Return for each split whether a row of the matrix takes its left way."""
        seen = row[self.feature]
        left = np.less_equal(seen, self.threshold)
        if self.words.size:
            on_sets = seen[self.words]
            at = np.minimum(np.searchsorted(self.known, on_sets), self.known.size - 1)
            is_known = self.known[at] == on_sets
            left[self.words] = self.holds[np.arange(self.words.size), at] & is_known
        return np.asarray(left | (np.isnan(seen) & self.nan_left))


def read_forest(content: bytes) -> Forest:
    """Return the trees of an ONNX file that Bucle has written.

    Raises:
        PackageError: The file holds anything else.
    """
    check_trees_file(content)
    found = _attributes(content)
    try:
        return _forest(found)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise _odd(f"{type(error).__name__}: {error}") from error


def _forest(found: dict[str, Any]) -> Forest:
    feature = np.asarray(found["nodes_featureids"], dtype=np.int64)
    splits = feature.size
    modes = np.asarray(found["nodes_modes"])
    value = np.asarray(found["leaf_weights"], dtype=np.float64)
    child = np.array([found["nodes_truenodeids"], found["nodes_falsenodeids"]], dtype=np.int64)
    ends = np.array([found["nodes_trueleafs"], found["nodes_falseleafs"]], dtype=np.int64) == 1
    threshold = np.asarray(found["nodes_splits"], dtype=np.float64)
    nan_left = np.asarray(found["nodes_missing_value_tracks_true"], dtype=np.int64) == 1
    shapes = {modes.shape, threshold.shape, nan_left.shape, child[0].shape, ends[0].shape}
    if shapes != {(splits,)} or value.ndim != 1:
        raise _odd("its arrays are of different lengths")
    words = np.flatnonzero(modes == _MEMBER)
    known, holds = _sets(np.asarray(found.get("membership_values", ()), dtype=float), words.size)
    if words.size and not known.size:
        raise _odd("its sets are empty")
    if (child < 0).any() or (child >= np.where(ends, value.size, splits)).any():
        raise _odd("a split leads nowhere")
    return Forest(feature, threshold, nan_left, child, ends, value, words, known, holds)


def _sets(values: _Floats, count: int) -> tuple[_Floats, _Flags]:
    """Return all numbers that are in any set, and which set has which; sets end with NaN."""
    ends = np.isnan(values)
    if int(ends.sum()) != count:
        raise _odd("its sets are not as many as its splits on sets")
    known = np.unique(values[~ends])
    holds = np.zeros((count, known.size), dtype=bool)
    owner = np.cumsum(ends) - ends
    holds[owner[~ends], np.searchsorted(known, values[~ends])] = True
    return known, holds


def _attributes(content: bytes) -> dict[str, Any]:
    import onnx  # noqa: PLC0415  (0.2 s, only where something is explained)
    from onnx import numpy_helper  # noqa: PLC0415  (as above)

    node = onnx.load_model_from_string(content).graph.node[0]
    return {
        one.name: numpy_helper.to_array(one.t) if one.HasField("t") else list(one.ints)
        for one in node.attribute
    }


def _odd(cause: str) -> PackageError:
    return PackageError(
        "Cannot read the trees of a compiled model", cause=cause[:200], code="bucle-312"
    )
