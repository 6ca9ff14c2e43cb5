"""Prove that a compiled model answers as its estimator does, or say where it does not.

Both are asked for every held-out row, for every threshold of every split and its neighbours, and
for nulls, unknown words, extremes and rounded numbers. Whatever one refuses the other must refuse.
The form is asked for all of them together, and for about a thousand of each sort one by one too:
the two ways differ in how they turn values into numbers, not in how trees are gone through.
Imports polars and numpy; runs where models are packaged.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from bucle.errors import PackageError
from bucle.models.compiled.layout import Compiled
from bucle.models.compiled.learners import NoForm
from bucle.models.compiled.probes import Probe, given_thresholds, odd_probes, split_probes
from bucle.models.compiled.scorer import Scorer
from bucle.models.intervals import Band
from bucle.models.prediction import predict
from bucle.models.signature import Signature, conform, dtypes_of

__all__ = ["BOUND", "Proof", "prove"]

_Floats = NDArray[np.float64]
_Answers = list[_Floats]

BOUND = 1e-9
"""How far answers may differ, relative to the larger one or to the median held-out answer."""

_BASES = 2000
_ALONE = 1000
_PIECE = 50_000


class Proof(Struct, frozen=True, kw_only=True):
    """What was compared, and the largest relative difference; `reason` says what failed."""

    rows: int
    probes: int
    largest: float
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether every answer was the same."""
        return not self.reason

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        return (
            f"proved equal on {self.rows:,} rows and {self.probes:,} probes, "
            f"largest relative difference {f'{self.largest:.0e}' if self.largest else '0'}"
        )


def prove(
    scorer: Scorer,
    estimator: Any,
    signature: Signature,
    rows: pl.DataFrame,
    *,
    compiled: Compiled,
    band: Band | None = None,
    scale: Compiled | None = None,
) -> Proof:
    """Compare a compiled model with its estimator; answers may differ by 1e-9 relative.

    Args:
        scorer: The compiled model.
        estimator: The fitted estimator.
        signature: What both take.
        rows: Held-out rows; all are compared, and probes are made from the first of them.
        compiled: What the scorer was made from.
        band: The intervals that the scorer gives; None where it gives none.
        scale: What σ of these was compiled to.

    Returns:
        The proof; where it does not hold, its reason names the column and the value.

    Raises:
        NoForm: There are more thresholds than can be tried, or the form contradicts itself.
    """
    if not rows.height:
        return Proof(rows=0, probes=0, largest=0.0, reason="there are no rows to compare")
    held = conform(signature, rows)
    bases: list[tuple[Any, ...]] = held[:_BASES].rows()
    judge = _Judge(scorer, estimator, signature, band, bases)
    reason = ""
    for group in _groups(held, bases, compiled, scale):
        reason = reason or judge.compare(group)
    reason = reason or judge.compare_groups(list(odd_probes(compiled.form, bases)))
    if scale is not None:
        reason = reason or judge.compare_given(scale, bases)
    probes = max(judge.asked - rows.height, 0)
    return Proof(rows=rows.height, probes=probes, largest=judge.largest, reason=reason)


def _groups(
    held: pl.DataFrame,
    bases: Sequence[tuple[Any, ...]],
    compiled: Compiled,
    scale: Compiled | None,
) -> Iterator[list[Probe]]:
    """Yield what is to be compared, in pieces that fit into memory."""
    for piece in held.iter_slices(_PIECE):
        yield [Probe(row=row, column="every column", value="as held out") for row in piece.rows()]
    yield split_probes(compiled, bases)
    if scale is not None:
        yield split_probes(scale, bases)


class _Judge:
    """Asks both, and keeps the largest difference."""

    def __init__(
        self,
        scorer: Scorer,
        estimator: Any,
        signature: Signature,
        band: Band | None,
        held: Sequence[tuple[Any, ...]],
    ) -> None:
        self._scorer = scorer
        self._estimator = estimator
        self._signature = signature
        self._dtypes = dtypes_of(signature)
        self._band = band if band is not None and band.intervals.quantile is not None else None
        self.largest = 0.0
        self.asked = 0
        self._typical = 0.0
        answers = self._estimated(held)
        if not isinstance(answers, str):
            self._typical = float(np.median(np.abs(answers[0])))

    def compare(self, probes: Sequence[Probe]) -> str:
        """Return where the two differ, empty where they do not."""
        if not probes:
            return ""
        self.asked += len(probes)
        wanted = self._estimated([probe.row for probe in probes])
        got = self._scored([probe.row for probe in probes], wanted)
        if isinstance(wanted, str) or isinstance(got, str):
            return self._compare_singly(probes)
        return self._differ(probes, got, wanted)

    def compare_groups(self, groups: Sequence[Sequence[Probe]]) -> str:
        """Compare all groups in one go, or group by group where one is refused."""
        together = [probe for group in groups for probe in group]
        if not isinstance(self._estimated([probe.row for probe in together]), str):
            return self.compare(together)
        return next((reason for group in groups if (reason := self.compare(group))), "")

    def _compare_singly(self, probes: Sequence[Probe]) -> str:
        """Ask row by row, where some are refused."""
        for probe in probes:
            wanted = self._estimated([probe.row])
            got = self._scored([probe.row], wanted)
            if isinstance(wanted, str) and isinstance(got, str):
                continue
            if isinstance(wanted, str):
                return f"the estimator refuses {_shown(probe)} ({wanted}), its form answers"
            if isinstance(got, str):
                return f"its form refuses {_shown(probe)} ({got}), the estimator answers"
            reason = self._differ([probe], got, wanted)
            if reason:
                return reason
        return ""

    def compare_given(self, scale: Compiled, rows: Sequence[tuple[Any, ...]]) -> str:
        """Compare intervals around predictions at every threshold that σ has for them."""
        values = given_thresholds(scale)
        if self._band is None or not values.size:
            return ""
        tried = [rows[at % len(rows)] for at in range(values.size)]
        self.asked += len(tried)
        probes = [
            Probe(row=row, column="the prediction", value=value)
            for row, value in zip(tried, values.tolist(), strict=True)
        ]
        wanted = self._band.around(self._frame(tried), values)
        got = self._scorer.interval_many(tried, values)
        return self._differ(probes, list(got or ()), list(wanted))

    def _estimated(self, rows: Sequence[tuple[Any, ...]]) -> _Answers | str:
        """Return prediction and interval by the estimator, or why it refuses."""
        try:
            frame = self._frame(rows)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of unknown words, which are tried on purpose
                answer = predict(self._estimator, frame, kind=self._signature.kind)
            if self._band is None:
                return [answer]
            return [answer, *self._band.around(frame, answer)]
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever it raises, it refuses)
            return f"{type(error).__name__}: {error}"[:200]

    def _scored(self, rows: Sequence[tuple[Any, ...]], wanted: _Answers | str) -> _Answers | str:
        """Return the same by the compiled form, having asked for one row and for many.

        Intervals are asked for around the estimator's predictions: σ has steps, and where one is
        exactly at a prediction its last bit would decide.
        """
        answer = _asked(lambda: self._scorer.many(rows))
        step = 1 if isinstance(answer, str) else -(-len(rows) // _ALONE)
        singly = _asked(lambda: np.asarray([self._scorer.one(row) for row in rows[::step]]))
        if isinstance(answer, str) or isinstance(singly, str):
            if isinstance(answer, str) and isinstance(singly, str):
                return answer
            raise NoForm(f"it refuses alone what it answers among others, or otherwise: {rows[0]}")
        if not self._same(singly, answer[::step]):
            raise NoForm("it answers otherwise for one row than for many")
        if self._band is None:
            return [answer]
        around = answer if isinstance(wanted, str) else wanted[0]
        ends = np.asarray(self._scorer.interval_many(rows, around))
        alone = [
            self._scorer.interval_one(row, value)
            for row, value in zip(rows[::step], around[::step].tolist(), strict=True)
        ]
        if not self._same(np.asarray(alone, dtype=np.float64).T, ends[:, ::step]):
            raise NoForm("it gives other intervals for one row than for many")
        return [answer, *ends]

    def _frame(self, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
        columns = zip(*rows, strict=True)
        return pl.DataFrame(
            [
                pl.Series(name, list(values), dtype=dtype)
                for (name, dtype), values in zip(self._dtypes.items(), columns, strict=True)
            ]
        )

    def _same(self, left: _Floats, right: _Floats) -> bool:
        return bool((_relative(left, right, self._typical) <= BOUND).all())

    def _differ(self, probes: Sequence[Probe], got: _Answers, wanted: _Answers) -> str:
        if len(got) != len(wanted):
            return "its form gives no interval where the estimator gives one"
        for mine, right in zip(got, wanted, strict=True):
            apart = _relative(mine, right, self._typical)
            worst = int(np.argmax(apart))
            if not apart[worst] <= BOUND:
                return f"{_shown(probes[worst])} gives {mine[worst]!r} instead of {right[worst]!r}"
            self.largest = max(self.largest, float(apart[worst]))
        return ""


def _asked(ask: Callable[[], _Floats]) -> _Floats | str:
    """Return the form's answers, or why it refuses."""
    try:
        return ask()
    except PackageError as error:
        return str(error.cause or error)


def _relative(left: _Floats, right: _Floats, typical: float) -> _Floats:
    """Return how far numbers are apart."""
    size = np.maximum(np.maximum(np.abs(left), np.abs(right)), max(typical, 1e-300))
    with np.errstate(invalid="ignore"):
        apart = np.where(left == right, 0.0, np.abs(left - right) / size)
    return np.where(np.isnan(apart), np.inf, apart)


def _shown(probe: Probe) -> str:
    text = repr(probe.value)
    return f"{probe.column!r} = {text if len(text) <= 60 else text[:57] + '...'}"  # noqa: PLR2004
