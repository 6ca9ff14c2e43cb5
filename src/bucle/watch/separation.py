"""Whether a classifier can tell the last days' rows from those of the reference, and by what.

The two-sample test of a classifier (Lopez-Paz & Oquab 2017), with days left out whole, because rows
of one day resemble each other. An explanation, never an alarm. Imports numpy and scipy; when
asked, scikit-learn.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.stats import rankdata

from bucle.models.metrics import Floats
from bucle.watch.sample import Sample
from bucle.watch.yardsticks import Yardstick

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

__all__ = ["SeparatingColumn", "Separation", "separate_days"]

_EPOCH = date(1970, 1, 1)
_WEEK = 7
_FOLDS = 3
_LEAST_DAYS = 2
_LEAST_ROWS = 50
_TREES = 40
_LEAVES = 4
_RATE = 0.1
_BINS = 32
_SHOWN = 5
_NOTHING = 0.005


class SeparatingColumn(Struct, frozen=True, kw_only=True):
    """One column, and by how much the AUC falls when its values are shuffled."""

    column: str
    share: float


class Separation(Struct, frozen=True, kw_only=True):
    """How well the last days are told from the reference: 0.5 is not at all, 1 entirely.

    `auc` is measured on days that the classifier has not seen; `natural` is the highest of those
    that weeks of the reference itself reach against its other weeks, over `compared` of them, None
    where there are too few. `columns` are those that tell most, first. `until` is the last day that
    was told from the reference.
    """

    auc: float
    natural: float | None
    compared: int
    rows: int
    reference_rows: int
    until: str
    columns: tuple[SeparatingColumn, ...] = ()


def separate_days(
    reference: Sample,
    window: Sample,
    sticks: Sequence[Yardstick],
    *,
    before: Separation | None = None,
) -> Separation | None:
    """Tell a window from the reference by small trees; None where either has too little.

    Days are dealt to three folds; each is scored by trees that have seen none of its days. Two
    samples without any difference have an AUC near 0.5, but days of one week resemble each other,
    so the weeks of the reference say which AUC nature alone reaches.

    Args:
        reference: Weeks of the reference, as `thin_weeks` returns them.
        window: The last days.
        sticks: What the columns of both are.
        before: What was found of another window against the same reference: what its weeks reach
            against each other is the same then, and is most of the work.
    """
    if not _is_enough(window) or not _is_enough(reference) or not sticks:
        return None
    # Limits hold for libraries that are there already.
    import_module("sklearn.ensemble")
    limits = import_module("threadpoolctl").threadpool_limits

    words = [at for at, stick in enumerate(sticks) if stick.words]
    # Threads that wait for each other cost more than they bring to trees as small as these.
    with limits(1):
        auc, drops = _tell_apart(reference, window, words, columns=len(sticks))
        natural, compared = (
            _among_weeks(reference, words) if before is None else (before.natural, before.compared)
        )
    order = np.argsort(-drops, kind="stable")[:_SHOWN]
    return Separation(
        auc=auc,
        natural=natural,
        compared=compared,
        rows=int(window.dates.size),
        reference_rows=int(reference.dates.size),
        until=str(_EPOCH + timedelta(days=int(window.dates.max()))),
        columns=tuple(
            SeparatingColumn(column=sticks[at].column, share=float(drops[at]))
            for at in order.tolist()
            if drops[at] > _NOTHING
        ),
    )


def _among_weeks(reference: Sample, words: Sequence[int]) -> tuple[float | None, int]:
    """Return how well a week of the reference is told from its others at most, of how many."""
    weeks = reference.dates // _WEEK
    found = []
    for week in np.unique(weeks):
        inside, outside = reference.take(weeks == week), reference.take(weeks != week)
        if _is_enough(inside) and _is_enough(outside):
            found.append(_tell_apart(outside, inside, words, columns=0)[0])
    return max(found, default=None), len(found)


def _tell_apart(
    reference: Sample, window: Sample, words: Sequence[int], *, columns: int
) -> tuple[float, Floats]:
    """Return the AUC on unseen days, and by how much it falls without each of the columns."""
    values = np.vstack([reference.values, window.values])
    is_window = np.repeat([0, 1], [reference.dates.size, window.dates.size])
    folds = np.concatenate([_folds(reference.dates), _folds(window.dates)])
    scores = np.zeros(is_window.size)
    shuffled = np.zeros((is_window.size, columns))
    rng = np.random.default_rng(0)
    for fold in np.unique(folds[is_window == 1]):
        seen, unseen = folds != fold, folds == fold
        learner = _learner(words).fit(values[seen], is_window[seen])
        scores[unseen] = learner.decision_function(values[unseen])
        for column in range(columns):
            changed = values[unseen].copy()
            changed[:, column] = rng.permutation(changed[:, column])
            shuffled[unseen, column] = learner.decision_function(changed)
    scored = np.isin(folds, np.unique(folds[is_window == 1]))
    truth, scores, folds = is_window[scored], scores[scored], folds[scored]
    whole = _auc(truth, scores, folds)
    drops = [whole - _auc(truth, shuffled[scored, column], folds) for column in range(columns)]
    return whole, np.asarray(drops, dtype=np.float64)


def _auc(truth: NDArray[np.int64], scores: Floats, folds: NDArray[np.int64]) -> float:
    """Return the mean AUC of the folds, by their rows; learners of folds have other scales."""
    total, weight = 0.0, 0
    for fold in np.unique(folds):
        own = folds == fold
        yes = int(truth[own].sum())
        no = int(own.sum()) - yes
        if not yes or not no:
            continue
        ranks = rankdata(scores[own])
        above = float(ranks[truth[own] == 1].sum()) - yes * (yes + 1) / 2
        total += above / (yes * no) * float(own.sum())
        weight += int(own.sum())
    return float(total / weight) if weight else 0.5


def _learner(words: Sequence[int]) -> "HistGradientBoostingClassifier":
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  (3 s, only when asked)

    return HistGradientBoostingClassifier(
        learning_rate=_RATE,
        max_iter=_TREES,
        max_leaf_nodes=_LEAVES,
        max_bins=_BINS,
        min_samples_leaf=_LEAST_ROWS,
        categorical_features=list(words) or None,
        class_weight="balanced",
        early_stopping=False,
        random_state=0,
    )


def _folds(dates: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal days to folds in turn."""
    _, place = np.unique(dates, return_inverse=True)
    return np.asarray(place % _FOLDS, dtype=np.int64)


def _is_enough(sample: Sample) -> bool:
    return np.unique(sample.dates).size >= _LEAST_DAYS and sample.dates.size >= _LEAST_ROWS
