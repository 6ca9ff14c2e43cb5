"""The classes and functions a stored estimator may name: an allow-list, by name and by role.

What skops trusts by itself (scikit-learn's estimators, numpy and scipy types) is not repeated
here; this adds the few names fitted estimators need beyond it, and what the project itself
defines. A name is allowed in one role only, so that a class never becomes a function that is
called. Imports the ground floor only.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["ALLOWED", "LOADERS", "definition", "module_file", "named_types"]

_BOOSTING = "sklearn.ensemble._hist_gradient_boosting"

ALLOWED: Mapping[str, frozenset[str]] = {
    "ObjectNode": frozenset(
        {
            f"{_BOOSTING}.predictor.TreePredictor",
            "bucle.models.columns.Columns",
            "bucle.models.intervals.ErrorScale",
            "bucle.models.tabular.TabularClassifier",
            "bucle.models.tabular.TabularRegressor",
        }
    ),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "PartialNode": frozenset({"functools.partial"}),
    "DTypeNode": frozenset({"numpy.dtype"}),
    "DictNode": frozenset({"sklearn.utils._bunch.Bunch"}),
    "FunctionNode": frozenset({"sklearn.utils.validation.check_array"}),
    "ConstructorFromReduceNode": frozenset(
        {
            "datetime.date",
            "datetime.datetime",
            "datetime.time",
            "datetime.timedelta",
            "datetime.timezone",
            "decimal.Decimal",
            "zoneinfo.ZoneInfo",
        }
    ),
}
"""Role in the file → names allowed in it beyond what skops trusts."""

LOADERS = frozenset(ALLOWED) | frozenset(
    {
        "BytearrayNode",
        "BytesNode",
        "DefaultDictNode",
        "JsonNode",
        "ListNode",
        "LossNode",
        "MaskedArrayNode",
        "NdArrayNode",
        "RandomGeneratorNode",
        "RandomStateNode",
        "SetNode",
        "SliceNode",
        "SparseMatrixNode",
        "TupleNode",
        "TypeNode",
    }
)
"""Roles a file may use; bound methods and operator calls are not among them."""


def named_types(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the role and the full name of everything a stored estimator names."""
    if isinstance(node, dict):
        if "__loader__" in node:
            yield str(node["__loader__"]), f"{node.get('__module__')}.{node.get('__class__')}"
        for value in node.values():
            yield from named_types(value)
    elif isinstance(node, list):
        for value in node:
            yield from named_types(value)


def module_file(project: Path, module: str) -> Path | None:
    """Return the file of a module of the project; None when it is not inside the project.

    Links that lead out of the project do not count.
    """
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    root = project.resolve()
    base = root.joinpath(*parts)
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        found = candidate.resolve()
        if found.is_file() and found.is_relative_to(root):
            return found
    return None


def definition(file: Path, name: str) -> str:
    """Return the role in which a module defines a name at its top level, empty if it does not.

    The module is read, not imported: a name that it merely imports from elsewhere is no
    definition of its own.
    """
    tree = ast.parse(file.read_bytes(), filename=str(file))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return "ObjectNode"
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return "FunctionNode"
    return ""
