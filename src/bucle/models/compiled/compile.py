"""Give a fitted model its compiled form where it has one and it is proved equal; else say why not.

Runs where models are packaged; imports polars, numpy and what reads the estimator.
"""

from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from bucle.errors import PackageError
from bucle.ids import canonical_json
from bucle.models.compiled.contributions import Reference, reference_bytes
from bucle.models.compiled.encoder import Encoder
from bucle.models.compiled.form import Engine, Record, record_bytes
from bucle.models.compiled.layout import Compiled
from bucle.models.compiled.learners import NoForm
from bucle.models.compiled.pipelines import compile_pipeline
from bucle.models.compiled.proof import Proof, prove
from bucle.models.compiled.scorer import Scorer
from bucle.models.compiled.tabular import compile_scale, compile_tabular
from bucle.models.compiled.trees import forest_covers
from bucle.models.intervals import Band
from bucle.models.signature import Signature, conform
from bucle.models.tabular import TabularClassifier, TabularRegressor

__all__ = ["CompiledModel", "compile_model", "read_estimator"]

_SHOWN = 300
_MOST_ROWS = 100_000


class CompiledModel(Struct, frozen=True, kw_only=True):
    """What a package keeps of a compiled form; without one, the record says why.

    `trees` and `scale_trees` are ONNX files, None where there are none. `reference` is what its
    answers are explained by; without one they cannot be.
    """

    record: bytes
    engine: Engine
    trees: bytes | None = None
    scale_trees: bytes | None = None
    reference: bytes | None = None


def compile_model(
    estimator: Any,
    signature: Signature,
    rows: pl.DataFrame,
    *,
    band: Band | None = None,
    known: pl.DataFrame | None = None,
) -> CompiledModel:
    """Return the compiled form of a model after proving it equal on some rows and on probes.

    Never fails because of the estimator: whatever has no form, or does not answer the same, is
    answered by the estimator itself, and the engine's reason says why. Takes some seconds.

    Args:
        estimator: Fitted.
        signature: What it takes and gives.
        rows: Rows to compare on, best those it has not learned from.
        band: Its intervals.
        known: Rows it has learned from, which answers are explained against; `rows` by default.
    """
    try:
        return _proved(estimator, signature, rows, band, rows if known is None else known)
    except MemoryError:
        raise
    except NoForm as error:
        return _uncompiled(str(error))
    except Exception as error:  # noqa: BLE001  (an estimator of whatever library, in whatever state)
        return _uncompiled(f"it could not be read: {type(error).__name__}: {error}")


def read_estimator(estimator: Any, signature: Signature) -> Compiled:
    """Return a fitted estimator as data, not yet proved equal.

    Raises:
        NoForm: It has no compiled form.
    """
    if isinstance(estimator, (TabularClassifier, TabularRegressor)):
        return compile_tabular(estimator, signature)
    return compile_pipeline(estimator, signature)


def _proved(
    estimator: Any,
    signature: Signature,
    rows: pl.DataFrame,
    band: Band | None,
    known: pl.DataFrame,
) -> CompiledModel:
    model = read_estimator(estimator, signature)
    if signature.details:
        raise NoForm(f"`{type(estimator).__name__}` itself gives the details of an answer")
    scale = None
    if band is not None and band.scale is not None and band.intervals.quantile is not None:
        scale = compile_scale(band.scale, signature)
    proof = _prove(estimator, signature, rows, band, model, scale)
    if not proof.holds:
        return _uncompiled(f"its compiled form is not equal: {proof.reason}")
    engine = Engine(name="compiled", reason=str(proof))
    return CompiledModel(
        record=record_bytes(_record(engine, model, scale)),
        engine=engine,
        trees=model.trees,
        scale_trees=scale.trees if scale else None,
        reference=_reference(model, signature, known),
    )


def _reference(model: Compiled, signature: Signature, known: pl.DataFrame) -> bytes | None:
    """Return what answers are explained by; None where the rows do not tell."""
    if model.form.weights is None:
        covers = forest_covers(model.learned.trees, model.places)
        return reference_bytes(Reference(covers=covers)) if min(covers) > 0 else None
    if not known.height:
        return None
    try:
        sample = conform(signature, known.gather_every(max(1, known.height // _MOST_ROWS)))
        columns = [column.to_list() for column in sample.iter_columns()]
        means = Encoder(model.form).many(columns).mean(axis=0)
    except PackageError:
        return None  # it has learned from other rows, and refuses these
    if not np.isfinite(means).all():
        return None
    return reference_bytes(Reference(means=tuple(means.tolist())))


def _prove(
    estimator: Any,
    signature: Signature,
    rows: pl.DataFrame,
    band: Band | None,
    model: Compiled,
    scale: Compiled | None,
) -> Proof:
    """Prove what will be read back from the package, not what is at hand."""
    intervals = canonical_json(msgspec.to_builtins(band.intervals)) if band else None
    scorer = Scorer(
        _record(Engine(name="compiled", reason=""), model, scale),
        trees=model.trees,
        scale_trees=scale.trees if scale else None,
        intervals=intervals,
    )
    return prove(scorer, estimator, signature, rows, compiled=model, band=band, scale=scale)


def _record(engine: Engine, model: Compiled, scale: Compiled | None) -> Record:
    return Record(engine=engine, model=model.form, scale=scale.form if scale else None)


def _uncompiled(reason: str) -> CompiledModel:
    engine = Engine(name="estimator", reason=" ".join(reason.split())[:_SHOWN])
    return CompiledModel(record=record_bytes(Record(engine=engine)), engine=engine)
