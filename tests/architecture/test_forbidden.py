"""What the package never does: rules that the linter has not, as a program over the sources."""

import ast
from pathlib import Path

import pytest
from sources import modules, tree

BANNED_MODULES = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "pty"}
BANNED_NAMES = {"eval", "exec", "execfile", "__import__"}
BANNED_ATTRIBUTES = {
    ("os", "system"),
    ("os", "popen"),
    ("tempfile", "mktemp"),
    ("np", "load"),
    ("numpy", "load"),
}
BANNED_METHODS = {"extractall"}


def offences(module: ast.Module) -> list[str]:
    """Return what a module does that it must not, with its line."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(module):
        match node:
            case ast.Import():
                names = [alias.name.partition(".")[0] for alias in node.names]
                found += [(node.lineno, name) for name in names if name in BANNED_MODULES]
            case ast.ImportFrom(module=str(name)) if name.partition(".")[0] in BANNED_MODULES:
                found.append((node.lineno, name))
            case ast.Call(func=ast.Name(id=name)) if name in BANNED_NAMES:
                found.append((node.lineno, name))
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (
                owner,
                name,
            ) in BANNED_ATTRIBUTES and not _is_safe_load(module, node):
                found.append((node.lineno, f"{owner}.{name}"))
            case ast.Call(func=ast.Attribute(attr=name)) if name in BANNED_METHODS:
                found.append((node.lineno, name))
        if isinstance(node, ast.keyword):
            value = getattr(node.value, "value", None)
            if (node.arg, value) in {("shell", True), ("allow_pickle", True)}:
                found.append((node.value.lineno, f"{node.arg}=True"))
    return [f"line {line}: {what}" for line, what in found]


def _is_safe_load(module: ast.Module, attribute: ast.Attribute) -> bool:
    """Tell whether a `numpy.load` says `allow_pickle=False` in so many words."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and node.func is attribute:
            words = {one.arg: getattr(one.value, "value", None) for one in node.keywords}
            return words.get("allow_pickle") is False
    return False


@pytest.mark.parametrize("path", modules(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_source_runs_text_or_unpickles(path: Path) -> None:
    assert offences(tree(path)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "import os; os.system('x')",
        "run('x', shell=True)",
        "archive.extractall()",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "__import__('x')",
    ],
)
def test_the_rule_sees_what_it_forbids(source: str) -> None:
    assert offences(ast.parse(source)) != []


def test_the_rule_lets_safe_forms_pass() -> None:
    source = "np.load(path, allow_pickle=False); run(['x'], shell=False); re.compile('x')"
    assert offences(ast.parse(source)) == []
