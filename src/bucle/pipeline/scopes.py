"""Which module-level names a piece of code uses, by Python's own rules of scope.

A local variable that is named like a module-level function is no use of it. Must not import
anything heavy.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bucle.pipeline.references import ImportedModule, Reference, Uses

__all__ = ["imported_names", "names_bound", "uses_of"]

_MAX_STRING = 512
_JOINERS = frozenset({"join", "joinpath", "Path", "PurePath", "PosixPath"})
_LISTERS = frozenset({"glob", "iglob", "iterdir", "listdir", "rglob", "scandir", "walk"})
_CHANGERS = frozenset(
    {"add", "append", "extend", "insert", "push", "register", "setdefault", "update"}
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def uses_of(nodes: Iterable[ast.AST]) -> Uses:
    r"""Return what module-level code uses.

    Example:
        >>> code = ast.parse("def f(x):\n    y = x\n    return g(y, h.scale)")
        >>> [reference.chain for reference in uses_of([code]).references]
        [('g',), ('h', 'scale')]
    """
    walk = _Walk()
    for node in nodes:
        walk.visit(node)
    return Uses(
        references=tuple(sorted(walk.references, key=_order)),
        strings=tuple(sorted(walk.strings)),
        imports=tuple(sorted(walk.imports, key=lambda item: (item.module, item.level, item.names))),
        lists_folders=walk.lists_folders,
        changes_state=walk.changes_state,
    )


def imported_names(
    statement: ast.Import | ast.ImportFrom,
) -> tuple[dict[str, Reference], tuple[ImportedModule, ...]]:
    """Return the names an import binds, what each stands for, and the modules it names.

    A star import binds the name `*`.
    """
    if isinstance(statement, ast.ImportFrom):
        module, level = statement.module or "", statement.level
        taken = [alias.name for alias in statement.names]
        bound = {
            alias.asname or alias.name: Reference((alias.name,), module, level)
            for alias in statement.names
        }
        return bound, (ImportedModule(module, level, tuple(taken)),)
    bound = {}
    for alias in statement.names:
        if alias.asname:
            bound[alias.asname] = Reference((), alias.name)
        else:
            first = alias.name.split(".")[0]
            bound[first] = Reference((), first)
    return bound, tuple(ImportedModule(alias.name) for alias in statement.names)


def names_bound(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the names that statements bind in the scope they stand in."""
    return _bindings(nodes).names


class _Scope:
    """The names of one function, class or comprehension."""

    def __init__(self, *, is_class: bool = False) -> None:
        self.is_class = is_class
        self.names: set[str] = set()
        self.outer: set[str] = set()
        self.imports: dict[str, list[Reference]] = {}


def _bindings(nodes: Sequence[ast.AST], *, is_class: bool = False) -> _Scope:
    scope = _Scope(is_class=is_class)
    for node in nodes:
        _bind(node, scope)
    scope.names -= scope.outer
    return scope


def _bind(node: ast.AST, scope: _Scope) -> None:  # noqa: C901  (one case for each way to bind)
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            scope.names.add(name)
        case ast.Import() | ast.ImportFrom():
            for name, reference in imported_names(node)[0].items():
                scope.names.add(name)
                scope.imports.setdefault(name, []).append(reference)
        case ast.Global(names=names):
            scope.outer.update(names)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            scope.names.add(node.name)
            return
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            scope.names.add(name)
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            scope.names.add(name)
        case ast.Lambda():
            return
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            # Only `:=` reaches out of a comprehension.
            for inner in ast.walk(node):
                if isinstance(inner, ast.NamedExpr):
                    scope.names.add(inner.target.id)
            return
        case _:
            pass
    for child in ast.iter_child_nodes(node):
        _bind(child, scope)


class _Walk:
    """Collects uses while it keeps track of the scopes it is in."""

    def __init__(self) -> None:
        self.scopes: list[_Scope] = []
        self.references: set[Reference] = set()
        self.strings: set[str] = set()
        self.imports: set[ImportedModule] = set()
        self.lists_folders = False
        self.changes_state = False

    def visit(self, node: ast.AST) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                self._function(node)
            case ast.ClassDef():
                self._class(node)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._comprehension(node)
            case ast.Import() | ast.ImportFrom():
                self.imports.update(imported_names(node)[1])
            case ast.Name(ctx=ast.Store()) if not self.scopes:
                pass  # it is being defined here
            case ast.Attribute() | ast.Name():
                self._chain(node)
            case ast.Constant(value=str(text)):
                self._string(text)
            case ast.Expr(value=ast.Constant()):
                pass
            case _:
                self._joined(node)
                self.changes_state |= self._changes_state(node)
                self._children(node)

    def _children(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            self.visit(child)

    def _function(self, node: _Function) -> None:
        outside: list[Any] = [*node.args.defaults, *node.args.kw_defaults]
        arguments = _arguments(node.args)
        if not isinstance(node, ast.Lambda):
            outside += [*node.decorator_list, node.returns]
            outside += [argument.annotation for argument in arguments]
        for part in outside:
            if part is not None:
                self.visit(part)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        scope = _bindings(body)
        scope.names.update(argument.arg for argument in arguments)
        self._inside(scope, body)

    def _class(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self._inside(_bindings(node.body, is_class=True), node.body)

    def _comprehension(self, node: _Comprehension) -> None:
        first, *others = node.generators
        self.visit(first.iter)
        scope = _bindings([generator.target for generator in node.generators])
        parts: list[ast.AST] = [first.target, *first.ifs, *others]
        parts += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._inside(scope, parts)

    def _inside(self, scope: _Scope, nodes: Sequence[ast.AST]) -> None:
        self.scopes.append(scope)
        for node in nodes:
            self.visit(node)
        self.scopes.pop()

    def _chain(self, node: ast.AST) -> None:
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        self.lists_folders |= not _LISTERS.isdisjoint(attributes)
        if not isinstance(node, ast.Name):
            self.visit(node)
            return
        chain = (node.id, *reversed(attributes))
        self.lists_folders |= node.id in _LISTERS
        scope = self._home_of(node.id)
        if scope is None:
            self.references.add(Reference(chain))
            return
        for start in scope.imports.get(node.id, ()):
            self.references.add(Reference((*start.chain, *chain[1:]), start.module, start.level))

    def _home_of(self, name: str) -> _Scope | None:
        """Return the scope that binds a name; None when it is a module-level or built-in one."""
        for depth, scope in enumerate(reversed(self.scopes)):
            if scope.is_class and depth:
                continue
            if name in scope.outer:
                return None
            if name in scope.names:
                return scope
        return None

    def _changes_state(self, node: ast.AST) -> bool:
        """Recognise `REGISTRY[name] = f`, `REGISTRY.append(f)` and `del REGISTRY[name]`."""
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            root: ast.expr = node.value
        elif isinstance(node, ast.Call) and _last_name(node.func) in _CHANGERS:
            root = node.func
        else:
            return False
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        return isinstance(root, ast.Name) and self._home_of(root.id) is None

    def _string(self, text: str) -> None:
        is_short = 0 < len(text) <= _MAX_STRING and "\n" not in text and "\0" not in text
        # Half of a surrogate pair names no file, and cannot be kept.
        if is_short and not any("\ud800" <= letter <= "\udfff" for letter in text):
            self.strings.add(text)

    def _joined(self, node: ast.AST) -> None:
        """Add the path that `a / "b" / "c"` or `join("b", "c")` spells in parts."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            self._string("/".join(_texts(_flatten(node))))
        elif isinstance(node, ast.Call) and _last_name(node.func) in _JOINERS:
            self._string("/".join(_texts(node.args)))


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def _flatten(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield from _flatten(node.left)
        yield from _flatten(node.right)
    elif isinstance(node, ast.Call) and _last_name(node.func) in _JOINERS:
        yield from node.args
    else:
        yield node


def _texts(nodes: Iterable[ast.expr]) -> list[str]:
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _order(reference: Reference) -> tuple[str, int, tuple[str, ...]]:
    return (reference.module, reference.level, reference.chain)
