"""The sources of the package, read and never imported: what every architecture test looks at."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = [
    "PACKAGE",
    "REPOSITORY",
    "functions",
    "imported_names",
    "is_project_code",
    "modules",
    "package_of",
    "top_level_names",
    "tracked_files",
    "tree",
]

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "src" / "bucle"


@cache
def modules() -> tuple[Path, ...]:
    """Return every Python file of the package, project templates included."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


def is_project_code(path: Path) -> bool:
    """Tell whether a file belongs to a project that `bucle new` writes."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] == "templates" and len(parts) > 2


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def package_of(path: Path) -> str:
    """Return the floor a file stands on: `store`, `types` and the like."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def top_level_names(path: Path) -> set[str]:
    """Return the names a module defines itself, imports left out."""
    names: set[str] = set()
    for node in tree(path).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign():
                names |= {one.id for one in ast.walk(node) if _is_bound(one)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def imported_names(path: Path) -> set[str]:
    """Return the names a module imports by `from … import …`, at its top level."""
    return {
        alias.asname or alias.name
        for node in tree(path).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _is_bound(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return the files git keeps, none where this is no git checkout."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )
    names = done.stdout.split("\0") if done.returncode == 0 else []
    return tuple(REPOSITORY / name for name in names if name and (REPOSITORY / name).is_file())
