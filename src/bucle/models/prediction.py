"""The one way predictions are taken from an estimator, at training, judging and serving.

A regression gives a number a row, a classification the probability of yes. Imports numpy; the
estimator brings its own libraries.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from bucle.errors import BucleError, PackageError
from bucle.models.metrics import Floats, Kind

if TYPE_CHECKING:
    import polars as pl

__all__ = ["class_names", "encode_labels", "predict"]

_CLASSES = 2


def predict(estimator: Any, features: "pl.DataFrame", *, kind: Kind) -> Floats:
    """Return one finite number a row: the prediction, or the probability of yes.

    Args:
        estimator: Fitted, by scikit-learn's conventions. A classifier with `predict_proba` gives
            probabilities, one without gives 0 or 1.
        features: The rows.
        kind: What is predicted.

    Raises:
        PackageError: The estimator raised, or gave another shape, NaN, an infinity, or a
            probability outside 0 to 1.
    """
    try:
        raw = _ask(estimator, features, kind)
    except (BucleError, MemoryError):
        raise
    except Exception as error:
        raise PackageError(
            f"Cannot predict: {type(estimator).__name__} raised {type(error).__name__}",
            cause=str(error),
            code="bucle-168",
        ) from error
    if raw.shape != (features.height,):
        raise _odd(estimator, f"{features.height} rows gave predictions of shape {raw.shape}")
    if bad := int(np.count_nonzero(~np.isfinite(raw))):
        raise _odd(estimator, f"{bad} of {features.height} predictions are not finite numbers")
    if kind == "classification" and ((raw < 0) | (raw > 1)).any():
        raise _odd(estimator, "a probability is outside 0 to 1")
    return raw


def class_names(labels: "pl.Series") -> tuple[str, ...]:
    """Return the labels' values in order, the last one being yes.

    Example:
        >>> import polars as pl
        >>> class_names(pl.Series([True, False, None]))
        ('false', 'true')
    """
    import polars as pl  # noqa: PLC0415  (the frame brought it)

    known = labels.drop_nulls()
    if known.dtype.is_float():
        known = known.filter(known.is_finite())
    return tuple(known.unique().sort().cast(pl.String).to_list())


def encode_labels(labels: "pl.Series", classes: tuple[str, ...]) -> Floats:
    """Return 1 for yes, the last of the classes, and 0 for any other label.

    Raises:
        PackageError: A label is not one of the classes.

    Example:
        >>> import polars as pl
        >>> encode_labels(pl.Series(["no", "yes"]), ("no", "yes")).tolist()
        [0.0, 1.0]
    """
    import polars as pl  # noqa: PLC0415  (the frame brought it)

    words = labels.cast(pl.String)
    unknown = sorted(set(words.drop_nulls().unique().to_list()) - set(classes))
    if unknown or words.null_count() or len(classes) != _CLASSES:
        raise PackageError(
            f"Cannot use column {labels.name!r} as a yes/no answer",
            cause=f"found {', '.join(unknown[:3]) or 'missing labels'} beside the classes "
            f"{', '.join(classes)}"
            if len(classes) == _CLASSES
            else f"there are {len(classes)} classes",
            code="bucle-167",
        )
    return (words == classes[-1]).cast(pl.Float64).to_numpy()


def _ask(estimator: Any, features: "pl.DataFrame", kind: Kind) -> Floats:
    if kind == "classification" and hasattr(estimator, "predict_proba"):
        table = np.asarray(estimator.predict_proba(features), dtype=np.float64)
        if table.ndim != _CLASSES or table.shape[1] != _CLASSES:
            raise _odd(estimator, f"probabilities have shape {table.shape} instead of two columns")
        return table[:, 1]
    return np.asarray(estimator.predict(features), dtype=np.float64)


def _odd(estimator: Any, cause: str) -> PackageError:
    return PackageError(
        f"Cannot use the predictions of {type(estimator).__name__}", cause=cause, code="bucle-168"
    )
