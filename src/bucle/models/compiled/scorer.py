"""Answer rows with a compiled model: the way a server's worker takes for each request.

Imports onnxruntime, numpy and msgspec; nothing of polars, scikit-learn or skops.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.errors import PackageError
from bucle.models.compiled.encoder import Encoder
from bucle.models.compiled.form import Form, Record
from bucle.models.compiled.onnx_file import open_session
from bucle.models.compiled.together import Together
from bucle.models.compiled.values import refusal
from bucle.models.signature import Feature

__all__ = ["Scorer"]

_Floats = NDArray[np.float64]
_Ends = tuple[float, float]
_SAFE = 700.0  # exp of more is no double
_CHUNK = 64  # rows: onnxruntime goes over trees differently for more, and slower
_GROUPS = frozenset({"Boolean", "String", "Int8", "Int16", "Int32", "Int64"})


class _Widths(Struct, frozen=True, kw_only=True):
    """What answering needs of a package's record of intervals."""

    quantile: float | None
    positive: bool
    scaled: bool
    group: str | None = None
    group_quantiles: dict[str, float] = {}


class Scorer:
    """Predict rows given as Python values in the signature's order.

    Values are what a decoder makes of the signature's types: str, int, float, bool, None, date,
    datetime, time, timedelta. Guarantees: the answers are those the estimator was proved to give;
    a row the estimator would refuse is refused. Not safe for threads: buffers are used again, so
    a worker has one of its own.

    Args:
        record: What the package says of its compiled form.
        trees: ONNX file of the model; None where it is linear.
        scale_trees: ONNX file of σ; None where every row has the same.
        intervals: The package's record of its intervals, as JSON.

    Raises:
        PackageError: There is no compiled form, or its parts cannot be used.
    """

    def __init__(
        self,
        record: Record,
        *,
        trees: bytes | None,
        scale_trees: bytes | None = None,
        intervals: bytes | None = None,
    ) -> None:
        if record.model is None:
            raise PackageError(
                "Cannot answer without the estimator: the model has no compiled form",
                cause=record.engine.reason,
                code="bucle-313",
            )
        self._learner = _Learner(record.model, trees)
        self._widths = _read_widths(intervals)
        self._scale = None
        if self._widths is not None and self._widths.scaled:
            if record.scale is None:
                raise _unusable("σ of its intervals has no compiled form")
            self._scale = _Learner(record.scale, scale_trees)
        self._together = (
            Together(self._learner.encoder, self._scale.encoder) if self._scale else None
        )
        self._positive = self._widths is not None and self._widths.positive
        self._columns = len(record.model.columns)
        self._groups = _group_reader(self._widths, record.model.columns)

    def one(self, row: Sequence[Any]) -> float:
        """Return a row's prediction, or its probability of yes.

        Raises:
            PackageError: The row holds something the model cannot answer; it is named.
        """
        return self._learner.one(row)

    def answer(self, row: Sequence[Any]) -> tuple[float, _Ends | None]:
        """Return what `one` and `interval_one` say of a row, which is read only once.

        Raises:
            PackageError: The row holds something the model cannot answer; it is named.
        """
        together, scale = self._together, self._scale
        if together is None or scale is None or len(row) != self._columns:
            prediction = self.one(row)
            return prediction, self.interval_one(row, prediction)
        try:
            together.write(row)
        except Exception:  # noqa: BLE001  (one by one they say what is wrong)
            prediction = self.one(row)
            return prediction, self.interval_one(row, prediction)
        prediction = self._learner.finish()
        half = self._half(row)
        if half is None:
            return prediction, None
        return prediction, self._ends(prediction, half * scale.finish(prediction))

    def answers(
        self, rows: Sequence[Sequence[Any]]
    ) -> tuple[_Floats, tuple[_Floats, _Floats] | None]:
        """Return what `many` and `interval_many` say of rows, which are turned only once.

        Raises:
            PackageError: A row holds something the model cannot answer; no row is answered.
        """
        if not rows:
            return np.zeros(0), self.interval_many(rows, np.zeros(0))
        return self.answers_by_column(_by_column(rows))

    def answers_by_column(
        self, columns: Sequence[Sequence[Any]]
    ) -> tuple[_Floats, tuple[_Floats, _Floats] | None]:
        """Return what `answers` does, of rows that were turned before: the values of each column.

        Raises:
            PackageError: A row holds something the model cannot answer; no row is answered.
        """
        prediction = self._learner.many(columns)
        return prediction, self._ends_of(columns, prediction)

    @property
    def known(self) -> frozenset[int]:
        """Columns, by number, that held only learned words, or numbers, when last asked for."""
        return self._learner.encoder.known

    def many(self, rows: Sequence[Sequence[Any]]) -> _Floats:
        """Return a number a row, shape (rows,).

        Raises:
            PackageError: A row holds something the model cannot answer; no row is answered.
        """
        if not rows:
            return np.zeros(0)
        return self._learner.many(_by_column(rows))

    def interval_one(self, row: Sequence[Any], prediction: float) -> _Ends | None:
        """Return the ends of the interval around a row's prediction; None where there is none.

        Raises:
            PackageError: The row holds something the model cannot answer; it is named.
        """
        half = self._half(row)
        if half is None:
            return None
        if self._scale is not None:
            half *= self._scale.one(row, prediction)
        return self._ends(prediction, half)

    def interval_many(
        self, rows: Sequence[Sequence[Any]], prediction: _Floats
    ) -> tuple[_Floats, _Floats] | None:
        """Return lower and upper ends, shapes (rows,); None where there are none.

        Raises:
            PackageError: A row holds something the model cannot answer; no row is answered.
        """
        if not rows:
            return self._ends_of([()] * self._columns, prediction)
        return self._ends_of(_by_column(rows), prediction)

    def _half(self, row: Sequence[Any]) -> float | None:
        """Return half an interval's width before σ; None where there is no interval."""
        widths = self._widths
        if widths is None or widths.quantile is None:
            return None
        if self._groups is None:
            return widths.quantile
        at, read = self._groups
        return widths.group_quantiles.get(read(row[at]), widths.quantile)

    def _ends(self, prediction: float, half: float) -> _Ends:
        low = prediction - half
        return (0.0 if self._positive and low < 0.0 else low), prediction + half

    def _ends_of(
        self, columns: Sequence[Sequence[Any]], prediction: _Floats
    ) -> tuple[_Floats, _Floats] | None:
        widths = self._widths
        if widths is None or widths.quantile is None:
            return None
        half = np.full(len(prediction), widths.quantile)
        if self._groups is not None:
            at, read = self._groups
            own, rest = widths.group_quantiles, widths.quantile
            half[:] = [own.get(read(value), rest) for value in columns[at]]
        if self._scale is not None and len(prediction):
            half *= self._scale.many(columns, prediction)
        with np.errstate(all="ignore"):
            low, high = prediction - half, prediction + half
        return (np.maximum(low, 0.0) if widths.positive else low), high


class _Learner:
    """A form ready for use: its encoder and its trees or weights."""

    def __init__(self, form: Form, trees: bytes | None) -> None:
        self.encoder = Encoder(form)
        self._form = form
        self._given = form.width - form.given
        self._finish = np.zeros(1)
        self._offset, self._share = form.offset, form.share
        self._buffer = self.encoder.buffer
        if form.weights is not None:
            self._weights = np.asarray(form.weights, dtype=np.float64)
            self._session = None
            return
        if trees is None:
            raise _unusable("its trees are missing")
        self._session = open_session(trees)
        self._sum = np.zeros((1, 1))
        self._bind()

    def _bind(self) -> None:
        """Let the session read and write the same memory for every single row."""
        # Imported with the session already; it ships no types.
        import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415

        session = self._session
        shape = session.get_inputs()[0].shape if session is not None else None
        if session is None or shape is None or shape[1] != self._form.width:
            raise _unusable("its trees take another number of columns")
        binding = session.io_binding()
        # For memory of the processor an OrtValue is a view of the array, by its documentation.
        binding.bind_ortvalue_input("X", onnxruntime.OrtValue.ortvalue_from_numpy(self._buffer))
        binding.bind_ortvalue_output("Y", onnxruntime.OrtValue.ortvalue_from_numpy(self._sum))
        self._binding = binding
        self._run = session.run_with_iobinding
        self._sum_view = self._sum.reshape(-1).data

    def one(self, row: Sequence[Any], given: float | None = None) -> float:
        """Return the answer for a row."""
        self.encoder.one(row)
        return self.finish(given)

    def finish(self, given: float | None = None) -> float:
        """Return the answer for the row that stands in the encoder's buffer."""
        if given is not None:
            self.encoder.view[self._given] = given
        if self._session is None:
            with np.errstate(all="ignore"):  # what overflows is refused below
                raw = float(self._buffer[0] @ self._weights + self._form.offset)
        else:
            self._run(self._binding)
            raw = (self._sum_view[0] + self._offset) / self._share
        output = self._form.output
        if output == "same":
            found = raw
        elif output == "exp" and -_SAFE < raw < _SAFE:
            # What numpy makes of one number is what it makes of each of many; no flag is raised.
            found = float(np.exp(raw))
        else:
            self._finish[0] = raw
            found = float(_finish(self._finish, output)[0])
        if not math.isfinite(found):
            raise _not_finite()
        return found

    def many(self, columns: Sequence[Sequence[Any]], given: _Floats | None = None) -> _Floats:
        """Return the answers for rows given by column."""
        matrix = self.encoder.many(columns)
        if given is not None:
            matrix[:, self._given] = given
        if self._session is None:
            with np.errstate(all="ignore"):  # as above
                raw = matrix @ self._weights
        else:
            raw = np.concatenate(
                [
                    self._session.run(None, {"X": matrix[at : at + _CHUNK]})[0][:, 0]
                    for at in range(0, len(matrix), _CHUNK)
                ]
            )
        found = _finish((raw + self._form.offset) / self._form.share, self._form.output)
        if not np.isfinite(found).all():
            raise _not_finite()
        return found


def _finish(raw: _Floats, output: str) -> _Floats:
    """Apply what comes after the sum; the same arithmetic for one row and for many."""
    if output == "same":
        return raw
    with np.errstate(all="ignore"):
        if output == "probability":
            shrunk = np.exp(-np.abs(raw))
            return np.where(raw >= 0, 1.0, shrunk) / (1.0 + shrunk)
        return np.asarray(_OUTPUTS[output](raw))


_OUTPUTS = {"exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p}


def _by_column(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    try:
        return list(zip(*rows, strict=True))
    except ValueError as error:
        raise PackageError(
            "Cannot predict these rows: they do not have the same number of values",
            cause=str(error),
            code="bucle-310",
        ) from error


def _read_widths(intervals: bytes | None) -> _Widths | None:
    if intervals is None:
        return None
    try:
        return msgspec.json.decode(intervals, type=_Widths)
    except msgspec.DecodeError as error:
        raise _unusable(f"its record of intervals: {error}") from error


def _group_reader(widths: _Widths | None, columns: tuple[Feature, ...]) -> Any:
    """Return which value names a row's group, and how it is spelled there."""
    if widths is None or widths.group is None or not widths.group_quantiles:
        return None
    for at, feature in enumerate(columns):
        if feature.name == widths.group:
            if feature.dtype not in _GROUPS:
                raise _unusable(f"groups by {feature.name!r}, which is of type {feature.dtype}")
            return at, _speller(feature)
    raise _unusable(f"groups by {widths.group!r}, which is no column")


def _speller(feature: Feature) -> Any:
    wanted: type = {"String": str, "Boolean": bool}.get(feature.dtype, int)

    def spell(value: Any) -> str | None:
        if value is None:
            return None
        if type(value) is not wanted:
            raise refusal(feature.name, value, f"{feature.dtype} values")
        text = str(value)
        return text.lower() if wanted is bool else text

    return spell


def _unusable(cause: str) -> PackageError:
    return PackageError(
        "Cannot use the compiled form of a model",
        cause=cause,
        attempt="bucle run",
        code="bucle-311",
    )


def _not_finite() -> PackageError:
    return PackageError(
        "Cannot use a prediction of the compiled model",
        cause="it is not a finite number",
        code="bucle-168",
    )
