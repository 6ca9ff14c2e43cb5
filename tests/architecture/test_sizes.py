"""Budgets of size and of surface: what grows beyond them is two things."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from sources import functions, imported_names, is_project_code, modules, top_level_names, tree

SOFT_FILE, HARD_FILE = 400, 600
SOFT_FUNCTION, HARD_FUNCTION = 40, 80
MOST_MEMBERS, MOST_PARAMETERS = 25, 8


def _each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "path", paths, ids=lambda path: f"{path.parent.name}/{path.name}"
    )


each_module = _each(list(modules()))
# Nobody imports a program or a user's project.
each_library_module = _each(
    [path for path in modules() if not is_project_code(path) and path.name != "__main__.py"]
)


@each_module
def test_a_file_holds_one_role(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= HARD_FILE


@each_module
def test_a_function_fits_on_a_page(path: Path) -> None:
    long = {node.name: _lines(node) for node in functions(path) if _lines(node) > HARD_FUNCTION}
    assert long == {}


def test_reports_what_is_over_the_soft_budgets(record_property: Callable[..., None]) -> None:
    files = [path.name for path in modules() if len(path.read_text().splitlines()) > SOFT_FILE]
    long = [
        f"{path.name}:{node.name}"
        for path in modules()
        for node in functions(path)
        if _lines(node) > SOFT_FUNCTION
    ]
    record_property("files_over_soft_budget", files)
    record_property("functions_over_soft_budget", long)
    # A handful is a judgement; more is a habit.
    assert len(files) <= 5, files
    assert len(long) <= 0.03 * sum(1 for path in modules() for _ in functions(path)), long


@each_module
def test_a_class_shows_few_members(path: Path) -> None:
    large = {
        node.name: len(_public_members(node))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
        and not is_project_code(path)
        and len(_public_members(node)) > MOST_MEMBERS
    }
    assert large == {}


@each_module
def test_a_constructor_takes_few_parameters(path: Path) -> None:
    large = {}
    for node in functions(path):
        names = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if node.name == "__init__" and len(names) - 1 > MOST_PARAMETERS:
            large[f"{path.name}:{node.lineno}"] = len(names) - 1
    assert large == {}


@each_library_module
def test_the_list_of_public_names_is_the_public_names(path: Path) -> None:
    public = {name for name in top_level_names(path) if not name.startswith("_")}
    listed = _listed_names(path)
    if listed is None:
        assert public == set(), "no __all__"
        return
    assert len(listed) == len(set(listed)), "a name is listed twice"
    assert public <= set(listed)
    assert set(listed) - public <= imported_names(path) | {"__version__"}


@each_module
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree(path)), "no docstring"


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _public_members(node: ast.ClassDef) -> set[str]:
    names: set[str] = set()
    for member in node.body:
        match member:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                names.add(member.name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
    return {name for name in names if not name.startswith("_")}


def _listed_names(path: Path) -> list[str] | None:
    for node in tree(path).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
    return None
