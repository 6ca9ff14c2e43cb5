"""Built-in steps that measure a fitted model on newer rows and write its package.

They run in a worker. What is measured here is what the package says of itself; whether it may
ship is judged in `evidence`.
"""

from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from bucle.charter.settings import CharterSettings, GateSettings
from bucle.data.contract import load_contract
from bucle.errors import PipelineError
from bucle.loop.evidence import predict_naively
from bucle.loop.question import Question
from bucle.loop.reference import reference_files
from bucle.models.card import render_card
from bucle.models.compiled.compile import compile_model
from bucle.models.details import find_details
from bucle.models.intervals import Band, fit_intervals
from bucle.models.metrics import Floats, find_warnings, measure
from bucle.models.package import PackageContents, open_package, write_package
from bucle.models.prediction import class_names, predict
from bucle.models.profile import profile_of
from bucle.models.reliability import reliability
from bucle.models.rules import Rule, rules_of
from bucle.models.signature import Signature, conform, signature_of
from bucle.pipeline.estimators import estimator_to_bytes

__all__ = ["make_package", "make_refit_package"]

_LEVEL = 0.9
_TRIED = 50


class _Measured(Struct, frozen=True, kw_only=True):
    """A model's predictions on the rows that judge it, beside naive ones, and their measures."""

    truth: Floats
    predicted: Floats
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    warnings: tuple[str, ...]
    band: Band | None

    @property
    def beside(self) -> dict[str, Any]:
        """What a package keeps beside its metrics."""
        warnings = list(self.warnings)
        return {"rows": self.truth.size, "baselines": self.baselines, "warnings": warnings}


def make_package(
    model: Any,
    train: pl.DataFrame,
    newer: pl.DataFrame,
    *,
    question: dict[str, Any],
    charter: dict[str, Any],
    gates: dict[str, Any],
    lineage: dict[str, Any],
    contract: str | None,
    packages: str,
    root: str,
) -> dict[str, Any]:
    """Measure a fitted model on newer rows, beside naive baselines, and write its package.

    Returns:
        `model` (the package's id), `digest` (in full), `metrics` and `warnings`.
    """
    asked, project = msgspec.convert(question, Question), Path(root)
    _require_estimator(model)
    known = train.select(asked.feature_names(train))
    signature = _sign(asked, train, known, model)
    rows = asked.unseen(newer)
    naive = predict_naively(
        asked, msgspec.convert(gates, GateSettings), train, newer, rows, signature.classes
    )
    found = _measure(model, asked, signature, rows, naive=naive, root=project)
    band = found.band
    contents = PackageContents(
        estimator=estimator_to_bytes(model, project=project),
        signature=signature,
        metrics=found.metrics,
        measured=found.beside,
        profile=profile_of(known),
        lineage=lineage,
        card="",
        intervals=band.intervals if band else None,
        scale=estimator_to_bytes(band.scale) if band and band.scale else None,
        calibration=_calibration(found) if signature.classes else (),
        # Rows it has learned from prove as much, where there are no newer ones.
        compiled=compile_model(
            model, signature, rows if rows.height else known, band=band, known=known
        ),
        rules=_rules(project, contract, signature, known),
        reference=reference_files(
            asked,
            signature,
            train,
            newer,
            unseen=rows,
            truth=found.truth,
            predicted=found.predicted,
            charter=msgspec.convert(charter, CharterSettings),
            cost=asked.cost(project),
            band=band,
        ),
    )
    return _write(contents, charter, packages)


def make_refit_package(
    model: Any,
    newer: pl.DataFrame,
    package: dict[str, Any],
    *,
    question: dict[str, Any],
    charter: dict[str, Any],
    lineage: dict[str, Any],
    packages: str,
    root: str,
) -> dict[str, Any]:
    """Write the package of a refit; metrics and intervals are those of its tested twin.

    The refit has learned from the rows that its twin was measured on, so nothing measured there
    would be true of it.
    """
    asked = msgspec.convert(question, Question)
    twin = open_package(Path(packages), package["model"], project=Path(root))
    known = asked.labelled(newer)
    contents = PackageContents(
        estimator=estimator_to_bytes(model, project=Path(root)),
        signature=twin.signature,
        metrics=twin.metrics,
        measured={**twin.measured, "measured_on": twin.model},
        profile=profile_of(known.select([column.name for column in twin.signature.features])),
        lineage={**lineage, "twin": twin.model},
        card="",
        intervals=twin.intervals,
        scale=twin.scale_bytes,
        calibration=twin.calibration,
        rules=twin.rules,
        reference=twin.reference_files,
        compiled=compile_model(
            model, twin.signature, known, band=twin.band if twin.intervals else None
        ),
    )
    return _write(contents, charter, packages)


def _rules(
    root: Path, contract: str | None, signature: Signature, known: pl.DataFrame
) -> tuple[Rule, ...]:
    if contract is None:
        return ()
    return rules_of(load_contract(root, reference=contract), signature, known)


def _sign(asked: Question, train: pl.DataFrame, features: pl.DataFrame, model: Any) -> Signature:
    """Return what the model takes and gives, as the rows it has learned from show it."""
    classes = class_names(train[asked.target]) if asked.kind == "classification" else ()
    signature = signature_of(features, kind=asked.kind, target=asked.target, classes=classes)
    details = find_details(model, conform(signature, features.head(_TRIED)))
    return msgspec.structs.replace(signature, details=details)


def _measure(
    model: Any,
    asked: Question,
    signature: Signature,
    rows: pl.DataFrame,
    *,
    naive: dict[str, Floats],
    root: Path,
) -> _Measured:
    inputs = conform(signature, rows)
    truth = asked.truth(rows, signature.classes)
    predicted = predict(model, inputs, kind=asked.kind) if rows.height else truth
    cost = asked.cost(root)

    def score(guess: Floats) -> dict[str, float]:
        return measure(asked.kind, truth, guess, threshold=asked.threshold, cost=cost)

    metrics = score(predicted)
    band = None
    if asked.kind == "regression":
        band = fit_intervals(inputs, truth, predicted, level=_LEVEL, seed=asked.seed)
        if band.intervals.coverage is not None:
            metrics["coverage"] = band.intervals.coverage
    return _Measured(
        truth=truth,
        predicted=predicted,
        metrics=metrics,
        baselines={name: score(guess) for name, guess in naive.items()},
        warnings=find_warnings(asked.kind, truth, predicted),
        band=band,
    )


def _calibration(found: _Measured) -> Any:
    return reliability(found.truth, found.predicted) if found.truth.size else ()


def _require_estimator(model: Any) -> None:
    if not callable(getattr(model, "predict", None)):
        raise PipelineError(
            f"Cannot judge: the model step returned {type(model).__name__}, which cannot predict",
            cause="the step that [pipeline] names as model returns a fitted estimator",
            attempt="return learner.fit(rows, labels)",
            code="bucle-241",
        )


def _write(contents: PackageContents, charter: dict[str, Any], packages: str) -> dict[str, Any]:
    card = render_card(contents, charter=msgspec.convert(charter, CharterSettings))
    whole = msgspec.structs.replace(contents, card=card)
    model = write_package(Path(packages), whole)
    return {
        "model": model,
        "digest": open_package(Path(packages), model).digest,
        "metrics": contents.metrics,
        "warnings": list(contents.measured.get("warnings", ())),
    }
