"""Who may import whom: floors, cycles, private names."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from sources import REPOSITORY, is_project_code, modules, tree


def test_higher_floors_import_lower_floors_only() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=REPOSITORY, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_no_module_imports_itself_through_others() -> None:
    graph = grimp.build_graph("bucle", exclude_type_checking_imports=True, cache_dir=None)
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            chain = graph.find_shortest_chain(importer=imported, imported=module)
            assert chain is None, " → ".join([module, *(chain or ())])


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.name))
def test_no_private_name_is_imported_from_another_module(path: Path) -> None:
    private = [
        f"{path.name}:{node.lineno}: {alias.name} of {node.module}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bucle")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert private == []


def test_only_absolute_imports_are_used() -> None:
    relative = [
        f"{path}:{node.lineno}"
        for path in modules()
        if not is_project_code(path)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []
