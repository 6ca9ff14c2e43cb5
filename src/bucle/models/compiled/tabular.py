"""The compiled form of the default learner and of σ, both boosted trees on `Columns`.

Imports numpy; nothing of scikit-learn itself.
"""

import json
from dataclasses import replace
from typing import Any

from bucle.models.columns import Columns
from bucle.models.compiled.form import Cell, NumberCell, TableCells, TimeCells
from bucle.models.compiled.layout import Compiled, Wired, join, width_of
from bucle.models.compiled.learners import Learned, NoForm, read_learner
from bucle.models.compiled.values import NUMBERS
from bucle.models.intervals import ErrorScale
from bucle.models.signature import Feature, Signature

__all__ = ["compile_scale", "compile_tabular"]

_LARGEST = 1e300


def compile_tabular(estimator: Any, signature: Signature) -> Compiled:
    """Return the compiled form of a fitted `TabularRegressor` or `TabularClassifier`.

    Raises:
        NoForm: It holds something without one.
    """
    if not hasattr(estimator, "learner_"):
        raise NoForm("it has not been fitted")
    probability = signature.kind == "classification"
    learned = read_learner(estimator.learner_, probability=probability)
    if getattr(estimator, "log_target_", False):
        learned = _with_output_exp(learned)
    wired, width = _wire(estimator.columns_, signature.features)
    return join(wired, learned, signature.features, width=width)


def compile_scale(scale: ErrorScale, signature: Signature) -> Compiled:
    """Return the compiled form of σ, which takes the prediction as its last number.

    Raises:
        NoForm: It holds something without one.
    """
    learned = _with_output_exp(read_learner(scale.learner_, probability=False))
    wired, width = _wire(scale.columns_, signature.features)
    return join(wired, learned, signature.features, width=width + 1, given=1)


def _with_output_exp(learned: Learned) -> Learned:
    if learned.output != "same":
        raise NoForm("it takes the logarithm twice")
    return replace(learned, output="exp")


def _wire(columns: Columns, features: tuple[Feature, ...]) -> tuple[list[Wired], int]:
    sources = {feature.name: at for at, feature in enumerate(features)}
    wired, at = [], 0
    for plan in json.loads(columns.plan_):
        if plan["name"] not in sources:
            raise NoForm(f"column {plan['name']!r} is not in the signature")
        source = sources[plan["name"]]
        cell = _cell(plan, source, features[source])
        width = width_of(cell)
        wired.append(Wired(cell=cell, outputs=tuple(range(at, at + width))))
        at += width
    return wired, at


def _cell(plan: dict[str, Any], source: int, feature: Feature) -> Cell:
    kind, dtype = plan["kind"], feature.dtype
    if kind == "empty":
        return TableCells(source=source, at=0, base=(0.0,), rows=((),), unknown=0, null=0)
    if dtype == "Null":
        raise NoForm(f"column {feature.name!r} held something at training and nothing since")
    if kind == "word":
        return _words(plan["levels"], source, feature)
    if kind in {"number", "flag"} and dtype in NUMBERS:
        return NumberCell(source=source, at=0, steps=(("clip", _LARGEST),))
    if kind == "span" and (dtype == "Time" or dtype.startswith("Duration")):
        return TimeCells(source=source, at=0, parts=("seconds",))
    if kind == "date" and dtype.startswith("Date"):
        return TimeCells(source=source, at=0, parts=("day", "month", "weekday"))
    if kind == "moment" and dtype.startswith("Date"):
        return TimeCells(source=source, at=0, parts=("day", "month", "weekday", "hour"))
    raise NoForm(f"column {feature.name!r} of type {dtype} was learned as a {kind}")


def _words(levels: dict[str, Any], source: int, feature: Feature) -> TableCells:
    """Return the table of a column's words: row 0 is missing, then the levels, then the rest."""
    top: list[str] = levels["top"]
    unknown = len(top) + 1 if levels["rest"] else 0
    keys: dict[str, int] = {}
    numbers: tuple[tuple[int | float, int], ...] = ()
    if feature.dtype == "String":
        keys = {word: at for at, word in enumerate(top, start=1)}
    elif feature.dtype in NUMBERS and feature.dtype != "Float32":
        numbers = tuple((_number(word, feature.dtype), at) for at, word in enumerate(top, start=1))
    else:
        raise NoForm(f"column {feature.name!r} has levels of type {feature.dtype}")
    return TableCells(
        source=source,
        at=0,
        base=(None,),
        rows=((), *(((0, float(at)),) for at in range(len(top) + levels["rest"]))),
        keys=keys,
        numbers=numbers,
        unknown=unknown,
        null=0,
        huge=0,
    )


def _number(word: str, dtype: str) -> int | float:
    """Return the number that a level was the spelling of."""
    if dtype == "Boolean":
        return float(word == "true")
    if dtype != "Float64":
        return int(word)
    number = float(word)
    if number != number or abs(number) == float("inf"):  # noqa: PLR0124  (NaN)
        raise NoForm(f"a level is {word}")
    return number
