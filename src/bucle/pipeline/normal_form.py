"""The normal form of code: what it says, without how it is laid out.

Comments, docstrings, positions, quotes, brackets and blank lines are gone; names, constants,
annotations and the order of statements stay. Must not import anything but the standard library.
"""

import ast
from collections.abc import Iterable

from bucle.ids import digest_parts

__all__ = ["digest_code"]

# Where an expression stands says these already; they only mirror layout or comments.
_LAYOUT = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


def digest_code(nodes: Iterable[ast.AST], *, docstrings: bool = False) -> str:
    r"""Return one digest for pieces of code; their order counts, their layout does not.

    Args:
        nodes: Statements or expressions.
        docstrings: Whether docstrings count, for code that reads its own.

    Example:
        >>> plain = ast.parse("def f(x): return x+1")
        >>> spaced = ast.parse("def f( x ):\n    'Add.'\n    return (x + 1)  # one more")
        >>> digest_code([plain]) == digest_code([spaced])
        True
    """
    return digest_parts(_text(node, docstrings=docstrings) for node in nodes)


def _text(node: ast.AST, *, docstrings: bool) -> bytes:
    out: list[str] = []
    _write(node, out, docstrings=docstrings)
    return "".join(out).encode("utf-8", "surrogatepass")


def _write(value: object, out: list[str], *, docstrings: bool) -> None:
    if isinstance(value, ast.Constant):
        out.append(_constant(value.value))
    elif isinstance(value, ast.AST):
        out.append(f"({type(value).__name__}")
        for name in value._fields:
            if name not in _LAYOUT:
                out.append(f" {name}=")
                _write(getattr(value, name, None), out, docstrings=docstrings)
        out.append(")")
    elif isinstance(value, list):
        out.append("[")
        for item in value:
            if docstrings or not _says_nothing(item):
                _write(item, out, docstrings=docstrings)
                out.append(",")
        out.append("]")
    else:
        out.append(repr(value))


def _says_nothing(node: object) -> bool:
    """Tell whether a statement does nothing: a docstring, another bare literal, `pass`."""
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _constant(value: object) -> str:
    # repr of an int has a limit of digits, hex has none.
    shown = hex(value) if type(value) is int else repr(value)
    return f"<{type(value).__name__} {shown}>"
