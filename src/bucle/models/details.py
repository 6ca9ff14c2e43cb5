"""Details of an answer: what an estimator says of a row beside its prediction.

An estimator that has a method `details(frame)` gives one column a detail and one row a row; which
columns these are, and of which types, is kept in the signature. Imports nothing heavy; the
estimator brings its own libraries.
"""

from typing import TYPE_CHECKING, Any

from bucle.errors import BucleError, PackageError
from bucle.models.signature import Feature, Signature, dtypes_of, signature_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["find_details", "give_details"]

_MOST = 50
_SHOWN = 5


def find_details(estimator: Any, features: "pl.DataFrame") -> tuple[Feature, ...]:
    """Return names and types of the details an estimator gives; none where it gives none.

    Args:
        estimator: Fitted.
        features: Some rows to try it on.

    Raises:
        PackageError: Its method `details` does not keep to what is asked of it.
    """
    if not callable(getattr(estimator, "details", None)):
        return ()
    frame = _ask(estimator, features)
    if not 0 < frame.width <= _MOST:
        raise _odd(estimator, f"it gives {frame.width} columns instead of 1 to {_MOST}")
    found = signature_of(frame, kind="regression", target="").features
    for feature in found:
        if feature.dtype == "Null" or any(letter < " " for letter in feature.name):
            raise _odd(estimator, f"column {feature.name!r} is of type {feature.dtype}")
    _require_finite(estimator, frame)
    return found


def give_details(
    estimator: Any, features: "pl.DataFrame", *, signature: Signature
) -> "pl.DataFrame":
    """Return the details of rows: the columns of the signature, each number finite or null.

    Raises:
        PackageError: The estimator raised, or gave other columns, rows or types.
    """
    import polars as pl  # noqa: PLC0415  (the estimator needs it)

    frame = _ask(estimator, features)
    wanted = dtypes_of(Signature(kind="regression", target="", features=signature.details))
    if frame.columns != list(wanted):
        shown = ", ".join(frame.columns[:_SHOWN])
        raise _odd(estimator, f"it gave the columns {shown} instead of those it was packaged with")
    try:
        frame = frame.select(pl.col(name).cast(dtype) for name, dtype in wanted.items())
    except pl.exceptions.PolarsError as error:
        raise _odd(estimator, str(error)) from error
    _require_finite(estimator, frame)
    return frame


def _ask(estimator: Any, features: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415  (the estimator needs it)

    try:
        frame = estimator.details(features)
    except (BucleError, MemoryError):
        raise
    except Exception as error:
        raise _odd(estimator, f"it raised {type(error).__name__}: {error}") from error
    if not isinstance(frame, pl.DataFrame):
        raise _odd(estimator, f"it gave a {type(frame).__name__} instead of a polars DataFrame")
    if frame.height != features.height:
        raise _odd(estimator, f"{features.height} rows gave {frame.height} rows of details")
    return frame


def _require_finite(estimator: Any, frame: "pl.DataFrame") -> None:
    for column in frame.iter_columns():
        if column.dtype.is_float() and not column.drop_nulls().is_finite().all():
            raise _odd(estimator, f"column {column.name!r} holds NaN or an infinity")


def _odd(estimator: Any, cause: str) -> PackageError:
    return PackageError(
        f"Cannot use the details of {type(estimator).__name__}",
        cause=cause,
        attempt="details(frame) returns a polars DataFrame: a row for a row, a column for a detail",
        code="bucle-356",
    )
