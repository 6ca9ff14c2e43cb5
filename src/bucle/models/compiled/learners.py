"""What a fitted learner adds up: trees or weights, and what is made of their sum.

Reads attributes that scikit-learn keeps for itself, which is why nothing of this is used before
its answers were proved equal. Imports numpy; what it reads brings scikit-learn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bucle.models.compiled.form import Output
from bucle.models.compiled.trees import Members, Tree

__all__ = ["Learned", "NoForm", "read_learner", "started_at"]

_HALF_CLASSES = 2
_MOST_LEVELS = 256


class NoForm(Exception):  # noqa: N818  (an answer, not a fault)
    """There is no compiled form of an estimator, and why not."""


@dataclass(frozen=True)
class Learned:
    """A learner as data; features are the columns of the matrix it is given.

    The sum is divided by `share`. `levels` names the features that are levels of words, with those
    it knows: others are missing.
    `single` tells that it rounds its matrix to single precision; `known` and `finite` that it
    refuses a matrix with NaN or with an infinity.
    """

    offset: float
    output: Output
    trees: tuple[Tree, ...] = ()
    weights: NDArray[np.float64] | None = None
    share: float = 1.0
    levels: dict[int, frozenset[float]] = field(default_factory=dict)
    single: bool = False
    known: bool = False
    finite: bool = False


def read_learner(learner: Any, *, probability: bool) -> Learned:
    """Return what a learner adds up.

    Args:
        learner: Fitted.
        probability: Whether the probability of yes is asked for, not a number.

    Raises:
        NoForm: It is of a kind that is not known here; the reason says so in words.
    """
    kind = type(learner)
    reader = _READERS.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
    if reader is None:
        raise NoForm(f"`{kind.__name__}` has no compiled form")
    if probability != hasattr(learner, "predict_proba"):
        raise NoForm(f"`{kind.__name__}` does not give what is predicted")
    if probability and len(learner.classes_) != _HALF_CLASSES:
        raise NoForm(f"`{kind.__name__}` knows {len(learner.classes_)} classes instead of two")
    found: Learned = reader(learner)
    return found


def started_at(first: float, trees: Sequence[Tree]) -> tuple[Tree, ...]:
    """Return trees whose sum, added up in their order, begins with a number.

    Numbers are then added in the order in which the learner adds them, and the sum is the same to
    the last bit: σ may step exactly at a prediction.
    """
    if not trees:
        raise NoForm("it holds no trees")
    return (replace(trees[0], value=first + trees[0].value), *trees[1:])


# ---- histogram gradient boosting -----------------------------------------------

_LINKS: dict[str, Output] = {
    "IdentityLink": "same",
    "LogLink": "exp",
    "LogitLink": "probability",
}


def _boosted_histograms(learner: Any) -> Learned:
    link = type(learner._loss.link).__name__  # noqa: SLF001  (no public way)
    if link not in _LINKS:
        raise NoForm(f"`{type(learner).__name__}` with the link {link} has no compiled form")
    order, names = _histogram_features(learner)
    mapper = learner._bin_mapper  # noqa: SLF001  (no public way)
    levels = {
        int(order[at]): frozenset(names[int(at)][int(code)] for code in mapper.bin_thresholds_[at])
        for at in np.flatnonzero(mapper.is_categorical_)
    }
    trees = []
    for stage in learner._predictors:  # noqa: SLF001  (no public way)
        if len(stage) != 1:
            raise NoForm(f"`{type(learner).__name__}` gives more than one number a row")
        trees.append(_histogram_tree(stage[0], order, names))
    baseline = float(np.ravel(learner._baseline_prediction)[0])  # noqa: SLF001  (no public way)
    return Learned(
        offset=0.0,
        output=_LINKS[link],
        trees=started_at(baseline, trees),
        levels=levels,
    )


def _histogram_features(
    learner: Any,
) -> tuple[NDArray[np.int64], dict[int, dict[int, float]]]:
    """Return which column each inner feature is, and which value each inner level is."""
    wide = learner.n_features_in_
    is_level = learner._bin_mapper.is_categorical_  # noqa: SLF001  (no public way)
    encoder = getattr(learner, "_preprocessor", None)
    if encoder is None:
        names = {
            int(at): {n: float(n) for n in range(_MOST_LEVELS)} for at in np.flatnonzero(is_level)
        }
        return np.arange(wide), names
    outer = np.asarray(learner.is_categorical_)
    order = np.concatenate([np.flatnonzero(outer), np.flatnonzero(~outer)])
    names = {}
    for at, values in enumerate(encoder.named_transformers_["encoder"].categories_):
        if np.asarray(values).dtype.kind not in "fiu":
            raise NoForm(f"`{type(learner).__name__}` reads words by itself")
        names[at] = {code: float(value) for code, value in enumerate(values)}
    return order, names


def _histogram_tree(
    predictor: Any, order: NDArray[np.int64], names: dict[int, dict[int, float]]
) -> Tree:
    nodes = predictor.nodes
    members: dict[int, Members] = {}
    for node in np.flatnonzero(nodes["is_categorical"] & ~nodes["is_leaf"].astype(bool)):
        words = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]].astype("<u4")
        codes = np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))
        known = names[int(nodes["feature_idx"][node])]
        members[int(node)] = tuple(sorted(known[code] for code in codes.tolist() if code in known))
    return Tree(
        feature=order[nodes["feature_idx"].astype(np.int64)],
        threshold=nodes["num_threshold"].astype(np.float64),
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        nan_left=nodes["missing_go_to_left"].astype(bool),
        leaf=nodes["is_leaf"].astype(bool),
        value=nodes["value"].astype(np.float64),
        members=members,
        cover=nodes["count"].astype(np.float64),
    )


# ---- other trees ---------------------------------------------------------------


def _plain_tree(learner: Any, *, scale: float = 1.0, place: int = 0) -> Tree:
    """Return a tree of scikit-learn's; `place` says which of its values counts."""
    state = learner.tree_.__getstate__()
    nodes, values = state["nodes"], np.asarray(state["values"], dtype=np.float64)
    if values.shape[1] != 1:
        raise NoForm(f"`{type(learner).__name__}` gives more than one number a row")
    return Tree(
        feature=np.maximum(nodes["feature"].astype(np.int64), 0),
        threshold=nodes["threshold"].astype(np.float64),
        left=nodes["left_child"].astype(np.int64),
        right=nodes["right_child"].astype(np.int64),
        nan_left=nodes["missing_go_to_left"].astype(bool),
        leaf=nodes["left_child"] < 0,
        value=scale * values[:, 0, place],
        members={},
        cover=nodes["weighted_n_node_samples"].astype(np.float64),
    )


def _takes_nulls(learner: Any) -> bool:
    return bool(learner.__sklearn_tags__().input_tags.allow_nan)


def _averaged_trees(learner: Any) -> Learned:
    """Read a forest, or a tree alone: the mean of the trees' leaves."""
    trees = getattr(learner, "estimators_", [learner])
    probability = hasattr(learner, "predict_proba")
    return Learned(
        offset=0.0,
        output="same",
        trees=tuple(_plain_tree(tree, place=int(probability)) for tree in trees),
        share=float(len(trees)),
        single=True,
        known=not _takes_nulls(learner),
        finite=True,
    )


def _boosted_trees(learner: Any) -> Learned:
    link = type(learner._loss.link).__name__  # noqa: SLF001  (no public way)
    stages = learner.estimators_
    if link not in _LINKS or stages.shape[1] != 1:
        raise NoForm(f"`{type(learner).__name__}` with the link {link} has no compiled form")
    nothing = np.zeros((1, learner.n_features_in_), dtype=np.float32)
    if learner.init_ != "zero" and type(learner.init_).__name__ not in _CONSTANTS:
        raise NoForm(f"it starts from `{type(learner.init_).__name__}`")
    first = float(learner._raw_predict_init(nothing)[0, 0])  # noqa: SLF001  (no public way)
    trees = [_plain_tree(tree, scale=learner.learning_rate) for tree in stages[:, 0]]
    return Learned(
        offset=0.0,
        output=_LINKS[link],
        trees=started_at(first, trees),
        single=True,
        known=not _takes_nulls(learner),
        finite=True,
    )


_CONSTANTS = frozenset({"DummyClassifier", "DummyRegressor"})


# ---- weights -------------------------------------------------------------------


def _linear(learner: Any) -> Learned:
    weights = np.asarray(learner.coef_, dtype=np.float64)
    offset = np.ravel(np.asarray(learner.intercept_, dtype=np.float64))
    if weights.size != learner.n_features_in_ or offset.size != 1:
        raise NoForm(f"`{type(learner).__name__}` gives more than one number a row")
    return Learned(
        offset=float(offset[0]),
        output="probability" if hasattr(learner, "predict_proba") else "same",
        weights=weights.reshape(-1),
        known=True,
        finite=True,
    )


_READERS = {
    **dict.fromkeys(
        ("sklearn.HistGradientBoostingClassifier", "sklearn.HistGradientBoostingRegressor"),
        _boosted_histograms,
    ),
    **dict.fromkeys(
        ("sklearn.GradientBoostingClassifier", "sklearn.GradientBoostingRegressor"),
        _boosted_trees,
    ),
    **dict.fromkeys(
        (
            *("sklearn.DecisionTreeClassifier", "sklearn.DecisionTreeRegressor"),
            *("sklearn.ExtraTreesClassifier", "sklearn.ExtraTreesRegressor"),
            *("sklearn.RandomForestClassifier", "sklearn.RandomForestRegressor"),
        ),
        _averaged_trees,
    ),
    **dict.fromkeys(
        (
            *("sklearn.ElasticNet", "sklearn.Lasso", "sklearn.LinearRegression"),
            *("sklearn.LogisticRegression", "sklearn.Ridge"),
        ),
        _linear,
    ),
}
