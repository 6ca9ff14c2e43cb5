"""The project's own files and Python code: found inside its folder, loaded by name.

Nothing outside the folder is opened, links out of it included. Modules are compiled from their
source on each change, so an edit within one second is seen and nothing is written beside them.
Must not import anything heavy.
"""

import ast
import importlib
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from bucle.errors import CharterError, UnknownNameError, nearest
from bucle.ids import digest_bytes

__all__ = ["check_name", "load_name", "loaded_sources", "resolve_inside", "split_reference"]

_MAX_PATH = 1024
_MAX_SOURCE = 1_000_000


def resolve_inside(root: Path, text: str) -> Path:
    """Return the absolute path of a file named in the charter, which may not leave the project.

    The file need not exist. Links are followed and must end inside the project as well.

    Raises:
        CharterError: The text is no relative path, or leads out of the project (bucle-103).
    """
    reason = _why_no_path(text)
    if reason:
        raise _path_error(text, reason)
    base = root.resolve()
    try:
        path = (base / text).resolve()
    except (OSError, RuntimeError) as error:
        raise _path_error(text, "its links lead in a circle") from error
    if not path.is_relative_to(base):
        raise _path_error(text, "it leads out of the project's folder")
    # From Python 3.13 on, a circle of links is returned unresolved instead of raised.
    if path.is_symlink():
        raise _path_error(text, "its links lead in a circle")
    return path


def split_reference(reference: str) -> tuple[str, str]:
    """Split `file.py:Name` into its file and its name.

    Raises:
        CharterError: It is not of that form (bucle-118).

    Example:
        >>> split_reference("contract.py:Sales")
        ('contract.py', 'Sales')
    """
    file, colon, name = reference.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise CharterError(
            f"Cannot use {reference!r} as a name in the project's code",
            cause="it must be a Python file, a colon and a name",
            attempt="contract.py:Sales",
            code="bucle-118",
        )
    return file, name


def check_name(root: Path, reference: str) -> Path:
    """Return the file of `file.py:Name` after reading, not running, that the name is there.

    Raises:
        CharterError: The path leaves the project, is missing or is not Python.
        UnknownNameError: The file has no such top-level name (bucle-118).
    """
    file, name = split_reference(reference)
    path = resolve_inside(root, file)
    tree = _parse(path, file)
    known = _top_level_names(tree.body)
    if name not in known:
        raise _unknown_name(file, name, known)
    return path


def load_name(root: Path, reference: str) -> object:
    """Import a module of the project and return one of its names.

    The project's modules may import each other by bare name. They are imported again once any of
    them has changed or another project is asked for; until then the same objects are returned.

    Args:
        root: The project's folder.
        reference: `file.py:Name`, the file relative to the project.

    Raises:
        CharterError: The path leaves the project or is missing, or its code raised (bucle-105).
        UnknownNameError: The module has no such name (bucle-118).
    """
    file, name = split_reference(reference)
    path = resolve_inside(root, file)
    if not path.is_file():
        raise _missing(path, file)
    module = _MODULES.load(root.resolve(), path, file)
    try:
        found: object = getattr(module, name)
    except AttributeError:
        raise _unknown_name(file, name, sorted(vars(module))) from None
    return found


def loaded_sources() -> dict[str, str]:
    """Return the project's files that this process has imported, each with its digest.

    The digest is that of the bytes that were compiled, whatever stands in the file by now.
    """
    root = _MODULES.root
    if root is None:
        return {}
    return {path.relative_to(root).as_posix(): digest for path, digest in _MODULES.digests.values()}


# ---- modules ----------------------------------------------------------------


class _ProjectLoader(SourceFileLoader):
    """Compiles a module from its source, past the byte-code cache and its one-second clock."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        content = self.get_data(path)
        _MODULES.digests[fullname] = (Path(path), digest_bytes(content))
        return self.source_to_code(content, path)


class _ProjectModules:
    """The one project whose modules this process holds; a finder on `sys.meta_path`."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.digests: dict[str, tuple[Path, str]] = {}
        self.packages: set[str] = set()
        self.lock = threading.RLock()

    def load(self, root: Path, path: Path, file: str) -> ModuleType:
        """Import one file of a project as a module, or return it as it is."""
        with self.lock:
            self._activate(root)
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            try:
                module = importlib.import_module(name)
            except (Exception, SystemExit) as error:
                self._forget()
                raise _import_error(root, file, error) from error
            if Path(getattr(module, "__file__", None) or "").resolve() != path:
                raise CharterError(
                    f"Cannot import {file!r}",
                    cause=f"Python already has a module named {name!r}",
                    attempt=f"give the file another name, such as my_{path.name}",
                    code="bucle-105",
                )
            return module

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module in the project's folder, never through a link out of it."""
        del target
        if self.root is None:
            return None
        places = [self.root] if path is None else [Path(entry) for entry in path]
        for place in places:
            if not place.is_relative_to(self.root):
                continue
            stem = place / fullname.rpartition(".")[2]
            for candidate in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
                if candidate.is_file() and candidate.resolve().is_relative_to(self.root):
                    loader = _ProjectLoader(fullname, str(candidate))
                    return spec_from_file_location(fullname, candidate, loader=loader)
            if stem.is_dir() and any(stem.glob("*.py")):
                self.packages.add(fullname)
                spec = ModuleSpec(fullname, None, is_package=True)
                spec.submodule_search_locations = [str(stem)]
                return spec
        return None

    def _activate(self, root: Path) -> None:
        if self not in sys.meta_path:
            _install(self)
        if self.root != root or any(map(_has_changed, self.digests.values())):
            self._forget()
        self.root = root

    def _forget(self) -> None:
        for name in [*self.digests, *self.packages]:
            sys.modules.pop(name, None)
        self.digests.clear()
        self.packages.clear()


_MODULES = _ProjectModules()


def _install(finder: _ProjectModules) -> None:
    """Put the finder where a script's own folder would be: after built-ins, before the rest."""
    names = [getattr(other, "__name__", "") for other in sys.meta_path]
    place = names.index("PathFinder") if "PathFinder" in names else len(names)
    sys.meta_path.insert(place, finder)


def _has_changed(known: tuple[Path, str]) -> bool:
    path, digest = known
    try:
        return digest_bytes(path.read_bytes()) != digest
    except OSError:
        return True


# ---- reading without running ------------------------------------------------


def _parse(path: Path, file: str) -> ast.Module:
    if not path.is_file():
        raise _missing(path, file)
    if path.stat().st_size > _MAX_SOURCE:
        raise CharterError(
            f"Cannot read {file!r}: it has {path.stat().st_size} bytes",
            cause=f"a Python file of a project may have {_MAX_SOURCE}",
            code="bucle-105",
        )
    try:
        return ast.parse(path.read_bytes(), filename=file)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise CharterError(
            f"Cannot read {file!r} as Python",
            cause=getattr(error, "msg", "") or str(error),
            where=f"{file}:{line}" if line else file,
            code="bucle-105",
        ) from error


def _top_level_names(body: Sequence[ast.stmt]) -> list[str]:
    names: list[str] = []
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.append(statement.name)
            case ast.Import() | ast.ImportFrom():
                names += [(alias.asname or alias.name).split(".")[0] for alias in statement.names]
            case ast.Assign():
                names += [t.id for t in statement.targets if isinstance(t, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case ast.If() | ast.Try():
                names += _top_level_names([*statement.body, *statement.orelse])
            case _:
                pass
    return names


# ---- errors -----------------------------------------------------------------


def _why_no_path(text: str) -> str:
    """Return why a text is refused before the disk is asked, empty when it is fine."""
    rules = (
        (not text.strip(), "it is empty"),
        (len(text) > _MAX_PATH, f"it is longer than {_MAX_PATH} characters"),
        (any(ord(letter) < ord(" ") for letter in text), "it holds a control character"),
        ("://" in text, "an address is not a file of the project"),
        (text.startswith(("/", "\\")), "it must be relative to the project's folder"),
        (text.startswith("~"), "`~` is not expanded: write a path inside the project"),
        ("$" in text, "variables are not expanded: write a path inside the project"),
        ("\\" in text, "folders are separated by `/`"),
    )
    return next((reason for broken, reason in rules if broken), "")


def _path_error(text: str, reason: str) -> CharterError:
    shown = text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004  (a terminal's width)
    return CharterError(f"Cannot use the path {shown!r}", cause=reason, code="bucle-103")


def _missing(path: Path, file: str) -> CharterError:
    siblings = [entry.name for entry in path.parent.glob("*.py")] if path.parent.is_dir() else []
    return CharterError(
        f"There is no file {file!r}",
        cause=f"looked in {path.parent}",
        did_you_mean=nearest(path.name, sorted(siblings)),
        code="bucle-104",
    )


def _unknown_name(file: str, name: str, known: Sequence[str]) -> UnknownNameError:
    public = [candidate for candidate in known if not candidate.startswith("_")]
    return UnknownNameError(
        f"{file!r} has no name {name!r}",
        cause=f"it has: {', '.join(public[:12])}" if public else "it defines nothing",
        did_you_mean=nearest(name, public),
        code="bucle-118",
    )


def _import_error(root: Path, file: str, error: BaseException) -> CharterError:
    """Say what the project's code raised, and on which of its lines."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(root)]
    where = file
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{Path(error.filename).name}:{error.lineno}"
    elif own:
        where = f"{Path(own[-1].filename).relative_to(root)}:{own[-1].lineno}"
    return CharterError(
        f"Cannot import {file!r}",
        cause=f"{type(error).__name__}: {error}",
        where=where,
        code="bucle-105",
    )
