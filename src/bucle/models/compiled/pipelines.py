"""The compiled form of scikit-learn pipelines: a column transformer, then trees or weights.

Numbers are followed step by step through what the fitted scalers and imputers keep; encoders of
words are asked what they make of each value. Imports numpy; nothing of scikit-learn by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bucle.models.compiled.encoder import apply_steps
from bucle.models.compiled.form import NumberCell, Output, Step, TableCells
from bucle.models.compiled.layout import Compiled, Wired, join
from bucle.models.compiled.learners import Learned, NoForm, read_learner
from bucle.models.compiled.tabulation import Table, tabulate
from bucle.models.compiled.values import NUMBERS
from bucle.models.signature import Signature

__all__ = ["compile_pipeline"]

_SMALL = frozenset({"Float32", "Int8", "Int16", "UInt8", "UInt16"})
_ENCODERS = frozenset({"OneHotEncoder", "OrdinalEncoder"})
_INVERSES: dict[str, Output] = {"exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p"}


@dataclass(frozen=True)
class _Number:
    """A column of the matrix that is a column of the row, after some steps."""

    source: int
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class _Looked:
    """A column of the matrix that is looked up in a table."""

    table: Table
    numbers: NDArray[np.float64]


_Made = _Number | _Looked


def compile_pipeline(estimator: Any, signature: Signature) -> Compiled:
    """Return the compiled form of a fitted pipeline.

    Raises:
        NoForm: It, or something in it, has none; the reason says what.
    """
    steps, output = _unwrapped(estimator)
    *transformers, learner = steps
    learned = _with_output(
        read_learner(learner, probability=signature.kind == "classification"), output
    )
    made: list[_Made] | None = None
    tables: list[Table] = []
    for transformer in transformers:
        if made is None:
            made, tables = _first(transformer, signature)
        else:
            made = _transformed(made, transformer)
    if made is None:
        made = _passed(_names(learner, signature), signature)
    if any(getattr(transformer, "sparse_output_", False) for transformer in transformers):
        learned = replace(learned, known=True)  # trees take no nulls in a sparse matrix
    if len(made) != learner.n_features_in_:
        raise NoForm(f"it makes {len(made)} columns and takes {learner.n_features_in_}")
    wired = [*_wired_numbers(made), *_wired_tables(made, tables, signature)]
    return join(wired, learned, signature.features, width=len(made))


def _kind(value: Any) -> str:
    """Return the name of a class of scikit-learn; empty for any other."""
    kind = type(value)
    return kind.__name__ if kind.__module__.partition(".")[0] == "sklearn" else ""


def _unwrapped(estimator: Any) -> tuple[list[Any], Output]:
    """Return transformers and learner in order, and what is made of the learner's answer."""
    kind = _kind(estimator)
    if kind == "Pipeline":
        *before, last = [step for _, step in estimator.steps if not _is_passed(step)]
        steps, output = _unwrapped(last)
        return [*(part for step in before for part in _parts(step)), *steps], output
    if kind == "TransformedTargetRegressor":
        inverse = estimator.transformer_
        name = getattr(getattr(inverse, "inverse_func", None), "__name__", "")
        if _kind(inverse) != "FunctionTransformer" or name not in _INVERSES:
            raise NoForm(f"its target is transformed back by `{name or type(inverse).__name__}`")
        if inverse.inverse_func is not getattr(np, name) or inverse.inv_kw_args:
            raise NoForm(f"its target is transformed back by a `{name}` of its own")
        steps, output = _unwrapped(estimator.regressor_)
        if output != "same":
            raise NoForm("its target is transformed twice")
        return steps, _INVERSES[name]
    return [estimator], "same"


def _parts(step: Any) -> list[Any]:
    """Return a transformer's steps, where it is a pipeline itself."""
    if _is_passed(step):
        return []
    if _kind(step) == "Pipeline":
        return [part for _, inner in step.steps for part in _parts(inner)]
    return [step]


def _is_passed(step: Any) -> bool:
    """Tell whether a step hands on what it gets; a fitted `passthrough` is a function of none."""
    if _kind(step) == "FunctionTransformer":
        return step.func is None and not step.validate
    return step is None or (isinstance(step, str) and step == "passthrough")


def _with_output(learned: Learned, output: Output) -> Learned:
    if output == "same":
        return learned
    if learned.output != "same":
        raise NoForm("its answer is transformed twice")
    return replace(learned, output=output)


# ---- from columns to the matrix ------------------------------------------------


def _names(step: Any, signature: Signature) -> list[str]:
    """Return the columns a step was fitted on, all of which must be in the signature."""
    names = getattr(step, "feature_names_in_", None)
    if names is None:
        raise NoForm(f"`{type(step).__name__}` was not fitted on named columns")
    known = {feature.name for feature in signature.features}
    if missing := [str(name) for name in names if name not in known]:
        raise NoForm(f"column {missing[0]!r} is not in the signature")
    return [str(name) for name in names]


def _first(transformer: Any, signature: Signature) -> tuple[list[_Made], list[Table]]:
    """Return what the first transformer, which sees the columns themselves, makes of them."""
    names = _names(transformer, signature)
    if _kind(transformer) != "ColumnTransformer":
        return _entry(transformer, names, signature)
    made: dict[int, _Made] = {}
    tables: list[Table] = []
    for name, part, columns in transformer.transformers_:
        if isinstance(columns, str):
            raise NoForm(f"`{name}` takes one column without a list")
        if isinstance(part, str) and part == "drop":
            continue
        indices = transformer._transformer_to_input_indices[name]  # noqa: SLF001  (no public way)
        if not len(indices):
            continue
        found, looked = _entry(part, [names[at] for at in indices], signature)
        place = transformer.output_indices_[name]
        spots = range(place.start, place.stop)
        if len(spots) != len(found):
            raise NoForm(f"`{name}` makes {len(spots)} columns in a way that is not known")
        made.update(zip(spots, found, strict=True))
        tables += looked
    return [made[at] for at in sorted(made)], tables


def _entry(
    transformer: Any, names: list[str], signature: Signature
) -> tuple[list[_Made], list[Table]]:
    """Return what one transformer makes of its columns, and the tables it looks up."""
    parts = _parts(transformer)
    encoder = next((part for part in parts if _kind(part) in _ENCODERS), None)
    if encoder is None:
        made = _passed(names, signature)
        for part in parts:
            made = _transformed(made, part)
        return made, []
    for part in parts:
        if _kind(part) not in _ENCODERS | {"SimpleImputer"} and _kind(part) not in _STEPS:
            raise NoForm(f"`{type(part).__name__}` has no compiled form")
    if len(encoder.categories_) != len(names):
        raise NoForm("an encoder comes after a column was dropped")
    extra = [
        part.missing_values
        for part in parts
        if _kind(part) == "SimpleImputer" and part.missing_values is not None
    ]
    vocabularies = [[*values, *extra] for values in encoder.categories_]
    tables = tabulate(transformer, names, vocabularies, signature)
    looked = {
        place: _Looked(table, table.numbers[:, at])
        for table in tables
        for at, place in enumerate(table.outputs)
    }
    return [looked[place] for place in sorted(looked)], tables


def _passed(names: Sequence[str], signature: Signature) -> list[_Made]:
    """Return columns that are handed on as numbers."""
    sources = {feature.name: at for at, feature in enumerate(signature.features)}
    made: list[_Made] = []
    for name in names:
        feature = signature.features[sources[name]]
        if feature.dtype not in NUMBERS:
            raise NoForm(f"column {name!r} of type {feature.dtype} is used as it is")
        if feature.dtype in _SMALL:
            raise NoForm(f"column {name!r} of type {feature.dtype} may be rounded on its way")
        made.append(_Number(source=sources[name]))
    return made


# ---- steps on numbers ----------------------------------------------------------


def _transformed(made: Sequence[_Made], transformer: Any) -> list[_Made]:
    """Return the columns of a matrix after a scaler or an imputer."""
    steps_of = _STEPS.get(_kind(transformer))
    if steps_of is None:
        raise NoForm(f"`{type(transformer).__name__}` has no compiled form")
    found: list[_Made] = []
    for at, column in enumerate(made):
        steps = steps_of(transformer, at)
        if steps is None:
            continue
        steps = (("finite", 0.0), *steps)  # each of them refuses an infinity
        if isinstance(column, _Number):
            found.append(_Number(source=column.source, steps=(*column.steps, *steps)))
        else:
            found.append(_Looked(column.table, apply_steps(column.numbers, steps)))
    return found


def _imputed(imputer: Any, at: int) -> tuple[Step, ...] | None:
    missing = imputer.missing_values
    if imputer.add_indicator or not isinstance(missing, float) or missing == missing:  # noqa: PLR0124
        raise NoForm("`SimpleImputer` looks for something other than nulls, or marks them")
    number = imputer.statistics_[at]
    if isinstance(number, str):
        raise NoForm("`SimpleImputer` puts words where numbers are taken")
    if number is None or number != number:  # noqa: PLR0124  (nothing was there at fitting)
        return (("fill", 0.0),) if imputer.keep_empty_features else None
    return (("fill", float(number)),)


def _standardised(scaler: Any, at: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    if scaler.with_mean:
        steps.append(("subtract", float(scaler.mean_[at])))
    if scaler.with_std:
        steps.append(("divide", float(scaler.scale_[at])))
    return tuple(steps)


def _stretched(scaler: Any, at: int) -> tuple[Step, ...]:
    steps: list[Step] = [
        ("multiply", float(scaler.scale_[at])),
        ("add", float(scaler.min_[at])),
    ]
    if scaler.clip:
        low, high = scaler.feature_range
        steps += [("least", float(low)), ("most", float(high))]
    return tuple(steps)


def _robust(scaler: Any, at: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    if scaler.with_centering:
        steps.append(("subtract", float(scaler.center_[at])))
    if scaler.with_scaling:
        steps.append(("divide", float(scaler.scale_[at])))
    return tuple(steps)


def _by_largest(scaler: Any, at: int) -> tuple[Step, ...]:
    if getattr(scaler, "clip", False):
        raise NoForm("`MaxAbsScaler` that clips has no compiled form")
    return (("divide", float(scaler.scale_[at])),)


_STEPS: dict[str, Any] = {
    "MaxAbsScaler": _by_largest,
    "MinMaxScaler": _stretched,
    "RobustScaler": _robust,
    "SimpleImputer": _imputed,
    "StandardScaler": _standardised,
}


# ---- cells ---------------------------------------------------------------------


def _wired_numbers(made: Sequence[_Made]) -> list[Wired]:
    return [
        Wired(cell=NumberCell(source=column.source, at=0, steps=column.steps), outputs=(at,))
        for at, column in enumerate(made)
        if isinstance(column, _Number)
    ]


def _wired_tables(
    made: Sequence[_Made], tables: Sequence[Table], signature: Signature
) -> list[Wired]:
    """Return a cell for each table; one that makes nothing stays where it refuses something."""
    wired = []
    for table in tables:
        own = [
            (at, column.numbers)
            for at, column in enumerate(made)
            if isinstance(column, _Looked) and column.table is table
        ]
        if own or table.refused:
            rows = np.column_stack([numbers for _, numbers in own]) if own else None
            cell = _cell(table, rows, signature.features[table.source].dtype)
            wired.append(Wired(cell=cell, outputs=tuple(at for at, _ in own)))
    return wired


def _cell(table: Table, rows: NDArray[np.float64] | None, dtype: str) -> TableCells:
    numbers = np.zeros((len(table.numbers), 0)) if rows is None else rows
    base = numbers[table.unknown]

    def row(at: int) -> int:
        return -1 if at in table.refused else at

    is_word = dtype == "String"
    return TableCells(
        source=table.source,
        at=0,
        base=tuple(_null_for_nan(number) for number in base),
        rows=tuple(
            tuple(
                (place, _null_for_nan(number))
                for place, number in enumerate(found)
                if number != base[place] and not (np.isnan(number) and np.isnan(base[place]))
            )
            for found in numbers
        ),
        keys={value: row(at) for at, value in enumerate(table.values)} if is_word else {},
        numbers=()
        if is_word
        else tuple((_plain(value), row(at)) for at, value in enumerate(table.values)),
        unknown=row(table.unknown),
        null=row(table.null),
        nan=row(table.null + 1) if dtype == "Float64" else None,
    )


def _plain(value: bool | float) -> int | float:  # noqa: FBT001  (a value of a column)
    return float(value) if isinstance(value, bool) else value


def _null_for_nan(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
