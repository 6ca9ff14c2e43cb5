"""The page of promises names tests that exist and run when it says so."""

import ast
import re

import pytest
from sources import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reference" / "promises.md").read_text(encoding="utf-8")
NAMED = re.compile(r"^- `(tests/[\w/]+\.py)(?:::(\w+))?` \(([a-z, ]+)\)$", re.MULTILINE)
PROMISES = 25


def test_every_promise_has_its_tests() -> None:
    begin, *sections = re.split(r"^## (?=\d+\. )", PAGE, flags=re.MULTILINE)
    assert NAMED.search(begin) is None
    assert [int(one.partition(".")[0]) for one in sections] == list(range(1, PROMISES + 1))
    assert [one.splitlines()[0] for one in sections if NAMED.search(one) is None] == []
    # A line that looks otherwise would not be looked at.
    assert len(NAMED.findall(PAGE)) == len(re.findall(r"^- ", PAGE, re.MULTILINE))


@pytest.mark.parametrize(("path", "name", "when"), NAMED.findall(PAGE))
def test_a_named_test_exists_and_runs_when_the_page_says(path: str, name: str, when: str) -> None:
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    tests = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    if name:
        tests = [node for node in tests if node.name == name]
    assert tests, f"{path} has no {name or 'test'}"
    found = {one for node in tests for one in _suites(tree, node)}
    # Marks may depend on a parameter in ways that only running tells: those are named by hand.
    assert found <= set(when.split(", ")), found
    assert "always" in found or "always" not in when


def _suites(tree: ast.Module, test: ast.FunctionDef) -> set[str]:
    """Return when a test runs: by its module's mark, its own, and those of its parameters."""
    of_module = " ".join(
        ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    )
    own = [ast.unparse(one) for one in test.decorator_list if "parametrize" not in ast.unparse(one)]
    outer = _marks(" ".join([of_module, *own]))
    cases = [
        _marks(ast.unparse(one))
        for decorator in test.decorator_list
        for one in ast.walk(decorator)
        if isinstance(one, ast.Call) and ast.unparse(one.func) == "pytest.param"
    ]
    return {_suite(outer | case) for case in cases or [set()]}


def _marks(text: str) -> set[str]:
    return set(re.findall(r"pytest\.mark\.(slow|thorough)", text))


def _suite(marks: set[str]) -> str:
    return "slow" if "slow" in marks else "thorough" if "thorough" in marks else "always"
