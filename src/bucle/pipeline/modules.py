"""The modules of a project as their sources say, found the way Python would find them.

Nothing of the project is imported. Facts are kept by content, so that a later run reads sources
only to digest them. Must not import anything heavy.
"""

import sys
from pathlib import Path

import msgspec

from bucle.errors import PipelineError
from bucle.ids import digest_bytes
from bucle.pipeline.facts import FACTS_VERSION, ModuleFacts
from bucle.pipeline.kept import FileKept, Kept, MemoryKept

__all__ = ["Module", "Modules", "absolute_name"]

_MAX_SOURCE = 1_000_000
_SKIPPED = frozenset({"__pycache__", "build", "demo", "dist", "node_modules", "site-packages"})


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """One module of a project; `file` is relative to it, empty for a folder without a file."""

    name: str
    file: str = ""
    digest: str = ""
    package: bool = False
    facts: ModuleFacts


class Modules:
    """The modules of one project, each file read once in the lifetime of this object.

    Args:
        root: The project's folder.
        memory: Folder where facts are kept by content; by default for this object only.
    """

    def __init__(self, root: Path, *, memory: Path | None = None) -> None:
        self.root = root.resolve()
        self._kept: Kept = FileKept(memory) if memory else MemoryKept()
        self._known: dict[str, Module | None] = {}
        self._decoder = msgspec.json.Decoder(ModuleFacts)

    def find(self, name: str) -> Module | None:
        """Return a module by its dotted name; None when the project has no such module.

        Raises:
            PipelineError: Its file is not Python (bucle-142) or cannot be read (bucle-143).
        """
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def of_file(self, file: str) -> Module:
        """Return the module of a file named relative to the project.

        Raises:
            PipelineError: There is no such file, or its name is no module name (bucle-143).
        """
        parts = Path(file).with_suffix("").parts
        name = ".".join(parts)
        module = self.find(name) if all(part.isidentifier() for part in parts) else None
        if module is None or module.file != Path(file).as_posix():
            raise PipelineError(
                f"Cannot find the module {file!r}",
                cause=f"looked in {self.root}",
                where=file,
                code="bucle-143",
            )
        return module

    def all(self) -> tuple[Module, ...]:
        """Return every module of the project, those of hidden and environment folders apart."""
        found = [self.find(name) for name in sorted(self._names(self.root, ""))]
        return tuple(module for module in found if module)

    def _find(self, name: str) -> Module | None:
        if not name or name.partition(".")[0] in sys.builtin_module_names:
            return None
        stem = self.root.joinpath(*name.split("."))
        for path in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
            if path.is_file() and path.resolve().is_relative_to(self.root):
                return self._read(name, path)
        if stem.is_dir() and any(stem.glob("*.py")):
            return Module(name=name, package=True, facts=ModuleFacts())
        return None

    def _read(self, name: str, path: Path) -> Module:
        file = path.relative_to(self.root).as_posix()
        try:
            source = path.read_bytes()
        except OSError as error:
            cause = error.strerror or str(error)
            raise PipelineError(
                f"Cannot read {file!r}", cause=cause, where=file, code="bucle-143"
            ) from error
        if len(source) > _MAX_SOURCE:
            raise PipelineError(
                f"Cannot read {file!r}: it has {len(source)} bytes",
                cause=f"a Python file of a project may have {_MAX_SOURCE}",
                where=file,
                code="bucle-143",
            )
        return Module(
            name=name,
            file=file,
            digest=digest_bytes(source),
            package=path.name == "__init__.py",
            facts=self._facts(source, file=file),
        )

    def _facts(self, source: bytes, *, file: str) -> ModuleFacts:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        key = digest_bytes(f"{FACTS_VERSION} {python} ".encode() + source)
        content = self._kept.get("facts", key)
        if content is not None:
            try:
                return self._decoder.decode(content)
            except msgspec.MsgspecError:
                pass  # kept in another form: read again
        from bucle.pipeline.syntax import read_facts  # noqa: PLC0415  (the parser, when needed)

        facts = read_facts(source, file=file)
        self._kept.put("facts", key, msgspec.json.encode(facts))
        return facts

    def _names(self, folder: Path, prefix: str) -> set[str]:
        names: set[str] = set()
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith(".") or entry.name in _SKIPPED or entry.is_symlink():
                continue
            if entry.is_dir() and entry.name.isidentifier():
                if not (entry / "pyvenv.cfg").exists():
                    names |= self._names(entry, f"{prefix}{entry.name}.")
            elif entry.name == "__init__.py":
                names.add(prefix.rstrip("."))
            elif entry.suffix == ".py" and entry.stem.isidentifier():
                names.add(f"{prefix}{entry.stem}")
        return names - {""}


def absolute_name(module: Module, *, name: str, level: int) -> str:
    """Return the dotted name that an import in a module means; empty when it leads too high.

    Example:
        >>> here = Module(name="shop.prices", file="shop/prices.py", facts=ModuleFacts())
        >>> absolute_name(here, name="brands", level=1)
        'shop.brands'
    """
    if not level:
        return name
    parts = module.name.split(".")
    kept = len(parts) - level + (1 if module.package else 0)
    if kept < 0 or (kept == 0 and not name):
        return ""
    return ".".join([*parts[:kept], *([name] if name else [])])
