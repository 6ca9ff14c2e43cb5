"""Export a package's model to ONNX once onnxruntime was seen to answer the same.

The compiled form in the package has been proved equal to the estimator; here the exported model is
compared with it, at the same thresholds and odd values. Imports polars, numpy and scikit-learn.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bucle.errors import PackageError
from bucle.models.compiled.compile import read_estimator
from bucle.models.compiled.export import Exported, export_onnx, onnx_inputs
from bucle.models.compiled.form import Form, TableCells
from bucle.models.compiled.layout import Compiled
from bucle.models.compiled.probes import made_rows, odd_probes, split_probes
from bucle.models.compiled.proof import BOUND
from bucle.models.compiled.scorer import Scorer
from bucle.models.package import Package

__all__ = ["export_package"]

_EXACT = 2**53  # whole numbers beyond it are not all doubles


def export_package(package: Package) -> tuple[Exported, int]:
    """Return a package's model as ONNX, and on how many rows it was compared.

    Raises:
        PackageError: The model has no compiled form, or does not answer the same in ONNX.
    """
    scorer = package.scorer()
    exported = export_onnx(package.record, trees=package.trees)
    compiled = read_estimator(package.estimator, package.signature)
    return exported, _compare(exported, compiled, scorer)


def _compare(exported: Exported, compiled: Compiled, scorer: Scorer) -> int:
    import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415  (ships no types)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        exported.content, options, providers=["CPUExecutionProvider"]
    )
    asked = 0
    for group in _groups(compiled):
        rows = [row for row in group if _can_be_said(row, compiled.form)]
        if not rows:
            continue
        asked += len(rows)
        given = onnx_inputs(compiled.form, rows)
        found = session.run(None, given)[0][:, 0]
        wanted = _answers(scorer, rows)
        size = np.maximum(np.abs(found), np.abs(wanted))
        with np.errstate(invalid="ignore"):
            apart = ~(np.abs(found - wanted) <= BOUND * np.maximum(size, 1e-300))
        apart &= np.isfinite(found) | np.isfinite(wanted)
        if apart.any():
            at = int(np.argmax(apart))
            raise PackageError(
                "Cannot export the model to ONNX: it would not answer the same",
                cause=f"{rows[at]!r} gives {found[at]!r} instead of {wanted[at]!r}"[:300],
                code="bucle-314",
            )
    return asked


def _groups(compiled: Compiled) -> Iterator[list[tuple[Any, ...]]]:
    rows = made_rows(compiled)
    yield rows
    yield [probe.row for probe in split_probes(compiled, rows)]
    for group in odd_probes(compiled.form, rows):
        yield [probe.row for probe in group]


def _answers(scorer: Scorer, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
    """Return the compiled form's answers, NaN for what it refuses."""
    try:
        return scorer.many(rows)
    except PackageError:
        return np.asarray([_answer(scorer, row) for row in rows])


def _answer(scorer: Scorer, row: tuple[Any, ...]) -> float:
    try:
        return scorer.one(row)
    except PackageError:
        return float("nan")


def _can_be_said(row: tuple[Any, ...], form: Form) -> bool:
    """Tell whether a row's nulls, empty words and large numbers mean the same in ONNX."""
    for cell in form.cells:
        value = row[cell.source]
        if isinstance(value, int) and abs(value) > _EXACT:
            return False
        if not isinstance(cell, TableCells):
            continue
        if value == "" and "" not in cell.keys and cell.null != cell.unknown:
            return False
        if value is None and "" in cell.keys:
            return False
        is_nan = isinstance(value, float) and np.isnan(value)
        if is_nan and (cell.unknown if cell.nan is None else cell.nan) != cell.null:
            return False
    return True
