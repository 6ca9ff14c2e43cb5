"""What a model does with what is missing, and with words it has never seen: column by column.

Read from its compiled form and the contract's rules; an estimator as it is decides by itself.
Imports nothing heavy.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from bucle.models.compiled.form import Cell, Form, NumberCell, Record, TableCells
from bucle.models.rules import Rule
from bucle.models.signature import Signature

__all__ = ["Treatment", "known_values", "read_treatments"]

_Way = Literal["taken", "refused", "unsaid"]


class Treatment(Struct, frozen=True, kw_only=True):
    """What becomes of a row whose column is null, or holds a value never seen where it has levels.

    `unsaid` is what an estimator decides row by row; `unknown` is None for a column of quantities.
    """

    column: str
    null: _Way
    unknown: _Way | None


def read_treatments(
    signature: Signature, record: Record | None, rules: Iterable[Rule] = ()
) -> tuple[Treatment, ...]:
    """Return the treatments of all columns a model takes, in its order.

    Args:
        signature: What it takes.
        record: What its package says of its compiled form.
        rules: What the contract says of its columns.
    """
    form = record.model if record is not None else None
    ruled = {rule.name: rule for rule in rules}
    found = []
    for at, feature in enumerate(signature.features):
        rule = ruled.get(feature.name) or Rule(name=feature.name)
        cells = () if form is None else [cell for cell in form.cells if cell.source == at]
        null: _Way = "unsaid" if form is None else _join(map(_null_way, cells))
        unknown: _Way | None = "unsaid" if feature.dtype == "String" else None
        if form is not None:
            levels = [cell for cell in cells if _is_levels(cell)]
            unknown = _join(map(_unknown_way, levels)) if levels else None
        if rule.one_of is not None:
            unknown = "refused"
        found.append(
            Treatment(
                column=feature.name, null=null if rule.nullable else "refused", unknown=unknown
            )
        )
    return tuple(found)


def known_values(
    signature: Signature, record: Record | None, profile: Mapping[str, Any]
) -> dict[str, frozenset[Any]]:
    """Return the values a model has levels for, by column; columns without are left out.

    Args:
        signature: What it takes.
        record: What its package says of its compiled form.
        profile: What the rows looked like it was fitted on, for estimators without such a form.
    """
    form = record.model if record is not None else None
    if form is not None:
        return _levels(form)
    columns: Mapping[str, Any] = profile.get("columns", {})
    found = {}
    for feature in signature.features:
        words = _words(columns.get(feature.name, {}))
        if feature.dtype == "String" and words is not None:
            found[feature.name] = words
    return found


def _levels(form: Form) -> dict[str, frozenset[Any]]:
    found: dict[str, frozenset[Any]] = {}
    for cell in form.cells:
        if isinstance(cell, TableCells) and _is_levels(cell):
            name = form.columns[cell.source].name
            own = frozenset(cell.keys) | frozenset(number for number, _ in cell.numbers)
            found[name] = found.get(name, own) & own
    return found


def _words(known: Mapping[str, Any]) -> frozenset[str] | None:
    """Return all words of a column; None where its profile does not list them all."""
    if known.get("kind") != "word":
        return None
    words = frozenset([word for word, _ in known.get("top", ())]) | frozenset(
        known.get("others", ())
    )
    return words if len(words) == known.get("different") else None


def _is_levels(cell: Cell) -> bool:
    return isinstance(cell, TableCells) and bool(cell.keys or cell.numbers)


def _null_way(cell: Cell) -> _Way:
    if isinstance(cell, TableCells):
        return "taken" if cell.null >= 0 else "refused"
    if isinstance(cell, NumberCell):
        steps = [name for name, _ in cell.steps]
        return "refused" if "known" in steps and "fill" not in steps else "taken"
    return "taken"


def _unknown_way(cell: Cell) -> _Way:
    return "taken" if isinstance(cell, TableCells) and cell.unknown >= 0 else "refused"


def _join(ways: Iterable[_Way]) -> _Way:
    return "refused" if "refused" in list(ways) else "taken"
