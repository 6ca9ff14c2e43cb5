"""Source read without running it: which statement defines what, and which merely runs.

Imports the standard library's parser; loaded only for files whose facts are not kept yet.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from bucle.errors import PipelineError
from bucle.pipeline.facts import Definition, FunctionFacts, ModuleFacts, ParameterFacts
from bucle.pipeline.normal_form import digest_code
from bucle.pipeline.references import ImportedModule, Reference
from bucle.pipeline.scopes import imported_names, names_bound, uses_of

__all__ = ["read_facts"]

_CONTAINERS = frozenset({"Counter", "OrderedDict", "defaultdict", "deque", "dict", "list", "set"})
_Def = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def read_facts(source: bytes, *, file: str) -> ModuleFacts:
    """Read the facts of a source file.

    Args:
        source: Its bytes; a coding comment and a byte-order mark are obeyed.
        file: Its name, for messages.

    Raises:
        PipelineError: It is not Python (bucle-142).
    """
    try:
        return _facts_of_tree(ast.parse(source, filename=file), source=source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise PipelineError(
            f"Cannot read {file!r} as Python",
            cause=getattr(error, "msg", "") or str(error),
            where=f"{file}:{line}" if line else file,
            code="bucle-142",
        ) from error
    except RecursionError as error:
        raise PipelineError(
            f"Cannot read {file!r}: an expression in it is nested too deeply",
            where=file,
            code="bucle-142",
        ) from error


def _facts_of_tree(tree: ast.Module, *, source: bytes) -> ModuleFacts:
    """Return the facts of a parsed module."""
    reader = _Reader(docstrings=b"__doc__" in source)
    for statement in tree.body:
        reader.read(statement)
    definitions = {name: reader.definition(nodes) for name, nodes in reader.defined.items()}
    return ModuleFacts(
        definitions=definitions,
        imports={name: tuple(found) for name, found in reader.imports.items()},
        modules=tuple(reader.modules),
        statements=reader.definition(reader.running) if reader.running else None,
        hooked=tuple(name for name, definition in definitions.items() if definition.hooks),
        functions=tuple(_functions(tree.body)),
    )


class _Reader:
    """Sorts the statements of a module by what they do when it is imported."""

    def __init__(self, *, docstrings: bool) -> None:
        self.docstrings = docstrings
        self.defined: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, list[Reference]] = {}
        self.modules: list[ImportedModule] = []
        self.running: list[ast.stmt] = []

    def read(self, statement: ast.stmt) -> None:
        if _never_runs(statement) or _says_nothing(statement):
            return
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._import(statement)
            return
        for name in sorted(names_bound([statement])):
            self.defined.setdefault(name, []).append(statement)
        for inner in _imports_in(statement):
            self._import(inner)
        if not _only_defines(statement):
            self.running.append(statement)

    def definition(self, nodes: Sequence[ast.stmt]) -> Definition:
        return Definition(
            digest=digest_code(nodes, docstrings=self.docstrings),
            uses=uses_of(nodes),
            hooks=_hooks(nodes),
            observes=any(_observes(node) for node in nodes),
            state=any(_is_state(node) for node in nodes),
        )

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        bound, modules = imported_names(statement)
        for name, reference in bound.items():
            self.imports.setdefault(name, []).append(reference)
        self.modules += modules


def _never_runs(statement: ast.stmt) -> bool:
    """Recognise `if __name__ == "__main__":`, which is nothing to whoever imports the module."""
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and isinstance(statement.test, ast.Compare)
        and isinstance(statement.test.left, ast.Name)
        and statement.test.left.id == "__name__"
        and isinstance(statement.test.ops[0], ast.Eq)
        and isinstance(statement.test.comparators[0], ast.Constant)
        and statement.test.comparators[0].value == "__main__"
    )


def _says_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _only_defines(statement: ast.stmt) -> bool:
    """Tell whether a statement does nothing but bind names."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.Assign(targets=targets):
            return all(_is_name(target) for target in targets)
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return _is_name(target)
        case ast.If(body=body, orelse=orelse):
            return all(map(_only_defines, [*body, *orelse]))
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
            caught = [inner for handler in handlers for inner in handler.body]
            return all(map(_only_defines, [*body, *caught, *orelse, *final]))
        case _:
            return _says_nothing(statement) or type(statement).__name__ == "TypeAlias"


def _is_name(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_is_name, target.elts))
    return isinstance(target, ast.Name | ast.Starred)


def _imports_in(statement: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that run with a compound statement, not those inside its functions."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _imports_in(child)


def _hooks(nodes: Sequence[ast.stmt]) -> tuple[Reference, ...]:
    """Return what gets to see the definitions among these statements being made."""
    seen: list[ast.AST] = []
    for node in nodes:
        for inner in _definitions_in(node):
            seen += inner.decorator_list
            if isinstance(inner, ast.ClassDef):
                seen += [*inner.bases, *inner.keywords]
    return uses_of(seen).references


def _definitions_in(node: ast.AST) -> Iterator[_Def]:
    if isinstance(node, _Def):
        yield node
    elif isinstance(node, ast.If | ast.Try | ast.ExceptHandler):
        for child in ast.iter_child_nodes(node):
            yield from _definitions_in(child)


def _observes(node: ast.stmt) -> bool:
    """Tell whether a class learns of its subclasses: `__init_subclass__`, or it is a metaclass."""
    return isinstance(node, ast.ClassDef) and (
        any(getattr(inner, "name", "") == "__init_subclass__" for inner in node.body)
        or any(_is_class_of_classes(base) for base in node.bases)
    )


def _is_class_of_classes(base: ast.expr) -> bool:
    return isinstance(base, ast.Name) and base.id == "type"


def _is_state(node: ast.stmt) -> bool:
    """Tell whether a name holds something that other code may add to, such as a registry."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    value = node.value
    if isinstance(value, ast.Call):
        function = value.func
        last = function.attr if isinstance(function, ast.Attribute) else ""
        name = function.id if isinstance(function, ast.Name) else last
        return name in _CONTAINERS or name[:1].isupper()
    return isinstance(
        value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp
    )


# ---- functions --------------------------------------------------------------


def _functions(body: Sequence[ast.stmt]) -> Iterator[FunctionFacts]:
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_"):
            continue
        summary = (ast.get_docstring(node) or "").strip().split("\n", 1)[0]
        yield FunctionFacts(
            name=node.name,
            line=node.lineno,
            parameters=tuple(_parameters(node.args)),
            summary=summary,
            fault=_fault(node),
        )


def _parameters(arguments: ast.arguments) -> Iterator[ParameterFacts]:
    plain = [*arguments.posonlyargs, *arguments.args]
    first = len(plain) - len(arguments.defaults)
    pairs: list[tuple[ast.arg, ast.expr | None]] = [
        (argument, arguments.defaults[place - first] if place >= first else None)
        for place, argument in enumerate(plain)
    ]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    for argument, default in pairs:
        if default is None:
            yield ParameterFacts(name=argument.arg)
            continue
        literal, value = _literal(default)
        yield ParameterFacts(name=argument.arg, optional=True, literal=literal, default=value)


def _literal(node: ast.expr) -> tuple[bool, Any]:
    """Return whether a default is made of JSON values, and the value; tuples become lists."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return False, None
    return _as_json(value)


def _as_json(value: Any) -> tuple[bool, Any]:
    if value is None or isinstance(value, bool):
        return True, value
    if isinstance(value, str):
        # Half of a surrogate pair is no text of JSON.
        is_half = any("\ud800" <= letter <= "\udfff" for letter in value)
        return (False, None) if is_half else (True, value)
    if isinstance(value, int | float):
        fits = -(2**63) <= value < 2**63 if isinstance(value, int) else abs(value) < float("inf")
        return (True, value) if fits else (False, None)
    if isinstance(value, list | tuple):
        items = [_as_json(item) for item in value]
        good = all(ok for ok, _ in items)
        return good, [item for _, item in items] if good else None
    if isinstance(value, dict) and all(isinstance(key, str) and _as_json(key)[0] for key in value):
        pairs = {key: _as_json(item) for key, item in value.items()}
        good = all(ok for ok, _ in pairs.values())
        return good, {key: item for key, (_, item) in pairs.items()} if good else None
    return False, None


def _fault(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    if isinstance(node, ast.AsyncFunctionDef):
        return "it is `async`; a step is a plain function"
    if node.args.vararg or node.args.kwarg:
        return "it takes `*` or `**` arguments, whose names cannot be matched to steps"
    if node.args.posonlyargs:
        return "it has positional-only parameters; a step is called by name"
    if any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in _own_nodes(node)):
        return "it yields; a step returns one value"
    return ""


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what belongs to a function itself, not to functions inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _own_nodes(child)
