"""Everything of a project that a piece of its code reaches, followed through all its modules.

Names are resolved as Python would resolve them; where that cannot be known before running
(`globals()`, `importlib`, a module handed on as a value) the whole module or project counts, so
that a change is never missed. Must not import anything heavy.
"""

import builtins

from msgspec import Struct

from bucle.pipeline.facts import Definition
from bucle.pipeline.modules import Module, Modules, absolute_name
from bucle.pipeline.references import ImportedModule, Reference, Uses

__all__ = ["Reached", "reach"]

_ANYTHING = frozenset({"__import__", "eval", "exec", "globals"})
_ANY_MODULE = frozenset({"importlib", "pkgutil", "runpy"})
_HARMLESS = frozenset({"metadata", "resources"})
_OWN_TEXT = frozenset({"inspect", "linecache", "tokenize"})


class Reached(Struct, frozen=True, kw_only=True):
    """What was reached.

    Args:
        parts: `features.encode` → digest of its code; the code that merely runs when a module is
            imported is `features (statements)`.
        strings: Text constants, each with the module it stands in.
        libraries: Top-level import names of other code than the project's.
        files: Source files that are imported, with the digest of their bytes.
        lists_folders: Whether code that was reached looks into folders.
    """

    parts: dict[str, str]
    strings: frozenset[tuple[str, str]]
    libraries: frozenset[str]
    files: dict[str, str]
    lists_folders: bool


def reach(modules: Modules, *, module: Module, name: str) -> Reached:
    """Follow one module-level name through the project.

    Raises:
        PipelineError: A file on the way is not Python.
    """
    walk = _Walk(modules)
    walk.definition(module, name)
    walk.drain()
    return Reached(
        parts=dict(sorted(walk.parts.items())),
        strings=frozenset(walk.strings),
        libraries=frozenset(walk.libraries),
        files=dict(sorted(walk.files.items())),
        lists_folders=walk.lists_folders,
    )


class _Walk:
    """Visits each definition and each module once.

    Definitions queue what they use instead of visiting each other, so that a long chain of
    functions does not end at Python's limit of recursion.

    Args:
        modules: The project's modules.
        importing: Whether what runs when a module is imported counts.
    """

    def __init__(self, modules: Modules, *, importing: bool = True) -> None:
        self.modules = modules
        self.importing = importing
        self.parts: dict[str, str] = {}
        self.strings: set[tuple[str, str]] = set()
        self.libraries: set[str] = set()
        self.files: dict[str, str] = {}
        self.lists_folders = False
        self.changes_state = False
        self.observes = False
        self._touched: set[str] = set()
        self._whole: set[str] = set()
        self._seen: set[tuple[str, str]] = set()
        self._pending: list[tuple[Module, Uses]] = []

    def definition(self, module: Module, name: str) -> None:
        """Take a definition and what importing its module does."""
        if (module.name, name) in self._seen:
            return
        self._seen.add((module.name, name))
        self._take(module, f"{module.name}.{name}", module.facts.definitions[name])
        self.touch(module)

    def drain(self) -> None:
        """Follow everything that was taken so far to its end."""
        while self._pending:
            module, uses = self._pending.pop()
            self.lists_folders |= uses.lists_folders
            self.changes_state |= uses.changes_state
            self.strings.update((module.name, text) for text in uses.strings)
            for imported in uses.imports:
                self._import(module, imported)
            for reference in uses.references:
                self.resolve(module, reference)

    def touch(self, module: Module) -> None:
        """Take what happens when a module is imported."""
        if not self.importing or module.name in self._touched:
            return
        self._touched.add(module.name)
        if module.file:
            self.files[module.file] = module.digest
        parent = self.modules.find(module.name.rpartition(".")[0])
        if parent:
            self.touch(parent)
        if module.facts.statements:
            self._take(module, f"{module.name} (statements)", module.facts.statements)
        for imported in module.facts.modules:
            self._import(module, imported)
        for name in module.facts.hooked:
            if self._registers(module, module.facts.definitions[name]):
                self.definition(module, name)

    def resolve(self, module: Module, reference: Reference) -> None:
        """Find what a reference in a module stands for and take it."""
        if reference.module or reference.level:
            self._from(module, reference, ())
            return
        name, rest = reference.chain[0], reference.chain[1:]
        facts = module.facts
        targets = [] if name == "*" else list(facts.imports.get(name, ()))
        if name in facts.definitions:
            self.definition(module, name)
        for target in targets:
            self._from(module, target, rest)
        if name in facts.definitions or targets:
            return
        if self._from_stars(module, reference.chain, set()):
            return
        if name in _ANYTHING:
            self._everything()
        elif not hasattr(builtins, name) and not name.startswith("__"):
            # Nothing defines it before the program runs, so anything in the module may.
            self.whole(module)

    def whole(self, module: Module) -> None:
        """Take all of a module: every definition and every name it imports."""
        if module.name in self._whole:
            return
        self._whole.add(module.name)
        self.touch(module)
        for name in module.facts.definitions:
            self.definition(module, name)
        for name in module.facts.imports:
            if name != "*":
                self.resolve(module, Reference((name,)))
        for star in module.facts.imports.get("*", ()):
            found = self.modules.find(absolute_name(module, name=star.module, level=star.level))
            if found:
                self.whole(found)

    def _take(self, module: Module, label: str, definition: Definition) -> None:
        self.parts[label] = definition.digest
        self.observes |= definition.observes
        self._pending.append((module, definition.uses))

    def _import(self, module: Module, imported: ImportedModule) -> None:
        """Take what an import statement runs: the modules named, and submodules taken by name."""
        name = absolute_name(module, name=imported.module, level=imported.level)
        found = self.modules.find(name) if name else None
        if found is None:
            if name and not imported.level:
                self.libraries.add(name.split(".")[0])
            return
        self.touch(found)
        for taken in imported.names:
            inner = self.modules.find(f"{name}.{taken}")
            if inner and taken not in found.facts.definitions:
                self.touch(inner)

    def _from(self, module: Module, target: Reference, rest: tuple[str, ...]) -> None:
        """Take what `from target import …` or `target.…` stands for."""
        name = absolute_name(module, name=target.module, level=target.level)
        chain = (*target.chain, *rest)
        found = self.modules.find(name) if name else None
        if found:
            self._inside(found, chain)
        elif name:
            self._library(name.split(".")[0], (*name.split(".")[1:], *chain))

    def _inside(self, module: Module, chain: tuple[str, ...]) -> None:
        """Take an attribute of a module of the project."""
        self.touch(module)
        if not chain:
            self.whole(module)
            return
        head = chain[0]
        if head in module.facts.definitions or head in module.facts.imports:
            self.resolve(module, Reference(chain))
            return
        inner = self.modules.find(f"{module.name}.{head}")
        if inner:
            self._inside(inner, chain[1:])
        elif not self._from_stars(module, chain, set()) and not head.startswith("__"):
            self.whole(module)

    def _from_stars(self, module: Module, chain: tuple[str, ...], asked: set[str]) -> bool:
        """Look a name up in the modules that a module imports with a star."""
        asked.add(module.name)
        for star in module.facts.imports.get("*", ()):
            name = absolute_name(module, name=star.module, level=star.level)
            found = self.modules.find(name) if name else None
            if found is None or found.name in asked:
                continue
            self.touch(found)
            if chain[0] in found.facts.definitions or chain[0] in found.facts.imports:
                self.resolve(found, Reference(chain))
                return True
            if self._from_stars(found, chain, asked):
                return True
        return False

    def _library(self, name: str, chain: tuple[str, ...]) -> None:
        self.libraries.add(name)
        if name in _OWN_TEXT:
            self._every_file()
        elif (name == "sys" and chain[:1] == ("modules",)) or (
            name in _ANY_MODULE and _HARMLESS.isdisjoint(chain[:1])
        ):
            self._everything()

    def _everything(self) -> None:
        for module in self.modules.all():
            self.whole(module)

    def _every_file(self) -> None:
        self._everything()
        for module in self.modules.all():
            self.parts[f"{module.name} (source text)"] = module.digest

    def _registers(self, module: Module, definition: Definition) -> bool:
        """Tell whether making a definition is seen elsewhere: by a registry or a watching base."""
        for reference in definition.hooks:
            direct = module.facts.definitions.get(reference.chain[0]) if reference.chain else None
            if direct and direct.state:
                return True
        other = _Walk(self.modules, importing=False)
        for reference in definition.hooks:
            other.resolve(module, reference)
        other.drain()
        return other.changes_state or other.observes
