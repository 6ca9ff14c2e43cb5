"""The model package: a folder named by its content, verified whole before anything reads it.

A package is written whole or not at all, holds no time stamp or run id, and is the same bytes for
the same inputs. Nothing of it is parsed before every file's digest has been checked, and what is
parsed is the very bytes that were checked. Imports nothing heavy until a prediction is asked for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct

from bucle.errors import PackageError
from bucle.ids import canonical_json
from bucle.models.compiled.form import Engine, Record, record_from_bytes
from bucle.models.package_files import read_files, write_files
from bucle.models.rules import Rule
from bucle.models.signature import Signature, conform

if TYPE_CHECKING:
    import polars as pl

    from bucle.models.compiled.explainer import Explainer
    from bucle.models.compiled.scorer import Scorer
    from bucle.models.intervals import Band, Intervals
    from bucle.models.metrics import Floats
    from bucle.models.reliability import ReliabilityBin

__all__ = ["Package", "PackageContents", "open_package", "package_bytes", "write_package"]

_MODEL, _SCALE = "model.skops", "scale.skops"
_COMPILED = "compiled.json"
_TREES, _SCALE_TREES = "compiled.onnx", "compiled-scale.onnx"
_REFERENCE = "explanation.json"
_WATCHED = ("reference.json", "reference.parquet", "reference-sample.parquet")
_OLDER = Engine(name="estimator", reason="packaged before models were compiled")


class PackageContents(Struct, frozen=True, kw_only=True):
    """Everything a package holds: values and bytes, none of them about when or where.

    `metrics` holds metric names and values; `measured` may add those of baselines and warnings.
    `calibration` is the reliability table of a classification. `scale` is σ of the intervals.
    `compiled` is its compiled form, or why it has none; `rules` are those of the contract;
    `reference` the files that its world is watched by.
    """

    estimator: bytes
    signature: Signature
    metrics: dict[str, float]
    measured: dict[str, Any] = {}
    profile: dict[str, Any]
    lineage: dict[str, Any]
    card: str
    intervals: Any = None
    scale: bytes | None = None
    calibration: tuple[Any, ...] = ()
    compiled: Any = None
    rules: tuple[Rule, ...] = ()
    reference: Mapping[str, bytes] = {}


class Package:
    """A verified package; the estimator is read when it is first needed.

    Args:
        model: Its id.
        files: Name to bytes, all of them verified.
        project: Folder of the project whose classes the estimator may hold.
    """

    def __init__(self, model: str, files: Mapping[str, bytes], *, project: Path | None) -> None:
        self.model = model
        self._files = dict(files)
        self._project = project
        self._estimator: Any = None
        self._band: Band | None = None
        self.signature = _decode(self._files["signature.json"], Signature)

    @property
    def digest(self) -> str:
        """The full digest that the id is the beginning of."""
        return str(self._json("manifest.json")["digest"])

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics it was judged by."""
        return cast("dict[str, float]", self._json("metrics.json")["metrics"])

    @property
    def measured(self) -> dict[str, Any]:
        """What was measured beside the metrics: baselines, warnings."""
        return cast("dict[str, Any]", self._json("metrics.json")["measured"])

    @property
    def profile(self) -> dict[str, Any]:
        """What the rows it was fitted on looked like."""
        return self._json("profile.json")

    @property
    def lineage(self) -> dict[str, Any]:
        """What it was made from: data, code, parameters, environment."""
        return self._json("lineage.json")

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return self._files["card.md"].decode()

    @property
    def size_bytes(self) -> int:
        """How large all its files are together."""
        return sum(len(content) for content in self._files.values())

    @property
    def intervals(self) -> "Intervals | None":
        """The record of its intervals; None for a classification or where there are none."""
        if "intervals.json" not in self._files:
            return None
        from bucle.models.intervals import Intervals  # noqa: PLC0415  (imports numpy)

        return cast("Intervals", _decode(self._files["intervals.json"], Intervals))

    @property
    def calibration(self) -> "tuple[ReliabilityBin, ...]":
        """How far a classification's probabilities can be believed; empty for a regression."""
        if "calibration.json" not in self._files:
            return ()
        from bucle.models.reliability import ReliabilityBin  # noqa: PLC0415  (imports numpy)

        found = _decode(self._files["calibration.json"], tuple[ReliabilityBin, ...])
        return cast("tuple[ReliabilityBin, ...]", found)

    @property
    def reference_files(self) -> dict[str, bytes]:
        """The files that its world is watched by; none where its rows carried no time."""
        return {name: self._files[name] for name in _WATCHED if name in self._files}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What the data contract says of the columns it takes."""
        if "rules.json" not in self._files:
            return ()
        return cast("tuple[Rule, ...]", _decode(self._files["rules.json"], tuple[Rule, ...]))

    @property
    def scale_bytes(self) -> bytes | None:
        """σ of its intervals as stored; None where every row has the same."""
        return self._files.get(_SCALE)

    @property
    def engine(self) -> Engine:
        """How it answers: `compiled` where that was proved equal, else `estimator`, and why."""
        return self.record.engine

    @property
    def trees(self) -> bytes | None:
        """The trees of its compiled form as an ONNX file; None where there are none."""
        return self._files.get(_TREES)

    def scorer(self) -> "Scorer":
        """Return its compiled form, ready to answer rows; for one thread.

        Needs neither the estimator nor polars, and refuses what the estimator would refuse.

        Raises:
            PackageError: It has no compiled form, or its parts cannot be used.
        """
        from bucle.models.compiled.scorer import Scorer  # noqa: PLC0415  (imports numpy)

        return Scorer(
            self.record,
            trees=self.trees,
            scale_trees=self._files.get(_SCALE_TREES),
            intervals=self._files.get("intervals.json"),
        )

    @property
    def can_explain(self) -> bool:
        """Whether it can say which column adds what to an answer."""
        return _REFERENCE in self._files and self.record.model is not None

    def explainer(self) -> "Explainer":
        """Return what says which column adds what to an answer; for one thread.

        Raises:
            PackageError: It has no compiled form, or was packaged without what explains it.
        """
        form, content = self.record.model, self._files.get(_REFERENCE)
        if form is None or content is None:
            raise PackageError(
                f"Cannot explain the answers of {self.model}",
                cause="what explains them is not in its package"
                if form is not None
                else f"only a model with a compiled form can be explained ({self.engine.reason})",
                attempt="bucle run" if form is not None else "",
                code="bucle-353",
            )
        from bucle.models.compiled.contributions import Reference  # noqa: PLC0415  (when asked)
        from bucle.models.compiled.explainer import Explainer  # noqa: PLC0415  (imports numpy)

        return Explainer(form, trees=self.trees, reference=_decode(content, Reference))

    @property
    def estimator(self) -> Any:
        """The fitted estimator.

        Raises:
            PackageError: It holds something that is not on the allow-list.
        """
        if self._estimator is None:
            self._estimator = self._load(_MODEL)
        return self._estimator

    @property
    def band(self) -> "Band":
        """Its intervals, ready to be laid around predictions.

        Raises:
            PackageError: The package has no intervals.
        """
        record = self.intervals
        if record is None:
            raise PackageError(
                f"Cannot give intervals: package {self.model} has none",
                cause="intervals are kept for regressions with enough labelled rows",
                code="bucle-169",
            )
        if self._band is None:
            from bucle.models.intervals import Band  # noqa: PLC0415  (imports numpy)

            self._band = Band(record, self._load(_SCALE) if _SCALE in self._files else None)
        return self._band

    def predict(self, frame: "pl.DataFrame") -> "Floats":
        """Return a number a row, or the probability of yes, shape (rows,).

        Args:
            frame: Rows with at least the columns of the signature, in any order.

        Raises:
            PackageError: The rows do not fit the signature, or a prediction is not a number.
        """
        from bucle.models.prediction import predict  # noqa: PLC0415  (imports numpy)

        return predict(self.estimator, conform(self.signature, frame), kind=self.signature.kind)

    def interval(self, frame: "pl.DataFrame") -> "tuple[Floats, Floats]":
        """Return the lower and upper end of each row's prediction, shapes (rows,).

        Raises:
            PackageError: The package has no intervals, or the rows do not fit the signature.
        """
        band = self.band
        features = conform(self.signature, frame)
        return band.around(features, self.predict(features))

    def details(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """Return what it says of each row beside its prediction; no columns where that is nothing.

        Raises:
            PackageError: The rows do not fit the signature, or the estimator gives something else.
        """
        from bucle.models.details import give_details  # noqa: PLC0415  (when asked)

        features = conform(self.signature, frame)
        if not self.signature.details:
            return features.select()
        return give_details(self.estimator, features, signature=self.signature)

    @property
    def record(self) -> Record:
        """What it says of its compiled form; without one, only why."""
        content = self._files.get(_COMPILED)
        return Record(engine=_OLDER) if content is None else record_from_bytes(content)

    def _load(self, name: str) -> Any:
        from bucle.pipeline.estimators import estimator_from_bytes  # noqa: PLC0415  (heavy)

        return estimator_from_bytes(self._files[name], project=self._project)

    def _json(self, name: str) -> dict[str, Any]:
        return cast("dict[str, Any]", _decode(self._files[name], dict[str, Any]))


def package_bytes(contents: PackageContents) -> dict[str, bytes]:
    """Return every file of a package but the manifest, without writing anything."""
    files = {
        _MODEL: contents.estimator,
        "signature.json": _encode(contents.signature),
        "metrics.json": _encode({"metrics": contents.metrics, "measured": contents.measured}),
        "profile.json": _encode(contents.profile),
        "lineage.json": _encode(contents.lineage),
        "card.md": contents.card.encode(),
    }
    if contents.intervals is not None:
        files["intervals.json"] = _encode(contents.intervals)
    if contents.scale is not None:
        files[_SCALE] = contents.scale
    if contents.calibration:
        files["calibration.json"] = _encode(contents.calibration)
    if contents.rules:
        files["rules.json"] = _encode(contents.rules)
    files |= contents.reference
    if contents.compiled is not None:
        files[_COMPILED] = contents.compiled.record
        if contents.compiled.trees is not None:
            files[_TREES] = contents.compiled.trees
        if contents.compiled.scale_trees is not None:
            files[_SCALE_TREES] = contents.compiled.scale_trees
        if contents.compiled.reference is not None:
            files[_REFERENCE] = contents.compiled.reference
    return files


def write_package(folder: Path, contents: PackageContents) -> str:
    """Write a package and return its id; writing the same contents again changes nothing.

    The folder appears under its id whole and durable, or not at all. A damaged package of the
    same id is put aside and replaced.

    Args:
        folder: Where packages live.
        contents: What to write.

    Raises:
        OutsideError: The disk is full or cannot be written; nothing is left behind.
    """
    return write_files(folder, package_bytes(contents))


def open_package(
    folder: Path, model: str, *, project: Path | None = None, digest: str | None = None
) -> Package:
    """Verify every file of a package and open it; nothing of it has run yet.

    Args:
        folder: Where packages live.
        model: The package's id.
        project: Folder of the project whose classes the estimator may hold.
        digest: The full digest on record, to compare with.

    Raises:
        UnknownNameError: There is no package of that id.
        PackageError: A file is missing, extra, changed, a link or a device, or too large.
    """
    return Package(model, read_files(folder, model, digest=digest), project=project)


def _encode(value: Any) -> bytes:
    return canonical_json(msgspec.to_builtins(value))


def _decode(content: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise PackageError(
            "Cannot read a part of a package",
            cause=str(error),
            attempt="bucle run",
            code="bucle-160",
        ) from error
