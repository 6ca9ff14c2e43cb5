"""Whether a classifier can tell last week's rows from those of the reference, and by what.

The two-sample test of a classifier (Lopez-Paz & Oquab 2017), with days left out whole, because rows
of one day resemble each other. An explanation, never an alarm. Imports numpy, polars and, when
asked, scikit-learn.
"""

from msgspec import Struct

__all__ = ["SeparatingColumn", "Separation"]


class SeparatingColumn(Struct, frozen=True, kw_only=True):
    """One column, and how much less well the days are told apart without it (in AUC)."""

    column: str
    share: float


class Separation(Struct, frozen=True, kw_only=True):
    """How well the last days are told from the reference: 0.5 is not at all, 1 entirely.

    `auc` is measured on days that the classifier has not seen; `natural` is the highest of those
    that weeks of the reference itself reach against its other days, over `compared` of them, None
    where there are too few days. `columns` are those that tell most, first.
    """

    auc: float
    natural: float | None
    compared: int
    rows: int
    reference_rows: int
    columns: tuple[SeparatingColumn, ...]
