"""The default learner: boosted trees on mixed columns, with everything inside for serving.

Imports scikit-learn, which is slow: only processes that train or predict import this module.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from bucle.errors import PackageError
from bucle.models.columns import Columns

__all__ = ["TabularClassifier", "TabularRegressor", "tabular"]

_SKEWED = 1.0
_CLASSES = 2
_PROOF_ROWS = 1000


def tabular(
    *,
    kind: Literal["regression", "classification"] = "regression",
    log_target: bool | None = None,
    learning_rate: float = 0.08,
    max_iter: int = 200,
    seed: int = 0,
    categories: Sequence[str] = (),
) -> "TabularRegressor | TabularClassifier":
    """Return the default learner, unfitted: `tabular().fit(frame, labels)`.

    It takes a polars frame with numbers, words, yes/no, dates and nulls as they are; words never
    seen before are no error. The same rows and seed give the same model, whatever the number of
    processors.

    Args:
        kind: What is predicted: a number, or the probability of yes.
        log_target: Learn the logarithm of the label, as fits positive, skewed money. None
            decides from the labels; the decision is kept as `log_target_`.
        learning_rate: How much each tree adds.
        max_iter: How many trees.
        seed: Of the learner's random numbers.
        categories: Number columns that are codes, not quantities.

    Example:
        >>> import polars as pl
        >>> rows = pl.DataFrame({"size": [1, 2, 3] * 20, "kind": ["a", "b", None] * 20})
        >>> model = tabular(max_iter=5).fit(rows, [10.0, 20.0, 30.0] * 20)
        >>> model.predict(rows).shape
        (60,)
    """
    if kind == "classification":
        return TabularClassifier(
            learning_rate=learning_rate, max_iter=max_iter, seed=seed, categories=categories
        )
    return TabularRegressor(
        log_target=log_target,
        learning_rate=learning_rate,
        max_iter=max_iter,
        seed=seed,
        categories=categories,
    )


class _Trees(BaseEstimator):  # type: ignore[misc]  # untyped library
    """What both learners share: their settings, and boosted trees on mixed columns."""

    def __init__(
        self,
        *,
        learning_rate: float = 0.08,
        max_iter: int = 200,
        seed: int = 0,
        categories: Sequence[str] = (),
    ) -> None:
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.seed = seed
        self.categories = categories

    def _learn(self, learner: Any, features: pl.DataFrame, target: NDArray[Any]) -> Self:
        """Fit a class of learners on the columns as numbers."""
        self.columns_ = Columns(self.categories).fit(features)
        matrix = self.columns_.transform(features)
        trees = learner(
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            random_state=self.seed,
            early_stopping=False,
            categorical_features=list(range(self.columns_.words)) or None,
        )
        self.learner_ = _lightened(trees.fit(matrix, target), matrix)
        return self

    def _matrix(self, features: pl.DataFrame) -> NDArray[np.float64]:
        """Return the columns as numbers, once there is a learner for them."""
        if not hasattr(self, "learner_"):
            raise PackageError(
                f"Cannot predict: {type(self).__name__} has not been fitted",
                attempt="return tabular().fit(frame, labels) from the step",
                code="bucle-166",
            )
        return self.columns_.transform(features)


class TabularRegressor(RegressorMixin, _Trees):  # type: ignore[misc]  # untyped library
    """Predict a number from mixed columns.

    With a logarithmic target it predicts the median rather than the mean of a skewed label,
    which is what WAPE, MAE and MdAPE ask for.

    Args:
        log_target: Learn the logarithm; None decides from the labels at fitting.
        learning_rate: How much each tree adds.
        max_iter: How many trees.
        seed: Of the learner's random numbers.
        categories: Number columns that are codes, not quantities.
    """

    def __init__(
        self,
        *,
        log_target: bool | None = None,
        learning_rate: float = 0.08,
        max_iter: int = 200,
        seed: int = 0,
        categories: Sequence[str] = (),
    ) -> None:
        self.log_target = log_target
        super().__init__(
            learning_rate=learning_rate, max_iter=max_iter, seed=seed, categories=categories
        )

    def fit(self, features: pl.DataFrame, labels: Any) -> Self:
        """Learn from rows whose labels are known.

        Raises:
            PackageError: A label is missing or not a finite number, or the rows do not fit them.
        """
        target = _numbers(labels, rows=features.height)
        if self.log_target and not (target > 0).all():
            raise _unfit(
                f"{int((target <= 0).sum())} labels are not positive and have no logarithm",
                attempt="tabular(log_target=False)",
            )
        self.log_target_ = _is_skewed(target) if self.log_target is None else self.log_target
        scaled = np.log(target) if self.log_target_ else target
        return self._learn(HistGradientBoostingRegressor, features, scaled)

    def predict(self, features: pl.DataFrame) -> NDArray[np.float64]:
        """Return one number a row, shape (rows,)."""
        matrix = self._matrix(features)
        raw = self.learner_.predict(matrix)
        return np.asarray(np.exp(raw) if self.log_target_ else raw, dtype=np.float64)


class TabularClassifier(ClassifierMixin, _Trees):  # type: ignore[misc]  # untyped library
    """Predict yes or no, and how probable yes is, from mixed columns.

    The greater of the two labels is yes: True, 1, "yes".

    Args:
        learning_rate: How much each tree adds.
        max_iter: How many trees.
        seed: Of the learner's random numbers.
        categories: Number columns that are codes, not quantities.
    """

    def fit(self, features: pl.DataFrame, labels: Any) -> Self:
        """Learn from rows whose labels are known; there must be exactly two classes.

        Raises:
            PackageError: A label is missing, or there are not two classes.
        """
        series = labels if isinstance(labels, pl.Series) else pl.Series(values=labels)
        _check_labels(series, rows=features.height)
        classes = series.unique().sort().to_list()
        if len(classes) == 1:
            raise _unfit(
                f"all {len(series):,} labels are {classes[0]!r}",
                attempt="older rows with the other answer, or a smaller holdout in [gates]",
            )
        if len(classes) != _CLASSES:
            raise _unfit(
                f"the labels hold {len(classes)} different values instead of two",
                attempt="derive a yes/no column, or kind='regression'",
            )
        self.classes_ = np.asarray(classes)
        is_yes = (series == classes[1]).cast(pl.Int8).to_numpy()
        return self._learn(HistGradientBoostingClassifier, features, is_yes)

    def predict_proba(self, features: pl.DataFrame) -> NDArray[np.float64]:
        """Return the probabilities of no and yes, shape (rows, 2)."""
        matrix = self._matrix(features)
        found = self.learner_.predict_proba(matrix)
        return np.asarray(found, dtype=np.float64)

    def predict(self, features: pl.DataFrame) -> NDArray[Any]:
        """Return the more probable label of each row, shape (rows,)."""
        yes = self.predict_proba(features)[:, 1] >= 1 / _CLASSES
        return np.asarray(self.classes_[yes.astype(int)])


def _is_skewed(target: NDArray[np.float64]) -> bool:
    """Tell whether labels are positive and so skewed that their logarithm is the better scale."""
    if target.size == 0 or not (target > 0).all():
        return False
    plain, logged = _skewness(target), _skewness(np.log(target))
    return plain > _SKEWED and abs(logged) < plain / 2


def _skewness(values: NDArray[np.float64]) -> float:
    largest = float(np.abs(values).max()) or 1.0
    centred = values / largest - float((values / largest).mean())
    spread = float(np.sqrt(np.mean(centred**2)))
    if spread <= np.finfo(np.float64).eps:
        return 0.0
    return float(np.mean((centred / spread) ** 3))


def _lightened(learner: Any, matrix: NDArray[np.float64]) -> Any:
    """Take out the learner's own encoder, which halves the latency of a single row.

    Columns already hands it dense level numbers, so the encoder maps each number to itself. Kept
    where a sample of the training rows does not come out the same without it.
    """
    encoder = getattr(learner, "_preprocessor", None)
    if encoder is None:
        return learner
    sample = matrix[:_PROOF_ROWS]
    before = learner.predict(sample)
    learner._preprocessor = None  # noqa: SLF001  (no public switch)
    if not np.array_equal(before, learner.predict(sample)):
        learner._preprocessor = encoder  # noqa: SLF001  (as above)
    return learner


def _numbers(labels: Any, *, rows: int) -> NDArray[np.float64]:
    series = labels if isinstance(labels, pl.Series) else pl.Series(values=labels)
    _check_labels(series, rows=rows)
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        raise _unfit(
            f"the labels are of type {series.dtype}, not numbers",
            attempt="tabular(kind='classification') or cast the column",
        )
    target = series.cast(pl.Float64).to_numpy()
    if bad := int((~np.isfinite(target)).sum()):
        raise _unfit(f"{bad} labels are not finite numbers", attempt="filter these rows")
    return np.asarray(target, dtype=np.float64)


def _check_labels(series: pl.Series, *, rows: int) -> None:
    if len(series) != rows:
        raise _unfit(f"there are {rows} rows and {len(series)} labels")
    if not rows:
        raise _unfit("there are no rows")
    if missing := series.null_count():
        raise _unfit(
            f"{missing} of {rows} labels are missing",
            attempt=f"frame.filter(pl.col({series.name or 'label'!r}).is_not_null())",
        )


def _unfit(cause: str, *, attempt: str = "") -> PackageError:
    return PackageError("Cannot fit on these rows", cause=cause, attempt=attempt, code="bucle-167")
