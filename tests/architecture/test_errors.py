"""Errors: each class renders by the template, each code has one meaning and one section."""

import ast
import inspect
import re
from collections import Counter, defaultdict

import pytest
from sources import PACKAGE, REPOSITORY, modules, package_of, tree

from bucle import errors
from bucle.errors import BucleError

CODE = re.compile(r"bucle-\d{3}")
SECTIONS = REPOSITORY / "docs" / "reference" / "errors.d"
CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, BucleError)
]
SPECIAL = {
    errors.StalePositionError: {"expected": 3, "actual": 5},
    errors.LeaseTakenError: {"name": "loop", "holder": "a", "cause": "b holds it"},
    errors.FencedError: {"name": "loop", "holder": "a", "cause": "b holds it"},
    errors.LogDamagedError: {"position": 3, "cause": "its hash differs"},
}


def codes_in_source() -> dict[str, set[str]]:
    """Return each code with the packages whose source holds it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        for node in ast.walk(tree(path)):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and CODE.fullmatch(text):
                found[text].add(package_of(path))
    return found


def sections() -> list[str]:
    return [
        code
        for page in sorted(SECTIONS.glob("*.md"))
        for code in re.findall(r"^## (bucle-\d{3}) — \S", page.read_text(), re.MULTILINE)
    ]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_renders_by_the_template(kind: type[BucleError]) -> None:
    if kind in SPECIAL:
        error = kind(**SPECIAL[kind])
    else:
        error = kind(
            "Cannot use 'x'",
            cause="it is no y",
            where="bucle.toml:3",
            did_you_mean=["y", "z"],
            attempt="bucle config",
        )
        assert error.render().startswith("bucle.toml:3: Cannot use 'x'.\n")
        assert "\n  Did you mean: y, z\n" in error.render() or kind is errors.CycleError
    lines = error.render().splitlines()
    assert lines[0].endswith(".")
    assert [line.split(":")[0].strip() for line in lines[1:]] in (
        ["Cause", "Did you mean", "Try", "Code"],
        ["Cause", "Try", "Code"],
    )
    assert lines[-1] == f"  Code: {error.code}"
    assert error.as_json()["code"] == error.code


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_default_message_and_an_exit_code(kind: type[BucleError]) -> None:
    error = kind(**SPECIAL.get(kind, {}))
    assert error.what
    assert error.exit_code in {1, 2, 3}
    assert CODE.fullmatch(kind.code)


def test_every_code_in_the_source_has_one_section() -> None:
    written = Counter(sections())
    assert sorted(set(codes_in_source()) - set(written)) == [], "no section in errors.d"
    assert [code for code, count in written.items() if count > 1] == [], "two sections"


def test_every_section_is_of_a_code_in_use() -> None:
    assert sorted(set(sections()) - set(codes_in_source())) == []


def test_a_code_is_raised_by_one_package() -> None:
    shared = {
        code: sorted(packages)
        for code, packages in codes_in_source().items()
        if len(packages - {"errors", "testing"}) > 1
    }
    assert shared == {}


def test_the_index_leads_to_every_page_of_codes() -> None:
    index = (REPOSITORY / "docs" / "reference" / "errors.md").read_text()
    missing = [
        page.name for page in SECTIONS.glob("*.md") if f"(errors.d/{page.name})" not in index
    ]
    assert missing == []


def test_nothing_is_raised_that_says_nothing_of_what_happened() -> None:
    plain = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and getattr(node.exc.func, "id", "") in {"Exception", "BaseException", "SystemExit"}
        and "templates" not in path.parts
    ]
    assert plain == []
